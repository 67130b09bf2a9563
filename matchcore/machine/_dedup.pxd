# Each command of a client once: what is sent again gets its first answer again.
from .._book cimport Core, Events, Halt
from .core.dedup cimport Again, Answer, Repeats
from .core.records cimport mc_command, mc_event, u64

cdef bint once_is_new(Core* core, const mc_command* command, Again again, Events* events,
                      Halt* halt) noexcept nogil
cdef bint once_is_new_here(Core* core, const mc_command* command, Events* events,
                           Halt* halt) noexcept nogil
cdef void once_listen(Core* core, const Events* events) noexcept nogil
cdef void once_keep(Core* core, const mc_event* event, const mc_event* end) noexcept nogil
cdef Halt once_heard(Core* core, const Events* events) noexcept nogil
cdef bint once_tell(Core* core, Events* events) noexcept nogil
cdef object answers_arrays(Repeats* repeats)
cdef int answers_restore(Repeats* repeats, answers, events) except -1
cdef int repeats_check(Repeats* repeats, u64 sequence) except -1
