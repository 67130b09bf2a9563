"""The C interface: C finds every call and gets the events that Python gets."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flows import definitions, flow

import matchcore as mc

BRIDGE = Path(__file__).with_name("bridge.c")


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A C extension that includes matchcore_capi.h, built with the system's compiler."""
    target = tmp_path_factory.mktemp("bridge") / f"bridge{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = ["-I", sysconfig.get_path("include"), "-I", mc.get_include()]
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Wno-cast-function-type", "-Werror", "-shared",
         "-fPIC", *include, str(BRIDGE), "-o", str(target)],
        check=True,
    )  # fmt: skip
    return load(target, "bridge")


@pytest.mark.parametrize("room", [4, 5, 64, 4096])
def test_c_writes_the_bytes_that_python_writes(bridge: Any, room: int) -> None:
    commands = flow(room, 3000)
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
    assert {"matchcore.h", "matchcore_capi.h", "capi.pxd", "_records.pxd"} <= names
