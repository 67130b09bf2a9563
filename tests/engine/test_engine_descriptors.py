"""Whatever refuses or judges a damaged log leaves no file of it open."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from engine_kit import filled, logged, opened, segment, spoil

import matchcore as mc
from matchcore.journal import FileLog, verify
from matchcore.operations import plan


def open_files() -> list[str]:
    """What this process's descriptors lead to."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return found


WAYS: dict[str, Callable[[Path], object]] = {
    "open": opened,
    "open the log": FileLog.open,
    "at": lambda path: mc.Engine.at(path, sequence=300),
    "read": logged,
    "verify": verify,
    "plan a repair": plan,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_log_is_left_closed(tmp_path: Path, way: str) -> None:
    filled(tmp_path)
    for snapshot in tmp_path.glob("snapshot-*"):
        snapshot.unlink()
    spoil(segment(tmp_path))
    refused = None
    try:
        WAYS[way](tmp_path)
    except mc.LogDamaged as error:  # kept: its traceback holds the frames, and what they own
        refused = error
    left = [name for name in open_files() if name.startswith(str(tmp_path))]
    assert left == [], refused
    assert refused is not None or way in ("verify", "plan a repair")
