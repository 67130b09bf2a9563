"""`matchcore lines --estimate`: what lines must carry."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from ..engine.engine import Engine
from ..errors import InvalidArgument
from ..importers import sample_day, source_of
from ..journal import MemoryLog
from ..records.instruments import Directory
from ..records.reports import ReportKind
from ..records.schema import Kind, Side
from .options import json_option
from .output import failing_kindly, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..gateways.lines.estimate import Load

SAMPLE_COMMANDS = 20_000
SAMPLE_MESSAGES = 1000  # that are encoded as text
MASKED_BYTES, UNMASKED_BYTES = 8, 4  # of the header of a WebSocket message


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

    It encodes orders of the sample day and their reports, and measures the messages, with the
    headers of Ethernet, IP and TCP.  Plan for the peak rate, and for each of two lines alone: one
    takes over everything.
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
    from ..gateways.lines.estimate import line_load, message_load
    from ..gateways.reports import Reports

    source = source_of("bme", sample_day())
    rows = np.concatenate([rows for rows, _ in source.rows(source.instruments)])
    commands = rows[rows["kind"] == Kind.NEW][:SAMPLE_COMMANDS].copy()
    # as a gateway sends them: in the present, with ids of its own
    commands["time"] = 1_800_000_000 * 10**9 + np.arange(len(commands)) * int(1e9 / rate)
    commands["client_order_id"] = np.arange(1, len(commands) + 1)
    commands["account"] = commands["session"] = 1 + np.arange(len(commands)) % 64
    reports = Reports()
    with Engine.memory(instruments=source.instruments, log=MemoryLog()) as engine:
        engine.submit_batch(commands)
        with engine.events() as stream:
            parts = [stream.read(0)]
            while parts[-1] is not None:
                parts.append(stream.read(0))
        told = np.concatenate(
            [reports.apply(part.commands, part.events) for part in parts if part is not None]
        )
        directory = engine.instruments
    each = len(told) / len(commands)
    return [
        line_load(commands, rate, turns),
        message_load("OUCH client", rate, *_ouch(told), each),
        message_load("FIX client", rate, *_fix(commands, told, directory), each),
        message_load("web client", rate, *_web(commands, told, directory), each),
    ]


def _ouch(told: NDArray[np.void]) -> tuple[float, float]:
    """Bytes of a request and of a report, in their packets."""
    from ..gateways.ouch.layout import ANSWERS, APPENDAGE_LENGTH, REQUESTS

    packet = 3 + APPENDAGE_LENGTH.size
    fills = np.count_nonzero(told["kind"] == ReportKind.TRADE) / len(told)
    sizes = ANSWERS[b"E"].size * fills + ANSWERS[b"A"].size * (1 - fills)
    return packet + REQUESTS[b"O"].size, packet + sizes


def _fix(
    commands: NDArray[np.void], told: NDArray[np.void], directory: Directory
) -> tuple[float, float]:
    from ..gateways.fix.plain import build, price_text, time_text
    from ..gateways.fix.plain_reports import Plain
    from ..gateways.fix.tables import Tables

    tables, some = Tables(lambda: directory), commands[:SAMPLE_MESSAGES]
    tables.refresh()
    asked = 0
    for number, row in enumerate(some, 1):
        symbol, mantissa, decimals = tables.by_number[int(row["instrument"]) - 1]
        now = time_text(int(row["time"]), 3)
        fields = [
            (35, b"D"), (49, b"CLIENT"), (56, b"MATCHCORE"), (34, b"%d" % number), (52, now),
            (11, b"%d" % row["client_order_id"]), (55, symbol), (54, b"%d" % row["side"]),
            (38, b"%d" % row["quantity"]), (40, b"2"),
            (44, price_text(int(row["price"]), mantissa, decimals)), (59, b"0"), (60, now),
        ]  # fmt: skip
        body = b"".join(b"%d=%b\x01" % pair for pair in fields)
        asked += len(build(b"FIX.4.4", body))
    plain = Plain(b"FIX.4.4", b"MATCHCORE", b"CLIENT", 3, False, tables.by_number)
    rows = told[:SAMPLE_MESSAGES]
    text = plain.write(rows, 1, int(commands["time"][0]))
    return asked / len(some), len(text) / len(rows)


def _web(
    commands: NDArray[np.void], told: NDArray[np.void], directory: Directory
) -> tuple[float, float]:
    """JSON in WebSocket messages."""
    from ..gateways.web.texts import report_said, row_of

    asked = [
        json.dumps({"client_order_id": str(row["client_order_id"]), "symbol": one.symbol,
                    "side": Side(row["side"]).name.lower(), "quantity": int(row["quantity"]),
                    "price": str(one.tick * int(row["price"]))})
        for row in commands[:SAMPLE_MESSAGES]
        for one in [directory.in_order()[int(row["instrument"]) - 1]]
    ]  # fmt: skip
    said = [json.dumps(report_said(row_of(row), directory)) for row in told[:SAMPLE_MESSAGES]]
    return (
        sum(map(len, asked)) / len(asked) + MASKED_BYTES,
        sum(map(len, said)) / len(said) + UNMASKED_BYTES,
    )
