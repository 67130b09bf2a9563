# Commands in, public changes out: the events go where they are written over.
from ..._book cimport CHANGES_MORE, CHANGES_PER_EVENT, FULL, Events, Halt
from .._exchange cimport Exchange, exchange_run
from .records cimport i64, mc_change, mc_command, mc_event, u64

cdef enum:
    CHANGES_EVENTS = 512    # in the cache
    CHANGES_ROOM = CHANGES_PER_EVENT * CHANGES_EVENTS + CHANGES_MORE + 1     # one of a market, at the end

cdef inline Halt changes_run(Exchange* exchange, const mc_command* commands, size_t count,
                             size_t* done, mc_event* said, Events* events,
                             const mc_change* end) noexcept nogil:
    """As `exchange_run`; FULL when the changes are beyond `end`, behind which there is room."""
    cdef Halt halt = FULL
    cdef size_t step
    while halt == FULL and exchange.core.changes <= end:
        events.at = said
        events.end = said + (CHANGES_EVENTS - 2)
        halt = exchange_run(exchange, commands + done[0], count - done[0], &step, events)
        done[0] += step
    return halt

cdef inline void set_times(mc_change* change, const mc_change* end, const mc_command* next,
                           u64 sequence) noexcept nogil:
    """The times of changes, from their commands; `next` would have `sequence` + 1."""
    while change < end:
        change.time = (next - <i64>(sequence + 1 - change.sequence)).time
        change += 1
