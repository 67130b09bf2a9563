"""Where markets stand: SecurityStatus (f) and TradingSessionStatus (h), asked for with e and g."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...records.schema import Phase
from ..desk import Desk
from ..standing import Stand
from .answers import Answers
from .layout import reason_text
from .plain import BAD_FORMAT, BAD_VALUE, Message, SessionFault, price_text, time_text, whole
from .refusals import OTHER, Refused
from .session import Fields
from .tables import Tables

SUBSCRIPTIONS_MAX = 1000  # of one session
GROUP_DIGITS_MAX = 9
SNAPSHOT, UPDATES, DISABLE = b"0", b"1", b"2"  # SubscriptionRequestType (263)
DAY = b"1"  # TradingSessionID (336): there is no other
READY, UNKNOWN = b"17", b"20"  # SecurityTradingStatus (326)
MIXED, REJECTED = b"0", b"6"  # TradSesStatus (340)
UNKNOWN_SESSION = b"1"  # TradSesStatusRejReason (567)


class Codes(NamedTuple):
    """Of a phase: TradSesStatus (340), TradingSessionSubID (625), SecurityTradingStatus (326)."""

    session: bytes
    part: bytes
    security: bytes


#: docs/gateways/fix.md shows this table.
CODES = {
    Phase.PRE_OPEN: Codes(b"4", b"1", b"21"),
    Phase.OPENING_CALL: Codes(b"4", b"2", b"21"),
    Phase.OPENING_CALL_LOCKED: Codes(b"4", b"2", b"22"),
    Phase.QUIET: Codes(b"3", b"7", b"18"),
    Phase.CONTINUOUS: Codes(b"2", b"3", READY),
    Phase.BREAK: Codes(b"3", b"7", b"18"),
    Phase.CLOSING_CALL: Codes(b"5", b"4", READY),
    Phase.AT_CLOSING_PRICE: Codes(b"2", b"5", READY),
    Phase.CLOSED: Codes(b"3", b"10", b"18"),
    Phase.VOLATILITY_CALL: Codes(b"1", b"9", b"2"),
    Phase.CANCEL_ONLY: Codes(b"1", b"7", b"2"),
    Phase.HALTED: Codes(b"1", b"7", b"2"),
}
#: Phases of single markets: the session is in that of the others.
APART = frozenset({Phase.VOLATILITY_CALL, Phase.CANCEL_ONLY, Phase.HALTED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a TradingSessionStatusRequest asked for: the markets of a ``group``; 0: all."""

    group: int
    named: bool  # with MarketSegmentID


class Statuses:
    """Answers the questions of one session, and tells it changes while they are asked for."""

    def __init__(self, desk: Desk, tables: Tables, answers: Answers) -> None:
        self._desk, self._tables, self._answers = desk, tables, answers
        self._securities: dict[bytes, bytes] = {}  # symbols, by SecurityStatusReqID
        self._sessions: dict[bytes, Wanted] = {}  # by TradSesReqID
        self._told: dict[bytes, dict[Phase, int]] = {}  # what h said last, by TradSesReqID
        self._moved: set[int] = set()  # numbers of markets whose news waits

    # ------------------------------------------------------------------ questions

    def check(self, message: Message) -> None:
        """`SessionFault` for a question without an answer, `Refused` if it cannot have one."""
        id = message.need(324 if message.kind == "e" else 335)
        what = message.need(263)
        if what not in (SNAPSHOT, UPDATES, DISABLE):
            raise SessionFault(BAD_VALUE, 263, "SubscriptionRequestType: 0, 1 or 2")
        asked = self._asked(message.kind)
        if what == DISABLE:
            if id not in asked:
                raise Refused(OTHER, "no such subscription")
            return
        if message.kind == "e":
            message.need(55)
        elif 1300 in message.fields and whole(message.fields[1300], GROUP_DIGITS_MAX) is None:
            raise SessionFault(BAD_FORMAT, 1300, "MarketSegmentID: the number of a group")
        if what == UPDATES and id in asked:
            raise Refused(OTHER, "this subscription is there already")
        if what == UPDATES and len(self._securities) + len(self._sessions) >= SUBSCRIPTIONS_MAX:
            raise Refused(OTHER, f"{SUBSCRIPTIONS_MAX} subscriptions are there already")

    def _asked(self, kind: str) -> dict[bytes, bytes] | dict[bytes, Wanted]:
        return self._securities if kind == "e" else self._sessions

    def answer(self, message: Message) -> None:
        """Answers what was checked."""
        id = message.need(324 if message.kind == "e" else 335)
        what = message.need(263)
        if what == DISABLE:
            self._asked(message.kind).pop(id, None)
            self._told.pop(id, None)
        elif message.kind == "e":
            symbol = message.need(55)
            if self._security(id, symbol, b"N") and what == UPDATES:
                self._securities[id] = symbol
        else:
            self._answer_session(id, message, what == UPDATES)

    def _answer_session(self, id: bytes, message: Message, stays: bool) -> None:
        asked = Wanted(int(message.fields.get(1300, b"0")), 1300 in message.fields)
        phases = self._desk.standing.phases(asked.group)
        name = message.fields.get(336, DAY)
        if name != DAY or (asked.group and not phases):
            text = b"TradingSessionID is 1" if name != DAY else b"no market is in this group"
            fields = [(335, id), *_segment(asked), (336, name), (340, REJECTED)]
            self._answers.send(b"h", [*fields, (567, UNKNOWN_SESSION), (58, text)])
            return
        self._session(id, asked, phases, b"N")
        if stays:
            self._sessions[id] = asked
            self._told[id] = phases

    # ------------------------------------------------------------------ news

    def moved(self, numbers: list[int]) -> None:
        """The phase of these markets was set: `tell` tells those who asked."""
        if self._securities or self._sessions:
            self._moved.update(numbers)

    def tell(self) -> None:
        """Sends what waits."""
        if not self._moved:
            return
        numbers, self._moved = self._moved, set()
        for id, symbol in self._securities.items():
            if self._tables.by_symbol[symbol][0] in numbers:
                self._security(id, symbol, b"Y")
        for id, asked in self._sessions.items():
            phases = self._desk.standing.phases(asked.group)
            if phases != self._told[id]:
                self._told[id] = phases
                self._session(id, asked, phases, b"Y")

    # ------------------------------------------------------------------ messages

    def _security(self, id: bytes, symbol: bytes, unasked: bytes) -> bool:
        """SecurityStatus; False if there is no such instrument."""
        self._tables.refresh()
        known = self._tables.by_symbol.get(symbol)
        fields: Fields = [(324, id), (55, symbol)]
        if known is None:
            fields += [(325, unasked), (326, UNKNOWN), (58, b"Symbol is not known")]
            self._answers.send(b"f", fields)
            return False
        number, mantissa, decimals = known
        stand = self._desk.standing.of(number)
        codes = CODES[Phase.CONTINUOUS if stand.phase is None else stand.phase]
        fields += [(336, DAY), (625, codes.part), (325, unasked), (326, codes.security)]
        if stand.last is not None:
            fields.append((31, price_text(stand.last, mantissa, decimals)))
        if stand.since:
            fields.append((60, time_text(stand.since, self._answers.time_digits)))
        text = _words(stand)
        if stand.reference:
            text += b"; reference " + price_text(stand.reference, mantissa, decimals)
        self._answers.send(b"f", [*fields, (58, text)])
        return True

    def _session(self, id: bytes, asked: Wanted, phases: dict[Phase, int], unasked: bytes) -> None:
        """TradingSessionStatus: the phase that all markets are in, but for those apart."""
        common = [phase for phase in phases if phase not in APART] or list(phases)
        fields: Fields = [(335, id), *_segment(asked), (336, DAY)]
        if len(common) > 1:
            fields += [(325, unasked), (340, MIXED)]
        else:
            codes = CODES[common[0] if common else Phase.CONTINUOUS]
            fields += [(625, codes.part), (325, unasked), (340, codes.session)]
        text = b", ".join(b"%b %d" % (_name(phase), count) for phase, count in phases.items())
        self._answers.send(b"h", [*fields, (58, text or b"no markets")])


def _segment(asked: Wanted) -> Fields:
    return [(1300, b"%d" % asked.group)] if asked.named else []


def _name(phase: Phase) -> bytes:
    return phase.name.lower().replace("_", " ").encode()


def _words(stand: Stand) -> bytes:
    """Text (58): the phase by its own name, and why it began."""
    if stand.phase is None:
        return b"continuous, no market"
    name = _name(stand.phase)
    why = reason_text(stand.reason, 0)
    return name + b": " + why if why else name
