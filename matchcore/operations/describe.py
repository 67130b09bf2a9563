"""What an exchange directory holds, and an instrument's book anywhere in its log."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..engine.answers import BookView
from ..engine.recovery import look, sequence_at
from ..engine.starts import snapshot_files
from ..journal import Keys, Where, bytes_there, first_sequence, identity_of, place_of
from ..records.instruments import price_text


def describe(path: Where, *, keys: Keys | None = None) -> dict[str, Any]:
    """What an exchange holds, from its newest state: JSON-ready values.

    ``segments`` and ``bytes`` are those of the files; a replicated log has none here.

    `LogDamaged` as recovery raises it, `KeyRefused` for an encrypted log without its key.
    """
    place = place_of(path)
    found = look(place, keys=keys)
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
    segments = list(place.glob("journal-*.mcj")) if isinstance(place, Path) else []
    return {
        "exchange": identity_of(place).hex(),
        "epoch": found.position.epoch,
        "first_sequence": first_sequence(place),
        "last_sequence": found.position.sequence,
        "next_order_id": machine.next_order_id,
        "next_trade_id": machine.next_trade_id,
        "segments": len(segments),
        "bytes": bytes_there(segments),
        "snapshots": len(snapshot_files(place)),
        "digest": machine.digest(),
        "rules": opening.pop("rules"),
        "rules_possible": opening.pop("rules_possible"),
        "opening": opening,
        "instruments": instruments,
    }


def book(
    path: Where,
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
    place = place_of(path)
    if time is not None:
        sequence = sequence_at(place, time, keys=keys)
    machine = look(place, sequence=sequence, keys=keys).machine
    return BookView(lambda: machine, machine.instruments.number(symbol)), machine.sequence
