# Nothing here for Python: `_machine.Machine` and `_orderbook.OrderBook` are the faces.
