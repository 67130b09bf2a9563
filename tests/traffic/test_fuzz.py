"""The fuzzer of the parsers: a few inputs of each, and a parser that is wrong is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # `benchmarks` is in no package

from benchmarks.fuzz.__main__ import piece
from benchmarks.fuzz.mutating import Mutator
from benchmarks.fuzz.parsers import PARSERS, Parser


@pytest.mark.parametrize("name", list(PARSERS))
def test_mutated_inputs_break_no_rule(name: str) -> None:
    for seed in PARSERS[name].seeds:
        PARSERS[name].check(seed)
    assert piece(name, 1, 0, 300) == {"inputs": 300, "broken": "", "input": ""}


def test_a_parser_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(data: bytes) -> None:
        assert len(data) < 20 or data[7] != 0xFF, "7 is wrong"

    monkeypatch.setitem(PARSERS, "wrong", Parser([bytes(30)], [], check))
    found = piece("wrong", 1, 0, 20_000)
    assert "7 is wrong" in found["broken"] and bytes.fromhex(found["input"])[7] == 0xFF


def test_inputs_follow_from_the_seed() -> None:
    one, same, other = (Mutator(seed, [b"abcdefgh"], [b"x"]) for seed in ("1", "1", "2"))
    drawn = [one.next() for _ in range(200)]
    assert drawn == [same.next() for _ in range(200)] != [other.next() for _ in range(200)]
    assert len({*drawn}) > 100


def test_a_replace_with_an_unknown_time_of_an_order_refused_for_one() -> None:
    """Inputs that the fuzzer has found."""
    from benchmarks.fuzz.parsers import _request, ouch_requests

    for time in (b"Y", b"0", b"3"):
        order, other = _request(b"O", time_in_force=time), _request(b"U", user_ref=4)
        ouch_requests(order + other)
        ouch_requests(order + _request(b"U", user_ref=4, time_in_force=b"Y"))
