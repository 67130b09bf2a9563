"""The queue between an engine and its log: a command is matched and queued in one step.

Python runs signal handlers between bytecodes, and where C code asks for them.  Here neither
happens between matching a command and queueing it, so Ctrl-C comes before a command has its place
or after that.  Machines that run bytecode are the exception: see `Engine.place`.
"""
from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int64_t

from ..machine.core.records cimport mc_command
from ._bells cimport (FOR_EVER, GONE, PY_LOCK_ACQUIRED, PY_LOCK_INTR, RUNG, SILENT, Bell, PyLockStatus,
                     PyThread_acquire_lock_timed, PyThread_allocate_lock, PyThread_free_lock,
                     PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock, bell_hear,
                     bell_init, bell_look, bell_ring, mc_seen, mc_swap, sched_yield, usleep)

from ..errors import LogError, QueueFull

cdef enum:
    WAIT_MAX = 1000000000   # microseconds; who waits looks again
    LOOKS = 100             # before a thread sleeps: waking it takes longer than that many looks
    LOOKS_AT_TURN = 20
    PAUSE = 1000            # microseconds
    SPARE = 1024            # submissions of callbacks beyond the depth: they cannot wait for room

#: Commands of a submission that is a frame of its own; smaller ones side by side share one.
#: Below this, a thread costs more than matching during the write saves.
LARGE_COMMANDS = 512
cdef Py_ssize_t LARGE = LARGE_COMMANDS


# ---------------------------------------------------------------------- what waits

cdef class Submission:
    """Commands on their way: records (bytes, a contiguous `COMMAND` array, or packed), a result."""

    def __cinit__(self, *given):
        self.records = b""

    def done(self):
        """Hands out result or error; what it returns is called when the whole group is done."""
        raise NotImplementedError


cdef class Waiter(Submission):
    """For a thread that waits: `Queue.place` returns when it is done."""

    def __cinit__(self):
        bell_init(&self.bell)

    def __dealloc__(self):
        if self.bell.lock != NULL:
            PyThread_free_lock(self.bell.lock)

    def done(self):
        """Whoever answers rings for it."""

    cdef int wait(self, Queue queue, int looks) except -1:
        """Returns when it is done, or raises what a signal handler does.

        Threads that are answered together wake one after the other: each wakes the next before it
        takes the GIL, and lets the one before it come to its next wait.  If all woke at once, they
        would wait for the GIL, and sleep again.
        """
        cdef PyLockStatus status
        cdef int left
        cdef bint rung
        while True:
            with nogil:
                mc_swap(&queue.awake, 0)
                bell_ring(&queue.work)
                bell_look(&self.bell, looks)
                status = bell_hear(&self.bell, FOR_EVER)
                if status == PY_LOCK_ACQUIRED:
                    left = LOOKS_AT_TURN
                    while left > 0 and mc_seen(&queue.awake):
                        sched_yield()
                        left -= 1
                    mc_swap(&queue.awake, 1)
                    bell_ring(self.bell.next)
            if status == PY_LOCK_ACQUIRED:
                self.after = None
                return 0
            # a handler may wait for what is answered after this: meanwhile nobody listens here
            rung = mc_swap(&self.bell.state, GONE) == RUNG
            if rung:
                bell_ring(self.bell.next)
            try:
                PyErr_CheckSignals()
            except BaseException:
                while self.is_borrowed and not self.written:    # then the array is the caller's again
                    with nogil:
                        usleep(PAUSE)
                raise
            if rung or mc_swap(&self.bell.state, SILENT) == RUNG:
                return 0


# ---------------------------------------------------------------------- the queue

cdef class Queue:
    """Submissions in the order of the log, and the lock over machine and order (a `with`).

    Its holder may take it again to look.  It may not submit: then it is a signal handler, which
    interrupts a look, and what it submits would change what the look shows.
    """
    def __cinit__(self):
        self.waiting = deque()
        self.safe = deque()
        self.fresh()

    def __init__(self, Py_ssize_t depth, Py_ssize_t size):
        self.depth, self.size = depth, size

    cdef int fresh(self) except -1:
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no memory for a lock")
        bell_init(&self.work)
        bell_init(&self.help)
        self.owner = self.leader = 0
        self.held = 0
        self.placing = self.syncing = self.answering = False
        self.blocked, self.lookers = [], []
        self.first = self.last = None
        return 0

    def __dealloc__(self):
        for lock in (<size_t>self.lock, <size_t>self.work.lock, <size_t>self.help.lock):
            if lock:
                PyThread_free_lock(<PyThread_type_lock><size_t>lock)

    def renew(self):
        """As in a process that was just forked: nobody holds a lock, and no thread waits."""
        self.fresh()    # what the parent's threads wait at is let go

    # ------------------------------------------------------------------ the lock

    cdef int take(self) except -1:
        cdef unsigned long me = PyThread_get_thread_ident()
        cdef PyLockStatus status
        if self.owner == me:
            if self.placing:
                raise self.refused()
            self.held += 1
            return 0
        status = PyThread_acquire_lock_timed(self.lock, 0, 0)
        while status != PY_LOCK_ACQUIRED:
            with nogil:
                status = PyThread_acquire_lock_timed(self.lock, FOR_EVER, 1)
            if status == PY_LOCK_INTR:
                PyErr_CheckSignals()
        self.owner = me
        self.held = 1
        return 0

    cdef void give(self) noexcept:
        self.held -= 1
        if not self.held:
            self.owner = 0
            PyThread_release_lock(self.lock)

    cdef object refused(self):
        return LogError(
            "a signal handler cannot use the engine while it interrupts a call of its own thread"
            " that holds the engine's lock: let it take a note, and do the rest afterwards"
        )

    def __enter__(self):
        self.take()

    def __exit__(self, *error):
        self.give()

    def refuse_handlers(self):
        """`LogError` in a signal handler that interrupts a holder of the lock."""
        if self.owner == PyThread_get_thread_ident():
            raise self.refused()

    cdef int stand_aside(self, Waiter waiter) except -1:
        """Waits without the lock; has it again afterwards, also after an error."""
        cdef int held = self.held
        self.owner = 0
        self.held = 0
        PyThread_release_lock(self.lock)
        try:
            self.finish(waiter)
        finally:
            if PyThread_acquire_lock_timed(self.lock, 0, 0) != PY_LOCK_ACQUIRED:
                with nogil:
                    PyThread_acquire_lock_timed(self.lock, FOR_EVER, 0)
            self.owner = PyThread_get_thread_ident()
            self.held = held
        return 0

    # ------------------------------------------------------------------ taking

    cdef bint is_full(self):
        return (self.taken - self.answered >= self.depth
                or self.taken_bytes - self.answered_bytes >= self.size)

    cdef bint is_overfull(self):
        return (self.taken - self.answered >= self.depth + SPARE
                or self.taken_bytes - self.answered_bytes >= 2 * self.size)

    cdef int admit(self, bint block) except -1:
        """Returns with the lock, when there is room for one more; whether others came first."""
        cdef Waiter room
        cdef unsigned long me = PyThread_get_thread_ident()
        cdef bint waited = False
        self.refuse_handlers()
        self.take()
        try:
            while True:
                if self.failure is not None:
                    raise self.refusal()
                if self.is_full():
                    if self.leader == me and block and not self.is_overfull():
                        return waited
                    if self.leader == me or not block:
                        raise QueueFull(f"{self.taken - self.answered} submissions wait for the log:"
                                        " send again when some are answered")
                # a callback must go on, and so must a signal handler in a thread that looks
                elif not self.lookers or self.leader == me or me in self.lookers:
                    return waited
                waited = True
                room = Waiter()
                self.blocked.append(room)
                self.stand_aside(room)
        except BaseException:
            self.give()
            raise

    def place(self, machine, Submission way not None, bytes record not None, then, clock,
              bint block):
        """Matches one command, as the bytes of a `COMMAND` row, and queues it.

        Its time is the clock's if it has none.  `way.result` gets its `time` and `records`.  False
        when its directory has other ticks than `then`: then the record must be packed anew.
        Waits for the answer if `way` is a `Waiter`; raises what it raises.
        """
        cdef mc_command* command
        self.admit(block)
        try:
            self.newest = way.now = PyNumber_Index(clock())
            if machine.instruments.then is not then:
                return False
            stamped = PyBytes_FromStringAndSize(PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record))
            command = <mc_command*>PyBytes_AS_STRING(stamped)
            command.time = command.time or way.now
            way.result.time = command.time
            way.records = stamped
            way.count = 1
            self.placing = True
            way.result.records = machine.apply_one(stamped)
            way.size = len(stamped) + len(way.result.records)
            self.put(way)
        except BaseException as error:
            self.end_if_placing(error)
            raise
        finally:
            self.placing = False
            self.give()
        self.after(way)
        return True

    def place_batch(self, machine, Submission way not None, commands, pack, clock, bint first,
                    bint block):
        """Matches a `COMMAND` array and queues `way.records`, with the clock's time; with `first`,
        which is for a `Waiter`, it is queued before it is matched, and written meanwhile.

        What `pack` has made with an earlier time it makes anew if others came first.
        """
        cdef bint waited = self.admit(block), is_queued = False
        try:
            if pack is None or waited or way.now < self.newest:
                way.now = PyNumber_Index(clock())
                if pack is not None:
                    way.records = pack(way.now)
            self.newest = way.now
            self.placing = True
            if first:
                self.put(way)
                is_queued = way.count > 0 and self.log is not None
                self.wake(way)
                with nogil:     # who writes goes first: its sync leaves the processor to the match
                    sched_yield()
                way.result = machine.apply(commands, None, way.now)
                is_queued = False
            else:
                way.result = machine.apply(commands, None, way.now)
                way.size += way.result.nbytes
                self.put(way)
        except BaseException as error:
            self.end_if_placing(error)
            raise
        finally:
            self.placing = False
            self.give()
            if is_queued:   # it failed: who is answered after it is woken by it, and the array read
                self.finish(<Waiter>way)
        self.after(way)

    cdef int put(self, Submission way) except -1:
        if self.log is not None and way.count:
            self.waiting.append(way)
            self.taken += 1
            self.taken_bytes += way.size
        return 0

    cdef int end_if_placing(self, error) except -1:
        """What ends between matching and queueing ends the engine: log and machine may differ."""
        if self.placing and self.log is not None:
            self.has_diverged = True
            self.fail(error)
        return 0

    cdef void wake(self, Submission way) noexcept:
        bell_ring(&self.work)
        if self.syncing and way.count >= LARGE:
            bell_ring(&self.help)

    cdef int after(self, Submission way) except -1:
        if self.log is None or not way.count:     # nobody has to write it
            bell = way.done()
            if bell is not None:
                bell()
            return 0
        if isinstance(way, Waiter):
            self.finish(<Waiter>way)
            if way.error is not None:
                raise way.error
        elif not way.rings_later:
            self.wake(way)
        return 0

    cdef int finish(self, Waiter waiter) except -1:
        """Returns when it is done.  Whoever does the log's work goes on with it meanwhile, and
        answers the others later: callbacks inside callbacks would be as deep as the queue.
        """
        if self.leader == PyThread_get_thread_ident():
            waiter.leads = True
            while not waiter.is_done:
                self.work_once()
            return 0
        return waiter.wait(self, LOOKS if self.taken - self.answered <= 1 else 0)

    def settle(self, bint to_disk=False):
        """Under the lock: returns when the log has all that was taken, or never will.

        With `to_disk` when that is on disk, whatever the policy; raises `LogFailed` then.  Others
        cannot submit meanwhile, but callbacks can.
        """
        cdef Waiter barrier = Waiter()
        if self.has_ended:
            return
        barrier.to_disk = to_disk
        me = PyThread_get_thread_ident()
        self.lookers.append(me)
        try:
            self.waiting.append(barrier)
            bell_ring(&self.work)
            self.stand_aside(barrier)
        finally:
            self.lookers.remove(me)
            self.make_room()
        if to_disk and barrier.error is not None:
            raise barrier.error

    # ------------------------------------------------------------------ the log's threads

    def claim(self):
        """The thread that calls this does the log's work from now on."""
        self.leader = PyThread_get_thread_ident()

    def ring(self):
        """Wakes the leader."""
        bell_ring(&self.work)

    def ring_helper(self):
        bell_ring(&self.help)

    def rest(self, seconds):
        """Returns when there is work, or the time is over (None: never)."""
        cdef long long left = FOR_EVER
        cdef Waiter first = self.first
        self.first = self.last = None
        if seconds is not None:
            left = <long long>(min(max(0.0, seconds) * 1e6 + 1, WAIT_MAX))
        with nogil:
            if first is not None:
                bell_ring(&first.bell)
            bell_look(&self.work, LOOKS if self.alone else 0)
        if first is not None and not mc_seen(&self.work.state):
            first = None    # it may hold a large result
        with nogil:
            if bell_hear(&self.work, left) == PY_LOCK_ACQUIRED:
                mc_swap(&self.work.state, SILENT)

    def await_help(self):
        """Returns when a large submission comes while the log is synced."""
        with nogil:
            if bell_hear(&self.help, FOR_EVER) == PY_LOCK_ACQUIRED:
                mc_swap(&self.help.state, SILENT)

    def head(self, bint small, bint large, Py_ssize_t most):
        """Takes the next submissions for one group, of up to `most` commands and the last over it.

        Also says how many of them have commands, how many commands, and whether one is `to_disk`.
        """
        cdef Submission way
        cdef Py_ssize_t submissions = 0, commands = 0
        cdef bint to_disk = False
        taken = []
        while self.waiting and commands < most:
            way = self.waiting[0]
            if not (large if way.count >= LARGE else small):
                break
            taken.append(self.waiting.popleft())
            submissions += way.count > 0
            commands += way.count
            to_disk |= way.to_disk
        if small:
            self.alone = len(taken) <= 1
        return taken, submissions, commands, to_disk

    def mark_written(self, list taken):
        """The log does not read their records any more."""
        cdef Submission way
        for way in taken:
            way.written = True

    def pass_on(self, list submissions):
        """They are safe, or given up."""
        cdef Submission way
        for way in submissions:
            if isinstance(way, Waiter) and (<Waiter>way).leads:
                (<Waiter>way).is_done = True
                self.count_answer(way)
            else:
                self.safe.append(way)

    cdef void count_answer(self, Submission way) noexcept:
        if way.count:
            self.answered += 1
            self.answered_bytes += way.size

    def answer(self):
        """Answers all that is safe, in order; nothing if a callback does the log's work."""
        cdef Submission way
        cdef object last = None
        if self.answering:
            return
        self.answering = True
        bells = []
        try:
            while self.safe:
                way = self.safe.popleft()
                self.count_answer(way)
                if isinstance(way, Waiter):
                    self.ring_soon(<Waiter>way)
                    continue
                self.ring_now()
                bell = way.done()
                if bell is not None and bell is not last:
                    bells.append(bell)
                    last = bell
        finally:
            self.answering = False
            self.make_room()
            for bell in bells:
                bell()

    cdef void ring_soon(self, Waiter waiter) noexcept:
        """When this thread gives back the GIL, which the waiter needs."""
        waiter.is_done = True
        if self.last is not None:
            self.last.after = waiter
            self.last.bell.next = &waiter.bell
        self.first, self.last = self.first or waiter, waiter

    def ring_now(self):
        """Wakes the threads that were answered."""
        cdef Waiter first = self.first
        self.first = self.last = None
        if first is not None:
            with nogil:
                bell_ring(&first.bell)

    def make_room(self):
        """Lets those who wait for room look again."""
        cdef Waiter room
        if self.blocked:
            blocked, self.blocked = self.blocked, []
            for room in blocked:
                room.is_done = True
                bell_ring(&room.bell)
