"""What the tests of the machine share: C code that uses it."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
