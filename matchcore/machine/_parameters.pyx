"""The parameters of markets: SET_MARKET, under the GIL, and what follows from their values.

What a value may be is said in `records/markets.py`, for both machines.
"""
import numpy as np

from libc.stdint cimport INT64_MAX, INT64_MIN
from libc.string cimport memcmp, memcpy, memset

from .._book cimport Core
from ._auction cimport call_drop
from ._counted cimport forget_counted
from ._market cimport market_make
from .core.emit cimport change_of, emit_refusal, emit_taker
from .core.market cimport *
from .core.prices cimport is_priced, part_of
from .core.records cimport *

from ..records.markets import (MARKET_VALUE, PARAMETER, defaults, is_tick_table, parameter_refusal,
                               values_of)
from ..records.schema import Field as FieldCode
from ..records.schema import Reason as ReasonCode

cdef i64 DEFAULTS[12][8]    # of all parameters but TICKS; zeros where there is no value
memset(DEFAULTS, 0, sizeof(DEFAULTS))
for _parameter, _values in defaults().items():
    for _at, _value in enumerate(_values):
        DEFAULTS[<u32>int(_parameter)][<u32>_at] = _value


cdef void market_defaults(Market* market) noexcept nogil:
    """The values of a market that nothing is set of."""
    memcpy(market.value, DEFAULTS, sizeof(DEFAULTS))
    market.ticks = 0
    market.pegs_stale = True
    market.has_followed = False
    market.caged_buy = INT64_MIN        # not known
    market.caged_sell = INT64_MAX
    market_derive(market)


cdef void find_force(Market* market) noexcept nogil:
    """What is in force, as bits: an order of a market with none of it passes without looking."""
    cdef const i64* trading = market.value[<u32>M_TRADING]
    cdef const i64* sizes = market.value[<u32>M_QUANTITIES]
    cdef const i64* volatility = market.value[<u32>M_VOLATILITY]
    market.force = market.ordinary = 0
    if (sizes[Q_BUY_LEAST] > 1 or sizes[Q_SELL_LEAST] > 1 or sizes[Q_BUY_STEP] or sizes[Q_SELL_STEP]
            or sizes[Q_LIMIT_MOST] or sizes[Q_MARKET_MOST] or sizes[Q_VALUE_MOST]):
        market.force |= FORCE_SIZES
    if market.value[<u32>M_CAGE][CAGE_MODE] != CAGE_OFF:
        market.force |= FORCE_CAGE
    if volatility[VOLATILITY_STATIC] or volatility[VOLATILITY_DYNAMIC]:
        market.force |= FORCE_VOLATILITY
    if market.value[<u32>M_HALTS][HALTS_FIRST]:
        market.force |= FORCE_HALTS
    if market.value[<u32>M_ALLOCATION][ALLOCATION_PRO_RATA]:
        market.force |= FORCE_PRO_RATA
    if allows(market, T_ORDER_TYPES, LIMIT) and allows(market, T_ENTRY_PHASES, PHASE_CONTINUOUS):
        market.ordinary = <u8>(trading[T_TIMES_IN_FORCE] & PLAIN_TIFS)


cdef void market_derive(Market* market) noexcept nogil:
    """What follows from the values: the price limits of today."""
    cdef const i64* day = market.value[<u32>M_DAY]
    cdef const i64* limits = market.value[<u32>M_LIMITS]
    cdef i64 reference = day[DAY_REFERENCE], days = day[DAY_LISTED_DAYS]
    cdef i64 up = limits[LIMITS_SPECIAL_UP if day[DAY_SPECIAL] else LIMITS_UP]
    cdef i64 down = limits[LIMITS_SPECIAL_DOWN if day[DAY_SPECIAL] else LIMITS_DOWN]
    cdef bint free = reference <= 0 or 0 < days <= limits[LIMITS_FREE_DAYS]
    market.pegs_stale = True
    find_force(market)
    market.has_lowest = not free and down != 0
    market.has_highest = not free and up != 0
    if market.has_lowest:
        market.lowest = least(part_of(reference, PART - down), reference - 1)
    if market.has_highest:
        market.highest = greatest(part_of(reference, PART + up), reference + 1)


# ---------------------------------------------------------------------- SET_MARKET

cdef inline Market* market_of(Machine machine, u32 number) noexcept nogil:
    """The market of an instrument that is known, or NULL."""
    return machine.exchange.markets.markets[number - 1]


cdef tuple refusal(Machine machine, row):
    """What forbids a SET_MARKET, or None."""
    cdef u32 number = row["instrument"]
    cdef u32 index = row["index"]
    cdef Market* market
    if not 1 <= number <= machine.exchange.count:
        return ReasonCode.UNKNOWN_INSTRUMENT, FieldCode.INSTRUMENT
    wrong = parameter_refusal(row)
    if wrong is not None:
        return wrong
    market = market_of(machine, number)
    if market == NULL and machine.exchange.books[number - 1].orders:
        return ReasonCode.BOOK_NOT_EMPTY, FieldCode.INSTRUMENT
    if row["parameter"] == M_TICKS:
        if index > (market.ticks if market != NULL else 0):
            return ReasonCode.BAD_PARAMETER, FieldCode.INDEX
        table = {at: (market.tick_from[at], market.tick_step[at]) for at in range(index)}
        table[index] = int(row["value1"]), int(row["value2"])
        if not is_tick_table(table):
            return ReasonCode.BAD_PARAMETER, FieldCode.VALUE
    return None


cdef void set_values(Market* market, u8 parameter, u8 index, const i64* values) noexcept nogil:
    """Values that are checked."""
    if parameter == M_TICKS:
        market.tick_from[index] = values[0]
        market.tick_step[index] = values[1]
        market.ticks = <u64>index + 1
        call_drop(market)       # what it knows of the cross is on the ticks before
    else:
        memcpy(market.value[parameter], values, sizeof(market.value[parameter]))
    market_derive(market)


cdef int set_market(Machine machine, const mc_command* command, Events* events) except -1:
    """SET_MARKET."""
    cdef Core* core = &machine.exchange.core
    cdef const mc_parameter* given = <const mc_parameter*>command
    cdef u32 number = command.instrument
    cdef mc_command answer
    cdef mc_change* change
    cdef Market* market
    cdef bint new
    row = np.frombuffer((<const char*>command)[:sizeof(mc_command)], PARAMETER)[0]
    wrong = refusal(machine, row)
    memset(&answer, 0, sizeof(answer))
    answer.instrument = number
    if wrong is not None:
        core.sequence += 1
        emit_refusal(core, &answer, wrong[0], wrong[1], events)
        return 0
    market = market_of(machine, number)
    new = market == NULL
    if new:
        market = market_make(&machine.exchange, number)
        if market == NULL:
            raise MemoryError("no memory for another market")
        if not is_priced(core.lasts[number - 1].price):     # no price of a market is so far from zero
            memset(&core.lasts[number - 1], 0, sizeof(mc_last))
    core.sequence += 1
    set_values(market, given.parameter, given.index, &given.value1)
    if given.parameter == M_CLOSING:
        forget_counted(market)
    answer.order_id = given.parameter
    emit_taker(core, events, MARKET_SET, R_NONE, &answer, given.index, new)
    if given.parameter == M_DAY and core.changes != NULL:
        change = change_of(core, C_REFERENCE, number)
        change.price = given.value2
        change.level_orders = market.phase      # where `MARKET` has the phase
    return 0


# ---------------------------------------------------------------------- states

cdef void add_row(list rows, u32 number, u8 parameter, u32 index, const i64* values, u32 count):
    """A row of a `MARKET_VALUE` array."""
    cdef u32 at
    row = [values[at] if at < count else 0 for at in range(VALUES)]
    rows.append((*row, number, parameter, index, 0))


cdef object parameters_rows(Machine machine, u32 first, u32 last):
    """The values of these instruments that are not as at first, a `MARKET_VALUE` array."""
    cdef const Market* market
    cdef i64 ticks[2]
    cdef u32 number, index
    cdef u8 parameter
    rows = []
    for number in range(first, last + 1):
        market = market_of(machine, number)
        if market == NULL:
            continue
        for parameter in range(1, PARAMETERS):
            if parameter == M_TICKS:
                for index in range(<u32>market.ticks):
                    ticks[0] = market.tick_from[index]
                    ticks[1] = market.tick_step[index]
                    add_row(rows, number, parameter, index, ticks, 2)
            elif memcmp(market.value[parameter], DEFAULTS[parameter], sizeof(DEFAULTS[parameter])):
                add_row(rows, number, parameter, 0, market.value[parameter], VALUES)
    return np.array(rows, MARKET_VALUE)


cdef int parameters_restore(Machine machine, rows) except -1:
    """Sets the values of a state that is checked; the markets are there."""
    cdef i64 values[8]
    for row in rows:
        for at, value in enumerate(values_of(row)):
            values[<u32>at] = value
        set_values(market_of(machine, row["instrument"]), row["parameter"], row["index"], values)
    return 0
