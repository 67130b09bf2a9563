"""What an exchange directory holds, and an instrument's book anywhere in its log."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..engine.answers import BookView
from ..engine.recovery import look, sequence_at
from ..journal import Keys, bytes_there, first_sequence, identity_of, snapshots
from ..records.instruments import price_text


def describe(path: str | os.PathLike[str], *, keys: Keys | None = None) -> dict[str, Any]:
    """What an exchange directory holds, from its newest state: JSON-ready values.

    `LogDamaged` as recovery raises it, `KeyRefused` for an encrypted log without its key.
    """
    directory = Path(path)
    found = look(directory, keys=keys)
    machine, opening = found.machine, asdict(found.recovery)
    instruments = []
    for number, one in enumerate(machine.instruments, 1):
        view = BookView(lambda: machine, number)
        best = view.top()
        instruments.append(
            {
                "symbol": one.symbol,
                "tick": price_text(one.tick),
                "lot": one.lot,
                "orders": len(view.orders()),
                "best_bid": str(best.bid or "-"),
                "best_ask": str(best.ask or "-"),
            }
        )
    segments = list(directory.glob("journal-*.mcj"))
    return {
        "exchange": identity_of(directory).hex(),
        "epoch": found.position.epoch,
        "first_sequence": first_sequence(directory),
        "last_sequence": found.position.sequence,
        "next_order_id": machine.next_order_id,
        "next_trade_id": machine.next_trade_id,
        "segments": len(segments),
        "bytes": bytes_there(segments),
        "snapshots": len(snapshots.listing(directory)),
        "digest": machine.digest(),
        "rules": opening.pop("rules"),
        "rules_possible": opening.pop("rules_possible"),
        "opening": opening,
        "instruments": instruments,
    }


def book(
    path: str | os.PathLike[str],
    symbol: str,
    *,
    sequence: int | None = None,
    time: int | None = None,
    keys: Keys | None = None,
) -> tuple[BookView, int]:
    """An instrument's book behind a sequence or a time, and the sequence of its last command.

    ``time``: nanoseconds; stands for the last command at or before it.  Without both, the end of
    the log.  `UnknownInstrument`, `NotInTheLog`, and `LogDamaged` as recovery raises it.
    """
    directory = Path(path)
    if time is not None:
        sequence = sequence_at(directory, time, keys=keys)
    machine = look(directory, sequence=sequence, keys=keys).machine
    return BookView(lambda: machine, machine.instruments.number(symbol)), machine.sequence
