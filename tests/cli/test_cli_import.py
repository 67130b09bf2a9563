"""`import`: checked as a whole before anything is sent, resumable, nothing twice."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ANA, HEADER, apart, contents, flipped, run, run_json, segment, traded

import matchcore as mc
from matchcore.importers import sample_day

AT = "2019-05-21 09:00:00"
ROWS = [f"new;{uid};{uid % 2 == 0};{uid};{90 + uid % 3};{AT}" for uid in range(1, 30)]
BAD = {
    "off tick": f"new;99;True;10;95.72;{AT}",
    "no number": f"new;99;True;ten;95.7;{AT}",
    "negative": f"new;99;True;-1;95.7;{AT}",
    "zero": f"modif;1;True;0;95.7;{AT}",
    "enormous": f"new;99;True;{10**30};95.7;{AT}",
    "columns": "new;99;True",
    "side": f"new;99;both;10;95.7;{AT}",
    "kind": f"buy;99;True;10;95.7;{AT}",
    "long": "x" * 5000,
    "time zero": "new;99;True;10;95.7;1970-01-01 01:00:00",
    "bytes": "new;99;\udcff;1;1;1",
}


@pytest.fixture(scope="module")
def day() -> Path:
    return sample_day()


@pytest.fixture(scope="module")
def whole(day: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The day imported without trouble: the directory and what the command said."""
    exchange = tmp_path_factory.mktemp("whole") / "e"
    code, found = run_json("import", "bme", day, exchange)
    assert code == 0
    return exchange, found


def written(place: Path, *rows: str, name: str = "orders-ana-1.csv", header: str = HEADER) -> Path:
    file = place / name
    data = "".join(f"{row}\n" for row in (header, *rows)).encode("utf-8", "surrogateescape")
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return file


def test_the_day_arrives_with_its_facts(whole: tuple[Path, dict[str, Any]]) -> None:
    found = whole[1]
    names = ("commands", "already_there", "trades", "rejected", "sequence")
    assert [found[name] for name in names] == [20_969, 0, 796, 0, 20_970]
    with mc.Engine.open(whole[0]) as engine:
        assert engine.digest() == found["digest"]


def test_importing_twice_adds_nothing(
    day: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    exchange = shutil.copytree(whole[0], tmp_path / "e")
    code, found = run_json("import", "bme", day, exchange)
    assert code == 0
    assert (found["already_there"], found["sequence"], found["trades"]) == (20_969, 20_970, 0)
    assert found["digest"] == whole[1]["digest"]


@pytest.mark.parametrize("kill_at", [1, 2, 700])
def test_an_import_that_was_killed_goes_on(
    day: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path, kill_at: int
) -> None:
    exchange = tmp_path / "e"
    command = [sys.executable, "-m", "matchcore", "import", "bme", str(day), str(exchange)]
    command += ["--batch", "3", "--echo"]
    answered = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            answered = int(line)
            if answered >= kill_at:
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL
    code, found = run_json("import", "bme", day, exchange)
    assert code == 0 and answered - 1 <= found["already_there"] < 20_969
    assert (found["sequence"], found["digest"]) == (20_970, whole[1]["digest"])


def test_an_import_goes_on_behind_a_torn_tail(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    run("import", "bme", written(tmp_path, *ROWS[:-1]), exchange, "--batch", "1")
    file = segment(exchange)
    sealed = file.read_bytes().rstrip(b"\0")
    file.write_bytes(sealed[:-170])  # the seal, and a piece of the last frame
    (exchange / "position").unlink()
    with mc.Engine.open(exchange) as engine:  # what was cut, was not sealed any more
        left = engine.sequence
    code, found = run_json("import", "bme", written(tmp_path, *ROWS), exchange)
    assert code == 0 and found["sequence"] == 30 and found["already_there"] == left - 1 < 28


def test_the_beginning_of_a_file_may_come_first(tmp_path: Path) -> None:
    for count in (0, 1, 10, 29):
        code, found = run_json("import", "bme", written(tmp_path, *ROWS[:count]), tmp_path / "e")
        assert code == 0 and found["sequence"] == 1 + count
    straight = run_json("import", "bme", written(tmp_path, *ROWS), tmp_path / "straight")[1]
    assert found["digest"] == straight["digest"]


@pytest.mark.parametrize("change", ["row", "order", "tick", "symbol", "shorter"])
def test_a_file_that_differs_is_refused_and_adds_nothing(tmp_path: Path, change: str) -> None:
    exchange = tmp_path / "e"
    run("import", "bme", written(tmp_path, *ROWS), exchange)
    rows = {
        "row": [*ROWS[:-1], ROWS[-1].replace("False", "True")],
        "order": [ROWS[1], ROWS[0], *ROWS[2:]],
        "shorter": ROWS[:-1],
    }.get(change, ROWS)
    more = {"tick": ["--tick", "0.5"], "symbol": ["--symbol", "ELSE"]}.get(change, [])
    before = run_json("info", exchange)[1]
    result = run("import", "bme", written(tmp_path, *rows), exchange, *more)
    assert result.exit_code == 2 and result.stdout == ""
    assert "holds 30 commands that are not the beginning of this import" in result.stderr
    assert "--append" in result.stderr
    after = run_json("info", exchange)[1]
    names = ("last_sequence", "digest", "instruments")
    assert [after[name] for name in names] == [before[name] for name in names]


def test_a_log_of_something_else_is_taken_with_append_only(tmp_path: Path) -> None:
    exchange, file = traded(tmp_path / "e", 20), written(tmp_path, *ROWS, name="orders-san-1.csv")
    assert run("import", "bme", file, exchange).exit_code == 2
    more = ["--append", "--timezone", "UTC", "--allow-earlier"]
    code, found = run_json("import", "bme", file, exchange, *more)
    assert code == 0 and found["sequence"] == 21 + 1 + 29
    books = {one["symbol"]: one["orders"] for one in run_json("info", exchange)[1]["instruments"]}
    assert set(books) == {"ANA", "SAN"} and books["SAN"] > 0


def test_append_with_another_tick_for_a_known_symbol_is_refused(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e", 20)
    file = written(tmp_path, *ROWS)
    result = run("import", "bme", file, exchange, "--append", "--tick", "0.5")
    assert result.exit_code == 2 and "use change_instrument" in result.stderr
    assert run_json("info", exchange)[1]["last_sequence"] == 21


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_bad_row_is_1_and_makes_no_directory(tmp_path: Path, name: str, ending: str) -> None:
    file = written(tmp_path, *ROWS, BAD[name], *ROWS, name=f"orders-ana-1.csv{ending}")
    result = run("import", "bme", file, tmp_path / "e")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith(f"matchcore: {file}, line 31: ")
    code, found = run_json("import", "bme", file, tmp_path / "e")
    assert (code, found["kind"]) == (1, "ImportFormatError")
    assert (found["path"], found["line"]) == (str(file), 31)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_leaves_an_exchange_as_it_was(tmp_path: Path, name: str) -> None:
    exchange = tmp_path / "e"
    run("import", "bme", written(tmp_path, *ROWS[:5]), exchange)
    before = contents(exchange)
    file = written(tmp_path, *ROWS, BAD[name])
    for more in ([], ["--append"]):
        assert run("import", "bme", file, exchange, *more).exit_code == 1
    assert contents(exchange) == before


def test_a_cut_gzip_and_a_missing_header_make_no_directory(tmp_path: Path, day: Path) -> None:
    cut = tmp_path / "orders-ana-cut.csv.gz"
    cut.write_bytes(day.read_bytes()[:50_000])
    bare = written(tmp_path, *ROWS[1:], header=ROWS[0], name="orders-ana-bare.csv")
    empty = tmp_path / "orders-ana-empty.csv"
    empty.touch()
    for file, what in ((cut, "broken gzip"), (bare, "line 1: the header"), (empty, "is empty")):
        result = run("import", "bme", file, tmp_path / "e")
        assert result.exit_code == 1 and what in result.stderr and str(file) in result.stderr
    assert not (tmp_path / "e").exists()


def test_wrong_usage_is_2_and_makes_no_directory(tmp_path: Path) -> None:
    file = written(tmp_path, *ROWS)
    exchange = tmp_path / "e"
    for arguments in (
        ["nyse", file, exchange],
        ["bme", tmp_path / "no.csv", exchange],
        ["bme", tmp_path, exchange],
        ["bme", file, exchange, "--tick", "0"],
        ["bme", file, exchange, "--tick", "cheap"],
        ["bme", file, exchange, "--symbol", "two words"],
        ["bme", file, exchange, "--batch", "0"],
        ["bme", file, file],
    ):
        result = run("import", *arguments)
        assert result.exit_code == 2 and result.stdout == "" and result.stderr
    assert "one of bme" in run("import", "nyse", file, exchange).stderr
    assert not exchange.exists()


def test_a_name_without_a_symbol_asks_for_one(tmp_path: Path) -> None:
    file = written(tmp_path, *ROWS, name="day.csv")
    result = run("import", "bme", file, tmp_path / "e")
    assert result.exit_code == 1 and "give a symbol" in result.stderr
    code, found = run_json("import", "bme", file, tmp_path / "e", "--symbol", "ANA")
    assert code == 0 and found["sequence"] == 30


def test_rows_are_counted_by_what_they_are_and_what_became_of_them(tmp_path: Path) -> None:
    rows = (
        f"cancel;7;True;1;90;{AT}",  # no such order
        ROWS[0], ROWS[0],  # the id still rests
        f"modif;8;True;1;90;{AT}",
        f"new;50;True;10;80;{AT}", f"modif;50;True;4;80;{AT}", f"cancel;50;True;6;80;{AT}",
        f"new;51;True;10;80;{AT}", f"cancel;51;True;11;80;{AT}",  # another quantity
        f"new;52;True;10;80;{AT}", f"cancel;52;True;9;80;{AT}",
        f"new;53;True;10;80;{AT}", f"modif;53;True;11;80;{AT}",  # more than there is
        f"new;54;True;10;80;{AT}", f"modif;54;True;10;80;{AT}",
    )  # fmt: skip
    file = written(tmp_path, *rows)
    code, found = run_json("import", "bme", file, tmp_path / "e", "--batch", "3")
    assert (code, found["rejected"], found["commands"], found["sent"]) == (0, 3, 15, 15)
    assert [found[name] for name in ("new_orders", "modifications", "cancels")] == [7, 4, 4]
    assert found["cancels_of_another_quantity"] == 2
    assert found["modifications_beyond_the_order"] == 1
    text = " ".join(run("import", "bme", file, tmp_path / "f").stdout.split())
    assert "new orders 7 modifications 4 cancels 4" in text
    assert "cancels of another quantity 2 modifications beyond the order 1" in text


def test_times_are_of_the_market_unless_a_zone_is_given(tmp_path: Path) -> None:
    file = written(tmp_path, ROWS[0])
    for zone, hour in (([], "07"), (["--timezone", "UTC"], "09"),
                       (["--timezone", "Asia/Shanghai"], "01")):  # fmt: skip
        exchange = tmp_path / f"e{hour}"
        assert run_json("import", "bme", file, exchange, *zone)[0] == 0
        told = run("tail", exchange, "-n", "1").stdout
        assert f"2019-05-21T{hour}:00:00.000000000Z" in told
        other = run("import", "bme", file, exchange, "--timezone", "Asia/Tokyo")
        assert other.exit_code == 2 and "not the beginning of this import" in other.stderr
    wrong = run("import", "bme", file, tmp_path / "x", "--timezone", "Madrid")
    assert wrong.exit_code == 2 and "unknown time zone 'Madrid'" in wrong.stderr
    assert not (tmp_path / "x").exists()


def test_a_damaged_exchange_is_1_and_not_touched(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    file = flipped(exchange)
    before = contents(exchange)[file.name]
    result = run("import", "bme", written(tmp_path, *ROWS), exchange)
    assert result.exit_code == 1 and str(file) in result.stderr
    assert contents(exchange)[file.name] == before


def test_an_exchange_that_is_open_elsewhere_is_1(tmp_path: Path) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA]):
        done = apart("import", "bme", written(tmp_path, *ROWS), tmp_path / "e", "--json")
    assert done.returncode == 1 and '"LogLocked"' in done.stdout


def test_no_row_is_stamped_with_the_clock(tmp_path: Path) -> None:
    """Time 0 would be, and then the log could not be told to hold this import."""
    file = written(tmp_path, f"new;1;True;1;90;{AT}", "new;2;True;1;90;1970-01-01 01:00:00.000001")
    assert run("import", "bme", file, tmp_path / "e").exit_code == 0
    assert run_json("import", "bme", file, tmp_path / "e")[1]["already_there"] == 2
