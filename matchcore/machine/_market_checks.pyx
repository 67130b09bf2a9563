"""What must hold in every market."""
from ._auction cimport call_check
from ._counted cimport counted_check
from ._inspect cimport ladder_check
from ._market_states cimport is_at_home
from ._places cimport orders_of
from ._quotes cimport quotes_check
from .core.ids cimport ids_look_up
from .core.ladder cimport Ladder, ladder_from, ladder_price
from .core.market cimport *
from .core.pool cimport Level, Order
from .core.records cimport *
from .core.resting cimport level_at


cdef object check_queue(Core* core, Market* market, Order* head, Order* tail, u8 place, where):
    """Checks orders that stand one behind the other; what is shown, and how many show something."""
    cdef Order* before = NULL
    cdef Order* order = head
    cdef const Wide* wide
    cdef u64 entry = 0
    shown, count = 0, 0
    while order != NULL:
        wide = <const Wide*>order
        at = f"{where}: order {order.order_id}"
        assert order.prev == before, f"{at}: wrong link back"
        assert order.instrument == market.book.instrument, f"{at}: of another market"
        assert wide.place == place and wide.live, f"{at}: at {wide.place}"
        assert entry < wide.entry <= market.entries, f"{at}: entered {wide.entry} behind {entry}"
        assert wide.total > 0 and wide.filled >= 0, f"{at} of {wide.total}"
        assert 0 < order.left <= wide.total, f"{at} shows {order.left} of {wide.total}"
        assert is_at_home(wide), f"{at}: its type cannot be there"
        assert ids_look_up(&core.ids, market.book.instrument, order.order_id) == order, (
            f"{at}: not in the id table")
        entry = wide.entry
        shown += order.left
        count += 1
        before = order
        order = order.next
    assert tail == before, f"{where}: tail is not the last order"
    return shown, count


cdef int check_ladder(Core* core, Market* market, Ladder* ladder, u8 place, where) except -1:
    """Checks the queues and totals of a ladder, and that orders lie at their prices."""
    cdef Level* level
    cdef Order* order
    cdef u64 key = 0
    ladder_check(ladder, where)
    while ladder_from(ladder, key, &key):
        level = level_at(ladder, key)
        price = ladder_price(ladder, key)
        shown, count = check_queue(core, market, level.head, level.tail, place, f"{where} at {price}")
        assert level.quantity == shown, f"{where} at {price}: {level.quantity}, orders hold {shown}"
        counted = orders_of_level(level)
        assert counted == count, f"{where} at {price}: counts {counted} of {count}"
        order = level.head
        pegs = 0
        while order != NULL:
            pegs += place == PLACE_BOOK and is_pegged(<const Wide*>order) and not is_hidden(<const Wide*>order)
            at = order.price if place == PLACE_BOOK else (<const Wide*>order).stop_price
            assert at == price, f"{where}: order {order.order_id} at {price}, not {at}"
            order = order.next
        assert pegs_of(level) == pegs, f"{where} at {price}: counts {pegs_of(level)} of {pegs} pegs"
        if key == ~<u64>0:
            break
        key += 1
    return 0


cdef int check_lit(Market* market, int side, where) except -1:
    """Checks what is remembered of the best order that pegs go by."""
    cdef Ladder* ladder = &market.book.sides[side]
    cdef const Lit* lit = &market.lit[side]
    cdef u64 key = 1
    if market.pegs_count == 0:
        return 0
    while ladder_from(ladder, key, &key):
        if orders_of_level(level_at(ladder, key)) > pegs_of(level_at(ladder, key)):
            assert lit.key == key if lit.exact else lit.key <= key, f"{where}: no peg at {key}"
            return 0
        key += 1
    assert not lit.exact, f"{where}: pegs alone"
    return 0


cdef int check_pegs(const Market* market, pegs) except -1:
    cdef const Wide* wide
    cdef const Wide* before
    cdef u32 line
    listed = []
    for line in range(FOLLOWED):
        wide = market.pegs[line].head
        before = NULL
        while wide != NULL:
            assert wide.before == before, "a peg: wrong link back"
            listed.append((line, wide.entry, wide.order.order_id))
            before = wide
            wide = wide.after
        assert market.pegs[line].tail == before, "pegs astray"
    assert len(listed) == market.pegs_count, f"{market.pegs_count} of {len(listed)} pegs"
    assert listed == sorted(pegs), "pegs out of order"
    return 0


cdef int check_orders(Core* core, Markets* all, Market* market, where) except -1:
    """Checks what is counted of all orders, and how they stand to each other."""
    cdef const Wide* wide
    cdef const Wide* partner
    cdef size_t i, count = orders_of(all, market)
    cdef i64 bid = 0, ask = 0
    open_quantity, icebergs, for_call, pegs, entries = [0, 0], 0, [0, 0], [], set()
    assert count == market.book.orders, f"{where}: {market.book.orders} of {count} orders"
    for i in range(count):
        wide = all.found[i]
        at = f"{where}: order {wide.order.order_id}"
        open_quantity[wide.order.side - 1] += wide.total
        in_book = wide.place == PLACE_BOOK
        icebergs += in_book and wide.display != 0
        for_call[wide.order.side - 1] += in_book and (
            has(AUCTION_TIFS, wide.order.time_in_force) or wide.order_type == MARKET)
        if in_book and is_pegged(wide):
            pegs.append((followed_by(wide), wide.entry, wide.order.order_id))
        entries.add(wide.entry)
        assert wide.expiry == 0 or market.expiry <= wide.expiry, f"{at}: expires unseen"
        assert -PRICE_MAX <= wide.order.price <= PRICE_MAX or at_any(wide.order.price), (
            f"{at} at {wide.order.price}")
        if in_book and market.phase == PHASE_CONTINUOUS:
            assert has(LASTING_TIFS, wide.order.time_in_force), f"{at} rests"
        if wide.link != 0:
            partner = <const Wide*>ids_look_up(&core.ids, market.book.instrument, wide.link)
            assert partner != NULL and partner.link == wide.order.order_id, f"{at}: no pair"
    assert len(entries) == count, f"{where}: two orders entered at once"
    assert open_quantity == [market.open_quantity[0], market.open_quantity[1]], f"{where}: open quantity"
    assert icebergs == market.icebergs, f"{where}: {market.icebergs} of {icebergs} icebergs"
    assert for_call == [market.for_call[0], market.for_call[1]], f"{where}: for the auction {for_call}"
    check_pegs(market, pegs)
    if market.phase == PHASE_CONTINUOUS and has_best(market, BUY, &bid) and has_best(market, SELL, &ask):
        assert bid < ask, f"{where}: crossed"
    return 0


cdef int check_line(Core* core, Market* market, const Line* line, u8 place, where) except -1:
    _, count = check_queue(core, market, <Order*>line.head, <Order*>line.tail, place, where)
    assert count == line.count, f"{where}: counts {line.count} of {count}"
    return 0


cdef int market_check(Core* core, Markets* all, Market* market) except -1:
    """Asserts every invariant of a market."""
    cdef int side
    where = f"market {market.book.instrument}"
    for side in range(2):
        check_ladder(core, market, &market.book.sides[side], PLACE_BOOK, f"{where}, shown {side}")
        check_ladder(core, market, &market.dark[side], PLACE_BOOK, f"{where}, hidden {side}")
        check_ladder(core, market, &market.stops[side], PLACE_STOPS, f"{where}, stops {side}")
        check_lit(market, side, where)
    check_line(core, market, &market.trailing, PLACE_TRAILING, f"{where}, trailing")
    check_line(core, market, &market.waiting, PLACE_WAITING, f"{where}, waiting")
    check_line(core, market, &market.caged, PLACE_CAGED, f"{where}, caged")
    check_orders(core, all, market, where)
    assert PHASE_PRE_OPEN <= market.phase <= PHASE_HALTED, where
    call_check(market)
    counted_check(market)
    return quotes_check(all)
