"""`matchcore lines --estimate`: what lines must carry."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import numpy as np

from ..errors import InvalidArgument
from .options import json_option
from .output import failing_kindly, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..gateways.lines.estimate import Load

SAMPLE_COMMANDS = 20_000


@click.command("lines")
@click.option("--estimate", is_flag=True, help="Estimate the bytes that lines carry.")
@click.option("--rate", type=click.FloatRange(1, 10_000_000), default=10_000.0, show_default=True,
              help="Orders a second.")  # fmt: skip
@click.option("--turns", type=click.FloatRange(1, 100_000), default=1000.0, show_default=True,
              help="Batches a second that a gateway sends at most.")  # fmt: skip
@json_option
def lines_command(estimate: bool, rate: float, turns: float, as_json: bool) -> None:
    """Estimate what lines between clients, gateways and engine must carry.

    \b
    Example:  matchcore lines --estimate --rate 10000

    It encodes orders of the sample day and measures the messages, with the headers of Ethernet, IP
    and TCP.  Plan for the peak rate, and let a second line be idle: it takes over everything.
    """
    with failing_kindly(as_json):
        if not estimate:
            raise InvalidArgument("say what to do: --estimate")
        loads = _loads(rate, turns)
    if as_json:
        rows = [{**asdict(load), "up_mbit": load.up_mbit, "down_mbit": load.down_mbit}
                for load in loads]  # fmt: skip
        show({"rate": rate, "turns": turns, "lines": rows}, True)
        return
    show_rows(
        ("line", "bytes an order up", "down", "Mbit/s up", "Mbit/s down"),
        [(load.protocol, load.up / rate, load.down / rate, load.up_mbit, load.down_mbit)
         for load in loads],
        f"{rate:,.0f} orders a second, in {turns:,.0f} batches a second at most",
    )  # fmt: skip


def _loads(rate: float, turns: float) -> list[Load]:
    from ..gateways.lines.estimate import line_load
    from ..importers import sample_day, source_of

    source = source_of("bme", sample_day())
    commands = np.concatenate([rows for rows, _ in source.rows(source.instruments)])
    commands = commands[:SAMPLE_COMMANDS].copy()
    # as a gateway sends them: in the present, with ids of its own
    commands["time"] = 1_800_000_000 * 10**9 + np.arange(len(commands)) * int(1e9 / rate)
    commands["client_order_id"] = np.arange(1, len(commands) + 1)
    commands["account"] = commands["session"] = 1 + np.arange(len(commands)) % 64
    return [line_load(commands, rate, turns)]
