"""What an import brings in, and which matchcore a child process imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import matchcore as mc
from matchcore._children import environment

#: What an engine alone has no use for, and what takes long to import.
NOT_IMPORTED = {
    "asyncio", "click", "cryptography", "importlib.metadata", "matchcore.bench", "matchcore.cli",
    "matchcore.sinks", "matplotlib", "multiprocessing", "pandas", "prometheus_client", "pyarrow",
    "sqlalchemy", "sqlite3", "tempfile", "uuid", "zoneinfo",
}  # fmt: skip


def test_an_import_brings_in_what_an_engine_needs() -> None:
    code = "import sys, matchcore; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    alone = subprocess.run(
        [sys.executable, "-c", code.replace("matchcore", "numpy")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {*done.stdout.split()} & NOT_IMPORTED - {*alone.stdout.split()} == set()


def test_every_public_name_is_there() -> None:
    assert {*mc.__all__} <= {*dir(mc)}
    assert all(hasattr(mc, name) for name in mc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        mc.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_child_imports_the_matchcore_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is not installed: without site-packages here."""
    monkeypatch.setenv("PYTHONPATH", "before")
    code = "import sys; from importlib.machinery import PathFinder as f;"
    code += "print(f.find_spec('matchcore').origin, 'before' in ''.join(sys.path))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment(MORE="1"), cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [mc.__file__, "True"]
    assert environment(MORE="1")["MORE"] == "1"
