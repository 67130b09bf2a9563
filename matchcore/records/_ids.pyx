"""Client order ids as text, compiled: the face of `_ids.h`."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

from ..errors import InvalidCommand
from .arguments import UINT64_MAX, integer, shown

ALPHABET = (<bytes>mc_id_characters).decode("ascii")
TEXT_MAX = MC_TEXT_MAX
MARKS = "".join([character for character in ALPHABET if not character.isalnum()])


def id_of(text):
    """The pair (client order id, tail) that ``text`` stands for; O(length).

    ``text``: str or ASCII bytes; see `matchcore.records.ids`.  `InvalidCommand`, with the character
    at fault, for a text that stands for no id.

    >>> from matchcore.records.ids import id_of
    >>> id_of("1001")
    (1001, 0)
    """
    cdef uint64_t number, tail
    cdef bytes data
    if isinstance(text, str):
        data = (<str>text).encode("utf-8", "replace")
    elif isinstance(text, bytes):
        data = text
    else:
        raise InvalidCommand(f"client order id {shown(text)}: a text")
    if not mc_id_of_text(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &number, &tail):
        raise InvalidCommand(f"client order id {shown(text)}: {_fault(text)}")
    return number, tail


def text_of(client_order_id, tail=0):
    """The text that a pair stands for; "" for (0, 0), which is no id.  O(length).

    ``client_order_id``, ``tail``: unsigned 64-bit; `InvalidCommand` for others.

    >>> from matchcore.records.ids import id_of, text_of
    >>> text_of(*id_of("A-17/b")), text_of(1001)
    ('A-17/b', '1001')
    """
    cdef char out[MC_ID_TEXT_MAX]
    cdef uint64_t number = integer(client_order_id, "client_order_id", 0, UINT64_MAX, InvalidCommand)
    cdef uint64_t rest = integer(tail, "tail", 0, UINT64_MAX, InvalidCommand)
    return out[:mc_text_of_id(out, number, rest)].decode("ascii")


def _fault(text):
    if not text:
        return "it is empty"
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if "|" in text:
        return "two decimal numbers with | between are for ids that no other text stands for"
    for at, character in enumerate(text):
        if character not in ALPHABET:
            return f"character {character!r} at {at}; letters, digits and {MARKS} are allowed"
    return f"{len(text)} characters, at most {TEXT_MAX}"
