"""`draw`: a picture of any log, and plain errors for what cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import ANA, apart, contents, flipped, run, run_json, traded, without

import matchcore as mc

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traded(tmp_path_factory.mktemp("draw") / "e")


def test_a_picture_is_drawn_and_counted(exchange: Path, tmp_path: Path) -> None:
    before = contents(exchange)
    done = apart("draw", exchange, "ANA", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["picture"], found["timezone"], found["commands"]) == ("ANA.png", "UTC", 200)
    assert (tmp_path / "ANA.png").read_bytes().startswith(PNG)
    assert contents(exchange) == before


def test_an_engine_may_have_it_open(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA]) as engine:
        for at in (1, 2):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "1.00"))
            out = tmp_path / "x.svg"
            code, found = run_json("draw", tmp_path / "e", "ANA", "--out", out)
            assert (code, found["commands"]) == (0, at) and "<svg" in out.read_text()


@pytest.mark.parametrize(
    ("more", "commands"),
    [([], 200), (["--from", "2019-05-21T09:01"], 140), (["--to", "2019-05-21T09:01:00"], 60),
     (["--from", "2019-05-21T11:01", "--to", "2019-05-21T11:02", "--timezone", "Africa/Cairo"], 60),
     (["--from", "2019-05-21T11:01:00+02:00", "--timezone", "Asia/Tokyo"], 140),
     (["--from", "2019-05-21", "--to", "2019-05-22"], 200)],
)  # fmt: skip
def test_a_range_is_of_times_in_the_zone(
    exchange: Path, tmp_path: Path, more: list[str], commands: int
) -> None:
    code, found = run_json("draw", exchange, "ANA", "--out", tmp_path / "x.png", *more)
    assert (code, found["commands"]) == (0, commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NONE"], "unknown instrument 'NONE'"),
        (["ANA", "--out", "x.csv"], "x.csv: the suffix is none of"),
        (["ANA", "--out", "no/x.png"], "no: no such folder for a picture"),
        (["ANA", "--from", "yesterday"], "'yesterday' is not a time like"),
        (["ANA", "--from", "2019-05-22", "--to", "2019-05-22"], "the end must be after the beg"),
        (["ANA", "--from", "2020-01-01"], "but from 2019-05-21T09:00:00.000000000Z to 2019-05-21T"),
        (["ANA", "--timezone", "Nowhere"], "unknown time zone 'Nowhere'"),
        (["ANA", "--levels", "0"], "--levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_2(
    exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("draw", exchange, *arguments)
    assert (result.exit_code, result.stdout) == (2, "") and said in result.stderr
    assert contents(tmp_path) == {}


def test_a_symbol_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with mc.Engine.open(tmp_path / "e", instruments=[mc.Instrument("../A/B", 1)]):
        pass
    code, found = run_json("draw", "e", "../A/B")
    assert (code, found["picture"], found["commands"]) == (0, "..-A-B.png", 0)


def test_an_empty_and_a_damaged_log_are_1(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = run("draw", tmp_path / "none", "ANA", "--out", tmp_path / "x.png")
    assert result.exit_code == 1 and "no journal here" in result.stderr
    exchange = traded(tmp_path / "e")
    file = flipped(exchange)
    result = run("draw", exchange, "ANA", "--out", tmp_path / "x.png")
    assert result.exit_code == 1 and str(file) in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_the_missing_extra_is_said(
    exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "matplotlib")
    result = run("draw", exchange, "ANA", "--out", tmp_path / "x.png")
    assert result.exit_code == 2 and "pip install 'matchcore[plot]'" in result.stderr
