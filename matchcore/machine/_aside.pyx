"""Commands that Python takes part in: rare, so under the GIL.

ADD_INSTRUMENT and CHANGE_INSTRUMENT; REGISTER and NOTICE; SET_MARKET in `_parameters.pyx`.
"""
from functools import partial

import numpy as np

from libc.string cimport memcpy, memset

from .._book cimport Book, Core
from ._dedup cimport answers_arrays
from ._parameters cimport set_market
from .core.emit cimport change_of, emit_refusal, emit_taker
from .core.records cimport *

from ..records.commands import INSTRUMENT, TEXT
from ..records.schema import Field as FieldCode
from ..records.schema import Reason as ReasonCode
from .instruments import refusal
from .state import read_instrument
from .texts import notice_refusal, place_of, register_refusal


cdef enum:
    DATA_BYTES = 56


cdef int take_aside(Machine machine, const mc_command* command, Events* events) except -1:
    """The turn of a command in `ASIDE_KINDS`."""
    if in_set(INSTRUMENT_KINDS, command.kind):
        return define(machine, command, events)
    if command.kind == SET_MARKET:
        return set_market(machine, command, events)
    raw = np.frombuffer((<const char*>command)[:sizeof(mc_command)], TEXT)[0]
    if command.kind == REGISTER:
        return enter(machine, command, raw, events)
    return notify(machine, command, raw, events)


cdef void refuse(Core* core, u32 instrument, u8 reason, u8 field, Events* events) noexcept:
    """A refusal that names the instrument only: other fields have another meaning here."""
    cdef mc_command answer
    memset(&answer, 0, sizeof(answer))
    answer.instrument = instrument
    emit_refusal(core, &answer, reason, field, events)


def events_told(Machine machine not None):
    """The events of all answers remembered, an `EVENT` array."""
    return answers_arrays(&machine.exchange.repeats)[1]


cdef int define(Machine machine, const mc_command* command, Events* events) except -1:
    cdef Core* core = &machine.exchange.core
    cdef mc_command answer
    cdef mc_change* change
    cdef Book* book
    if len(machine.instruments) != machine.exchange.count:
        raise RuntimeError("instruments came past the machine: they are added by commands only")
    raw = np.frombuffer((<const char*>command)[:sizeof(mc_command)], INSTRUMENT)[0]
    number = int(raw["instrument"])
    wrong = refusal(machine.instruments, command.kind, raw, number)
    if wrong is None:
        instrument = read_instrument(raw)
        if command.kind == CHANGE_INSTRUMENT and instrument.tick != machine.instruments[number].tick:
            if machine.exchange.books[number - 1].orders:
                wrong = ReasonCode.BOOK_NOT_EMPTY, FieldCode.TICK
    if wrong is None and command.kind == ADD_INSTRUMENT:
        machine.add_book()      # without memory nothing has happened yet
    core.sequence += 1
    if wrong is not None:
        refuse(core, number, wrong[0], wrong[1], events)
        return 0
    memset(&answer, 0, sizeof(answer))
    answer.instrument = number
    if command.kind == ADD_INSTRUMENT:
        answer.instrument = machine.instruments.add(instrument)
    else:
        if instrument.tick != machine.instruments[number].tick:
            memset(&core.lasts[number - 1], 0, sizeof(mc_last))     # a price in other ticks
        machine.instruments.replace(number, instrument, core.sequence, partial(events_told, machine))
    book = machine.exchange.books[answer.instrument - 1]
    book.lot = instrument.lot
    book.quantity_max = instrument.max_quantity
    book.orders_max = instrument.max_orders
    answer.price = instrument.tick_parts[0]
    if core.changes != NULL:
        change = change_of(core, C_DEFINED, answer.instrument)
        change.price = answer.price
        change.quantity = book.lot
        change.left = book.quantity_max
    emit_taker(core, events, INSTRUMENT_ADDED if command.kind == ADD_INSTRUMENT else INSTRUMENT_CHANGED,
               R_NONE, &answer, book.lot, book.quantity_max)
    return 0


cdef int enter(Machine machine, const mc_command* command, raw, Events* events) except -1:
    """REGISTER."""
    cdef Core* core = &machine.exchange.core
    cdef mc_command answer
    wrong = register_refusal(machine.entries, raw)
    core.sequence += 1
    if wrong is not None:
        refuse(core, command.instrument, wrong[0], wrong[1], events)
        return 0
    machine.entries.put(place_of(raw), raw["data"].tobytes())
    memset(&answer, 0, sizeof(answer))
    answer.order_id = raw["key"]
    answer.price = raw["topic"]
    emit_taker(core, events, REGISTERED, R_NONE, &answer, raw["part"], len(machine.register))
    return 0


cdef int notify(Machine machine, const mc_command* command, raw, Events* events) except -1:
    """NOTICE.  The text lies in a change where it lies in the command."""
    cdef Core* core = &machine.exchange.core
    cdef mc_command answer
    cdef mc_change* change
    wrong = notice_refusal(machine.exchange.count, raw)
    core.sequence += 1
    if wrong is not None:
        refuse(core, command.instrument, wrong[0], wrong[1], events)
        return 0
    memset(&answer, 0, sizeof(answer))
    answer.order_id = raw["key"]
    answer.instrument = command.instrument
    if core.changes != NULL:
        change = change_of(core, C_NOTICE, command.instrument)
        memcpy(&change.order_id, &command.client_order_id, DATA_BYTES)
        change.level_orders = <u32>answer.order_id
        change.side = raw["part"]
        change.flags = raw["parts"]
    emit_taker(core, events, NOTICED, R_NONE, &answer, raw["part"], raw["parts"])
    return 0
