"""`verify --replay`: the states behind the bytes, too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_kit import ANA, flipped, run, run_json, traded

import matchcore as mc
from matchcore.journal import identity_of, snapshots
from matchcore.journal.position import to_bytes
from matchcore.journal.segments import segment_files
from matchcore.machine.state import State


def kept(path: Path) -> Path:
    """Many segments and two snapshots."""
    with mc.Engine.open(path, instruments=[ANA], policy="os", segment_bytes=4096) as engine:
        for at in range(120):
            engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1 + at % 9, "95.05"))
            if at in (60, 110):
                engine.snapshot()
    return path


def forged(exchange: Path) -> int:
    """Puts another state into the newest snapshot, good in itself; its sequence."""
    file = snapshots.listing(exchange)[0]
    good = snapshots.read(file)
    with mc.Engine.memory(instruments=[ANA]) as other:
        for _ in range(good.sequence - 1):
            other.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "95.00"))
        payload = other._machine.state().to_bytes()
    assert State.from_bytes(payload).sequence == good.sequence
    snapshots.write(exchange, sequence=good.sequence, epoch=good.epoch, chain=good.chain,
                    identity=good.identity, payload=payload)  # fmt: skip
    return good.sequence


def test_a_good_log_is_replayed_to_its_digest(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    code, found = run_json("verify", exchange, "--replay")
    assert (code, found["replayed"], found["compared"]) == (0, 121, 2)
    assert found["digest"] == run_json("info", exchange)[1]["digest"]
    assert run("verify", exchange, "--replay").exit_code == 0


def test_only_a_replay_finds_a_snapshot_of_another_state(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    sequence = forged(exchange)
    assert run("verify", exchange).exit_code == 0
    code, found = run_json("verify", exchange, "--replay")
    assert (code, found["good"]) == (1, False)
    assert [one["sequence"] for one in found["findings"]] == [sequence]
    assert f"differs from the replay: snapshot at sequence {sequence}" in (
        run("verify", exchange, "--replay").stdout
    )


def test_a_log_that_begins_late_is_replayed_from_its_oldest_snapshot(tmp_path: Path) -> None:
    exchange = kept(tmp_path / "e")
    digest = run_json("info", exchange)[1]["digest"]
    assert run("archive", exchange, "--drop").exit_code == 0
    assert segment_files(exchange)[0].name > "journal-00000000000000000001.mcj"
    code, found = run_json("verify", exchange, "--replay")
    assert (code, found["compared"], found["digest"]) == (0, 1, digest)
    sequence = forged(exchange)
    code, found = run_json("verify", exchange, "--replay")
    assert (code, found["findings"][0]["sequence"]) == (1, sequence)


def test_a_damaged_log_has_the_same_findings_and_no_replay(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    flipped(exchange)
    plain = run_json("verify", exchange)
    assert plain[0] == 1 and run_json("verify", exchange, "--replay") == plain


def test_a_last_segment_that_is_gone_or_cut_is_missed(tmp_path: Path) -> None:
    """No frame can say so, but the writer had published how far the log was safe."""
    for name, take in (("cut", True), ("gone", False)):
        exchange = tmp_path / name
        with mc.Engine.open(exchange, instruments=[ANA], segment_bytes=4096) as engine:
            for at in range(40):
                engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 1, "95.05", time=1 + at))
        assert run_json("verify", exchange)[1]["not_there"] == 0
        last = max(exchange.glob("journal-*"))
        first = int(last.stem[8:])
        if take:
            last.write_bytes(last.read_bytes()[: 128 + 100])  # into its first frame
        else:
            last.unlink()
        code, found = run_json("verify", exchange)
        assert (code, found["not_there"], found["last_sequence"]) == (1, 42 - first, first - 1)
        missing = f"sequences {first} to 41 were on disk and are missing"
        assert missing in found["findings"][0]["what"]
        assert missing in run("verify", exchange).stdout
        assert run_json("info", exchange)[1]["opening"]["not_there"] == [first, 41]
        before = {file.name: file.read_bytes() for file in exchange.iterdir()}
        with pytest.raises(mc.LogDamaged, match=missing):
            mc.Engine.open(exchange)
        before.pop("lock")
        assert before.items() <= {one.name: one.read_bytes() for one in exchange.iterdir()}.items()
        _go_on(exchange, first, repairing=take)


def _go_on(exchange: Path, first: int, *, repairing: bool) -> None:
    """Nothing is lost without a word: by `repair`, or by the argument of an opening."""
    missing: tuple[int, int] | None = (first, 41)
    if repairing:
        code, planned = run_json("repair", exchange, "--dry-run")
        assert (code, planned["kept"], planned["lost_to"]) == (1, first - 1, 41)
        assert planned["acknowledged"] and run("repair", exchange).exit_code == 1
        assert run("repair", exchange, "--lose-acknowledged", "--yes").exit_code == 0
        missing = None
    with mc.Engine.open(exchange, accept_loss=not repairing) as engine:
        assert (engine.sequence, engine.recovery.not_there) == (first - 1, missing)
        engine.end_day()
    with mc.Engine.open(exchange) as engine:
        assert (engine.sequence, engine.recovery.not_there) == (first, None)
    assert run_json("verify", exchange)[:1] == (0,)


def test_a_log_that_is_gone_altogether_is_missed(tmp_path: Path) -> None:
    exchange = traded(tmp_path / "e")
    for file in segment_files(exchange):
        file.unlink()
    for file in snapshots.listing(exchange):
        file.unlink()
    with pytest.raises(mc.LogDamaged, match="sequences 1 to 201 were on disk and are missing"):
        mc.Engine.open(exchange)
    with mc.Engine.open(exchange, accept_loss=True) as engine:
        assert (engine.sequence, engine.recovery.not_there) == (0, (1, 201))
    mc.Engine.open(exchange).close()


@pytest.mark.parametrize("change", ["older", "none", "cut", "of the build before", "not synced"])
def test_what_position_says_less_is_no_alarm(tmp_path: Path, change: str) -> None:
    """A restored backup, a copy without it, a power cut under `os`."""
    exchange = traded(tmp_path / "e")
    position = exchange / "position"
    identity, older = identity_of(exchange), position.read_bytes()
    with mc.Engine.open(exchange) as engine:
        engine.end_day()
    if change == "older":
        position.write_bytes(older)
    elif change == "none":
        position.unlink()
    elif change == "cut":
        position.write_bytes(older[:20])
    elif change == "not synced":
        position.write_bytes(to_bytes(999, 202, identity))
    else:
        position.write_bytes((999).to_bytes(8, "little") + (2**64 - 1000).to_bytes(8, "little"))
    code, found = run_json("verify", exchange)
    assert (code, found["not_there"]) == (0, 797 if change == "not synced" else 0)
    with mc.Engine.open(exchange) as engine:
        assert (engine.sequence, engine.recovery.not_there) == (202, None)


def test_files_of_two_exchanges_are_set_aside_on_demand(tmp_path: Path) -> None:
    exchange, other = kept(tmp_path / "e"), kept(tmp_path / "other")
    ours = [file.name for file in snapshots.listing(exchange)]
    for file in segment_files(exchange):
        file.unlink()
    for file in segment_files(other):
        shutil.copy(file, exchange)
    assert "files of two exchanges" in run("verify", exchange).stdout
    code, planned = run_json("repair", exchange, "--dry-run")
    assert (code, planned["snapshots"], planned["position"]) == (1, ours, True)
    assert run("repair", exchange).exit_code == 1
    code, done = run_json("repair", exchange, "--lose-acknowledged", "--yes")
    aside = {file.name for file in Path(done["set_aside"]).iterdir()}
    assert code == 0 and aside == {*ours, "position"}
    with mc.Engine.open(exchange) as engine:
        assert engine.identity == identity_of(other) and engine.sequence == 121
