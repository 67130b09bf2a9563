# What a command of a market says beyond the caller's buffers: kept in order, told before anything else.
#
# Without memory for more the machine is lost: what is said then goes to a place that nobody reads.
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ..._book cimport Core, Events
from .market cimport Markets, Spill
from .records cimport mc_change, mc_event

cdef enum:
    SPILL_MIN = 64          # records of the first piece; it doubles
    SPILL_KEPT = 4096       # more than so many are given back once they are told

cdef inline mc_event* event_spilled(Markets* all) noexcept nogil:
    cdef Spill* spill = &all.spill
    cdef void* grown
    if spill.count == spill.room:
        grown = realloc(spill.events, (2 * spill.room + SPILL_MIN) * sizeof(mc_event))
        if grown == NULL:
            all.lost = True
            return &spill.nowhere
        spill.events = <mc_event*>grown
        spill.room = 2 * spill.room + SPILL_MIN
    spill.count += 1
    return &spill.events[spill.count - 1]

cdef inline mc_change* change_spilled(Markets* all) noexcept nogil:
    cdef Spill* spill = &all.spill
    cdef void* grown
    if spill.changes_count == spill.changes_room:
        grown = realloc(spill.changes, (2 * spill.changes_room + SPILL_MIN) * sizeof(mc_change))
        if grown == NULL:
            all.lost = True
            return &spill.change_nowhere
        spill.changes = <mc_change*>grown
        spill.changes_room = 2 * spill.changes_room + SPILL_MIN
    spill.changes_count += 1
    return &spill.changes[spill.changes_count - 1]

cdef inline bint is_spilled(const Spill* spill) noexcept nogil:
    return spill.count != 0 or spill.changes_count != 0

cdef inline void drain_events(Spill* spill, Events* events) noexcept nogil:
    cdef size_t count = spill.count - spill.told
    if events.at >= events.end or count == 0:
        return
    if count > <size_t>(events.end - events.at):
        count = <size_t>(events.end - events.at)
    memcpy(events.at, &spill.events[spill.told], count * sizeof(mc_event))
    events.at += count
    spill.told += count
    if spill.told == spill.count:
        spill.told = spill.count = 0
        if spill.room > SPILL_KEPT:
            free(spill.events)
            spill.events = NULL
            spill.room = 0

cdef inline void drain_changes(Spill* spill, Core* core) noexcept nogil:
    cdef size_t count = spill.changes_count - spill.changes_told
    if count == 0:
        return
    if core.changes != NULL:            # else who wanted them has left
        if core.changes >= core.changes_end:
            return
        if count > <size_t>(core.changes_end - core.changes):
            count = <size_t>(core.changes_end - core.changes)
        memcpy(core.changes, &spill.changes[spill.changes_told], count * sizeof(mc_change))
        core.changes += count
    spill.changes_told += count
    if spill.changes_told == spill.changes_count:
        spill.changes_told = spill.changes_count = 0
        if spill.changes_room > SPILL_KEPT:
            free(spill.changes)
            spill.changes = NULL
            spill.changes_room = 0

cdef inline bint drain(Spill* spill, Core* core, Events* events) noexcept nogil:
    """Tells what there is room for; true when that was all."""
    drain_events(spill, events)
    drain_changes(spill, core)
    return not is_spilled(spill)

cdef inline void spill_drop(Spill* spill) noexcept nogil:
    free(spill.events)
    free(spill.changes)
