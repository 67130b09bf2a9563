"""matchcore beside the reference of tracebook-conformance, through the adapter in examples/."""

from __future__ import annotations

import io
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

conformance = pytest.importorskip("tracebook.conformance", reason="the [test] extra is missing")
ADAPTER = Path(__file__).parents[2] / "examples" / "conformance" / "adapter.py"
CASES = (
    "fifo-lifecycle", "order-instructions", "stp-cancel-resting", "stp-cancel-resting-deep",
    "stp-cancel-incoming", "pro-rata-allocation", "multi-symbol", "tick-grid", "deep-cancellation",
)  # fmt: skip
CONFIG = {
    "matching_algorithm": "fifo",
    "tick_size": "0.01",
    "self_trade_policy": "NONE",
    "quantity_decimal_places": 12,
}
HELLO = {
    "type": "hello",
    "protocol": "tracebook.conformance",
    "protocol_version": 1,
    "config": CONFIG,
}
ORDER = {"op": "new", "symbol": "A", "order_id": 1, "side": "BUY", "order_type": "LIMIT",
         "price": 10.0, "quantity": 1.0, "owner": -1}  # fmt: skip


def candidate(config: Any) -> Any:
    command = [sys.executable, str(ADAPTER)]
    return conformance.ExternalProcessAdapter(command, config, timeout_seconds=60)


@pytest.mark.parametrize("seed", [1, 42, 20261130])
@pytest.mark.parametrize("profile", ["fifo-limit-v1", "fifo-full-v1", "fifo-partial-fill-v1"])
def test_generated_traces_conform(profile: str, seed: int) -> None:
    result = conformance.run_campaign(candidate, profile, seed=seed, traces=2, events_per_trace=200)
    assert result.conformant, result.failure
    assert result.semantic_coverage.uncovered_capabilities == ()


@pytest.mark.parametrize("name", CASES)
def test_fixed_cases_conform(name: str, tmp_path: Path) -> None:
    suite = conformance.copy_bundled_conformance_suite(tmp_path / "v2", suite_version="v2")
    (case,) = (case for case in suite.cases if case.name == name)
    report = conformance.run_conformance(case.load_events(), candidate, case.config)
    assert report.conformant, report.divergence


def test_these_are_all_cases(tmp_path: Path) -> None:
    suite = conformance.copy_bundled_conformance_suite(tmp_path / "v2", suite_version="v2")
    assert tuple(case.name for case in suite.cases) == CASES


def talk(*lines: object) -> tuple[list[dict[str, Any]], int]:
    """What the adapter answers to messages, or to bytes as they are; and its exit code."""
    sent = b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )
    answers = io.StringIO()
    exit_code = runpy.run_path(str(ADAPTER))["main"](io.BytesIO(sent), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()], exit_code


def event(index: int = 1, **changed: object) -> dict[str, object]:
    return {"type": "event", "index": index, "event": ORDER | changed}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("PROTOCOL_ERROR", [b""]),
        ("PROTOCOL_ERROR", [b"\xff\xfe\n"]),
        ("PROTOCOL_ERROR", [b"{" * 50_000 + b"\n"]),
        ("PROTOCOL_ERROR", [b"[" * 50_000 + b"\n"]),
        ("PROTOCOL_ERROR", [b" " * 100_000]),
        ("PROTOCOL_ERROR", [b"[]\n"]),
        ("PROTOCOL_ERROR", [event()]),
        ("PROTOCOL_ERROR", [HELLO | {"protocol_version": 2}]),
        ("PROTOCOL_ERROR", [HELLO | {"config": None}]),
        ("PROTOCOL_ERROR", [HELLO | {"config": CONFIG | {"matching_algorithm": "lottery"}}]),
        ("PROTOCOL_ERROR", [HELLO | {"config": CONFIG | {"self_trade_policy": True}}]),
        ("UNSUPPORTED", [HELLO | {"config": CONFIG | {"tick_size": "0"}}]),
        ("PROTOCOL_ERROR", [HELLO]),
        ("PROTOCOL_ERROR", [HELLO, {"type": "shutdown"}]),
        ("PROTOCOL_ERROR", [HELLO, event(2)]),
        ("PROTOCOL_ERROR", [HELLO, {"type": "snapshot", "index": 1}]),
        ("PROTOCOL_ERROR", [HELLO, {"type": "finish", "event_count": True}]),
        ("PROTOCOL_ERROR", [HELLO, event(op="auction")]),
        ("PROTOCOL_ERROR", [HELLO, event(symbol=None)]),
        ("PROTOCOL_ERROR", [HELLO, event(side="BOTH")]),
        ("PROTOCOL_ERROR", [HELLO, event(side=["BUY"])]),
        ("PROTOCOL_ERROR", [HELLO, event(order_type="STOP")]),
        ("PROTOCOL_ERROR", [HELLO, event(order_id=2**63)]),
        ("PROTOCOL_ERROR", [HELLO, event(order_id=True)]),
        ("PROTOCOL_ERROR", [HELLO, event(price="10")]),
        ("PROTOCOL_ERROR", [HELLO, event(quantity=float("nan"))]),
        ("UNSUPPORTED", [HELLO, event(symbol="two words")]),
        ("UNSUPPORTED", [HELLO, event(price=10**4000)]),
        ("UNSUPPORTED", [HELLO, event(quantity=1e-13)]),
        ("UNSUPPORTED", [HELLO, event(quantity=1e8)]),
        ("UNSUPPORTED", [HELLO, json.dumps(event()).replace("10.0", "1e999999999").encode()]),
    ],
)  # fmt: skip
def test_bad_messages_are_answered_with_an_error(code: str, lines: list[object]) -> None:
    answers, exit_code = talk(*lines)
    assert exit_code == 2
    assert [answer["type"] for answer in answers] == ["ready"] * lines.count(HELLO) + ["error"]
    assert answers[-1]["code"] == code and 0 < len(answers[-1]["message"]) < 200


def test_bad_orders_are_rejected_and_change_nothing() -> None:
    bad = [{"quantity": 0}, {"quantity": -1}, {"price": 0.004}, {"order_id": 1},
           {"order_id": 1, "quantity": 0}, {"op": "reduce", "quantity": 2},
           {"op": "replace", "quantity": 0}, {"op": "cancel", "order_id": 7},
           {"op": "reduce", "symbol": "B"}]  # fmt: skip
    reasons = ["INVALID_ORDER"] * 3 + ["DUPLICATE_ORDER_ID"] * 2 + [
        "INVALID_ORDER", "INVALID_REPLACEMENT", "ORDER_NOT_ACTIVE", "ORDER_NOT_ACTIVE"]  # fmt: skip
    events = [
        event(index, **({"order_id": 5} | changed if "op" not in changed else changed))
        for index, changed in enumerate(bad, 2)
    ]
    (_, first, *answers, last), exit_code = talk(
        HELLO, event(), *events, {"type": "finish", "event_count": len(bad) + 1}
    )
    assert exit_code == 0 and last["type"] == "complete"
    assert first["outcome"]["status"] == "applied" and first["resting_order_count"] == 1
    assert [answer["outcome"]["reason"] for answer in answers] == reasons
    assert {answer["state_hash"] for answer in answers} == {first["state_hash"]}
