"""A session of OUCH 5.0 over SoupBinTCP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument
from ..gateways.ouch import layout
from ..gateways.ouch._client import ENDED, REFUSED, heard
from ..records.schema import ReportKind, Side
from ..serving.soup import LOGIN, packet
from .ledger import HEARD, Ledger
from .session import Account, Refused, StreamSession, Target

SYMBOL_CHARACTERS = 8
HEARTBEAT_SECONDS = 1.0
#: Letters of answers -> what they say about an order.
_KINDS = np.zeros(256, np.uint8)
_KINDS[list(b"AECJIU")] = (
    ReportKind.NEW, ReportKind.TRADE, ReportKind.CANCELLED, ReportKind.REJECTED,
    ReportKind.CANCEL_REJECTED, ReportKind.REPLACED,
)  # fmt: skip
_SIDES = np.zeros(256, np.uint8)
_SIDES[ord("B")], _SIDES[ord("S")] = Side.BUY, Side.SELL


def packets_of(letter: bytes) -> np.dtype[Any]:
    """The dtype of a request in its packet, without what can be appended."""
    kinds = {"u2": ">u2", "u4": ">u4", "u8": ">u8", "a1": "S1", "a8": "S8", "a14": "S14"}
    known = layout.REQUESTS[letter]
    items = [item.split(":") for item in known.layout.split()]
    appended = [("appended", ">u2")] if known.appendage else []
    return np.dtype(
        [("size", ">u2"), ("kind", "S1"), ("letter", "S1"),
         *((name, kinds[kind]) for name, kind in items), *appended]
    )  # fmt: skip


ENTER, CANCEL = packets_of(b"O"), packets_of(b"X")

#: Fields that are the same in all orders.
USUAL = {"time_in_force": b"0", "display": b"Y", "capacity": b"P", "sweep": b"N", "cross": b"N",
         "cl_ord_id": b" " * 14}  # fmt: skip


class OuchSession(StreamSession):
    """The UserRefNum of an order is its place, counted from the first free one at the login."""

    protocol = "ouch"

    def __init__(self, target: Target, account: Account, ledger: Ledger) -> None:
        super().__init__(target, account, ledger)
        if len(account.user) > 6 or len(account.password) > 10:
            raise InvalidArgument(
                f"{account.user}: over OUCH, a user has up to 6 characters and a password up to 10"
            )
        symbols = [name.ljust(SYMBOL_CHARACTERS).encode() for name in ledger.source.symbols]
        if any(len(name) > SYMBOL_CHARACTERS for name in symbols):
            raise InvalidArgument(f"symbols: over OUCH up to {SYMBOL_CHARACTERS} characters each")
        self._symbols = np.array(symbols, "S8")
        words = np.array([int.from_bytes(name, "big") for name in symbols], np.uint64)
        self._order = np.argsort(words)
        self._words = words[self._order]
        self._data, self._missed = bytearray(), bytearray()
        self._session, self._number = "", 1 if target.resume else 0
        self._first_ref = 1 if target.resume else 0
        self._logged_in = asyncio.Event()
        self._why = ""
        self._beat = 0

    # ------------------------------------------------------------------ the session

    async def connect(self) -> None:
        self._logged_in.clear()
        self._data.clear()
        self._missed.clear()
        self._why = ""
        await self.dial()
        fields = (self.account.user.ljust(6), self.account.password.ljust(10),
                  self._session.rjust(10), str(self._number).rjust(20))  # fmt: skip
        self.write(packet(b"L", LOGIN.pack(*(field.encode("latin-1") for field in fields))))
        await self.until(self._logged_in)
        if self._why:
            raise Refused(self._why)

    def alive(self) -> None:
        """Heartbeats come by themselves, in both directions."""

    @property
    def full(self) -> bool:
        now = time.perf_counter_ns()
        if now - self._beat > HEARTBEAT_SECONDS * 1e9:
            self._beat = now
            self.write(packet(b"R"))
        return super().full

    def log_out(self) -> None:
        self.write(packet(b"O"))

    def heard(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        self._data += data
        if not self._logged_in.is_set():
            self._login()
            if not self._logged_in.is_set():
                return
        size, rows = heard(self._data)
        del self._data[:size]
        ends = (rows["letter"] == ENDED) | (rows["letter"] == REFUSED)
        if ends.any():
            self._why = "the session has ended"
            assert self.wire is not None
            self.wire.transport.close()
            rows = rows[: int(np.argmax(ends))]
        if len(rows):
            self._number += len(rows)
            self.hear(self._told(rows), now)

    def _login(self) -> None:
        """The answers to the login and to the question for the next UserRefNum."""
        at, data, missed = 0, self._data, bytearray()
        while len(data) - at >= 3 and not self._logged_in.is_set():
            size = 2 + int.from_bytes(data[at : at + 2], "big")
            if len(data) - at < size:
                break
            kind, payload = data[at + 2 : at + 3], bytes(data[at + 3 : at + size])
            if kind == b"S":  # what was missed, before the answer to the question
                missed += data[at : at + size]
            elif kind == b"J":
                self._why = "the login was refused"
                self._logged_in.set()
            elif kind == b"A":
                self._accepted(payload)
            elif kind == b"U" and payload[:1] == b"Q":
                self._next_ref(int.from_bytes(payload[9:13], "big"))
            at += size
        self._missed += missed
        del data[:at]
        if self._logged_in.is_set():
            data[:0] = self._missed
            self._missed.clear()
        self.wake.set()

    def _accepted(self, payload: bytes) -> None:
        self._session = payload[:10].decode("latin-1").strip()
        self._number = int(payload[10:30])
        if self._first_ref and not self._resume:
            self._logged_in.set()
        else:
            self.write(packet(b"U", b"Q"))

    def _next_ref(self, ref: int) -> None:
        if self._resume:
            self.ledger.heard_of(ref - 1)
            self._resume = False
        else:
            self._first_ref = ref
        self._logged_in.set()

    def _told(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        said = np.zeros(len(rows), HEARD)
        first = self._number - len(rows)
        said["number"] = first + np.arange(len(rows))
        said["kind"], said["side"] = _KINDS[rows["letter"]], _SIDES[rows["side"]]
        said["place"] = rows["ref"].astype(np.int64) - self._first_ref
        said["quantity"], said["price"] = rows["quantity"], rows["price"]
        said["trade"], said["filled"] = rows["match"], -1
        places = np.searchsorted(self._words, rows["symbol"]).clip(max=len(self._words) - 1)
        said["symbol"] = np.where(self._words[places] == rows["symbol"], self._order[places], -1)
        return said

    # ------------------------------------------------------------------ requests

    def orders(self, first: int, rows: NDArray[np.void], *, again: bool) -> None:
        orders = np.zeros(len(rows), ENTER)
        orders["size"], orders["kind"], orders["letter"] = ENTER.itemsize - 2, b"U", b"O"
        orders["user_ref"] = self._first_ref + first + np.arange(len(rows))
        orders["side"] = np.where(rows["side"] == Side.BUY, b"B", b"S")
        orders["quantity"], orders["price"] = rows["quantity"], rows["price"]
        orders["symbol"] = self._symbols[rows["symbol"]]
        for name, letter in USUAL.items():
            orders[name] = letter
        self.write(orders.tobytes())

    def cancels(self, places: NDArray[np.int64], *, again: bool) -> None:
        cancels = np.zeros(len(places), CANCEL)
        cancels["size"], cancels["kind"], cancels["letter"] = CANCEL.itemsize - 2, b"U", b"X"
        cancels["user_ref"] = self._first_ref + places
        self.write(cancels.tobytes())
