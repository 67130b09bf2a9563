"""OUCH 5.0 as data: the messages, their fields, and what codes stand for; docs/gateways/ouch.md.

The compiled codec has the same offsets in its code; tests compare it with `reference`, which knows
nothing but these tables.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ...records.schema import Reason, Side, TimeInForce

#: Field type -> code of `struct`.  All numbers are unsigned and big-endian, text is padded behind.
_CODES = {
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "a1": "c",
    "a4": "4s",
    "a8": "8s",
    "a14": "14s",
}
APPENDAGE_LENGTH = struct.Struct(">H")


@dataclass(frozen=True)
class Message:
    """A message: its type, and its fields in their order.

    ``appendage``: whether its length always follows the fields (True), only if there is one (None),
    or never (False).
    """

    letter: bytes
    layout: str
    appendage: bool | None = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.partition(":")[0] for item in self.layout.split())

    @property
    def packer(self) -> struct.Struct:
        kinds = (item.partition(":")[2] for item in self.layout.split())
        return struct.Struct(">c" + "".join(_CODES[kind] for kind in kinds))

    @property
    def size(self) -> int:
        """Bytes, without what is appended and its length."""
        return self.packer.size


_ORDER = "side:a1 quantity:u4 symbol:a8 price:u8 time_in_force:a1 display:a1"
_KEPT = "order_reference:u8 capacity:a1 sweep:a1 cross:a1 state:a1 cl_ord_id:a14"

#: What clients send.  C, and X below: NASDAQ OUCH 5.0, "Mass Cancel Request" and "Response".
REQUESTS = {
    message.letter: message
    for message in (
        Message(b"O", f"user_ref:u4 {_ORDER} capacity:a1 sweep:a1 cross:a1 cl_ord_id:a14", True),
        Message(b"U", "original_ref:u4 user_ref:u4 quantity:u4 price:u8 time_in_force:a1"
                      " display:a1 sweep:a1 cl_ord_id:a14", True),
        Message(b"X", "user_ref:u4 quantity:u4", None),
        Message(b"M", "user_ref:u4 side:a1 quantity:u4", None),
        Message(b"C", "user_ref:u4 firm:a4 symbol:a8", True),
        Message(b"Q", "", None),
    )
}  # fmt: skip
#: What clients hear.
ANSWERS = {
    message.letter: message
    for message in (
        Message(b"S", "time:u8 event:a1"),
        Message(b"A", f"time:u8 user_ref:u4 {_ORDER} {_KEPT}", True),
        Message(b"U", f"time:u8 original_ref:u4 user_ref:u4 {_ORDER} {_KEPT}", True),
        Message(b"C", "time:u8 user_ref:u4 quantity:u4 reason:a1", None),
        Message(b"E", "time:u8 user_ref:u4 quantity:u4 price:u8 liquidity:a1 match:u8", True),
        Message(b"J", "time:u8 user_ref:u4 reason:u2 cl_ord_id:a14", None),
        Message(b"I", "time:u8 user_ref:u4", None),
        Message(b"M", "time:u8 user_ref:u4 side:a1 quantity:u4", None),
        Message(b"B", "time:u8 user_ref:u4 match:u8 reason:a1 cl_ord_id:a14", None),
        Message(b"R", "time:u8 user_ref:u4 reason:a1", True),
        Message(b"D", "time:u8 user_ref:u4 quantity:u4 reason:a1 prevented:u4 price:u8"
                      " liquidity:a1 strategy:a1", True),
        Message(b"X", "time:u8 user_ref:u4 firm:a4 symbol:a8", True),
        Message(b"Q", "time:u8 next_ref:u4"),
    )
}  # fmt: skip

# ---------------------------------------------------------------------- appended items

#: Tag -> bytes of its value.  128 and up are ours, for what a field has no room for.
MIN_QUANTITY, POST_ONLY = 3, 12
QUANTITY, PRICE, INSTRUMENT, CLIENT_ID = 129, 130, 131, 132
#: Of O only, for instruments with a market.
STOP_PRICE, EXPIRY, DISPLAY_QUANTITY, SELF_TRADE = 133, 134, 135, 136
#: Of C and X: only one side. Of X: how many orders were cancelled.
SIDE, COUNT = 27, 137
#: Of answers only.
TOLD = frozenset({CLIENT_ID, COUNT})
TAGS = {MIN_QUANTITY: 4, POST_ONLY: 1, SIDE: 1, QUANTITY: 8, PRICE: 8, INSTRUMENT: 4,
        CLIENT_ID: 16, STOP_PRICE: 8, EXPIRY: 8, DISPLAY_QUANTITY: 8, SELF_TRADE: 1,
        COUNT: 4}  # fmt: skip
#: Tags of requests that change nothing here: firm, customer type.
PASSED_OVER = frozenset({2, 4})

# ---------------------------------------------------------------------- codes

SIDES = {b"B": Side.BUY, b"S": Side.SELL}
SIDE_LETTERS = {0: b" ", Side.BUY: b"B", Side.SELL: b"S"}
#: Of requests.  An IOC order with a smallest quantity of all of it is fill or kill.
TIMES = {b"0": TimeInForce.DAY, b"3": TimeInForce.IOC}
TILL_TIME = b"6"  # with the item of the expiry
TIME_LETTERS = {0: b" ", TimeInForce.DAY: b"0", TimeInForce.IOC: b"3", TimeInForce.FOK: b"3",
                TimeInForce.GTC: b"G", TimeInForce.GTD: b"6", TimeInForce.AT_OPEN: b"o",
                TimeInForce.AT_CLOSE: b"c", TimeInForce.AUCTION: b"a"}  # fmt: skip
#: Of E: added, removed, and a letter of ours for both sides of an auction's trade.
ADDED, REMOVED, CROSSED_LETTER = b"A", b"R", b"c"
#: Reasons of R: an order has another price, or came into the book.  Of B and D.
REPRICED, TRIGGERED, BUSTED, DECREMENTED = b"P", b"T", b"S", b"D"
DISPLAYS = frozenset({b"Y", b"A"})
CROSS = b"N"
MARKET_PRICE = 0x7FFFFFFF
PRICE_DECIMALS = 4
UINT32_MAX = 2**32 - 1
DAY_NS = 86_400 * 10**9

#: Reasons of J, of which the standard has many more.
(BAD_DISPLAY, BAD_SIDE, PROCESSING, NOT_AUTHORIZED, BAD_MIN_QUANTITY, OTHER, CROSSED, BAD_QUANTITY,
 BAD_CROSS, NO_REPLACE, BAD_SYMBOL, BAD_PRICE, TOO_LARGE) = (
    0x03, 0x09, 0x0A, 0x0C, 0x0D, 0x0F, 0x12, 0x13, 0x14, 0x15, 0x17, 0x1D, 0x1E
)  # fmt: skip
#: A NEW that the door refuses goes to the log with this order type plus the reason of its J; a mass
#: cancel with this side plus the reason, and for a symbol that there is not with the last number.
REFUSED_TYPE = 128
NO_INSTRUMENT = 2**32 - 1
REJECTS = {
    Reason.UNKNOWN_INSTRUMENT: BAD_SYMBOL,
    Reason.BAD_SIDE: BAD_SIDE,
    Reason.PRICE_NOT_ALLOWED: BAD_PRICE,
    Reason.QUANTITY_NOT_POSITIVE: BAD_QUANTITY,
    Reason.OFF_LOT: BAD_QUANTITY,
    Reason.QUANTITY_TOO_LARGE: TOO_LARGE,
    Reason.NOT_OWNER: NOT_AUTHORIZED,
    Reason.WOULD_TRADE: CROSSED,
    Reason.TOO_MANY_ORDERS: PROCESSING,
    Reason.LEVEL_OVERFLOW: PROCESSING,
}  # all others: OTHER
#: The same for a replace.  All others: NO_REPLACE.
REPLACE_REJECTS = {
    Reason.QUANTITY_NOT_POSITIVE: BAD_QUANTITY,
    Reason.OFF_LOT: BAD_QUANTITY,
    Reason.QUANTITY_TOO_LARGE: TOO_LARGE,
    Reason.NOT_OWNER: NOT_AUTHORIZED,
    Reason.WOULD_TRADE: CROSSED,
}
#: Reasons of C.  All others: Z, by the system.  What the owner did not request is S: supervisory.
CANCELS = {
    Reason.REQUESTED: b"U",
    Reason.REDUCED_TO_NOTHING: b"U",
    Reason.IMMEDIATE_OR_CANCEL: b"I",
    Reason.FILL_OR_KILL: b"I",
    Reason.MARKET_REMAINDER: b"I",
    Reason.END_OF_DAY: b"T",
    Reason.MASS_CANCEL: b"S",
    Reason.EXPIRED: b"T",
    Reason.AUCTION_OVER: b"T",
    Reason.SELF_TRADE: b"Q",
    Reason.MINIMUM_NOT_MET: b"I",
    Reason.AMENDED_TO_FILLED: b"U",
}
#: Of S.  Small letters are ours: a mass cancel of the session has been done, or was refused; a
#: quote has been set, or was refused.
START_OF_DAY, END_OF_DAY, MASS_CANCELLED, MASS_CANCEL_REFUSED = b"S", b"E", b"m", b"n"
QUOTE_SET, QUOTE_REFUSED = b"q", b"k"


def price_parts(tick: tuple[int, int]) -> tuple[int, int]:
    """(multiplier, divisor) from a price with 4 decimals to ticks; the tick: mantissa, exponent.

    (0, 0) for a tick so large that no price of the wire is on it but 0.
    """
    mantissa, exponent = tick
    shift = exponent + PRICE_DECIMALS
    parts = (1, mantissa * 10**shift) if shift >= 0 else (10**-shift, mantissa)
    return parts if parts[1] < 2**64 else (0, 0)
