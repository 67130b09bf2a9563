"""`import --append`: what the log holds of a file is not sent again, whatever happened between."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_kit import ANA, HEADER, run, run_json

import matchcore as mc
from matchcore.importers import Bme, sample_day
from matchcore.journal import LogReader

ROWS = 29


def rows(day: int, first: int = 1, count: int = ROWS) -> list[str]:
    """New orders of a day of May, one a second."""
    return [
        f"new;{uid};{uid % 2 == 0};{uid};{90 + uid % 3};2019-05-{day:02} 09:00:{uid:02}"
        for uid in range(first, first + count)
    ]


def written(place: Path, *lines: str, name: str = "orders-ana-1.csv") -> Path:
    file = place / name
    file.write_text("".join(f"{line}\n" for line in (HEADER, *lines)))
    return file


def taken(file: Path, exchange: Path, *more: str) -> dict[str, Any]:
    """What a good import says."""
    code, found = run_json("import", "bme", file, exchange, "--append", *more)
    assert code == 0, found
    return found


def records(exchange: Path) -> list[bytes]:
    """Every command of a log, but for the instruments."""
    with LogReader(exchange) as reader:
        commands = np.concatenate([frame.commands for frame in reader.read()])
    return [row.tobytes() for row in commands if row["kind"] < mc.Kind.ADD_INSTRUMENT]


def trading(exchange: Path, order_id: int, text: str) -> None:
    """Another order, which somebody sends at a time."""
    time = int(np.datetime64(text, "ns").astype(np.int64))
    with mc.Engine.open(exchange) as engine:
        order = mc.NewOrder("ANA", mc.Side.BUY, 1, "1.00", order_id=order_id, time=time)
        assert not engine.submit(order).rejected


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """One that trades another instrument, and traded in April."""
    place = tmp_path / "e"
    with mc.Engine.open(place, instruments=[mc.Instrument("OLD", 1)]) as engine:
        time = int(np.datetime64("2019-04-01", "ns").astype(np.int64))
        for at in range(20):
            engine.submit(mc.NewOrder("OLD", mc.Side.BUY, 1, 5, time=time + at))
    return place


def test_a_file_that_is_there_already_adds_nothing(tmp_path: Path, exchange: Path) -> None:
    file = written(tmp_path, *rows(2))
    first = taken(file, exchange)
    assert (first["already_there"], first["sent"], first["sequence"]) == (0, ROWS, 51)
    before = run_json("info", exchange)[1]["last_sequence"]
    again = taken(file, exchange)
    assert (again["already_there"], again["sent"], again["sequence"]) == (ROWS, 0, before)
    assert again["digest"] == first["digest"]
    text = run("import", "bme", file, exchange, "--append").stdout
    assert "nothing was sent: the log has the whole file" in text


def test_days_follow_each_other_and_each_is_there_once(tmp_path: Path) -> None:
    files = [written(tmp_path, *rows(day), name=f"orders-ana-{day}.csv") for day in (2, 3, 6)]
    for upto in range(1, 4):  # each time all there are, as a script would
        sent = [taken(file, tmp_path / "e")["sent"] for file in files[:upto]]
        assert sent == [0] * (upto - 1) + [ROWS]
    assert len(records(tmp_path / "e")) == len(set(records(tmp_path / "e"))) == 3 * ROWS


@pytest.mark.parametrize("kill_at", [23, 24, 40])
def test_an_import_that_was_killed_goes_on(tmp_path: Path, exchange: Path, kill_at: int) -> None:
    """Killed when the log has grown to a sequence: 23 is the first row."""
    file = written(tmp_path, *rows(2, count=59))
    straight = taken(file, shutil.copytree(exchange, tmp_path / "straight"))
    answered = 0
    with importing(file, exchange, 1) as child:
        assert child.stdout is not None
        while answered < kill_at:
            answered = int(child.stdout.readline())
        child.kill()
    assert child.returncode == -signal.SIGKILL
    found = taken(file, exchange)
    assert answered - 22 <= found["already_there"] <= 59
    assert (found["sequence"], found["digest"]) == (straight["sequence"], straight["digest"])
    assert records(exchange) == records(tmp_path / "straight")


def test_an_import_that_was_killed_while_it_made_the_exchange_goes_on(tmp_path: Path) -> None:
    file, exchange = written(tmp_path, *rows(2)), tmp_path / "e"
    with importing(file, exchange, 1) as child:
        while not exchange.exists() and child.poll() is None:
            pass
        child.kill()
    assert child.returncode == -signal.SIGKILL
    found = taken(file, exchange)
    assert found["already_there"] + found["sent"] == ROWS == len(records(exchange))


def importing(file: Path, exchange: Path, batch: int) -> subprocess.Popen[str]:
    """An import in a process of its own, which says how far it is behind each batch."""
    command = [sys.executable, "-m", "matchcore", "import", "bme", str(file), str(exchange)]
    command += ["--append", "--batch", str(batch), "--echo"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_real_morning_killed_between_large_batches_is_there_once(
    tmp_path: Path, exchange: Path
) -> None:
    lines = gzip.decompress(sample_day().read_bytes()).decode().splitlines()[1:3001]
    file = written(tmp_path, *lines)
    for _ in range(2):
        with importing(file, exchange, 256) as child:
            assert child.stdout is not None
            for _ in range(2):
                child.stdout.readline()
            child.kill()
    found = taken(file, exchange)
    assert found["already_there"] in {*range(4 * 256, 3000, 256), 3000}
    with mc.Engine.memory(instruments=[mc.Instrument("OLD", 1), ANA]) as straight:
        (wanted,) = Bme().commands(file, straight.instruments)
        assert records(exchange)[20:] == [row.tobytes() for row in wanted]


def test_commands_of_others_in_between_do_no_harm(tmp_path: Path, exchange: Path) -> None:
    """Half a file, an order of somebody else at the same time of day, and the rest."""
    taken(written(tmp_path, *rows(2, count=10)), exchange)
    trading(exchange, 900, "2019-05-02T07:00:10.5")
    whole = written(tmp_path, *rows(2))
    found = taken(whole, exchange)
    assert (found["already_there"], found["sent"]) == (10, ROWS - 10)
    assert taken(whole, exchange)["sent"] == 0
    trading(exchange, 901, "2019-07-01")
    assert taken(whole, exchange)["sent"] == 0


def test_rows_that_are_alike_are_counted(tmp_path: Path) -> None:
    alike = ["cancel;7;True;1;90;2019-05-02 09:00:00"] * 5
    for count in (2, 2, 3, 5):
        found = taken(written(tmp_path, *alike[:count]), tmp_path / "e")
        assert found["already_there"] + found["sent"] == count == len(records(tmp_path / "e"))


@pytest.mark.parametrize("other", ["earlier", "changed", "symbol"])
def test_time_does_not_run_backwards_unless_told(tmp_path: Path, other: str) -> None:
    exchange, same = tmp_path / "e", rows(7)
    taken(written(tmp_path, *same), exchange)
    changed = [*same[:9], same[9].replace("True", "False"), *same[10:]]
    lines = {"earlier": rows(2), "changed": changed}.get(other, same)
    symbol = "san" if other == "symbol" else "ana"
    file = written(tmp_path, *lines, name=f"orders-{symbol}-2.csv")
    held = 9 if other == "changed" else 0
    result = run("import", "bme", file, exchange, "--append")
    assert result.exit_code == 2 and result.stdout == ""
    assert f"holds {held} commands of this file and ends at 2019-05-07T07:00:29" in result.stderr
    assert "time would run backwards; --allow-earlier" in result.stderr
    info = run_json("info", exchange)[1]
    assert info["last_sequence"] == 1 + ROWS
    assert [one["symbol"] for one in info["instruments"]] == ["ANA"]
    found = taken(file, exchange, "--allow-earlier")
    assert (found["already_there"], found["sent"]) == (held, ROWS - held)


def test_a_file_with_a_row_less_is_there_as_well(tmp_path: Path) -> None:
    taken(written(tmp_path, *rows(2)), tmp_path / "e")
    found = taken(written(tmp_path, *rows(2)[:9], *rows(2)[10:]), tmp_path / "e")
    assert (found["already_there"], found["sent"]) == (ROWS - 1, 0)


def test_times_within_a_file_are_as_they_are(tmp_path: Path) -> None:
    """Rows out of order are the file's own: an import killed between them goes on."""
    lines = rows(2)[::-1]
    for count in (3, 10, ROWS):
        assert taken(written(tmp_path, *lines[:count]), tmp_path / "e")["sequence"] == 1 + count


def test_what_is_archived_is_not_sent_again_either(tmp_path: Path) -> None:
    exchange = tmp_path / "e"
    for day in (2, 3, 6):
        file = written(tmp_path, *rows(day), name=f"orders-ana-{day}.csv")
        with mc.Engine.open(exchange, instruments=[ANA], segment_bytes=4096) as engine:
            for part in Bme().commands(file, engine.instruments, chunk=1):
                engine.submit_batch(part)
            engine.snapshot()
    assert run("archive", exchange, "--to", tmp_path / "old").exit_code == 0
    assert run_json("info", exchange)[1]["first_sequence"] > ROWS
    result = run("import", "bme", tmp_path / "orders-ana-2.csv", exchange, "--append")
    assert result.exit_code == 2 and "are archived and were not compared" in result.stderr
    assert taken(tmp_path / "orders-ana-6.csv", exchange)["sent"] == 0
    assert taken(written(tmp_path, *rows(7), name="orders-ana-7.csv"), exchange)["sent"] == ROWS


def test_a_header_alone_adds_the_instrument_and_no_more(tmp_path: Path, exchange: Path) -> None:
    file = written(tmp_path)
    for sequence in (22, 22):
        assert taken(file, exchange)["sequence"] == sequence
    assert [one["symbol"] for one in run_json("info", exchange)[1]["instruments"]] == [
        "OLD", ANA.symbol,
    ]  # fmt: skip
