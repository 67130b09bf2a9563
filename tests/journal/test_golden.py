"""The golden files of every version: read in full, for ever."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from golden.make import EXCHANGES, HERE, MASTER, expected, keys_of
from plain_reader import read_directory, read_snapshot

from matchcore import Engine, KeyRefused
from matchcore.journal import snapshots, verify

EXPECTED = json.loads((HERE / "expected.json").read_text())
EVERY = pytest.mark.parametrize("name", EXPECTED)


@pytest.fixture
def copy(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / name, tmp_path / name))


def test_they_are_all_there() -> None:
    assert EXPECTED.keys() == EXCHANGES.keys()
    assert {codec for said in EXPECTED.values() for codec in said["codecs"]} == {0, 1, 2}
    assert all(said["verify"]["segments"] > 1 for said in EXPECTED.values())


@EVERY
def test_readers_find_what_was_written(name: str, copy: Path) -> None:
    assert expected(copy, EXCHANGES[name][1]) == EXPECTED[name]


@EVERY
def test_an_engine_opens_them_and_comes_to_the_same_state(name: str, copy: Path) -> None:
    said, keys = EXPECTED[name], keys_of(EXCHANGES[name][1], "two")
    with Engine.open(copy, keys=keys) as engine:
        assert (engine.sequence, engine.digest()) == (said["commands"], said["digest"])
        assert engine.recovery.cut_bytes == said["verify"]["torn_bytes"]
    assert verify(copy, keys=keys).good


@EVERY
def test_the_plain_reader_finds_the_same(name: str, copy: Path) -> None:
    said = EXPECTED[name]
    found = read_directory(copy, MASTER.__getitem__)
    records = b"".join(found.commands)
    assert hashlib.sha256(records).hexdigest() == said["records_sha256"]
    assert (found.hash, found.chain, found.last, found.torn) == (
        EXCHANGES[name][0], said["chain"], said["commands"], name == "v1-torn",
    )  # fmt: skip
    for file in snapshots.listing(copy):
        keys = keys_of(EXCHANGES[name][1])
        assert read_snapshot(file, MASTER.__getitem__)[2] == snapshots.read(file, keys=keys).payload


@EVERY
def test_without_keys_verify_still_checks_structure_and_chain(name: str, copy: Path) -> None:
    report, encrypted = verify(copy), EXCHANGES[name][1] is not None
    assert report.good and report.frames == EXPECTED[name]["verify"]["frames"]
    assert report.structure_only == (report.segments if encrypted else 0)
    if encrypted:
        with pytest.raises(KeyRefused):
            Engine.open(copy)
