"""A market maker against noise, on a bare `OrderBook`: no engine, no log, prices in ticks."""

from __future__ import annotations

import random

import matchcore as mc


def main(steps: int = 20_000, seed: int = 7) -> None:
    draw = random.Random(seed)
    book, next_id, traded = mc.OrderBook(), 1, 0
    quotes: list[int] = []
    cash = stock = 0
    mid = 10_000
    for step in range(steps):
        mid += draw.choice((-1, 0, 0, 0, 1))
        if step % 10 == 0:  # our quotes move with the mid
            for order_id in quotes:
                if order_id in book:
                    book.cancel(order_id)
            quotes = [next_id, next_id + 1]
            next_id += 2
            book.add(quotes[0], mc.Side.BUY, mid - 2, 50)
            book.add(quotes[1], mc.Side.SELL, mid + 2, 50)
        side = draw.choice((mc.Side.BUY, mc.Side.SELL))
        away = draw.randint(-1, 6)
        price = mid - away if side == mc.Side.BUY else mid + away
        traded += book.add(next_id, side, price, draw.randint(1, 20))
        for fill in book.trades:
            if fill["order_id"] in quotes:
                change = int(fill["quantity"]) * (-1 if side == mc.Side.BUY else 1)
                stock += change
                cash -= change * int(fill["price"])
        next_id += 1
    print(f"{traded:,} traded in {steps:,} steps; we hold {stock:+,} and {cash:+,} ticks of cash")
    print(f"marked at {mid}: {cash + stock * mid:+,} ticks")
    print(f"best {book.best_bid} / {book.best_ask}")


if __name__ == "__main__":
    main()
