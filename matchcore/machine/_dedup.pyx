"""Each command of a client once: what is sent again gets its first answer, and changes nothing.

The rules are those of docs/idempotence.md.  Out of the way of commands without a client order
id: `_book.pyx` and `_machine.pyx` come here for the others only.
"""
import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from .._book cimport DONE, FULL, HEARING, IDLE, NO_MEMORY, REPEATING
from .core.emit cimport emit_taker
from .core.records cimport R_NONE, REPEATED, i64, mc_event, mc_likely, u32
from .core.answers cimport (is_accepted, repeats_first, repeats_kill, repeats_next, repeats_read,
                        told_after)
from .core.buckets cimport NUMBER, Table, places_taken
from .core.dedup cimport (ANSWERS_MAX, ANSWERS_PER_ACCOUNT, EVENTS_KEPT, HAS_REST, Account, Again,
                        Answer, Told, account_find, count_of, kept_of, owner_of, repeats_find,
                        repeats_hash, repeats_open, repeats_ready)

from ..records.events import EVENT
from .dedup import ANSWER, LIMITS

assert (ANSWERS_PER_ACCOUNT, ANSWERS_MAX, EVENTS_KEPT) == LIMITS

cdef struct Row:            # ANSWER
    u64 account
    u64 client_order_id
    u64 sequence
    u64 events

assert sizeof(Row) == ANSWER.itemsize


cdef Halt once_again(Core* core, const mc_command* command, const Answer* answer,
                     Events* events) noexcept nogil:
    """Takes a command that was sent again: FULL when its answer goes on in another buffer."""
    cdef Repeats* repeats = core.repeats
    cdef mc_event* event = events.at
    core.sequence += 1
    emit_taker(core, events, REPEATED, R_NONE, command, <i64>count_of(answer),
               <i64>(count_of(answer) - kept_of(answer)))
    event.price = 0
    event.trade_id = answer.sequence
    repeats.telling = answer
    repeats.next = NULL
    return DONE if once_tell(core, events) else FULL


cdef bint once_is_new(Core* core, const mc_command* command, Again again, Events* events,
                      Halt* halt) noexcept nogil:
    """True for a command to be applied now, which `once_done` follows; `repeats_ready` has made room.

    False when it was one sent again, and is taken, with halt FULL to go on.
    """
    cdef Repeats* repeats = core.repeats
    cdef Answer* answer
    if repeats == NULL:         # a book without a machine remembers nothing
        return True
    answer = repeats_find(repeats, command.account, command.client_order_id, again.hash)
    if mc_likely(answer == NULL):
        repeats.open = repeats_open(repeats, command.account, command.client_order_id,
                                    again)
        repeats.start = events.at
        core.pending.stage = HEARING
        return True
    halt[0] = once_again(core, command, answer, events)
    return False


cdef bint once_is_new_here(Core* core, const mc_command* command, Events* events,
                           Halt* halt) noexcept nogil:
    """`once_is_new` of a command that nobody has looked at ahead; false with NO_MEMORY too."""
    if not repeats_ready(core.repeats, 1):
        halt[0] = NO_MEMORY
        return False
    return once_is_new(core, command, repeats_hash(
        core.repeats, command.account, command.client_order_id), events, halt)


cdef void repeats_add(Repeats* repeats, Answer* answer, const mc_event* event) noexcept nogil:
    if repeats.heard == 0:
        repeats_first(repeats, answer, event, is_accepted(repeats, answer, event))
    else:
        repeats_next(repeats, answer, event)


cdef bint once_tell(Core* core, Events* events) noexcept nogil:
    """Tells an answer again, from where a full buffer has interrupted; false if one does again."""
    cdef Repeats* repeats = core.repeats
    core.pending.stage = REPEATING
    while events.at < events.end:
        repeats_read(repeats, repeats.telling, repeats.next, events.at)
        events.at += 1
        repeats.next = told_after(repeats, repeats.telling, repeats.next)
        if repeats.next == NULL:
            core.pending.stage = IDLE
            return True
    return False


cdef void once_listen(Core* core, const Events* events) noexcept nogil:
    """What the command in work says from here on is its answer."""
    if core.repeats != NULL:
        core.repeats.start = events.at


cdef void once_keep(Core* core, const mc_event* event, const mc_event* end) noexcept nogil:
    """Keeps events of the answer that is open, if one is, and as many as are kept.

    Many cost as much as what is kept of them: of a million events, sixteen.
    """
    cdef Repeats* repeats = core.repeats
    if repeats == NULL or repeats.open == NULL:
        return
    if end - event > EVENTS_KEPT:
        while repeats.heard < EVENTS_KEPT:
            repeats_add(repeats, repeats.open, event)
            event += 1
        repeats.heard += <size_t>(end - event) - 1
        event = end - 1
    while event < end:
        repeats_add(repeats, repeats.open, event)
        event += 1


cdef Halt once_heard(Core* core, const Events* events) noexcept nogil:
    """Keeps what was said since `once_listen`, when it is to be kept; says whether that was all."""
    cdef Repeats* repeats = core.repeats
    if core.pending.stage == HEARING:
        core.pending.stage = IDLE
    if repeats != NULL and repeats.open != NULL:
        once_keep(core, repeats.start, events.at)
        if core.pending.stage == IDLE:
            repeats.open = NULL
    return DONE if core.pending.stage == IDLE else FULL


cdef u32 oldest_of(const Repeats* repeats):
    """The number of the oldest answer, or 0."""
    return repeats.memory.answers[0].newer if repeats.memory != NULL else 0


cdef object answers_arrays(Repeats* repeats):
    """All answers as an `ANSWER` array, oldest first, and their events as an `EVENT` array."""
    cdef Py_buffer rows, told
    cdef Row* row
    cdef mc_event* event
    cdef const Answer* answer
    cdef const Told* more
    cdef u64 kept = 0
    cdef u32 number = oldest_of(repeats)
    while number != 0:
        kept += kept_of(&repeats.memory.answers[number])
        number = repeats.memory.answers[number].newer
    number = oldest_of(repeats)
    answers, events = np.empty(repeats.count, ANSWER), np.empty(kept, EVENT)
    PyObject_GetBuffer(answers, &rows, PyBUF_WRITABLE)
    PyObject_GetBuffer(events, &told, PyBUF_WRITABLE)
    row = <Row*>rows.buf
    event = <mc_event*>told.buf
    while number != 0:
        answer = &repeats.memory.answers[number]
        row.account = owner_of(repeats, answer).account
        row.client_order_id = answer.client_order_id
        row.sequence = answer.sequence
        row.events = count_of(answer)
        row += 1
        repeats_read(repeats, answer, NULL, event)
        event += 1
        more = told_after(repeats, answer, NULL)
        while more != NULL:
            repeats_read(repeats, answer, more, event)
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
            room = repeats_ready(repeats, 1)
            if not room:
                break
            answer = repeats_open(repeats, row.account, row.client_order_id,
                                  repeats_hash(repeats, row.account, row.client_order_id))
            while repeats.heard < row.events and repeats.heard < EVENTS_KEPT:
                if (repeats.heard != 1 or row.events != 2
                        or not repeats_kill(repeats, answer, event)):
                    repeats_add(repeats, answer, event)
                event += 1
            if answer.owner & HAS_REST:
                answer.body.rest.count = row.events
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
    cdef u64 events = 0, rests = 0, plain = 0, kept, before_sequence = 0
    cdef u32 number = oldest_of(repeats), before = 0, owner
    cdef Again again
    assert repeats.open == NULL, "an answer is open between commands"
    if repeats.memory == NULL:
        assert repeats.count == 0, "answers without memory"
        return 0
    counts, newest = {}, {}
    while number != 0:
        answer = &repeats.memory.answers[number]
        account = owner_of(repeats, answer)
        where = f"the answer to {answer.client_order_id} of account {account.account}"
        assert answer.client_order_id != 0 and answer.older == before, where
        assert before_sequence < answer.sequence, f"{where}: order"
        assert answer.sequence <= sequence, f"{where}: is of sequence {answer.sequence}"
        again = repeats_hash(repeats, account.account, answer.client_order_id)
        assert answer.hash == again.hash, f"{where}: its hash"
        assert repeats_find(repeats, account.account, answer.client_order_id,
                            answer.hash) == answer, f"{where}: not in the table"
        owner = account_find(repeats, account.account, again.head)
        assert owner == answer.owner & NUMBER, f"{where}: no such account"
        if owner not in counts:
            assert account.oldest == number, f"{where}: not the account's oldest"
        else:
            assert newest[owner] == number, f"{where}: not behind the one before"
        counts[owner] = counts.get(owner, 0) + 1
        newest[owner] = answer.after    # of the newest nobody reads it
        if counts[owner] == account.count:
            assert account.newest == number, f"{where}: not the account's newest"
        kept = 1
        if not answer.owner & HAS_REST:
            plain += count_of(answer)
        rests += answer.owner & HAS_REST != 0
        told = told_after(repeats, answer, NULL)
        while told != NULL:
            kept += 1
            told = told.next
        assert kept == kept_of(answer), f"{where}: {kept} of {count_of(answer)}"
        events += kept
        before_sequence = answer.sequence
        before = number
        number = answer.newer
    total = sum(counts.values())
    assert repeats.memory.answers[0].older == before, "not the newest"
    assert repeats.count == total <= ANSWERS_MAX, (
        f"{repeats.count} answers are said to be remembered, {total} are")
    for owner, count in counts.items():
        account = &repeats.memory.accounts[owner]
        assert count == account.count <= ANSWERS_PER_ACCOUNT, (
            f"account {account.account}: {count} answers")
    check_places(repeats, total, len(counts))
    assert repeats.told.made - repeats.told.spare == events - plain - rests, "events astray"
    assert repeats.rests.made - repeats.rests.spare == rests, "rests of answers astray"
    return 0


cdef int check_places(const Repeats* repeats, answers, accounts) except -1:
    """Asserts that what is not free is in use: entries of the tables and places of accounts."""
    cdef u32 number
    cdef u64 free = 0, used
    cdef size_t i
    number = repeats.free_account
    while number != 0:
        free += 1
        assert repeats.memory.accounts[number].count == 0, "a free account has answers"
        number = repeats.memory.accounts[number].chain
    assert repeats.made_accounts - free == accounts and repeats.made_accounts <= ANSWERS_MAX, (
        "accounts astray")
    used = entries_of(&repeats.table) + entries_of(&repeats.old)
    for i in range(repeats.old.passed if repeats.old.buckets != NULL else 0):
        assert places_taken(&repeats.old.buckets[i]) == 0, "a bucket is passed and is not empty"
    assert used == answers, f"{used} entries are in the tables, {answers} should be"
    return 0


cdef u64 entries_of(const Table* table):
    """How many there are; nobody passes by in a table that is empty."""
    cdef u64 used = 0, passing = 0
    cdef size_t i
    if table.buckets == NULL:
        return 0
    for i in range(<size_t>table.mask + 1):
        used += int(places_taken(&table.buckets[i])).bit_count()
        passing += table.buckets[i].passers_by
    assert used != 0 or passing == 0, "an empty table is passed by"
    return used
