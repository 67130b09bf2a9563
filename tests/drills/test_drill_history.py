"""What clients were told is compared with the log: what it lacks, does twice or denies is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import matchcore as mc
from matchcore.drills.history import Answers, Broken, History, done_twice, lost
from matchcore.journal import LogReader, batches
from matchcore.records.ids import id_of


def order(name: str, side: mc.Side = mc.Side.BUY, quantity: int = 5) -> mc.NewOrder:
    head, tail = id_of(name)
    return mc.NewOrder("ANA", side, quantity, "95.00", account=1, session=1, client_order_id=head,
                       client_order_tail=tail)  # fmt: skip


def answer(name: str, exec_id: str | None, **more: Any) -> dict[str, Any]:
    return {"name": name, "status": 201, "exec_id": exec_id, "repeated": False, **more}


@pytest.fixture
def history(tmp_path: Path) -> History:
    with mc.Engine.open(tmp_path / "x", instruments=[mc.Instrument("ANA", "0.05")]) as engine:
        engine.submit(order("a-1"))
        engine.submit(order("a-1"))  # sent again: repeated, not done again
        engine.submit(order("a-2", mc.Side.SELL, 2))
        digest = engine.digest()
    found = History()
    with LogReader(tmp_path / "x") as reader:
        found.take(batches(reader.read(), 2))
    assert found.digest() == digest
    return found


def test_what_is_in_the_log_is_found_once(history: History) -> None:
    assert not lost([answer("a-1", "2-0-0"), answer("a-2", "4-0-0")], history)
    assert not done_twice(history)


def test_a_request_sent_again_may_be_answered_with_what_the_order_is_now(history: History) -> None:
    assert not lost([answer("a-1", "4-1-1", repeated=True)], history)


def test_an_answer_that_the_log_lacks_is_lost(history: History) -> None:
    assert lost([answer("a-3", "9-0-0"), answer("a-4", None, status=404)], history) == ["a-3"]


def test_an_answer_from_another_history_is_false(history: History) -> None:
    with pytest.raises(Broken, match="a-1 was answered with 3-0-0"):
        lost([answer("a-1", "3-0-0")], history)


def test_a_request_that_two_commands_did_is_named(history: History) -> None:
    history.answers["a-2"].append("9-0-0")
    assert done_twice(history) == ["a-2"]


def test_answers_are_read_line_by_line_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "answers"
    answers = Answers(file)
    assert answers.read() == []
    whole, half = json.dumps(answer("a", "1-0-0")) + "\n", '{"name": '
    file.write_text(whole + half)
    assert [one["name"] for one in answers.read()] == ["a"]
    file.write_text(whole + whole)
    assert len(answers.read()) == 1 and len(answers.rows) == 2
