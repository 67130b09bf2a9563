"""Each command of a client once: what is sent again gets its first answer, and changes nothing.

The rules are those of docs/idempotence.md.  Out of the way of commands without a client order
id: `_book.pyx` and `_machine.pyx` come here for the others only.
"""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from ._book cimport DONE, FULL, HEARING, IDLE, NO_MEMORY, REPEATING
from ._emit cimport emit_taker
from ._records cimport R_NONE, REPEATED, i64, mc_event
from ._repeats cimport (ANSWERS_MAX, ANSWERS_PER_ACCOUNT, EVENTS_KEPT, Answer, Told, repeats_add,
                        repeats_find, repeats_open, repeats_ready)

from .events import EVENT
from .repeats import ANSWER, LIMITS

assert (ANSWERS_PER_ACCOUNT, ANSWERS_MAX, EVENTS_KEPT) == LIMITS

cdef struct Row:            # ANSWER
    u64 account
    u64 client_order_id
    u64 sequence
    u64 events

assert sizeof(Row) == ANSWER.itemsize


cdef bint once_is_new(Core* core, const mc_command* command, Events* events, Halt* halt) noexcept nogil:
    """True for a command to be applied now, which `once_heard` follows.

    False when it was one sent again, and is taken, with halt FULL to go on; or with NO_MEMORY.
    """
    cdef Repeats* repeats = core.repeats
    cdef Answer* answer
    cdef mc_event* event = events.at
    cdef i64 left
    if repeats == NULL:         # a book without a machine remembers nothing
        return True
    if not repeats_ready(repeats):
        halt[0] = NO_MEMORY
        return False
    answer = repeats_find(repeats, command.account, command.client_order_id)
    if answer == NULL:
        repeats.open = repeats_open(repeats, command.account, command.client_order_id)
        core.pending.stage = HEARING
        once_listen(core, events)
        return True
    core.sequence += 1
    left = <i64>(answer.count - EVENTS_KEPT) if answer.count > EVENTS_KEPT else 0
    emit_taker(core, events, REPEATED, R_NONE, command, <i64>answer.count, left)
    event.price = 0
    event.trade_id = answer.first.sequence
    repeats.telling = answer
    repeats.next = NULL
    halt[0] = DONE if once_tell(core, events) else FULL
    return False


cdef bint once_tell(Core* core, Events* events) noexcept nogil:
    """Tells an answer again, from where a full buffer has interrupted; false if one does again."""
    cdef Repeats* repeats = core.repeats
    cdef const mc_event* event
    core.pending.stage = REPEATING
    while events.at < events.end:
        event = &repeats.telling.first if repeats.next == NULL else &repeats.next.event
        events.at[0] = event[0]
        events.at += 1
        repeats.next = repeats.telling.more if repeats.next == NULL else repeats.next.next
        if repeats.next == NULL:
            core.pending.stage = IDLE
            return True
    return False


cdef void once_listen(Core* core, const Events* events) noexcept nogil:
    """What the command in work says from here on is its answer."""
    if core.repeats != NULL:
        core.repeats.start = events.at


cdef Halt once_heard(Core* core, const Events* events) noexcept nogil:
    """Keeps what was said since `once_listen`, when it is to be kept; says whether that was all.

    A buffer's worth costs as much as what is kept of it: of a million events, sixteen.
    """
    cdef Repeats* repeats = core.repeats
    cdef const mc_event* event
    cdef size_t said
    if core.pending.stage == HEARING:
        core.pending.stage = IDLE
    if repeats != NULL and repeats.open != NULL:
        event = repeats.start
        said = events.at - event
        if said > EVENTS_KEPT:
            while repeats.open.count < EVENTS_KEPT:
                repeats_add(repeats, repeats.open, event)
                event += 1
            repeats.open.count += <size_t>(events.at - event) - 1
            event = events.at - 1
        while event < events.at:
            repeats_add(repeats, repeats.open, event)
            event += 1
        if core.pending.stage == IDLE:
            repeats.open = NULL
    return DONE if core.pending.stage == IDLE else FULL


cdef object answers_arrays(const Repeats* repeats):
    """All answers as an `ANSWER` array, oldest first, and their events as an `EVENT` array."""
    cdef Py_buffer rows, told
    cdef Row* row
    cdef mc_event* event
    cdef const Answer* answer = repeats.oldest
    cdef const Told* more
    answers, events = np.empty(repeats.count, ANSWER), np.empty(repeats.events, EVENT)
    PyObject_GetBuffer(answers, &rows, PyBUF_WRITABLE)
    PyObject_GetBuffer(events, &told, PyBUF_WRITABLE)
    row = <Row*>rows.buf
    event = <mc_event*>told.buf
    while answer != NULL:
        row.account = answer.account
        row.client_order_id = answer.client_order_id
        row.sequence = answer.first.sequence
        row.events = answer.count
        row += 1
        event[0] = answer.first
        event += 1
        more = answer.more
        while more != NULL:
            event[0] = more.event
            event += 1
            more = more.next
        answer = answer.newer
    PyBuffer_Release(&rows)
    PyBuffer_Release(&told)
    return answers, events


cdef int answers_restore(Repeats* repeats, answers, events) except -1:
    """Fills an empty window with what `State.check` has looked at."""
    cdef Py_buffer rows, told
    cdef const Row* row
    cdef const mc_event* event
    cdef Answer* answer
    cdef bint room = True
    cdef size_t count, i
    PyObject_GetBuffer(np.ascontiguousarray(answers, ANSWER), &rows, PyBUF_SIMPLE)
    PyObject_GetBuffer(np.ascontiguousarray(events, EVENT), &told, PyBUF_SIMPLE)
    row = <const Row*>rows.buf
    event = <const mc_event*>told.buf
    count = <size_t>rows.len // sizeof(Row)
    with nogil:
        for i in range(count):
            room = repeats_ready(repeats)
            if not room:
                break
            answer = repeats_open(repeats, row.account, row.client_order_id)
            while answer.count < row.events and answer.count < EVENTS_KEPT:
                repeats_add(repeats, answer, event)
                event += 1
            answer.count = row.events
            row += 1
    PyBuffer_Release(&rows)
    PyBuffer_Release(&told)
    if not room:
        raise MemoryError("no memory for the answers that a state remembers")
    return 0


cdef int repeats_check(const Repeats* repeats, u64 sequence) except -1:
    """Asserts every invariant of the window: order, limits, and that the table holds just that."""
    cdef const Answer* answer = repeats.oldest
    cdef const Answer* before = NULL
    cdef const Answer* account
    cdef const Told* told
    cdef u64 events = 0, kept
    assert repeats.open == NULL, "an answer is open between commands"
    counts, newest = {}, {}
    while answer != NULL:
        where = f"the answer to {answer.client_order_id} of account {answer.account}"
        assert answer.client_order_id != 0 and answer.older == before, where
        assert before == NULL or before.first.sequence < answer.first.sequence, f"{where}: order"
        assert answer.first.sequence <= sequence, f"{where}: is of sequence {answer.first.sequence}"
        assert repeats_find(repeats, answer.account, answer.client_order_id) == answer, (
            f"{where}: not in the table")
        account = repeats_find(repeats, answer.account, 0)
        assert account != NULL, f"{where}: no such account"
        if answer.account not in counts:
            assert account.older == answer, f"{where}: not the account's oldest"
        else:
            assert newest[answer.account] == <size_t>answer, f"{where}: not behind the one before"
        counts[answer.account] = counts.get(answer.account, 0) + 1
        newest[answer.account] = <size_t>answer.after
        if counts[answer.account] == account.count:
            assert account.newer == answer, f"{where}: not the account's newest"
        kept = 1
        told = answer.more
        while told != NULL:
            assert told.event.sequence == answer.first.sequence, f"{where}: event {kept}"
            kept += 1
            told = told.next
        assert kept == min(answer.count, <u64>EVENTS_KEPT), f"{where}: {kept} of {answer.count}"
        events += kept
        before = answer
        answer = answer.newer
    total = sum(counts.values())
    assert repeats.newest == before and repeats.count == total <= ANSWERS_MAX, (
        f"{repeats.count} answers are said to be remembered, {total} are")
    assert repeats.events == events, f"{repeats.events} events are counted, {events} told"
    for number, count in counts.items():
        assert count == repeats_find(repeats, number, 0).count <= ANSWERS_PER_ACCOUNT, (
            f"account {number}: {count} answers")
    assert repeats.answers.made - repeats.answers.spare == total + len(counts), "answers astray"
    assert repeats.told.made - repeats.told.spare == events - total, "events astray"
    return 0
