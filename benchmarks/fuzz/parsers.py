"""The parsers, each with right inputs, and with what must hold for any input.

A parser that has two forms, compiled and plain, must do the same in both.  All others may raise
only what their callers catch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from matchcore import COMMAND, Directory, Instrument
from matchcore.gateways.fix import _frames, plain
from matchcore.gateways.fix._orders import Orders
from matchcore.gateways.fix.layout import ORIGINAL
from matchcore.gateways.fix.logon import LogonFault, read_logon
from matchcore.gateways.fix.plain import MESSAGE, SessionFault, build, split, time_text
from matchcore.gateways.fix.reading import KINDS, Refused, read
from matchcore.gateways.fix.session import Settings
from matchcore.gateways.fix.tables import Tables
from matchcore.gateways.lines import wire
from matchcore.gateways.logins import Login
from matchcore.gateways.ouch import layout, reference
from matchcore.gateways.ouch._client import heard
from matchcore.gateways.ouch._listing import Listing
from matchcore.gateways.ouch._ouch import Codec
from matchcore.gateways.reports import Reports
from matchcore.gateways.web.asked import Commands, parse
from matchcore.gateways.web.refusals import refusal_of
from matchcore.serving.soup import LOGIN, LoginRequest, packet

INSTRUMENTS = [Instrument("ANA", tick="0.05"), Instrument("BBVA", tick="0.001", lot=10)]
DIRECTORY = Directory(INSTRUMENTS)
NOW = 1_800_000_000 * 10**9
SENT = time_text(NOW, 3)
ACCOUNT, SESSION = 7, 3


class Parser(NamedTuple):
    """``check`` gets an input and asserts; ``seeds`` are right inputs, ``pieces`` parts of some."""

    seeds: list[bytes]
    pieces: list[bytes]
    check: Callable[[bytes], None]


# ---------------------------------------------------------------------- FIX

TABLES = Tables(lambda: DIRECTORY)
TABLES.refresh()
SETTINGS = Settings(comp_id="MC")
HEAD = b"49=ALICE\x0156=MC\x0134=5\x0152=" + SENT + b"\x01"
BODIES = [
    b"35=D\x01" + HEAD + b"11=17\x0121=1\x0155=ANA\x0154=1\x0138=10\x0140=2\x0144=1.00\x0159=0\x01"
    b"60=" + SENT + b"\x01",
    b"35=F\x01" + HEAD + b"11=x-1\x0141=17\x0155=ANA\x0154=1\x0160=" + SENT + b"\x01",
    b"35=G\x01" + HEAD + b"11=x-2\x0141=17\x0155=BBVA\x0154=2\x0138=20\x0140=2\x0144=12.345\x01",
    b"35=q\x01" + HEAD + b"11=m\x01530=7\x0160=" + SENT + b"\x01",
    b"35=A\x01" + HEAD + b"98=0\x01108=30\x01141=N\x01553=ALICE\x01554=secret\x01789=4\x01",
    b"35=0\x01" + HEAD + b"112=T\x01", b"35=2\x01" + HEAD + b"7=1\x0116=0\x01",
    b"35=4\x01" + HEAD + b"123=Y\x0136=9\x0143=Y\x01122=" + SENT + b"\x01",
    b"35=A\x01" + HEAD + b"95=5\x0196=a=b\x01c\x01",
]  # fmt: skip
TAGS = [b"%d=" % tag for tag in (8, 9, 10, 34, 35, 43, 44, 52, 95, 96, 97, 122, 999999999)]
BEGINS = (b"FIX.4.4", b"FIXT.1.1")


def fix_frames(data: bytes) -> None:
    """Both ways find the same, and go on to the end."""
    at = 0
    while at < len(data):
        found = _frames.find(data, at)
        assert found == plain.find(data, at), found
        kind, begin, end = found
        assert at <= begin <= end <= len(data)
        if (kind != MESSAGE and end == at) or kind == plain.PARTIAL:
            break
        at = max(end, at + 1)


def fix_messages(body: bytes) -> None:
    """A body with the right length and checksum, as the door takes it."""
    data = build(BEGINS[len(body) % 2], body)
    kind, begin, end = _frames.find(data, 0)
    if kind != MESSAGE or begin:
        return
    message = split(data[:end])
    with suppress(LogonFault):
        read_logon(message, SETTINGS, NOW)
    slow, original = np.zeros(1, COMMAND), np.zeros(1, ORIGINAL)
    quick, originals = np.zeros(4, COMMAND), np.zeros(4, ORIGINAL)
    orders = Orders(b"FIX.4.4", b"ALICE", b"MC", TABLES.by_symbol, ACCOUNT)
    count, at = orders.read(data, 0, 5, NOW, 10**9, quick, originals)
    good = message.fault is None and message.kind in KINDS
    if good:
        try:
            read(message, TABLES, ACCOUNT, slow[0], original[0])
        except (SessionFault, Refused):
            good = False
    if count:
        assert good and count == 1 and at == end
        assert slow[0] == quick[0] and original[0] == originals[0]


# ---------------------------------------------------------------------- OUCH


def _request(letter: bytes, **fields: Any) -> bytes:
    known = layout.REQUESTS[letter]
    usual: dict[str, Any] = {"user_ref": 1, "original_ref": 1, "side": b"B", "quantity": 100,
                             "symbol": b"ANA     ", "price": 9_500, "time_in_force": b"0",
                             "display": b"Y", "capacity": b"P", "sweep": b"N", "cross": b"N",
                             "cl_ord_id": b"A-1".ljust(14)}  # fmt: skip
    made = known.packer.pack(letter, *(({**usual, **fields})[name] for name in known.names))
    appended = fields.get("appended", b"")
    made += len(appended).to_bytes(2, "big") + appended if known.appendage else b""
    return packet(b"U", made)


REQUESTS = [
    _request(b"O"), _request(b"O", user_ref=2, side=b"S", appended=b"\x05\x03\0\0\0\x05"),
    _request(b"O", user_ref=3, appended=b"\x02\x0cP\x09\x81" + bytes(8)),
    _request(b"U", user_ref=4), _request(b"X"), _request(b"X", quantity=0), _request(b"M"),
    packet(b"U", b"C" + bytes([0, 0, 0, 9]) + b"    ANA     " + b"\0\3\2\x1bB"),
    packet(b"U", b"Q"), packet(b"R"), packet(b"+", b"text"), packet(b"O"),
]  # fmt: skip
PACKETS = [b"\0\x01R", b"\0\x01O", b"\0\x00", b"\xff\xff", b"\0\x30U", b"O", b"U", b"X", b"M"]


def ouch_requests(data: bytes) -> None:
    """Both codecs take the same, also of a session that goes on."""
    quick = Codec(SESSION, 1, ACCOUNT, Listing(INSTRUMENTS))
    slow = reference.Codec(SESSION, 1, ACCOUNT, reference.Listing(INSTRUMENTS))
    for _ in range(4):
        one, other = quick.take(data), slow.take(data)
        assert one.commands.tobytes() == other.commands.tobytes()
        assert (one.size, one.queries, one.passed, bool(one.fault)) == (
            other.size, other.queries, other.passed, bool(other.fault)
        )  # fmt: skip
        assert 0 <= one.size <= len(data) and quick.last_ref == slow.last_ref
        if not one.size or one.fault:
            break
        data = data[one.size :]


def soup_answers(data: bytes) -> None:
    """What clients count."""
    size, rows = heard(data)
    assert size <= len(data) and len(rows) <= len(data) // 3


ANSWERS = [
    packet(b"S", letter + bytes(80)) for letter in (b"A", b"U", b"E", b"C", b"J", b"I", b"S", b"X")
]


def soup_logins(data: bytes) -> None:
    """A login packet's payload, cut or filled to the length that the server demands."""
    request = LoginRequest.of(data[: LOGIN.size].ljust(LOGIN.size))
    assert request.number is None or request.number >= 0


# ---------------------------------------------------------------------- web

TEXTS = [
    b'{"client_order_id": "s-1", "symbol": "ANA", "side": "sell", "quantity": 30,'
    b' "price": "95.70"}',
    b'{"op": "order", "id": 5, "client_order_id": 17, "symbol": "BBVA", "side": "buy",'
    b' "quantity": "10", "order_type": "market", "time_in_force": "ioc", "account": 7}',
    b'{"client_order_id": "s-1", "request_id": "c1", "reduce_by": 5, "post_only": true}',
    b'{"symbol": null, "side": "buy", "account": "7"}', b'{"client_order_id": "s-1"}',
]  # fmt: skip
WORDS = [b'"quantity":', b"1e400", b"-0", b"[[[[", b'"\\ud800"', b"null", b"true", b'"price":',
         b","]  # fmt: skip
COMMANDS = Commands(DIRECTORY, Reports(), Login(SESSION, "alice", account=ACCOUNT))


def web_bodies(data: bytes) -> None:
    """Every error is one that the door answers with a reason."""
    for make in (COMMANDS.new, COMMANDS.cancel, COMMANDS.amend, COMMANDS.cancel_all):
        try:
            body = parse(data)
            body.pop("op", None)
            body.pop("id", None)
            command = make(body)
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                raise
            assert 400 <= refused.status < 500 and refused.said()["code"]
        else:
            assert len(command) == 1 and command["kind"][0]


# ---------------------------------------------------------------------- lines


def _commands(count: int) -> np.ndarray:
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["instrument"], rows["account"] = 1, 1, ACCOUNT
    rows["client_order_id"] = np.arange(1, count + 1)
    return rows


FRAMES = [
    wire.join(5, bytes(16), b"token"), wire.welcome(bytes(16), 1, 9, 2, 3),
    wire.batch(1, _commands(1)), wire.batch(2, _commands(40)),
    wire.refused(wire.Refusal.TOKEN, "no"), wire.end("over"),
    wire.Frame(wire.Type.ALIVE, 7).to_bytes(), wire.Frame(wire.Type.FOLLOW, 7).to_bytes(),
]  # fmt: skip


def line_frames(data: bytes) -> None:
    """In one piece and in two the same frames come out, or the same error."""
    assert _cut([data]) == _cut([data[: len(data) // 2], data[len(data) // 2 :]])


def _cut(parts: list[bytes]) -> list[Any]:
    frames, found = wire.Frames(1 << 20), list[Any]()
    try:
        for part in parts:
            for frame in frames.take(part):
                found.append(frame)
                if frame.type in (wire.Type.BATCH, wire.Type.LOG):
                    assert len(frame.commands()) == frame.rows
                elif frame.type == wire.Type.JOIN:
                    wire.read_join(frame)
                elif frame.type == wire.Type.WELCOME:
                    wire.read_welcome(frame)
                else:
                    assert isinstance(frame.said(), str)
    except wire.LineError as error:
        found.append(str(error))
    return found


PARSERS = {
    "fix-frames": Parser([build(b"FIX.4.4", body) for body in BODIES], TAGS, fix_frames),
    "fix-messages": Parser(BODIES, TAGS, fix_messages),
    "ouch-requests": Parser(REQUESTS, PACKETS, ouch_requests),
    "soup-answers": Parser(ANSWERS, PACKETS, soup_answers),
    "soup-logins": Parser([b"user1 secret    0000000000" + b"17".rjust(20)], [b" "], soup_logins),
    "web-bodies": Parser(TEXTS, WORDS, web_bodies),
    "line-frames": Parser(FRAMES, [b"B", b"\xff\xff\xff\xff", bytes(8)], line_frames),
}
