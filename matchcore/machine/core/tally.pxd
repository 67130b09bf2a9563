# What is open at each price of a call: sums in a 64-ary tree over the prices, and where they cross.
#
# Going up through the prices, the buys that still bid less the sells that already offer only become
# less: by the sells of a price when it is reached, by its buys when it is left.  The cursor lies
# between two prices, where that difference, the gap, is above zero for the last time; so orders that
# come and go move it by a few prices, and the sums of the tree find it in one descent after a leap.
#
# Keys are prices with the sign bit flipped, ascending on both sides.
from .ladder cimport HEIGHT_MAX, place_of, prefix_of
from .pool cimport Slots, slots_give, slots_grow, slots_take
from .records cimport i64, mc_first_bit, mc_last_bit, mc_prefetch, mc_unlikely, u8, u32, u64

cdef struct Sums:           # of 64 prices, or of 64 such; a Stalk when there are some below
    u64 occupied            # a bit for each that is not zero
    u64 apart[7]            # no pair lies across two cache lines
    i64 open[64][2]         # of buys and sells

cdef struct Stalk:
    Sums sums
    void* child[64]

cdef struct Cross:          # a price with what would trade at it, and buys less sells that are left over
    i64 price
    i64 quantity
    i64 imbalance

cdef struct Open:           # a price at which something is open
    u64 key
    const i64* open         # of buys and sells; NULL: there is none

cdef struct Question:       # what an answer depends on beside the orders
    i64 rule                # AuctionRule
    i64 reference
    bint has_reference

cdef struct Flank:          # prices beside the cross, with one volume and imbalance
    i64 left                # imbalance less the gap
    i64 sells               # more than those below the cursor and at any price
    i64 price               # of the auction if it is this side's

cdef struct Shape:          # holds while the gap is above `base`, and by less than `width`
    i64 base
    i64 width
    Flank more              # the last prices with more bid than offered
    Flank less              # the first with less

cdef struct Call:
    void* root              # Sums when height is 1
    u64 prefix              # key >> (6 x height), of every key below root
    u32 height              # 0: no tree
    i64 limit[2]            # open at prices, of buys and sells
    i64 any[2]              # open at any price
    u64 at                  # the cursor: prices up to this key lie below it
    i64 gap                 # buys less sells at the prices next above the cursor
    i64 below               # sells at prices below it
    Open above              # what has been looked up around the cursor: see `known`
    Open after
    Open under
    u64 low                 # a change from this key to another one makes it unknown
    u64 high
    u8 known
    bint same               # nothing has changed that the last answer depends on:
    bint found              # whether something would trade
    Cross cross             # at what price
    Question asked
    Shape shape             # of the prices around the cursor, when it is known
    Slots leaves
    Slots stalks

cdef enum:
    NEAR = 4                # prices that a cursor goes step by step
    ABOVE = 1               # bits of Call.known: the first price above the cursor
    AFTER = 2               # the one above that
    UNDER = 4               # the last price below the cursor
    SHAPE = 8

cdef inline u64 tally_key(i64 price) noexcept nogil:
    return <u64>price ^ <u64>1 << 63

cdef inline i64 tally_price(u64 key) noexcept nogil:
    return <i64>(key ^ <u64>1 << 63)

cdef inline void* sums_take(Slots* slots) noexcept nogil:
    """A slot whose sums are zero, or NULL without memory."""
    cdef Sums* sums
    if slots.spare == 0 and not slots_grow(slots):
        return NULL
    sums = <Sums*>slots_take(slots)
    sums.occupied = 0           # the list of used ones went through it
    return sums

cdef inline void tally_prune(Call* call, void* at, u32 height, u64 key) noexcept nogil:
    """Gives back what lies below a sum that has become zero: nothing but the path to a key."""
    cdef void* child
    cdef Sums* sums
    while height > 1:
        sums = <Sums*>at
        sums.open[place_of(key, height)][0] = sums.open[place_of(key, height)][1] = 0
        child = (<Stalk*>at).child[place_of(key, height)]
        (<Stalk*>at).child[place_of(key, height)] = NULL
        slots_give(&call.stalks, at)
        at = child
        height -= 1
    sums = <Sums*>at
    sums.open[key & 63][0] = sums.open[key & 63][1] = 0
    slots_give(&call.leaves, at)

cdef inline bint tally_cover(Call* call, u64 key) noexcept nogil:
    """Grows the root until it covers a key; false without memory."""
    cdef Stalk* stalk
    cdef u32 place
    if call.height and call.limit[0] == 0 and call.limit[1] == 0:       # an empty root
        slots_give(&call.leaves if call.height == 1 else &call.stalks, call.root)
        call.height = 0
    if call.height == 0:
        call.root = sums_take(&call.leaves)
        call.height = 1
        call.prefix = key >> 6
        return call.root != NULL
    while prefix_of(key, call.height) != call.prefix:
        stalk = <Stalk*>sums_take(&call.stalks)
        if stalk == NULL:
            return False
        place = <u32>call.prefix & 63
        stalk.child[place] = call.root
        stalk.sums.open[place][0] = call.limit[0]
        stalk.sums.open[place][1] = call.limit[1]
        stalk.sums.occupied = <u64>1 << place
        call.root = stalk
        call.height += 1
        call.prefix = call.prefix >> 6 if call.height < HEIGHT_MAX else 0
    return True

cdef inline bint tally_add(Call* call, u32 side, u64 key, i64 change) noexcept nogil:
    """So much more is open at a price; false without memory, and then the tally is of no use.

    O(height).
    """
    cdef Sums* sums
    cdef void** child
    cdef u32 height, place
    if mc_unlikely(call.height == 0 or prefix_of(key, call.height) != call.prefix):
        if not tally_cover(call, key):
            return False
    call.limit[side] += change
    if call.low <= key <= call.high:
        call.known = 0
        call.same = False
    if side == 0 and key > call.at:
        call.gap += change
        call.same = False
    elif side == 1 and key <= call.at:
        call.gap -= change
        call.below += change
        call.same = False
    sums = <Sums*>call.root
    height = call.height
    while True:
        place = place_of(key, height)
        sums.open[place][side] += change
        if mc_unlikely(sums.open[place][0] == 0 and sums.open[place][1] == 0):
            sums.occupied &= ~(<u64>1 << place)
            if height > 1:
                child = &(<Stalk*>sums).child[place]
                tally_prune(call, child[0], height - 1, key)
                child[0] = NULL
            return True
        sums.occupied |= <u64>1 << place
        if height == 1:
            return True
        height -= 1
        child = &(<Stalk*>sums).child[place]
        if mc_unlikely(child[0] == NULL):
            child[0] = sums_take(&call.leaves if height == 1 else &call.stalks)
            if child[0] == NULL:
                return False
        sums = <Sums*>child[0]

cdef inline void open_first(Open* found, const void* at, u32 height, u64 prefix) noexcept nogil:
    """The lowest price below a part of the tree that is not empty."""
    cdef u32 place
    while True:
        place = mc_first_bit((<const Sums*>at).occupied)
        prefix = prefix << 6 | place
        if height == 1:
            found.key = prefix
            found.open = (<const Sums*>at).open[place]
            return
        at = (<const Stalk*>at).child[place]
        height -= 1

cdef inline void open_last(Open* found, const void* at, u32 height, u64 prefix) noexcept nogil:
    """The highest one."""
    cdef u32 place
    while True:
        place = mc_last_bit((<const Sums*>at).occupied)
        prefix = prefix << 6 | place
        if height == 1:
            found.key = prefix
            found.open = (<const Sums*>at).open[place]
            return
        at = (<const Stalk*>at).child[place]
        height -= 1

cdef inline u32 tally_path(const Call* call, u64 key, const Sums** path) noexcept nogil:
    """The way down to a key as far as there is one, by height; returns the lowest height."""
    cdef u32 height = call.height
    path[height] = <const Sums*>call.root
    while height > 1:
        if path[height].occupied >> place_of(key, height) & 1 == 0:
            break
        path[height - 1] = <const Sums*>(<const Stalk*>path[height]).child[place_of(key, height)]
        height -= 1
    return height

cdef inline void tally_ask(const Call* call, u64 key) noexcept nogil:
    """Asks for the sum at a key, if there is one."""
    cdef const Sums* path[HEIGHT_MAX + 1]
    if call.height and prefix_of(key, call.height) == call.prefix and tally_path(call, key, path) == 1:
        mc_prefetch(path[1])
        mc_prefetch(path[1].open[key & 63])

cdef inline Open tally_next(const Call* call, u64 key) noexcept nogil:
    """The first price above a key.  O(height)."""
    cdef const Sums* path[HEIGHT_MAX + 1]
    cdef Open found
    cdef u64 masks
    cdef u32 height, place
    found.key = 0
    found.open = NULL
    if call.limit[0] == 0 and call.limit[1] == 0 or prefix_of(key, call.height) > call.prefix:
        return found
    if prefix_of(key, call.height) < call.prefix:
        open_first(&found, call.root, call.height, call.prefix)
        return found
    for height in range(tally_path(call, key, path), call.height + 1):
        masks = path[height].occupied & (~<u64>1 << place_of(key, height))
        if masks == 0:
            continue
        place = mc_first_bit(masks)
        if height == 1:
            found.key = (key & ~<u64>63) | place
            found.open = path[1].open[place]
        else:
            open_first(&found, (<const Stalk*>path[height]).child[place], height - 1,
                       prefix_of(key, height) << 6 | place)
        break
    return found

cdef inline Open tally_last(const Call* call, u64 key) noexcept nogil:
    """The last price up to a key.  O(height)."""
    cdef const Sums* path[HEIGHT_MAX + 1]
    cdef Open found
    cdef u64 masks
    cdef u32 height, lowest, place
    found.key = 0
    found.open = NULL
    if call.limit[0] == 0 and call.limit[1] == 0 or prefix_of(key, call.height) < call.prefix:
        return found
    if prefix_of(key, call.height) > call.prefix:
        open_last(&found, call.root, call.height, call.prefix)
        return found
    lowest = tally_path(call, key, path)
    for height in range(lowest, call.height + 1):
        place = place_of(key, height)
        masks = path[height].occupied & ((<u64>1 << place) - 1)
        if height == 1:
            masks |= path[height].occupied & <u64>1 << place
        if masks == 0:
            continue
        place = mc_last_bit(masks)
        if height == 1:
            found.key = (key & ~<u64>63) | place
            found.open = path[1].open[place]
        else:
            open_last(&found, (<const Stalk*>path[height]).child[place], height - 1,
                      prefix_of(key, height) << 6 | place)
        break
    return found

cdef inline void tally_search(Call* call) noexcept nogil:
    """Sets the cursor by the sums of the tree.  O(64 x height)."""
    cdef const Sums* sums = <const Sums*>call.root
    cdef const i64* open
    cdef u32 height = call.height, place
    cdef u64 masks, key = call.prefix
    cdef i64 rest
    call.known = 0
    call.at = 0
    call.below = 0
    call.gap = call.any[0] - call.any[1] + call.limit[0]
    if call.gap <= 0 or height == 0:
        return
    while True:
        masks = sums.occupied
        while masks:
            place = mc_first_bit(masks)
            open = sums.open[place]
            rest = call.gap - open[1] - open[0]
            if rest <= 0:
                break
            call.gap = rest
            call.below += open[1]
            masks &= masks - 1
        if masks == 0:          # at the root only: above all prices
            call.at = ~<u64>0
            return
        key = key << 6 | place
        if height == 1:
            call.at = key - 1
            return
        sums = <const Sums*>(<const Stalk*>sums).child[place]
        height -= 1

cdef inline void widen(Call* call, u64 low, u64 high) noexcept nogil:
    """What is known depends on all prices from one key to another, too."""
    call.low = low if low < call.low else call.low
    call.high = high if high > call.high else call.high

cdef inline Open* tally_above(Call* call) noexcept nogil:
    """The first price above the cursor, which is where it belongs."""
    if not call.known & ABOVE:
        call.above = tally_next(call, call.at)
        call.low = call.at
        call.high = call.above.key if call.above.open != NULL else ~<u64>0
        call.known = ABOVE
    return &call.above

cdef inline Open* tally_after(Call* call) noexcept nogil:
    """The first price above that one, of which there is one."""
    if not call.known & AFTER:
        call.after = tally_next(call, call.above.key)
        widen(call, call.above.key, call.after.key if call.after.open != NULL else ~<u64>0)
        call.known |= AFTER
    return &call.after

cdef inline Open* tally_under(Call* call) noexcept nogil:
    """The last price below the cursor."""
    if not call.known & UNDER:
        call.under = tally_last(call, call.at)
        widen(call, call.under.key if call.under.open != NULL else 0, call.at)
        call.known |= UNDER
    return &call.under

cdef inline bint is_crossing(const Call* call, const Open* price) noexcept nogil:
    """True if the gap, above zero, is not above it any more beyond a price."""
    return price.open == NULL or call.gap - price.open[1] - price.open[0] <= 0

cdef inline void tally_walk(Call* call) noexcept nogil:
    """Moves the cursor to where it belongs: by steps, or over all prices between."""
    cdef Open* above
    cdef Open* under
    cdef u32 step
    for step in range(NEAR):
        if call.gap > 0:
            above = tally_above(call)
            if is_crossing(call, above):
                return
            call.gap -= above.open[1]
            call.gap -= above.open[0]
            call.below += above.open[1]
            call.at = above.key
        else:
            under = tally_under(call)
            if under.open == NULL:
                call.at = 0
                call.known = 0
                return
            call.gap += under.open[0]
            call.gap += under.open[1]
            call.below -= under.open[1]
            call.at = under.key - 1
            if call.gap > 0:
                call.known = 0
                return
        call.known = 0
    tally_search(call)

cdef inline Open* tally_seek(Call* call) noexcept nogil:
    """Moves the cursor to where it belongs, if it is not there; returns the first price above it."""
    if call.known & ABOVE and (is_crossing(call, &call.above) if call.gap > 0 else call.at == 0):
        return &call.above
    tally_walk(call)
    return tally_above(call)

cdef inline bint is_same_question(const Call* call, const Question* question) noexcept nogil:
    return (call.asked.rule == question.rule and call.asked.has_reference == question.has_reference
            and call.asked.reference == question.reference)

cdef inline bint is_answered(Call* call, const Question* question) noexcept nogil:
    """True if `found` and `cross` are known without a search, as most orders are far from the cross.

    What comes beyond it moves the imbalance; the price as a rule only when the volumes meet.
    """
    cdef const Shape* shape = &call.shape
    cdef const Flank* side
    cdef i64 more, less, sells = call.any[1] + call.below
    cdef i64 volume
    if not is_same_question(call, question):
        return False
    if call.same:
        return True
    if not call.known & SHAPE or call.gap <= shape.base or call.gap - shape.base >= shape.width:
        return False
    more = call.gap + shape.more.left
    less = call.gap + shape.less.left
    volume = sells + shape.more.sells - (sells + shape.less.sells + less)
    if volume == 0:
        volume = -less - more       # then the smaller imbalance
        if volume == 0:             # then the rule of the market
            return False
    side = &shape.more if volume > 0 else &shape.less
    call.cross.imbalance = more if volume > 0 else less
    call.cross.quantity = sells + side.sells + (0 if volume > 0 else less)
    call.cross.price = side.price
    call.found = call.cross.quantity > 0
    call.same = True
    return True
