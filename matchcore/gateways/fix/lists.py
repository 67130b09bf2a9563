"""NewOrderList (E): two orders of which one cancels the other become a pair of commands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...records.schema import Flag
from ..desk import room
from .groups import Entry, list_orders
from .layout import ORIGINAL
from .plain import Message
from .reading import read
from .refusals import OTHER, UNSUPPORTED, Refused
from .tables import Tables

ONE_CANCELS_THE_OTHER = b"1"  # ContingencyType (1385)
IMMEDIATE = b"1"  # ListExecInstType (433)


def orders_of(message: Message) -> list[Message]:
    """The orders of a list, as a NewOrderSingle has them; `SessionFault`."""
    message.need(66)
    kept: Entry = {tag: message.fields[tag] for tag in (34, 49) if tag in message.fields}
    return [Message(message.begin, "D", {**kept, **order}) for order in list_orders(message)]


def read_pair(
    message: Message, orders: list[Message], tables: Tables, account: int, markets: set[int]
) -> NDArray[np.void]:
    """Two NEW commands; the second one has no order id to link to yet.

    ``account``: of orders that name none. ``markets``: numbers of the instruments that have one.
    `SessionFault`, `Refused`.
    """
    if message.fields.get(1385) != ONE_CANCELS_THE_OTHER:
        raise Refused(UNSUPPORTED, "ContingencyType (1385): 1 (one cancels the other) only")
    if message.fields.get(433, IMMEDIATE) != IMMEDIATE:
        raise Refused(UNSUPPORTED, "ListExecInstType (433): 1 (immediate) only")
    if len(orders) != 2 or message.fields.get(68, b"2") != b"2":
        raise Refused(OTHER, "NoOrders (73): a pair has two orders, in one message")
    commands, original = room(2), np.zeros(1, ORIGINAL)
    for place, order in enumerate(orders):
        read(order, tables, account, commands[place], original[0])
    first, second = commands
    if first["client_order_id"] == second["client_order_id"]:
        raise Refused(OTHER, "ClOrdID: each order has its own")
    if (first["instrument"], first["account"]) != (second["instrument"], second["account"]):
        raise Refused(OTHER, "the orders of a pair have one Symbol and one Account")
    if int(first["instrument"]) not in markets:
        raise Refused(UNSUPPORTED, "ContingencyType (1385): this instrument has no market")
    if second["display_quantity"]:
        raise Refused(UNSUPPORTED, "MaxFloor, DisplayQty: not of the second order of a pair")
    second["flags"] |= Flag.LINKED
    return commands
