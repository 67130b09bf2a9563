"""How OUCH's numbers and texts travel in the words of a command.

A request's `client_order_id` has, from its top: a zero bit; the operation (2 bits); the scope (29
bits): session and day; and the UserRefNum of the order (32 bits).  So it is unique among the
requests of an account, a request that is sent again has the same, and every report of an order
tells its present UserRefNum.  Two requests that have no UserRefNum of their own, X for a part and
M, mix the quantity into the scope, because an order can have several.  Those that can change
nothing, of an order that is not known or from a wrong side, are named as an X for a part with the
quantity 0, which is none: their refusal must not stand for a request that comes later.

An order's id has the top bit set, and the scope and UserRefNum of the request that entered it.

`client_order_tail` has the ClOrdID, as a number; of X and M: what is taken off; of C, which enters
no order: its client order id with the top bit set.  By that a report is known as its answer.
"""

from __future__ import annotations

SESSION_MAX = 2**16 - 1
DAY_BITS = 13
DAY_MASK = 2**13 - 1
SCOPE_MASK = 2**29 - 1
REF_MASK = 2**32 - 1
OPERATION_SHIFT = 61
#: Operations: O and U, X for all, X for a part, M; the last: a name that another door gave.
NAMED, CANCEL, PART, MODIFY, FOREIGN = range(5)
MIX = 0x1E3779B1
ORDER_BIT = 1 << 63

#: Characters of ClOrdIDs and how many of them fit: the first that takes a text is used.
NARROW = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDE = "!#$%&()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
FORMS = ((NARROW, 12), (WIDE, 10), (DIGITS, 14))
TEXT_BYTES = 14


def _texts(alphabet: str, longest: int) -> int:
    """How many texts of 1 to so many characters there are."""
    base: int = len(alphabet)
    return sum(int(base**size) for size in range(1, longest + 1))


COUNTS = tuple(_texts(*form) for form in FORMS)
assert sum(COUNTS) < 2**64


def scope_of(session: int, day: int) -> int:
    """Session and day in 29 bits; days come again after 8,192."""
    return session << DAY_BITS | day & DAY_MASK


def request_id(operation: int, scope: int, ref: int, quantity: int = 0) -> int:
    """The client order id of a request."""
    mixed = (scope + quantity * MIX) & SCOPE_MASK
    return operation << OPERATION_SHIFT | mixed << 32 | ref


def read_id(name: int, scope: int) -> tuple[int, int]:
    """Operation and UserRefNum of a client order id; (FOREIGN, 0) if OUCH did not give it."""
    operation = name >> OPERATION_SHIFT
    if operation > MODIFY or (operation in (NAMED, CANCEL) and name >> 32 & SCOPE_MASK != scope):
        return FOREIGN, 0
    return operation, name & REF_MASK


def order_id(scope: int, ref: int) -> int:
    """The id of the order that the request of this UserRefNum enters."""
    return ORDER_BIT | scope << 32 | ref


def is_sweep(name: int, tail: int, scope: int) -> bool:
    """Whether these are the two words of a request C."""
    return tail == ORDER_BIT | name and name >> 32 == scope


def code_of(text: bytes) -> int | None:
    """A ClOrdID as a number; 0 for a blank one; None if it has no number."""
    said = text.decode("latin-1").rstrip(" \0")
    if not said:
        return 0
    before = 0
    for (alphabet, longest), count in zip(FORMS, COUNTS, strict=True):
        if len(said) <= longest and all(letter in alphabet for letter in said):
            value = 0
            for letter in said:
                value = value * len(alphabet) + alphabet.index(letter) + 1
            return before + value
        before += count
    return None


def text_of(code: int) -> bytes:
    """The ClOrdID of a number, padded with blanks; blank for a number that no text has."""
    for (alphabet, _), count in zip(FORMS, COUNTS, strict=True):
        if code <= count:
            said = ""
            while code:
                code, digit = divmod(code - 1, len(alphabet))
                said = alphabet[digit] + said
            return said.encode().ljust(TEXT_BYTES)
        code -= count
    return b" " * TEXT_BYTES
