"""Records of usual typed commands, compiled: of most that callers send.

The fields of a command are read where its class keeps them: looking up the attributes of an order
by name takes longer than all the rest.
"""
import dataclasses

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from .order_faces import Cancel, NewOrder
from .schema import Kind, OrderType, Side, TimeInForce

cdef extern from "matchcore.h" nogil:
    ctypedef struct mc_command:     # of its fields, those that are written here
        int64_t time
        uint64_t order_id
        uint64_t client_order_id
        uint64_t account
        int64_t price
        int64_t quantity
        uint32_t instrument
        uint8_t kind
        uint8_t side
        uint8_t order_type
        uint8_t time_in_force
        uint16_t flags
        uint32_t session
        uint64_t client_order_tail

cdef extern from *:
    """
    #include "structmember.h"

    static Py_ssize_t mc_offset(PyObject* member) {     /* -1: it is no member */
        return Py_IS_TYPE(member, &PyMemberDescr_Type)
            ? ((PyMemberDescrObject*)member)->d_member->offset : -1;
    }
    #define mc_slot(object, offset) (*(PyObject**)((char*)(object) + (offset)))
    """
    Py_ssize_t mc_offset(object member)
    PyObject* mc_slot(object self, Py_ssize_t offset)

cdef enum:      # fields: of every command, then of orders
    SYMBOL
    TIME
    ORDER_ID
    CLIENT_ORDER_ID
    ACCOUNT
    SESSION
    TAIL
    SIDE
    QUANTITY
    PRICE
    TIME_IN_FORCE
    POST_ONLY
    FIELDS
    OF_MARKETS = 11     # fields of orders of markets

NAMES = (
    "symbol", "time", "order_id", "client_order_id", "account", "session", "client_order_tail",
    "side", "quantity", "price", "time_in_force", "post_only",
)
cdef Py_ssize_t OF_ORDER[FIELDS]
cdef Py_ssize_t OF_CANCEL[FIELDS]
for at, name in enumerate(NAMES):
    OF_ORDER[at] = mc_offset(getattr(NewOrder, name))
    OF_CANCEL[at] = mc_offset(getattr(Cancel, name)) if at < SIDE else 0
    assert OF_ORDER[at] > 0 and (OF_CANCEL[at] > 0 or at >= SIDE), name

MARKET_NAMES = (
    "order_type", "stop_price", "offset", "trailing_percent", "display_quantity",
    "minimum_quantity", "expiry", "self_trade", "hidden", "slide", "linked_order_id",
)
DEFAULTS = {field.name: field.default for field in dataclasses.fields(NewOrder)}
USUAL = tuple(DEFAULTS[name] for name in MARKET_NAMES)      # kept, as those below are not
cdef Py_ssize_t OF_MARKET_ORDER[OF_MARKETS]
cdef PyObject* USUALLY[OF_MARKETS]
assert len(MARKET_NAMES) == OF_MARKETS and {*NAMES, *MARKET_NAMES} == {*DEFAULTS}
for at, name in enumerate(MARKET_NAMES):
    OF_MARKET_ORDER[at] = mc_offset(getattr(NewOrder, name))
    USUALLY[at] = <PyObject*>USUAL[at]
    assert OF_MARKET_ORDER[at] > 0, name

cdef object NEW_ORDER = NewOrder, CANCEL = Cancel, SIDES = Side, TIMES_IN_FORCE = TimeInForce
cdef uint8_t KIND_NEW = Kind.NEW, KIND_CANCEL = Kind.CANCEL
cdef uint8_t LIMIT = OrderType.LIMIT, MARKET = OrderType.MARKET
cdef uint8_t GTC = TimeInForce.GTC, IOC = TimeInForce.IOC


def quick(command, directory, now):
    """The record of a `NewOrder` or `Cancel` whose fields are of the usual types and fit; else None.

    ``now``: the time of a command with time 0.  `PriceError` or `UnknownInstrument` as `pack`.
    """
    cdef bytes record
    cdef mc_command* out
    cdef bint is_order = type(command) is NEW_ORDER
    if not is_order and type(command) is not CANCEL:
        return None
    record = PyBytes_FromStringAndSize(NULL, sizeof(mc_command))
    out = <mc_command*>PyBytes_AS_STRING(record)
    memset(out, 0, sizeof(mc_command))
    try:
        if not write_all(command, &OF_ORDER[0] if is_order else &OF_CANCEL[0], directory, now, out):
            return None
        if is_order and not write_order(command, directory, out):
            return None
    except OverflowError:
        return None
    return record


cdef inline object field(command, const Py_ssize_t* places, int which):
    cdef PyObject* value = mc_slot(command, places[which])
    if value == NULL:
        raise AttributeError(NAMES[which])
    return <object>value


cdef bint write_all(command, const Py_ssize_t* places, directory, now, mc_command* out) except -1:
    """What both have; false if a field is of another type."""
    symbol, time = field(command, places, SYMBOL), field(command, places, TIME)
    order_id, account = field(command, places, ORDER_ID), field(command, places, ACCOUNT)
    client_order_id = field(command, places, CLIENT_ORDER_ID)
    session, tail = field(command, places, SESSION), field(command, places, TAIL)
    if not (type(symbol) is str and type(time) is int and type(order_id) is int
            and type(account) is int and type(client_order_id) is int
            and type(session) is int and type(tail) is int):
        return False
    out.kind = KIND_CANCEL
    out.time = time or now
    out.order_id = order_id
    out.client_order_id = client_order_id
    out.account = account
    out.session = session
    out.client_order_tail = tail
    out.instrument = directory.number(symbol)
    return True


cdef bint write_order(command, directory, mc_command* out) except -1:
    """The rest of a new order; false also for one that only markets take."""
    cdef int at
    side, quantity = field(command, OF_ORDER, SIDE), field(command, OF_ORDER, QUANTITY)
    price, tif = field(command, OF_ORDER, PRICE), field(command, OF_ORDER, TIME_IN_FORCE)
    post_only = field(command, OF_ORDER, POST_ONLY)
    for at in range(OF_MARKETS):
        if mc_slot(command, OF_MARKET_ORDER[at]) != USUALLY[at]:
            return False
    if not (type(side) is SIDES and type(quantity) is int and type(post_only) is bool
            and (tif is None or type(tif) is TIMES_IN_FORCE)):
        return False
    out.kind = KIND_NEW
    out.side = side
    out.quantity = quantity
    out.flags = post_only
    if price is None:
        out.order_type, out.time_in_force = MARKET, IOC
    else:
        out.order_type, out.time_in_force = LIMIT, GTC
        out.price = directory.ticks_at(out.instrument - 1, price)
    if tif is not None:
        out.time_in_force = tif
    return True
