"""What an engine says of orders and fills, beside what the reference says of its log."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports_kit import WORLD, session_flow

from matchcore import Engine, MemoryLog
from matchcore.records.ids import text_of
from matchcore.reports import ReportFlag, ReportKind
from matchcore.reports.reference import Reports as Reference


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(1, 1500), st.booleans())
def test_any_log_is_told_as_the_reference_tells_it(seed: int, count: int, asked: bool) -> None:
    exchange = Engine.memory(instruments=WORLD, log=MemoryLog())
    rows = session_flow(seed, count)
    for part in (rows[: count // 2], rows[count // 2 :]):
        if asked:
            exchange.order(0, 1)  # from here on it follows
        exchange.submit_batch(part)
    slow, told = Reference(remembered=1 << 20), []
    with exchange.events() as events:
        while (part := events.read(0)) is not None:
            told.append(slow.apply(part.commands, part.events))
    fills = np.concatenate(told)
    fills = fills[fills["kind"] == ReportKind.TRADE]
    for account in range(4):
        want = slow.open_orders(account)
        found = exchange.open_orders(account)
        assert [one.order_id for one in found] == want["order_id"].tolist()
        assert [one.left for one in found] == want["left"].tolist()
        mine = fills[fills["account"] == account]
        dealt = exchange.fills(account, limit=10**6)
        assert [fill.number for fill in dealt] == mine["trade_id"].tolist()
        makers = (mine["flags"] & ReportFlag.MAKER > 0).tolist()
        assert [fill.is_maker for fill in dealt] == makers
    for row in rows[-50:]:
        name = int(row["client_order_id"]), int(row["client_order_tail"])
        if name[0]:
            expected = slow.status(int(row["account"]), *name)
            one = exchange.order(int(row["account"]), text_of(*name))
            assert (one is None) == (expected is None)
            if one is not None and expected is not None:
                assert (one.status, one.filled) == (expected["status"][0], expected["filled"][0])
                if one.average_price is not None:
                    tick = WORLD[int(expected["instrument"][0]) - 1].tick
                    turnover = int(expected["turnover"][0]) + 2**64 * int(
                        expected["turnover_high"][0]
                    )
                    exact = Fraction(turnover, one.filled) * Fraction(tick)
                    assert abs(Fraction(one.average_price) - exact) <= abs(exact) / 10**27
