"""The Logon: what it must say, and the numbers that a session begins with."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import COMP_ID_CHARACTERS_MAX
from .plain import Message, moment, whole
from .session import Fields, Settings
from .store import Store

FIX44, FIXT = b"FIX.4.4", b"FIXT.1.1"
FIX50SP2 = b"9"  # ApplVerID
#: Added to the next number when nobody knows how many messages the client has had of a day: more
#: than a gateway sends in a day, beside reports, at one a second to each of ten sessions.
FAR = 1_000_000


class LogonFault(Exception):
    """A Logon that has no answer."""


@dataclass(slots=True)
class Logon:
    """The client's Logon.  ``next_expected``: NextExpectedMsgSeqNum (789), 0 if it is not there."""

    begin: bytes
    client: bytes
    user: str
    password: str
    number: int
    heartbeat_s: int | None
    encryption: bytes
    version: bytes
    reset: bool
    next_expected: int
    resent: bool
    heartbeat_max_s: int
    lost: bool = False

    @property
    def modern(self) -> bool:
        return self.begin == FIXT

    def restore(self, store: Store, reports: int) -> None:
        """Finds the numbers of a session of which the store knows nothing, or too little.

        Then the next number is the one that the client says it expects (789), or far above every
        one that it can have had, so that it asks for what it has missed.
        """
        ahead = self.next_expected > store.next and not self.reset
        self.lost = (store.lost or ahead) and (self.number > 1 or ahead or reports > 0)
        if self.lost:
            far = reports + FAR if self.number > 1 else 1
            store.begin_again(self.number, self.next_expected or far)
        store.lost = False

    def refusal(self, store: Store, settings: Settings) -> str:
        """Why the session cannot begin; empty if it can.  With 141=Y both numbers are 1 then."""
        if self.encryption != b"0":
            return "EncryptMethod (98) must be 0"
        if self.heartbeat_s is None or not 1 <= self.heartbeat_s <= settings.heartbeat_max_s:
            return f"HeartBtInt (108) must be 1 to {settings.heartbeat_max_s}"
        if self.modern and self.version != FIX50SP2:
            return "DefaultApplVerID (1137) must be 9: FIX 5.0 SP2"
        if self.reset:
            if not settings.reset and (store.expected, store.next) != (1, 1):
                return "ResetSeqNumFlag (141): this gateway does not begin again within a day"
            if self.number != 1:
                return "ResetSeqNumFlag (141): MsgSeqNum must be 1"
            store.reset()
        if self.number < store.expected and not self.resent:
            return f"MsgSeqNum too low, expecting {store.expected} but received {self.number}"
        return ""

    def missing(self, store: Store) -> int:
        """The first number that the client has missed, as it says with 789; 0: none."""
        return self.next_expected if 0 < self.next_expected < store.next else 0

    def answer(self, store: Store) -> Fields:
        """The fields of the Logon that answers."""
        fields = [(98, b"0"), (108, b"%d" % (self.heartbeat_s or 0))]
        if self.reset:
            fields.append((141, b"Y"))
        if self.next_expected:
            following = store.expected + (self.number == store.expected)
            fields.append((789, b"%d" % following))
        if self.modern:
            fields.append((1137, FIX50SP2))
        return fields


def read_logon(message: Message, settings: Settings, now: int) -> Logon:
    """`LogonFault` for what is no Logon for this gateway."""
    fields = message.fields
    client, user = fields.get(49, b""), fields.get(553)
    sent = moment(fields.get(52, b""))
    if message.begin not in (FIX44, FIXT):
        raise LogonFault("BeginString is neither FIX.4.4 nor FIXT.1.1")
    if message.kind != "A":
        raise LogonFault("the first message is no Logon")
    if message.fault is not None or not message.number:
        raise LogonFault(f"Logon: {message.fault or 'MsgSeqNum is missing'}")
    name_ok = 0 < len(client) <= COMP_ID_CHARACTERS_MAX and all(33 <= one <= 126 for one in client)
    if not name_ok or fields.get(56) != settings.comp_id.encode():
        raise LogonFault(f"Logon: SenderCompID is none, or TargetCompID is not {settings.comp_id}")
    if user is not None and user != client:
        raise LogonFault("Logon: Username (553) must be the SenderCompID")
    if sent is None or abs(now - sent) > settings.tolerance_ns:
        raise LogonFault("Logon: SendingTime is none, or far from the clock here")
    return Logon(
        begin=message.begin,
        client=client,
        user=client.decode("ascii"),
        password=fields.get(554, b"").decode("latin-1"),
        number=message.number,
        heartbeat_s=whole(fields.get(108, b""), 5),
        encryption=fields.get(98, b""),
        version=fields.get(1137, b""),
        reset=fields.get(141) == b"Y",
        next_expected=whole(fields.get(789, b""), 18) or 0,
        resent=message.possibly_resent,
        heartbeat_max_s=settings.heartbeat_max_s,
    )
