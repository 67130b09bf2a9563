"""A durable exchange in ten lines; a second run continues where the first one ended."""

from __future__ import annotations

import sys

import matchcore as mc


def main(directory: str) -> None:
    ana = mc.Instrument("ANA", tick="0.05", lot=1)
    with mc.Engine.open(directory, instruments=[ana]) as engine:
        print(f"opened at sequence {engine.sequence}: {engine.book('ANA')}")
        sell = engine.submit(
            mc.NewOrder("ANA", mc.Side.SELL, quantity=74, price="95.70", account=1)
        )
        buy = engine.submit(mc.NewOrder("ANA", mc.Side.BUY, quantity=30, price="95.75", account=2))
        print(f"the buyer's order is {buy.status.name}")
        for trade in buy.trades:
            print(f"  trade {trade.trade_id}: {trade.quantity} at {trade.price}")
        engine.amend("ANA", sell.order_id, quantity=20)
        print(f"best ask {engine.book('ANA').best_ask}")
        engine.snapshot()
        print(f"digest {engine.digest()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "exchange.d")
