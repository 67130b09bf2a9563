"""The C interface: C finds every call and gets the events that Python gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flows import definitions, flow, for_c

import matchcore as mc


@pytest.mark.parametrize("room", [4, 5, 64, 4096])
def test_c_writes_the_bytes_that_python_writes(bridge: Any, room: int) -> None:
    commands = for_c(flow(room, 3000))
    machine = mc.Machine()
    machine.apply(definitions(mc.Instrument("A", "1"), mc.Instrument("B", "1")))
    expected = machine.apply(commands)
    events, sequence, best = bridge.apply(commands.tobytes(), 2, room)
    assert events == expected.tobytes() and sequence == machine.sequence
    found = []
    for number in (1, 2):
        for side in (1, 2):
            level = machine.levels(number, side, 1)
            found.append((level["price"][0], level["quantity"][0]) if len(level) else None)
    assert best == found


def test_c_meets_the_edges(bridge: Any) -> None:
    assert bridge.edges() is None


def test_a_command_about_an_instrument_stops_c(bridge: Any) -> None:
    with pytest.raises(ValueError, match="instrument"):
        bridge.apply(definitions(mc.Instrument("A", "1")).tobytes(), 1, 64)


def test_the_header_directory_has_what_a_compiler_needs() -> None:
    names = {path.name for path in Path(mc.get_include()).iterdir()}
    assert names == {"matchcore.h", "matchcore_capi.h"}
    package = Path(mc.__file__).parent  # where Cython looks for what is cimported
    assert (package / "capi.pxd").exists() and (package / "machine/core/records.pxd").exists()
