"""The wheel comes from the sdist, holds what it must, and works outside the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEEL_BYTES_MAX = 1_000_000
OUTSIDE = ["machine", "journal", "engine", "sinks", "typed"]  # suites that need no sources


def run(*command: str | Path, cwd: Path, **more: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, **more},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (made,) = out.glob("*.whl")
    assert list(out.glob("*.tar.gz"))
    return made


def test_the_wheel_holds_what_it_must(wheel: Path) -> None:
    assert wheel.stat().st_size < WHEEL_BYTES_MAX
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "matchcore/py.typed", "matchcore/_book.pxd", "matchcore/matchcore.h",
        "matchcore/_machine.pyi", "matchcore/journal/_planes.pyi",
        "matchcore/data/orders-ana-2019-5-21.csv.gz", "matchcore/data/LICENSE-orders-ana.txt",
    ):  # fmt: skip
        assert part in names
    assert not [name for name in names if name.endswith((".c", ".o")) or "tests" in name]
    assert [name for name in names if name.startswith("matchcore/journal/_planes.c")]


def test_the_base_install_is_enough_for_an_exchange(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    assert "FILLED" in run(python, "-I", ROOT / "examples" / "exchange.py", cwd=tmp_path)
    without = subprocess.run(
        [python, "-m", "matchcore", "info", "exchange.d"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert without.returncode == 2
    assert "matchcore[cli]" in without.stderr


def test_the_suites_pass_against_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for suite in OUTSIDE:
        shutil.copytree(ROOT / "tests" / suite, tmp_path / "tests" / suite)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npythonpath = tests/machine\naddopts = -q -x -p no:cacheprovider\n"
    )
    path = str(tmp_path / "installed")
    where = run(sys.executable, "-c", "import matchcore; print(matchcore.__file__)",
                cwd=tmp_path, PYTHONPATH=path)  # fmt: skip
    assert where.startswith(path)
    run(sys.executable, "-m", "pytest", "tests", cwd=tmp_path, PYTHONPATH=path,
        MATCHCORE_SKIP_SERVERS="1")  # fmt: skip
