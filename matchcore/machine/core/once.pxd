# A command with a client order id in its turn: what almost all of them need, in line.
from ..._book cimport DONE, HEARING, IDLE, Core, Events, Halt
from .._dedup cimport once_heard
from .answers cimport repeats_first, repeats_kill, repeats_next
from .dedup cimport Repeats
from .records cimport ACCEPTED, mc_event, mc_likely

cdef enum:
    FEW = 3                 # events of an answer that are kept in line

cdef inline Halt once_done(Core* core, const Events* events) noexcept nogil:
    """`once_heard` after the turn of a command, when there is something to hear or to go on with."""
    cdef Repeats* repeats = core.repeats
    cdef const mc_event* event
    if mc_likely(core.pending.stage == HEARING):
        event = repeats.start
        if mc_likely(events.at - event <= FEW):     # one at least: the turn has just begun
            repeats_first(repeats, repeats.open, event, event.kind == ACCEPTED)
            event += 1
            if events.at - event == 1 and repeats_kill(repeats, repeats.open, event):
                event += 1
            while event < events.at:
                repeats_next(repeats, repeats.open, event)
                event += 1
            repeats.open = NULL
            core.pending.stage = IDLE
            return DONE
    return once_heard(core, events)
