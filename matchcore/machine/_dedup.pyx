"""Each command of a client once: what is sent again gets its first answer, and changes nothing.

The rules are those of docs/idempotence.md.  Out of the way of commands without a client order
id: `_book.pyx` and `_machine.pyx` come here for the others only.
"""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from .._book cimport DONE, FULL, HEARING, IDLE, NO_MEMORY, REPEATING
from .core.emit cimport emit_taker
from .core.records cimport R_NONE, REPEATED, i64, mc_event, mc_likely, u32
from .core.dedup cimport (ANSWERS_MAX, ANSWERS_PER_ACCOUNT, EVENTS_KEPT, Account, Answer,
                        Told, account_find, repeats_add, repeats_find, repeats_hash, repeats_open,
                        repeats_read, repeats_ready)

from ..records.events import EVENT
from .dedup import ANSWER, LIMITS

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
    cdef u32 hash
    if repeats == NULL:         # a book without a machine remembers nothing
        return True
    if not repeats_ready(repeats):
        halt[0] = NO_MEMORY
        return False
    hash = repeats_hash(repeats, command.account, command.client_order_id)
    answer = repeats_find(repeats, command.account, command.client_order_id, hash)
    if mc_likely(answer == NULL):
        repeats.open = repeats_open(repeats, command.account, command.client_order_id, hash)
        core.pending.stage = HEARING
        once_listen(core, events)
        return True
    core.sequence += 1
    left = <i64>(answer.count - EVENTS_KEPT) if answer.count > EVENTS_KEPT else 0
    emit_taker(core, events, REPEATED, R_NONE, command, <i64>answer.count, left)
    event.price = 0
    event.trade_id = answer.sequence
    repeats.telling = answer
    repeats.next = NULL
    halt[0] = DONE if once_tell(core, events) else FULL
    return False


cdef bint once_tell(Core* core, Events* events) noexcept nogil:
    """Tells an answer again, from where a full buffer has interrupted; false if one does again."""
    cdef Repeats* repeats = core.repeats
    core.pending.stage = REPEATING
    while events.at < events.end:
        repeats_read(repeats.telling, repeats.next, events.at)
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
    cdef const Answer* answer
    cdef const Told* more
    cdef u32 number = repeats.oldest
    answers, events = np.empty(repeats.count, ANSWER), np.empty(repeats.events, EVENT)
    PyObject_GetBuffer(answers, &rows, PyBUF_WRITABLE)
    PyObject_GetBuffer(events, &told, PyBUF_WRITABLE)
    row = <Row*>rows.buf
    event = <mc_event*>told.buf
    while number != 0:
        answer = &repeats.memory.answers[number]
        row.account = repeats.memory.accounts[answer.account].account
        row.client_order_id = answer.client_order_id
        row.sequence = answer.sequence
        row.events = answer.count
        row += 1
        repeats_read(answer, NULL, event)
        event += 1
        more = answer.more
        while more != NULL:
            repeats_read(answer, more, event)
            event += 1
            more = more.next
        number = answer.newer
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
            answer = repeats_open(repeats, row.account, row.client_order_id,
                                  repeats_hash(repeats, row.account, row.client_order_id))
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


cdef int repeats_check(Repeats* repeats, u64 sequence) except -1:
    """Asserts every invariant of the window: order, limits, and that the table holds just that."""
    cdef const Answer* answer
    cdef const Account* account
    cdef const Told* told
    cdef u64 events = 0, kept, before_sequence = 0
    cdef u32 number = repeats.oldest, before = 0, owner
    assert repeats.open == NULL, "an answer is open between commands"
    if repeats.memory == NULL:
        assert repeats.count == 0 and repeats.oldest == 0, "answers without memory"
        return 0
    counts, newest = {}, {}
    while number != 0:
        answer = &repeats.memory.answers[number]
        account = &repeats.memory.accounts[answer.account]
        where = f"the answer to {answer.client_order_id} of account {account.account}"
        assert answer.client_order_id != 0 and answer.older == before, where
        assert before_sequence < answer.sequence, f"{where}: order"
        assert answer.sequence <= sequence, f"{where}: is of sequence {answer.sequence}"
        assert answer.hash == repeats_hash(repeats, account.account, answer.client_order_id), (
            f"{where}: its hash")
        assert repeats_find(repeats, account.account, answer.client_order_id,
                            answer.hash) == answer, f"{where}: not in the table"
        owner = account_find(repeats, account.account)
        assert owner == answer.account, f"{where}: no such account"
        if owner not in counts:
            assert account.oldest == number, f"{where}: not the account's oldest"
        else:
            assert newest[owner] == number, f"{where}: not behind the one before"
        counts[owner] = counts.get(owner, 0) + 1
        newest[owner] = answer.after
        if counts[owner] == account.count:
            assert account.newest == number, f"{where}: not the account's newest"
        kept = 1
        told = answer.more
        while told != NULL:
            kept += 1
            told = told.next
        assert kept == min(answer.count, <u64>EVENTS_KEPT), f"{where}: {kept} of {answer.count}"
        events += kept
        before_sequence = answer.sequence
        before = number
        number = answer.newer
    total = sum(counts.values())
    assert repeats.newest == before and repeats.count == total <= ANSWERS_MAX, (
        f"{repeats.count} answers are said to be remembered, {total} are")
    assert repeats.events == events, f"{repeats.events} events are counted, {events} told"
    for owner, count in counts.items():
        account = &repeats.memory.accounts[owner]
        assert count == account.count <= ANSWERS_PER_ACCOUNT, (
            f"account {account.account}: {count} answers")
    check_places(repeats, total, len(counts))
    assert repeats.told.made - repeats.told.spare == events - total, "events astray"
    return 0


cdef int check_places(const Repeats* repeats, answers, accounts) except -1:
    """Asserts that what is not free is in use: places of the table, of answers and of accounts."""
    cdef u32 number = repeats.free_answer
    cdef u64 free = 0, used = 0
    cdef size_t i
    while number != 0:
        free += 1
        number = repeats.memory.answers[number].newer
    assert repeats.made_answers - free == answers and repeats.made_answers <= ANSWERS_MAX, (
        "answers astray")
    free = 0
    number = repeats.free_account
    while number != 0:
        free += 1
        assert repeats.memory.accounts[number].count == 0, "a free account has answers"
        number = repeats.memory.accounts[number].chain
    assert repeats.made_accounts - free == accounts and repeats.made_accounts <= ANSWERS_MAX, (
        "accounts astray")
    for i in range(repeats.table.count):
        used += repeats.table.places[i] != 0
    if repeats.old.places != NULL:
        for i in range(repeats.old.count):
            used += repeats.old.places[i] != 0
            assert i >= repeats.moved or repeats.old.places[i] == 0, "a place is moved and is not"
    assert used == answers, f"{used} places of the table are taken, {answers} should be"
    return 0
