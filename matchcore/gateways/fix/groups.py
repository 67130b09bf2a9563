"""Repeating groups of the few messages whose groups are read: lists of orders, quotes."""

from __future__ import annotations

from collections.abc import Sequence

from .layout import LIST_ORDERS, QUOTE_ENTRIES, QUOTE_SETS
from .plain import TWICE, Message, SessionFault

WRONG_COUNT = 16  # SessionRejectReason: NumInGroup does not fit
Pairs = Sequence[tuple[int, bytes]]
Entry = dict[int, bytes]


def _cut(pairs: Pairs, count: int, first: int) -> list[list[tuple[int, bytes]]]:
    """The entries of the group that tag ``count`` begins; each begins with tag ``first``."""
    entries: list[list[tuple[int, bytes]]] = []
    said = None
    for tag, value in pairs:
        if said is None:
            said = value if tag == count else None
        elif tag == first:
            entries.append([(tag, value)])
        elif entries:
            entries[-1].append((tag, value))
        else:
            raise SessionFault(WRONG_COUNT, count, f"tag {count}: an entry begins with tag {first}")
    if said is not None and said != b"%d" % len(entries):
        raise SessionFault(WRONG_COUNT, count, f"tag {count}: there are {len(entries)} entries")
    return entries


def _once(pairs: Pairs) -> Entry:
    found: Entry = {}
    for tag, value in pairs:
        if tag in found:
            raise SessionFault(TWICE, tag, f"tag {tag} comes more than once in an entry")
        found[tag] = value
    return found


def list_orders(message: Message) -> list[Entry]:
    """The orders of a NewOrderList."""
    message.need(LIST_ORDERS)
    return [_once(entry) for entry in _cut(message.pairs, LIST_ORDERS, 11)]


def cancelled_symbols(message: Message) -> list[bytes]:
    """The symbols of a QuoteCancel."""
    message.need(QUOTE_ENTRIES)
    return [_once(entry)[55] for entry in _cut(message.pairs, QUOTE_ENTRIES, 55)]


def quote_entries(message: Message) -> list[tuple[bytes, Entry]]:
    """The QuoteSetID and the fields of each entry of a MassQuote."""
    message.need(QUOTE_SETS)
    found = []
    for pairs in _cut(message.pairs, QUOTE_SETS, 302):
        entries = _cut(pairs, QUOTE_ENTRIES, 299)
        found += [(pairs[0][1], _once(entry)) for entry in entries]
    return found
