"""What a command ends with: 0 good, 1 damaged or refused data, 2 wrong usage."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ANA, apart, contents, flipped, run, run_json, segment, torn, traded

import matchcore as mc
from matchcore.journal import snapshots

LOOKING = ["verify", "info", "book", "draw", "replay", "follow"]


def asked(command: str, exchange: Path) -> list[object]:
    """The arguments of a command about an exchange."""
    more: dict[str, list[object]] = {
        "book": ["ANA"],
        "draw": ["ANA", "--out", exchange.parent / "x.png"],
        "follow": ["--to", f"sqlite:///{exchange.parent}/x.db"],
    }
    return [command, exchange, *more.get(command, [])]


@pytest.mark.parametrize("command", LOOKING)
def test_a_good_directory_is_0_and_not_touched(tmp_path: Path, command: str) -> None:
    exchange = traded(tmp_path / "e")
    before = contents(exchange)
    assert run(*asked(command, exchange)).exit_code == 0
    code, found = run_json(*asked(command, exchange))
    assert code == 0 and "error" not in found
    assert contents(exchange) == before


@pytest.mark.parametrize("command", LOOKING)
def test_a_missing_directory_is_2(tmp_path: Path, command: str) -> None:
    for flags in ([], ["--json"]):
        result = run(*asked(command, tmp_path / "nowhere"), *flags)
        assert result.exit_code == 2 and result.stdout == ""
        assert f"Directory '{tmp_path}/nowhere' does not exist" in result.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", LOOKING)
def test_an_empty_directory_is_1_and_stays_empty(tmp_path: Path, command: str) -> None:
    (tmp_path / "e").mkdir()
    result = run(*asked(command, tmp_path / "e"))
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr == f"matchcore: {tmp_path}/e: no journal here\n"
    code, found = run_json(*asked(command, tmp_path / "e"))
    assert (code, found["kind"]) == (1, "LogError")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("command", [c for c in LOOKING if c != "verify"])
def test_a_flipped_byte_is_1_and_named(tmp_path: Path, command: str) -> None:
    exchange = traded(tmp_path / "e")
    file = flipped(exchange)
    before = contents(exchange)
    result = run(*asked(command, exchange))
    assert result.exit_code == 1 and result.stdout == ""
    assert re.search(rf"{re.escape(str(file))} at byte \d+, sequence \d+\n$", result.stderr)
    code, found = run_json(*asked(command, exchange))
    assert (code, found["kind"], found["path"]) == (1, "LogDamaged", str(file))
    assert f"at byte {found['offset']}, sequence {found['sequence']}" in found["error"]
    assert contents(exchange) == before


def test_verify_names_file_byte_and_sequence(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    with mc.Engine.open(exchange) as engine:
        assert engine.log is not None
        frames = [frame for frame in engine.log.frames() if frame.offset > 0]
    middle = segment(exchange).stat().st_size // 2
    file = flipped(exchange)
    hit = max((f for f in frames if f.offset <= middle), key=lambda f: f.offset)
    code, found = run_json("verify", exchange)
    assert code == 1 and found["good"] is False
    first = found["findings"][0]
    assert (first["path"], first["offset"]) == (str(file), hit.offset)
    assert first["sequence"] == hit.first_sequence
    result = run("verify", exchange)
    assert result.exit_code == 1 and "damaged: " in result.stdout
    assert f"{file} at byte {hit.offset}, sequence {hit.first_sequence}\n" in result.stdout


@pytest.mark.parametrize("command", LOOKING)
def test_a_torn_tail_is_0_and_its_command_is_not_there(tmp_path: Path, command: str) -> None:
    exchange = torn(tmp_path / "e")
    before = contents(exchange)
    code, found = run_json(*asked(command, exchange))
    assert code == 0
    assert 200 in (found.get("last_sequence"), found.get("commands"), found.get("sequence"))
    assert contents(exchange) == before


def test_verify_counts_the_torn_bytes_that_opening_cuts(tmp_path: Path) -> None:
    exchange = torn(tmp_path / "e")
    code, found = run_json("verify", exchange)
    assert (code, found["good"], found["findings"]) == (0, True, [])
    with mc.Engine.open(exchange) as engine:
        assert engine.recovery.cut_bytes == found["torn_bytes"] > 0
    assert run_json("verify", exchange)[1]["torn_bytes"] == 0


def test_follow_delivers_what_comes_before_damage(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    flipped(exchange)
    damaged_at = run_json("verify", exchange)[1]["findings"][0]["sequence"]
    assert run(*asked("follow", exchange)).exit_code == 1
    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        assert db.execute("SELECT seq FROM positions").fetchone() == (damaged_at - 1,)


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_damaged_snapshot_is_1_and_named(tmp_path: Path, command: str) -> None:
    exchange = traded(tmp_path / "e")
    with mc.Engine.open(exchange) as engine:
        file = engine.snapshot()
    assert run(command, exchange).exit_code == 0
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    result = run(command, exchange)
    assert result.exit_code == 1 and str(file) in result.output
    assert run_json(command, exchange)[0] == 1
    assert run("info", exchange).exit_code == 0  # a snapshot is only a shortcut


def lying(exchange: Path) -> None:
    """A snapshot that is sound in itself and says something else than the log."""
    with mc.Engine.open(exchange) as engine:
        engine.snapshot()
    (file,) = snapshots.listing(exchange)
    good = snapshots.read(file)
    machine = mc.Machine()
    machine.apply(mc.encode_all([mc.AddInstrument(ANA)], mc.Directory()))
    for _ in range(good.sequence - 1):
        machine.apply(mc.encode_all([mc.EndDay()], machine.instruments))
    snapshots.write(
        exchange, sequence=good.sequence, epoch=good.epoch, chain=good.chain,
        identity=good.identity, payload=machine.state().to_bytes(),
    )  # fmt: skip


def test_replay_notices_a_snapshot_that_differs(tmp_path: Path) -> None:
    lying(traded(tmp_path / "e"))
    code, found = run_json("replay", tmp_path / "e")
    assert code == 1 and found["snapshots_compared"] == 1
    assert found["snapshots_that_differ"] == ["snapshot at sequence 201"]


def test_replay_says_in_words_which_snapshot_differs(tmp_path: Path) -> None:
    lying(traded(tmp_path / "e"))
    result = run("replay", tmp_path / "e")
    assert result.exit_code == 1 and result.stderr == ""
    assert result.stdout.endswith("  differs from the replay: snapshot at sequence 201\n")


def beheaded(exchange: Path) -> Path:
    """An exchange whose log ends before its snapshot: opening refuses it."""
    early = segment(traded(exchange, 100)).read_bytes()
    with mc.Engine.open(exchange) as engine:
        engine.submit(mc.EndDay())
        engine.snapshot()
    segment(exchange).write_bytes(early)
    with pytest.raises(mc.LogDamaged, match="ends before its snapshot"):
        mc.Engine.open(exchange)
    return exchange


@pytest.mark.parametrize("command", ["info", "book"])
def test_looking_at_a_log_that_ends_before_its_snapshot_is_1(tmp_path: Path, command: str) -> None:
    code, found = run_json(*asked(command, beheaded(tmp_path / "e")))
    assert (code, found["kind"]) == (1, "LogDamaged")


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_checking_a_log_that_ends_before_its_snapshot_is_1(tmp_path: Path, command: str) -> None:
    exchange = beheaded(tmp_path / "e")
    before = contents(exchange)
    result = run(command, exchange)
    assert result.exit_code == 1 and "the log ends before its snapshot: " in result.output
    assert run_json(command, exchange)[0] == 1
    assert contents(exchange) == before


def test_verify_names_the_snapshot_that_the_log_does_not_reach(tmp_path: Path) -> None:
    exchange = beheaded(tmp_path / "e")
    (file,) = snapshots.listing(exchange)
    assert run_json("verify", exchange)[1]["findings"] == [{
        "what": "the log ends before its snapshot", "path": str(file), "offset": 0,
        "sequence": 102,
    }]  # fmt: skip


def moved(exchange: Path, **changed: object) -> Path:
    """The snapshot of an exchange written again, something in its header changed."""
    with mc.Engine.open(exchange) as engine:
        engine.snapshot()
    (file,) = snapshots.listing(exchange)
    good = snapshots.read(file)
    file.unlink()
    values = {name: getattr(good, name) for name in ("sequence", "epoch", "chain", "identity")}
    return snapshots.write(exchange, **{**values, **changed}, payload=good.payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["verify", "replay"])
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"chain": bytes(32)}, "the log and its snapshot have different histories"),
        ({"identity": bytes(16)}, "of another exchange"),
        ({"sequence": 150}, "holds sequence 201"),
    ],
    ids=["chain", "identity", "sequence"],
)
def test_a_snapshot_that_is_not_of_this_log_is_1(
    tmp_path: Path, command: str, changed: dict[str, object], what: str
) -> None:
    moved(traded(tmp_path / "e"), **changed)
    result = run(command, tmp_path / "e")
    assert result.exit_code == 1 and what in result.output


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_snapshot_in_the_middle_of_a_frame_is_1(tmp_path: Path, command: str) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA]) as engine:
        days = mc.encode_all([mc.EndDay()] * 9, engine.instruments)
        engine.submit_batch(days)
        chain, identity = engine.log.chain, engine.identity  # type: ignore[union-attr]
    machine = mc.Machine()
    machine.apply(mc.encode_all([mc.AddInstrument(ANA)], mc.Directory()))
    machine.apply(days[:4])
    snapshots.write(
        tmp_path / "e", sequence=5, epoch=1, chain=chain, identity=identity,
        payload=machine.state().to_bytes(),
    )  # fmt: skip
    result = run(command, tmp_path / "e")
    assert result.exit_code == 1 and "have different histories" in result.output


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_snapshot_before_the_first_command_is_good(tmp_path: Path, command: str) -> None:
    with mc.Engine.open(tmp_path / "e") as engine:
        engine.snapshot()
        engine.submit(mc.EndDay())
    assert run(command, tmp_path / "e").exit_code == 0


@pytest.mark.parametrize("policy", ["sync", "os"])
@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_snapshot_of_an_engine_at_work_is_good(tmp_path: Path, command: str, policy: str) -> None:
    with mc.Engine.open(tmp_path / "e", instruments=[ANA], policy=policy) as engine:
        engine.submit(mc.EndDay())
        engine.snapshot()
        assert run(command, tmp_path / "e").exit_code == 0
        engine.submit(mc.EndDay())
        assert run(command, tmp_path / "e").exit_code == 0


def test_a_snapshot_that_an_engine_prunes_meanwhile_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = traded(tmp_path / "e", 20)
    with mc.Engine.open(exchange) as engine:
        for _ in range(2):
            engine.submit(mc.EndDay())
            engine.snapshot()
    listing = snapshots.listing

    def pruned(directory: Path, *disk: Any) -> list[Path]:
        files = listing(directory, *disk)
        for file in files[1:]:
            file.unlink()
        return files

    monkeypatch.setattr(snapshots, "listing", pruned)
    code, found = run_json("verify", exchange)
    assert (code, found["good"], found["snapshots"]) == (0, True, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["book", "e"], ["book", "e", "NOPE"], ["book", "e", "ANA", "--depth", "0"],
        ["replay", "e", "--machine", "steam"], ["follow", "e"], ["follow", "e", "--to", "x.db"],
        ["follow", "e", "--to", "postgres://x"], ["follow", "e", "--to", "sqlite:///no/x.db"],
        ["verify"], ["verify", "e", "--nonsense"], ["nonsense"], ["import", "bme"],
        ["bench", "--count", "1"], ["demo", "--dir"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2_and_said_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    traded(tmp_path / "e", 5)
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert len(result.stderr) > 20 and "Traceback" not in result.stderr


def test_an_unknown_symbol_and_scheme_are_named(tmp_path: Path) -> None:
    traded(tmp_path / "e", 5)
    assert run("book", tmp_path / "e", "NOPE").stderr == "matchcore: unknown instrument 'NOPE'\n"
    code, found = run_json("follow", tmp_path / "e", "--to", "postgres://x")
    assert (code, found["kind"]) == (2, "SinkError") and "sqlite://" in found["error"]


def test_a_database_of_another_exchange_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        traded(tmp_path / name, 5)
    url = f"sqlite:///{tmp_path}/x.db"
    assert run("follow", tmp_path / "one", "--to", url).exit_code == 0
    result = run("follow", tmp_path / "two", "--to", url)
    assert result.exit_code == 2 and "belongs to another exchange" in result.stderr


def test_real_processes_end_with_the_same_codes(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e", 50)
    assert apart("verify", exchange).returncode == 0
    assert apart("verify", tmp_path / "nowhere").returncode == 2
    flipped(exchange)
    damaged = apart("info", exchange)
    assert damaged.returncode == 1 and damaged.stdout == ""
    assert damaged.stderr.startswith("matchcore: ") and damaged.stderr.count("\n") == 1
