"""The rules of the session layer: what a message is answered with, and what its number means.

Nothing here waits or knows a socket: `wire` sends and closes, `requests` has what the session is
there for, and times are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .layout import OTHER_TYPES
from .plain import (
    BAD_COMP_ID,
    BAD_FORMAT,
    BAD_SENDING_TIME,
    BAD_TYPE,
    BAD_VALUE,
    MISSING,
    Message,
    SessionFault,
    moment,
)
from .store import Store

SECOND = 10**9
APPLICATION_TYPES = frozenset({"D", "F", "G", "q", "H", "AF", "E", "S", "i", "Z", "e", "g"})
QUEUED_MAX = 500  # messages behind a gap that are kept; later ones come again with the resend
ASK_AGAIN_SECONDS = 10
ASKED_MAX = 3  # times for the same number
TEST_AT, DROP_AT = 1.2, 2.4  # of HeartBtInt, without a word
LOGOUT_SECONDS = 5  # that the client has for the answer to a Logout
Fields = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every session of a door.

    - ``comp_id``: TargetCompID of the clients' messages.
    - ``reset``: a client may begin again at 1 with ResetSeqNumFlag (141=Y).
    - ``tolerance_ns``: how far SendingTime may be from the clock here.
    - ``heartbeat_max_s``: the largest HeartBtInt.
    """

    comp_id: str = "MATCHCORE"
    reset: bool = False
    tolerance_ns: int = 120 * SECOND
    heartbeat_max_s: int = 300


class Wire(Protocol):
    """How messages leave.  ``sent``: when the last one did, in nanoseconds."""

    sent: int

    def send(self, kind: bytes, fields: Fields, *, keep: bool = False) -> None:
        """Sends a message under the next number; with ``keep`` its text can be sent again."""

    def resend(self, first: int, last: int) -> bool:
        """Sends messages of these numbers again, when their turn comes; False: too many wait."""

    def close(self, why: str) -> None:
        """Closes once everything has gone."""


class Requests(Protocol):
    """What the session is there for."""

    def request(self, message: Message) -> None:
        """Takes a request of a type of `APPLICATION_TYPES`; `SessionFault`."""


class Session:
    """The session of a client that has logged on.

    ``client``: its CompID. ``expected``: the number of its next message. ``now``: nanoseconds.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        wire: Wire,
        requests: Requests,
        *,
        begin: bytes,
        client: bytes,
        heartbeat_s: int,
        now: int,
    ) -> None:
        self._settings, self._store, self._wire, self._requests = settings, store, wire, requests
        self._begin, self._client = begin, client
        self._ours = settings.comp_id.encode()
        self.heartbeat_s = heartbeat_s
        self.expected = store.expected
        self.heard = self.now = now
        self._tested = False
        self._ahead: dict[int, Message | None] = {}  # None: it has had its answer
        self._asked_from = self._asked_to = 0
        self._asked_at = self._asked = 0
        self.ended = 0  # when a Logout was sent; nothing but its answer counts from then on

    # ------------------------------------------------------------------ messages

    @property
    def is_plain(self) -> bool:
        """True while nothing but the next number is waited for."""
        return not self._ahead and not self.ended

    def heard_at(self, now: int) -> None:
        """The client has said something."""
        self.heard, self._tested = now, False

    def receive(self, message: Message, now: int) -> None:
        """Takes the next message from the client."""
        self.now = now
        self.heard_at(now)
        if self.ended:
            if message.kind == "5":
                self._wire.close("logged out")
            return
        if message.begin != self._begin:
            self.log_out(f"BeginString must be {self._begin.decode()}, as in the Logon")
        elif not message.number:
            self.log_out("MsgSeqNum (34) is missing, or no number above 0")
        elif self._header(message):
            self._in_turn(message)

    def _header(self, message: Message) -> bool:
        """Checks CompIDs and SendingTime; False if that ends the session."""
        for tag, right in ((49, self._client), (56, self._ours)):
            if message.fields.get(tag) != right:
                fault = SessionFault(BAD_COMP_ID, tag, f"tag {tag} must be {right.decode()}")
                return self._fatal(message, fault)
        if 52 not in message.fields:
            return self._fatal(message, SessionFault(MISSING, 52, "SendingTime is missing"))
        sent = moment(message.fields[52])
        if sent is None:
            what = "SendingTime: YYYYMMDD-HH:MM:SS, with up to nine decimals"
            return self._fatal(message, SessionFault(BAD_FORMAT, 52, what))
        if abs(self.now - sent) > self._settings.tolerance_ns:
            seconds = self._settings.tolerance_ns // SECOND
            what = f"SendingTime differs by more than {seconds} s from the clock here"
            return self._fatal(message, SessionFault(BAD_SENDING_TIME, 52, what))
        return True

    def _fatal(self, message: Message, fault: SessionFault) -> bool:
        self.reject(message, fault)
        self.log_out(fault.text)
        return False

    def _in_turn(self, message: Message) -> None:
        """Takes it if its number is next, and what it was waited for with."""
        if message.kind == "4" and message.fields.get(123, b"N") != b"Y":
            self._reset(message)
        elif message.kind == "A" and message.fields.get(141) == b"Y":
            self._again(message)
        elif message.number > self.expected:
            self._early(message)
        elif message.number < self.expected:
            self._late(message)
        else:
            self._take(message)
        while not self.ended and self.expected in self._ahead:
            waiting = self._ahead.pop(self.expected)
            if waiting is None:
                self.expected += 1
            else:
                self._take(waiting)
        for number in [number for number in self._ahead if number < self.expected]:
            del self._ahead[number]

    def _early(self, message: Message) -> None:
        """A gap: what comes behind it waits."""
        if message.kind == "5":
            self._answer_logout()
            return
        if message.kind == "2":  # both sides would wait for each other
            try:
                self._resend(message)
                self._ahead[message.number] = None
            except SessionFault:
                self._ahead[message.number] = message
        elif len(self._ahead) < QUEUED_MAX:
            self._ahead.setdefault(message.number, message)
        skipped = message.possibly_resent and self._asked_from != self.expected
        if self.expected > self._asked_to or skipped:
            self._asked = 0
            self._ask(max(message.number - 1, self._asked_to))

    def _ask(self, last: int) -> None:
        self._asked_from, self._asked_to = self.expected, last
        self._asked_at, self._asked = self.now, self._asked + 1
        self._wire.send(b"2", [(7, b"%d" % self.expected), (16, b"0")])

    def logged_on(self, number: int, *, ask: bool) -> None:
        """The Logon had this number; what is missing before it is asked for with ``ask``."""
        if number <= self.expected:
            self.expected = number + 1
            return
        self._ahead[number] = None
        self._asked_from, self._asked_to, self._asked_at = self.expected, number - 1, self.now
        if ask:
            self._ask(number - 1)

    def _late(self, message: Message) -> None:
        """Never executed again."""
        if not message.possibly_resent:
            self.log_out(
                f"MsgSeqNum too low, expecting {self.expected} but received {message.number}"
            )

    def _take(self, message: Message) -> None:
        """Takes the message whose number is next."""
        fault = message.fault or self._resent_fault(message)
        if fault is not None:
            self.expected += 1
            self.reject(message, fault)
            if fault.reason == BAD_SENDING_TIME:
                self.log_out(fault.text)
            return
        try:
            self._by_kind(message)
        except SessionFault as error:
            self.reject(message, error)
        finally:
            if message.kind != "4":
                self.expected += 1

    def _resent_fault(self, message: Message) -> SessionFault | None:
        flag = message.fields.get(43, b"N")
        if flag not in (b"Y", b"N"):
            return SessionFault(BAD_VALUE, 43, "PossDupFlag is Y or N")
        if flag == b"N" or message.kind == "4":
            return None
        if 122 not in message.fields:
            return SessionFault(MISSING, 122, "OrigSendingTime is missing, with PossDupFlag")
        first, sent = moment(message.fields[122]), moment(message.fields[52])
        if first is None:
            return SessionFault(BAD_FORMAT, 122, "OrigSendingTime: YYYYMMDD-HH:MM:SS")
        if sent is not None and first > sent:
            return SessionFault(BAD_SENDING_TIME, 122, "OrigSendingTime is after SendingTime")
        return None

    # ------------------------------------------------------------------ by type

    def _by_kind(self, message: Message) -> None:
        kind = message.kind
        if kind in APPLICATION_TYPES:
            self._requests.request(message)
        elif kind == "0" or kind == "3" or kind == "j":
            return
        elif kind == "1":
            self._wire.send(b"0", [(112, message.need(112))])
        elif kind == "2":
            self._resend(message)
        elif kind == "4":
            self._fill(message)
        elif kind == "5":
            self._answer_logout()
        elif kind == "A":
            self.log_out("logged on already")
        elif kind in OTHER_TYPES:
            self.refuse(message, 3, f"message type {kind} is not supported")
        else:
            raise SessionFault(BAD_TYPE, 35, "MsgType is not defined")

    def _resend(self, message: Message) -> None:
        """ResendRequest: of numbers that have been used."""
        first, last = message.need_whole(7), message.need_whole(16)
        newest = self._store.next - 1
        if not 1 <= first <= newest:
            raise SessionFault(BAD_VALUE, 7, f"BeginSeqNo must be 1 to {newest}")
        if last and last < first:
            raise SessionFault(BAD_VALUE, 16, "EndSeqNo is below BeginSeqNo")
        if not self._wire.resend(first, min(last or newest, newest)):
            self.log_out("too many ResendRequests at once")

    def _reset(self, message: Message) -> None:
        """SequenceReset without GapFillFlag: its own number does not matter."""
        try:
            following = message.need_whole(36)
            if message.fields.get(123, b"N") != b"N":
                raise SessionFault(BAD_VALUE, 123, "GapFillFlag is Y or N")
            if following < self.expected:
                what = f"NewSeqNo must be at least {self.expected}: numbers only rise"
                raise SessionFault(BAD_VALUE, 36, what)
            self.expected = following
        except SessionFault as error:
            self.reject(message, error)

    def _fill(self, message: Message) -> None:
        """SequenceReset with GapFillFlag: there is nothing before NewSeqNo."""
        try:
            following = message.need_whole(36)
            if following <= message.number:
                raise SessionFault(BAD_VALUE, 36, "NewSeqNo must be above MsgSeqNum")
            self.expected = following
        except SessionFault:
            self.expected += 1
            raise

    def _again(self, message: Message) -> None:
        """A Logon in the middle of a session with ResetSeqNumFlag: both sides begin at 1."""
        if message.fields.get(141) != b"Y" or not self._settings.reset or message.number != 1:
            self.log_out("logged on already")
            return
        self._store.reset()
        self.expected = 2
        self._ahead.clear()
        self._asked_from = self._asked_to = 0
        self._wire.send(b"A", [(98, b"0"), (108, b"%d" % self.heartbeat_s), (141, b"Y")])

    # ------------------------------------------------------------------ refusals and the end

    def reject(self, message: Message, fault: SessionFault) -> None:
        """Reject (35=3): the message breaks a rule of the session or of its layout."""
        fields = [(45, b"%d" % message.number)]
        if fault.tag:
            fields.append((371, b"%d" % fault.tag))
        if message.kind.isalnum() and len(message.kind) <= 2:
            fields.append((372, message.kind.encode()))
        fields += [(373, b"%d" % fault.reason), (58, fault.text.encode("ascii", "replace"))]
        self._wire.send(b"3", fields)

    def refuse(self, message: Message, reason: int, text: str, id: bytes = b"") -> None:
        """BusinessMessageReject (35=j): the message is understood, and cannot be done."""
        fields = [(45, b"%d" % message.number), (372, message.kind.encode())]
        if id:
            fields.append((379, id))
        fields += [(380, b"%d" % reason), (58, text.encode("ascii", "replace"))]
        self._wire.send(b"j", fields, keep=True)

    def log_out(self, why: str) -> None:
        """Sends a Logout that says why, and closes."""
        if not self.ended:
            self.ended = self.now
            self._wire.send(b"5", [(58, why.encode("ascii", "replace"))])
            self._wire.close(why)

    def ask_to_log_out(self, why: str) -> None:
        """Sends a Logout, and waits for the client's."""
        if not self.ended:
            self.ended = self.now
            self._wire.send(b"5", [(58, why.encode("ascii", "replace"))])

    def _answer_logout(self) -> None:
        self.ended = self.now
        self._wire.send(b"5", [])
        self._wire.close("the client logged out")

    # ------------------------------------------------------------------ time

    def beat(self, now: int) -> None:
        """Heartbeats, tests and time-outs; called every second."""
        self.now = now
        silent, interval = now - self.heard, self.heartbeat_s * SECOND
        if self.ended:
            if now - self.ended > LOGOUT_SECONDS * SECOND:
                self._wire.close("no answer to the Logout")
            return
        if silent > DROP_AT * interval:
            self._wire.close(f"nothing heard for {silent // SECOND} s")
        elif silent > TEST_AT * interval and not self._tested:
            self._tested = True
            self._wire.send(b"1", [(112, b"TEST-%d" % (now // SECOND))])
        elif now - self._wire.sent >= interval - SECOND // 2:
            self._wire.send(b"0", [])
        if self._ahead and now - self._asked_at > ASK_AGAIN_SECONDS * SECOND:
            if self._asked >= ASKED_MAX:
                self.log_out(f"message {self.expected} did not come after {ASKED_MAX} requests")
            else:
                self._ask(self._asked_to)
