"""Measuring loops without Python in them, over the C calls of `matchcore.capi`."""
import numpy as np

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from ..machine.core.pages cimport pages_give, pages_take
from ..machine.core.records cimport mc_command, mc_event
from ..capi cimport (MC_DONE, MC_FULL, mc_add_instrument, mc_apply, mc_create, mc_free, mc_halt,
                     mc_machine, mc_reserve)

from ..records.commands import COMMAND
from ..records.events import EVENT

cdef enum:
    SPARE = 64              # events of room beyond two for each command of a batch
    PAGE_BYTES = 4096


cdef inline int64_t now() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_MONOTONIC, &at)
    return at.tv_sec * 1_000_000_000 + at.tv_nsec


cdef class Rig:
    """A machine of the C calls with some instruments, and a buffer for its events."""

    cdef mc_machine* machine
    cdef object buffer
    cdef mc_event* events
    cdef size_t room

    def __cinit__(self, *, unsigned int instruments=1, size_t batch=4096, size_t reserve=0):
        cdef unsigned int i
        cdef unsigned char[::1] view
        self.machine = mc_create(0x5DEECE66D)
        if self.machine == NULL:
            raise MemoryError("no memory for a machine")
        if reserve and not mc_reserve(self.machine, reserve):
            raise MemoryError(f"no {reserve} bytes to reserve")
        for i in range(instruments):
            if mc_add_instrument(self.machine, 1, (<int64_t>1 << 62), 0xffffffff) == 0:
                raise MemoryError("no memory for another instrument")
        self.buffer = np.zeros(2 * batch + SPARE, EVENT)
        view = self.buffer.view("u1")
        self.events = <mc_event*>&view[0]
        self.room = len(self.buffer)

    def __dealloc__(self):
        mc_free(self.machine)

    def run(self, commands, size_t batch):
        """Applies a `COMMAND` array in batches; returns (nanoseconds, events written)."""
        cdef const unsigned char[::1] view = _bytes(commands)
        cdef const mc_command* source = <const mc_command*>&view[0]
        cdef size_t count = len(commands), done = 0, taken = 0, written = 0, total = 0
        cdef mc_halt halt = MC_DONE
        cdef int64_t started
        with nogil:
            started = now()
            while done < count or halt == MC_FULL:      # the last command may go on
                halt = mc_apply(self.machine, source + done,
                                batch if count - done > batch else count - done,
                                self.events, self.room, &taken, &written)
                done += taken
                total += written
                if halt != MC_DONE and halt != MC_FULL:
                    break
            started = now() - started
        if done < count:
            raise MemoryError(f"command {done} was not taken")
        return started, total

    def each(self, commands):
        """Nanoseconds that every command of a `COMMAND` array takes, one call each; i8 array."""
        cdef const unsigned char[::1] view = _bytes(commands)
        cdef const mc_command* source = <const mc_command*>&view[0]
        cdef size_t count = len(commands), i, taken = 0, written = 0
        cdef int64_t before, after
        cdef mc_halt halt
        took = np.ones(count, np.int64)       # touched: page faults are not what is measured
        cdef int64_t[::1] into = took
        with nogil:
            before = now()
            for i in range(count):
                halt = mc_apply(self.machine, source + i, 1, self.events, self.room, &taken,
                                &written)
                while halt == MC_FULL:          # taken it is, but not done
                    halt = mc_apply(self.machine, NULL, 0, self.events, self.room, &taken, &written)
                after = now()
                into[i] = after - before
                before = after
        return took

    def calls(self, commands):
        """Nanoseconds of every call until all commands are done, each call given the rest; i8 array.

        A command of more events than the buffer holds takes many.
        """
        cdef const unsigned char[::1] view = _bytes(commands)
        cdef const mc_command* source = <const mc_command*>&view[0]
        cdef size_t count = len(commands), done = 0, i = 0, taken = 0, written = 0
        cdef int64_t before, after
        cdef mc_halt halt = MC_FULL
        took = np.ones(1 << 20, np.int64)     # touched: page faults are not what is measured
        cdef int64_t[::1] into = took
        with nogil:
            before = now()
            while halt == MC_FULL and i < (1 << 20):
                halt = mc_apply(self.machine, source + done, count - done, self.events, self.room,
                                &taken, &written)
                done += taken
                after = now()
                into[i] = after - before
                before = after
                i += 1
        if halt != MC_DONE:
            raise MemoryError(f"command {done} was not done after {i} calls")
        return took[:i]

    def arrivals(self, commands, double per_second, size_t batch):
        """An open loop: command i arrives i / per_second after the start, whatever happens.

        Whatever has arrived, up to `batch`, is applied in one call.  Returns nanoseconds from
        each arrival to its events written, i8 array: waiting counts, nothing is left out.
        """
        cdef const unsigned char[::1] view = _bytes(commands)
        cdef const mc_command* source = <const mc_command*>&view[0]
        cdef size_t count = len(commands), done = 0, due, i, taken = 0, written = 0
        cdef double interval = 1e9 / per_second
        cdef int64_t started, at
        took = np.ones(count, np.int64)       # touched: page faults are not what is measured
        cdef int64_t[::1] into = took
        with nogil:
            started = at = now()
            while done < count:
                due = <size_t>(<double>(at - started) / interval) + 1
                if due > count:
                    due = count
                if due > done:
                    if due - done > batch:
                        due = done + batch
                    mc_apply(self.machine, source + done, due - done, self.events, self.room,
                             &taken, &written)
                    at = now()
                    for i in range(done, done + taken):
                        into[i] = at - started - <int64_t>(interval * <double>i)
                    done += taken
                else:
                    at = now()
        return took


def pauses(double seconds):
    """What the machine itself does: an empty loop's longest gaps between two looks at the clock.

    Returns the gaps over a microsecond, in nanoseconds, longest first; i8 array.
    """
    cdef int64_t until, before, after, gap
    cdef size_t count = 0, room = 1 << 20
    gaps = np.ones(room, np.int64)
    cdef int64_t[::1] into = gaps
    with nogil:
        before = now()
        until = before + <int64_t>(seconds * 1e9)
        while before < until:
            after = now()
            gap = after - before
            if gap > 1000 and count < room:
                into[count] = gap
                count += 1
            before = after
    return np.sort(gaps[:count])[::-1]


def first_touches(size_t pages):
    """Nanoseconds that each first write to a page of fresh memory takes; i8 array."""
    cdef size_t size = pages * PAGE_BYTES, i
    cdef char* memory = <char*>pages_take(size)
    cdef int64_t before, after
    if memory == NULL:
        raise MemoryError(f"no memory for {pages} pages")
    took = np.ones(pages, np.int64)
    cdef int64_t[::1] into = took
    with nogil:
        before = now()
        for i in range(pages):
            memory[i * PAGE_BYTES] = 1
            after = now()
            into[i] = after - before
            before = after
        pages_give(memory, size)
    return took


def _bytes(commands):
    if getattr(commands, "dtype", None) != COMMAND or commands.ndim != 1 or not len(commands):
        raise TypeError("commands: a 1-D NumPy array of dtype matchcore.COMMAND, not empty")
    return np.ascontiguousarray(commands).view("u1")
