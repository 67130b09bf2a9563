#!/usr/bin/env bash
# tracebook-conformance 0.6.0 judges other engines by a reference engine of its own.  That reference
#   1. counts quantities in binary floating point, so that an engine with exact arithmetic is
#      reported as different from it: 70000.1 sold, 70000 bought, 0.100000000006 left.  So are
#      prices: with a tick of 0.01, 1.005 becomes 1.00, 1.015 becomes 1.01 and 1.025 becomes 1.02;
#   2. puts an order at the back of its price level when it rejects a replacement of that order
#      whose price rounds to zero, though its documentation says that the order is left untouched.
# One would expect an oracle to compute exactly, and a rejected command to change nothing.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q --disable-pip-version-check tracebook-conformance==0.6.0
"$place/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from tracebook.conformance import ConformanceConfig, ReferenceEngineAdapter
from tracebook.events import MarketEvent

print("tracebook-conformance", version("tracebook-conformance"))


def run(*events):
    engine = ReferenceEngineAdapter(ConformanceConfig())
    seen = [engine.apply(MarketEvent(symbol="A", **event), at) for at, event in enumerate(events, 1)]
    for event, one in zip(events, seen):
        fills = [(trade.sell_order_id, trade.price, trade.quantity) for trade in one.trades]
        print(" ", event, "->", one.outcome.status, one.outcome.reason, fills)
    asks = [(order.order_id, order.remaining_quantity) for order in engine.snapshot().books[0].asks]
    print("  asks, in queue order:", asks)
    return seen, asks


def new(order_id, side, quantity):
    return dict(op="new", order_id=order_id, side=side, price=10.0, quantity=quantity)


print("1. of 70000.1 sold, 70000 are bought; 0.1 should be left")
_, asks = run(new(1, "SELL", 70000.1), new(2, "BUY", 70000))
assert asks == [(1, "0.100000000006")], asks

print("   prices half-way between two ticks")
prices = [1.005, 1.015, 1.025]
engine = ReferenceEngineAdapter(ConformanceConfig())
for at, price in enumerate(prices, 1):
    engine.apply(MarketEvent(symbol="A", **(new(at, "SELL", 1) | {"price": price})), at)
rounded = [order.price for order in engine.snapshot().books[0].asks]
print("  ", prices, "->", rounded)
assert rounded == ["1", "1.01", "1.02"], rounded

print("2. order 1 is first; a replacement of it is rejected; then somebody buys: 1 should sell")
seen, asks = run(
    new(1, "SELL", 5), new(2, "SELL", 5), dict(op="replace", order_id=1, price=0.004),
    new(3, "BUY", 1),
)
assert seen[2].outcome.status == "rejected"
assert [trade.sell_order_id for trade in seen[3].trades] == [2], seen[3].trades
assert asks == [(2, "4"), (1, "5")], asks
PYTHON
echo "as described"
