"""A market maker in Cython: it quotes around a fair price, no Python between it and the book.

    python setup.py build_ext --inplace && python -c "import market_maker; print(market_maker.run(100_000))"
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from matchcore.machine.core.records cimport (BUY, CANCEL, GTC, IOC, LIMIT, NEW, SELL, TRADED, mc_command,
                                 mc_event)
from matchcore.capi cimport (MC_API_VERSION, MC_FULL, mc_add_instrument, mc_apply, mc_best,
                             mc_create, mc_free, mc_machine, mc_quantity_at, mc_version)

cdef enum:
    ROOM = 64               # events a call has room for
    US = 1                  # accounts
    THEM = 2
    SPREAD = 2              # ticks on each side of the fair price
    SIZE = 10

cdef struct Desk:
    mc_machine* machine
    mc_event events[ROOM]
    int64_t position        # units that we hold
    int64_t cash            # ticks times units
    uint64_t trades


cdef int send(Desk* desk, const mc_command* commands, size_t count) noexcept nogil:
    """Applies commands and books our trades."""
    cdef size_t done = 0, taken = 0, written = 0, i
    cdef mc_event* event
    cdef int halt = MC_FULL
    while done < count or halt == MC_FULL:
        halt = mc_apply(desk.machine, commands + done, count - done, desk.events, ROOM, &taken,
                        &written)
        done += taken
        for i in range(written):
            event = &desk.events[i]
            if event.kind == TRADED and event.account == US:      # we only ever rest
                desk.trades += 1
                desk.position += event.quantity if event.side == BUY else -event.quantity
                desk.cash += event.quantity * (-event.price if event.side == BUY else event.price)
        if halt != 0 and halt != MC_FULL:
            return -1
    return 0


cdef mc_command order(uint64_t order_id, uint64_t account, uint8_t side, int64_t price,
                      int64_t quantity, uint8_t time_in_force) noexcept nogil:
    cdef mc_command command
    memset(&command, 0, sizeof(command))
    command.kind = NEW
    command.instrument = 1
    command.order_type = LIMIT
    command.order_id = order_id
    command.account = account
    command.side = side
    command.price = price
    command.quantity = quantity
    command.time_in_force = time_in_force
    return command


cdef int trade(Desk* desk, uint64_t rounds, uint64_t seed) noexcept nogil:
    """Each round: both quotes anew around a wandering fair price, then somebody takes."""
    cdef mc_command commands[5]
    cdef uint64_t i, draw = seed | 1
    cdef int64_t fair = 100_000
    for i in range(rounds):
        draw = draw * <uint64_t>6364136223846793005 + <uint64_t>1442695040888963407
        fair += <int64_t>(draw >> 33) % 3 - 1
        memset(commands, 0, sizeof(commands))
        commands[0].kind = commands[1].kind = CANCEL
        commands[0].instrument = commands[1].instrument = 1
        commands[0].order_id = 2 * i + 1        # of the round before; refused when it is gone
        commands[1].order_id = 2 * i + 2
        commands[2] = order(2 * i + 3, US, BUY, fair - SPREAD, SIZE, GTC)
        commands[3] = order(2 * i + 4, US, SELL, fair + SPREAD, SIZE, GTC)
        commands[4] = order(<uint64_t>1 << 63 | i, THEM, BUY if draw >> 63 else SELL,
                            fair + SPREAD if draw >> 63 else fair - SPREAD,
                            1 + <int64_t>(draw >> 40) % (SIZE - 1), IOC)
        if send(desk, commands, 5) < 0:
            return -1
    return 0


def run(uint64_t rounds, uint64_t seed=1):
    """Trades some rounds; what came of it, as a dict."""
    cdef Desk desk
    cdef int64_t bid = 0, ask = 0
    cdef int failed
    if mc_version() != MC_API_VERSION:
        raise ImportError("matchcore's C interface has changed: build this module again")
    memset(&desk, 0, sizeof(desk))
    desk.machine = mc_create(seed)
    if desk.machine == NULL or mc_add_instrument(desk.machine, 1, 1_000_000, 1000) != 1:
        mc_free(desk.machine)
        raise MemoryError("no memory for a machine")
    with nogil:
        failed = trade(&desk, rounds, seed)
        mc_best(desk.machine, 1, BUY, &bid)
        mc_best(desk.machine, 1, SELL, &ask)
    quantity = mc_quantity_at(desk.machine, 1, BUY, bid)
    mc_free(desk.machine)
    if failed:
        raise MemoryError("no memory for another order")
    return {"trades": desk.trades, "position": desk.position, "cash": desk.cash, "bid": bid,
            "ask": ask, "bid_quantity": quantity,
            "worth": desk.cash + desk.position * ((bid + ask) // 2)}
