# All instruments: commands in, events out.
from .._book cimport IDLE, STOPPED, Book, Core, Events, Halt, order_run
from .core.records cimport mc_command, mc_likely, u32, u64
from .core.pool cimport Slots
from .core.dedup cimport Repeats
from .core.limits cimport LimitTable
from .core.market cimport Markets

cdef struct Exchange:
    Core core
    Repeats repeats
    LimitTable limits
    Book** books            # by number - 1
    Book** plain            # the same, but for those with a market: NULL
    Markets markets
    Slots slots             # where they lie, side by side
    u32 count
    u32 capacity
    u32 rules               # the version of the rules that commands are applied under
    u32 aside               # the kinds that are left to Python

cdef void exchange_init(Exchange* exchange, u64 secret) noexcept nogil
cdef void exchange_set_rules(Exchange* exchange, u32 rules) noexcept nogil
cdef void exchange_drop(Exchange* exchange) noexcept nogil
cdef bint exchange_reserve(Exchange* exchange, size_t size) noexcept nogil
cdef Book* exchange_add_book(Exchange* exchange) noexcept nogil
cdef Halt exchange_run_all(Exchange* exchange, const mc_command* commands, size_t count,
                           size_t* taken, Events* events) noexcept nogil

cdef inline Halt exchange_run(Exchange* exchange, const mc_command* commands, size_t count,
                              size_t* taken, Events* events) noexcept nogil:
    """Applies commands until all are taken, the buffer is full, or one is for Python.

    STOPPED: the next command is of a kind that Python takes part in.
    After FULL, call again with what was not taken and new room: it goes on where it was.
    """
    cdef Halt halt
    if count == 1 and exchange.core.pending.stage == IDLE:   # without the frame of the large loops
        halt = order_run(&exchange.core, exchange.plain, exchange.count, commands, taken, events)
        if mc_likely(halt != STOPPED):
            return halt
    return exchange_run_all(exchange, commands, count, taken, events)
