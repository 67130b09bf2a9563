"""The bench itself, bounded by cases and not by time: every promise is kept."""

from __future__ import annotations

from matchcore.torture.bench import KINDS, Bench

SEED = 0x6D617463682D6D65
CASES = {
    "digests": 1, "cuts": 400, "flips": 2400, "operations": 90, "kills": 1, "stops": 1,
    "full": 2, "limits": 2, "large": 20, "faults": 100, "encrypted": 100, "threads": 1, "aside": 1,
    "rules": 40,
}  # fmt: skip


def test_every_promise_is_kept() -> None:
    report = Bench(SEED).run(cases=CASES)
    assert report.good, report.as_plain()["failures"]
    seen = {tally.kind: tally for tally in report.tallies}
    assert set(seen) == set(CASES) == set(KINDS)
    left_out = "no right to mount a small file system here" in report.left_out
    for kind, tally in seen.items():
        assert tally.cases == CASES[kind] or (left_out and kind == "full")
    assert seen["kills"].kills == 20 and seen["threads"].kills > 3 and seen["aside"].kills > 1
    assert seen["flips"].flips == 8 * 2400 and seen["large"].flips == 10_000
    assert seen["operations"].crashes > 60 and seen["faults"].crashes > 100
