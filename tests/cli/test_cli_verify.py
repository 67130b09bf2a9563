"""`verify --replay`: the states behind the bytes, too."""

from __future__ import annotations

from pathlib import Path

from cli_kit import ANA, flipped, run, run_json, traded

import matchcore as mc
from matchcore import snapshots
from matchcore.journal.segments import segment_files
from matchcore.state import State


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
        assert (code, found["not_there"], found["last_sequence"]) == (0, 42 - first, first - 1)
        assert f"missing: {42 - first} commands" in run("verify", exchange).stdout
