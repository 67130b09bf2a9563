# Bells: how one thread wakes another without the GIL, by the locks that Python itself is made of.
cdef extern from *:
    """
    #include <sched.h>
    #include <unistd.h>
    #define mc_swap(at, value) __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST)
    #define mc_seen(at) __atomic_load_n(at, __ATOMIC_SEQ_CST)
    """
    int mc_swap(int* at, int value) nogil
    int mc_seen(int* at) nogil
    int sched_yield() nogil
    int usleep(unsigned int microseconds) nogil

cdef extern from "pythread.h":
    ctypedef void* PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds,
                                             int stop_at_signals) nogil
    void PyThread_release_lock(PyThread_type_lock lock) nogil
    unsigned long PyThread_get_thread_ident() nogil

cdef enum:
    FOR_EVER = -1           # microseconds

cdef enum:
    SILENT
    RUNG
    GONE                        # nobody listens any more

cdef struct Bell:
    PyThread_type_lock lock     # locked until it is rung
    int state
    Bell* next                  # to be rung by whoever hears this one


cdef inline int bell_init(Bell* bell) except -1:
    bell.state = SILENT
    bell.next = NULL
    bell.lock = PyThread_allocate_lock()
    if bell.lock == NULL:
        raise MemoryError("no memory for a lock")
    PyThread_acquire_lock_timed(bell.lock, FOR_EVER, 0)
    return 0


cdef inline void bell_ring(Bell* bell) noexcept nogil:
    """Rings once until it is heard, however often this is called; where nobody listens, the next."""
    cdef Bell* after
    cdef int state
    while bell != NULL:
        after = bell.next       # before: then it may be gone
        state = mc_swap(&bell.state, RUNG)
        if state == SILENT:
            PyThread_release_lock(bell.lock)
        if state != GONE:
            return
        bell = after


cdef inline void bell_look(Bell* bell, int looks) noexcept nogil:
    """Returns when it is rung, or after so many looks: sleeping and being woken may take longer."""
    while looks > 0 and not mc_seen(&bell.state):
        sched_yield()
        looks -= 1


cdef inline PyLockStatus bell_hear(Bell* bell, long long microseconds) noexcept nogil:
    """PY_LOCK_FAILURE when the time is over, PY_LOCK_INTR at a signal."""
    return PyThread_acquire_lock_timed(bell.lock, microseconds, 1)
