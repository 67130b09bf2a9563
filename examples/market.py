"""A board of an exchange by name: its opening call, continuous trading, and its closing price."""

from __future__ import annotations

import matchcore as mc
from matchcore import markets

SYMBOL = "600519"


def main() -> None:
    day = markets.sse("main", on="2026-11-27", previous_close="1808.00")
    print(f"{day.venue} {day.board} on {day.on}: limits {day.limits[0]} to {day.limits[1]}")
    with mc.Engine.memory(instruments=[day.instrument(SYMBOL)]) as engine:
        for command in day.commands(SYMBOL):
            engine.submit(command)
        engine.set_phase(SYMBOL, mc.Phase.CLOSED)

        engine.set_phase(SYMBOL, mc.Phase.OPENING_CALL)
        send(engine, mc.Side.BUY, 300, "1810.00", account=1)
        send(engine, mc.Side.SELL, 200, "1807.00", account=2)
        send(engine, mc.Side.SELL, 200, "1809.00", account=3)
        told = engine.indicative(SYMBOL)
        assert told is not None
        print(f"the call would trade {told.quantity} at {told.price}")
        outside = send(engine, mc.Side.BUY, 100, "2100.00", account=1)
        print(f"2100.00 is refused: {outside.reason.name}, {outside.field.name}")

        opened = engine.set_phase(SYMBOL, mc.Phase.QUIET)
        for trade in opened.trades:
            print(f"  auction trade {trade.trade_id}: {trade.quantity} at {trade.price}")

        engine.set_phase(SYMBOL, mc.Phase.CONTINUOUS)
        best = send(engine, mc.Side.BUY, 500, None, account=4, order_type=mc.OrderType.BEST_FIVE)
        print(f"best five, rest cancelled: filled {best.filled}, {best.reason.name}")

        engine.set_phase(SYMBOL, mc.Phase.CLOSING_CALL)
        engine.set_phase(SYMBOL, mc.Phase.CLOSED)
        closed = engine.trading_day(SYMBOL)
        assert closed is not None
        print(f"the closing price is {closed.closing_price}")


def send(
    engine: mc.Engine,
    side: mc.Side,
    quantity: int,
    price: str | None,
    account: int,
    order_type: mc.OrderType | None = None,
) -> mc.Answer:
    """A DAY order: the board takes no other."""
    return engine.submit(
        mc.NewOrder(
            SYMBOL, side, quantity, price, mc.TimeInForce.DAY, account=account,
            order_type=order_type,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
