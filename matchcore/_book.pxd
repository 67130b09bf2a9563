# One instrument's book and the matching in it.  What a machine shares among its books is Core.
from .machine.core.ids cimport Ids
from .machine.core.ladder cimport Ladder
from .machine.core.pages cimport Arena
from .machine.core.pool cimport Order, Pool
from .machine.core.limits cimport LimitTable
from .machine.core.records cimport i64, mc_change, mc_command, mc_event, mc_last, u32, u64
from .machine.core.dedup cimport Repeats

cdef struct Book:           # two cache lines
    Ladder sides[2]         # [0] buys, [1] sells
    i64 quantity_max        # of one order
    i64 lot
    u32 orders              # at rest
    u32 orders_max
    u32 instrument

cdef struct Events:         # a caller's buffer; two places behind end are kept for a command's last words
    mc_event* at
    mc_event* end

cdef enum Stage:            # what a machine was in the middle of when the buffer was full
    IDLE
    TAKING
    SWEEPING
    REPEATING           # telling an answer again
    SPILLING            # telling what a command of a market has said beyond the buffer
    LOST                # nothing: there was no memory in the middle of a command of a market
    HEARING             # nothing: a command is at work whose answer is to be remembered

cdef struct Pending:        # the command to go on with
    mc_command command
    Book* book
    Stage stage
    i64 left                # TAKING: quantity still to trade
    u64 swept               # SWEEPING: orders cancelled so far
    u64 key                 # SWEEPING: levels before this key are done
    Order* order            # SWEEPING: the next one to cancel at this key; NULL: look from the head
    u32 side                # SWEEPING: index of the side in work
    u32 instrument          # SWEEPING all instruments: the one in work

cdef struct Core:
    Ids ids                 # of the orders of all books
    Pool pool
    Pending pending
    Repeats* repeats        # the answers remembered; NULL: none are
    mc_change* changes      # where the next public change goes; NULL: nobody wants them
    u64 sequence            # of the command in work or worked last
    u64 next_order_id
    u64 next_trade_id
    LimitTable* limits      # of accounts; NULL: none has any
    mc_last* lasts          # the last trade of each book; NULL: nobody wants it
    i64 now                 # the time of commands that have none
    u64 unused              # bits of session and client_order_tail that must be zero: none since version 2
    mc_change* changes_end  # up to here those of markets go there; then they are spilled
    Arena arena             # of all that grows with orders and books

cdef enum Halt:             # why a run ended
    DONE                    # all commands are taken
    STOPPED                 # the next command is not an order's for one of the books
    FULL                    # the buffer; call again to go on
    NO_MEMORY               # the next command was not begun

cdef enum:
    EVENTS_MIN = 4          # the least room a buffer has
    CHANGES_PER_EVENT = 2   # at most: an amend takes an order out and puts it in again
    CHANGES_MORE = 2        # and what goes on with a command that a full buffer had interrupted

cdef void core_init(Core* core, u64 secret) noexcept nogil
cdef void core_drop(Core* core) noexcept nogil
cdef void book_init(Book* book, u32 instrument) noexcept nogil
cdef Halt orders_run(Core* core, Book** books, u32 books_count, const mc_command* commands,
                     size_t count, size_t* taken, Events* events) noexcept nogil
cdef Halt order_run(Core* core, Book** books, u32 books_count, const mc_command* command,
                    size_t* taken, Events* events) noexcept nogil
cdef bint book_sweep(Core* core, Book* book, Events* events) noexcept nogil
