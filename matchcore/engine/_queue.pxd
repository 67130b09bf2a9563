# The queue between an engine and its log: what its classes hold.
from libc.stdint cimport int64_t

from ._bells cimport Bell, PyThread_type_lock


cdef class Submission:
    cdef public object records, result, error
    cdef public Py_ssize_t count    # commands
    cdef public Py_ssize_t size     # bytes that wait: commands, and events if matched before; fixed
    cdef public int64_t now         # nanoseconds; the time of commands that have none
    cdef public bint written        # the log has read the records, or failed
    cdef public bint to_disk        # whatever the policy
    cdef public bint is_borrowed    # the records are the caller's array
    cdef public bint rings_later    # whoever places it rings for the log's thread
    cdef public int rules           # 0, or the version of the rules that its one command changes to


cdef class Queue


cdef class Waiter(Submission):
    cdef Bell bell
    cdef Waiter after               # the next, which lives until it is rung
    cdef bint is_done
    cdef bint leads                 # the leader waits: done as soon as it is safe

    cdef int wait(self, Queue queue, int looks) except -1


cdef class Queue:
    cdef PyThread_type_lock lock
    cdef readonly unsigned long owner   # thread that has the lock; 0: none
    cdef int held                       # times
    cdef bint placing                   # its holder is between matching and queueing
    cdef list lookers                   # threads that wait for the log; no other submits meanwhile
    cdef readonly unsigned long leader  # thread that does the log's work; 0: none
    cdef Bell work                      # for the leader: something waits
    cdef Bell help                      # for its helper: something large waits, and it syncs
    cdef public bint syncing
    cdef bint answering
    cdef bint alone                     # the last group was one submission
    cdef public object log              # None: nothing ever waits
    cdef public object failure          # why nothing is taken: closed, or worse
    cdef public bint has_diverged       # the machine is not to be shown: it failed
    cdef public bint has_ended          # nobody does the log's work any more
    cdef readonly object waiting        # not in the log yet
    cdef readonly object safe           # in it, or never; not answered yet
    cdef object blocked                 # waiters for room
    cdef Py_ssize_t depth, size
    cdef int64_t newest                 # nanoseconds; time of what was placed last
    # written under the lock and by the leader: two counters each, so that neither waits
    cdef readonly Py_ssize_t taken, taken_bytes, answered, answered_bytes
    cdef Waiter first                   # answered, to be rung, and the others behind it
    cdef Waiter last
    cdef int awake                      # an answered thread is between two waits

    cdef int fresh(self) except -1
    cdef int take(self) except -1
    cdef void give(self) noexcept
    cdef object refused(self)
    cdef int stand_aside(self, Waiter waiter) except -1
    cdef bint is_full(self)
    cdef bint is_overfull(self)
    cdef int admit(self, bint block) except -1
    cdef int put(self, Submission way) except -1
    cdef int end_if_placing(self, error) except -1
    cdef void wake(self, Submission way) noexcept
    cdef int after(self, Submission way) except -1
    cdef int finish(self, Waiter waiter) except -1
    cdef void count_answer(self, Submission way) noexcept
    cdef void ring_soon(self, Waiter waiter) noexcept
