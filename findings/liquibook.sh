#!/usr/bin/env bash
# PyPI's liquibook 2.0.1 (SWIG over the C++ library), used as its own description shows.
#   1. A SimpleOrder is made with conditions and reports them (all_or_none() is true), but the book
#      does not read them: a fill-or-kill order fills in part, and what is left rests.  They have to
#      be given a second time, to add().
#   2. A replacement to a new price trades at the old one, beyond the other side's limit: the book
#      moves the order, but takes the price of a trade from the order object.  That follows only if
#      the listener calls accept() and replace() on it, which the description does not say.
#   3. A replacement that only takes quantity off loses its place in the queue.
# One would expect a fill-or-kill order to be just that, no trade beyond a limit, and a smaller
# order to keep its place, as exchanges have it.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check liquibook==2.0.1
"$place/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import liquibook
from liquibook import SimpleOrder

print("liquibook", version("liquibook"))


class Listener(liquibook.OrderListener):
    """Fills are booked on both orders, as in the package's description."""

    def __init__(self, follow=False):
        super().__init__()
        self.follow, self.fills = follow, []

    def on_accept(self, order):
        if self.follow:
            order.accept()

    def on_cancel(self, order):
        pass

    def on_replace(self, order, size_delta, new_price):
        if self.follow:
            order.replace(size_delta, new_price)

    def on_fill(self, incoming, resting, quantity, price):
        incoming.fill(quantity, price, 0)
        resting.fill(quantity, price, 0)
        self.fills.append((resting.order_id_ - first, quantity, price))


def book(listener):
    made = liquibook.DepthOrderBook()
    made.set_order_listener(listener)
    return made


print("1. sell 10 at 100; buy 15 at 100, fill or kill; sell 5 at 100")
for again in ((), (liquibook.oc_fill_or_kill,)):
    listener = Listener()
    venue, resting = book(listener), SimpleOrder(False, 100, 10)
    first = resting.order_id_
    venue.add(resting)
    killed = SimpleOrder(True, 100, 15, 0, liquibook.oc_fill_or_kill)
    assert killed.all_or_none() and killed.immediate_or_cancel()
    venue.add(killed, *again)
    late = SimpleOrder(False, 100, 5)
    venue.add(late)
    print("  conditions given to add():", again, "-> fills (order, quantity, price)", listener.fills)
    assert listener.fills == ([] if again else [(0, 10, 100), (1, 5, 100)])

print("2. sell 10 at 105, replaced to 103; buy 4 with the limit 103")
for follow in (False, True):
    listener = Listener(follow)
    venue, resting = book(listener), SimpleOrder(False, 105, 10)
    first = resting.order_id_
    venue.add(resting)
    venue.replace(resting, 0, 103)
    taker = SimpleOrder(True, 103, 4)
    venue.add(taker)
    print("  listener calls accept() and replace():", follow, "->", listener.fills)
    assert listener.fills == [(0, 4, 103 if follow else 105)]

print("3. sell 10 at 100 (order 0), sell 10 at 100 (order 1), 5 taken off order 0; buy 3 at 100")
listener = Listener(follow=True)
venue, orders = book(listener), [SimpleOrder(False, 100, 10) for _ in range(2)]
first = orders[0].order_id_
for order in orders:
    venue.add(order)
venue.replace(orders[0], -5, 100)
taker = SimpleOrder(True, 100, 3)
venue.add(taker)
print("  ->", listener.fills)
assert listener.fills == [(1, 3, 100)]
PYTHON
echo "as described"
