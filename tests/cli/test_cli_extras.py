"""Without an optional dependency the library works, and what needs it names the extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HALTED = "import sys\nfor name in {names!r}: sys.modules[name] = None\n{code}"
HOOKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
{code}
"""
MAIN = "sys.argv[1:] = ['--version']\nfrom matchcore.cli import main\nmain()"


def without(names: list[str], code: str, block: str, **more: Path) -> subprocess.CompletedProcess:
    """Runs code in a process where these modules cannot be imported."""
    program = block.format(names=names, code=code)
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize("block", [HALTED, HOOKED], ids=["halted", "hooked"])
@pytest.mark.parametrize("name", ["click", "rich"])
def test_the_command_line_names_its_extra(name: str, block: str) -> None:
    done = without([name], MAIN, block)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "matchcore: the command line needs an optional dependency: pip install 'matchcore[cli]'\n"
    )


def test_another_missing_module_is_not_blamed_on_the_extra() -> None:
    done = without(["lz4"], MAIN, HALTED)
    assert done.returncode == 1 and "lz4" in done.stderr
    assert "matchcore[cli]" not in done.stderr


@pytest.mark.parametrize("block", [HALTED, HOOKED], ids=["halted", "hooked"])
def test_a_picture_names_its_extra(tmp_path: Path, block: str) -> None:
    code = """
import matchcore as mc
from matchcore.analysis import draw
try:
    draw("day.png", "e", "ANA")
except mc.MissingExtra as error:
    print(error.extra, "|", error, "|", isinstance(error, ImportError))
"""
    done = without(["matplotlib"], code, block, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "plot | the picture of a day needs an optional dependency:"
        " pip install 'matchcore[plot]' | True\n"
    )
    assert not any(tmp_path.iterdir())


def test_the_library_needs_no_extra(tmp_path: Path) -> None:
    code = """
import matchcore as mc
from matchcore.importers import FORMATS, sample_day
from matchcore.analysis import LEVELS
from matchcore.sinks import open_sink
with mc.Engine.open("e", instruments=[mc.Instrument("ANA", "0.05")]) as engine:
    engine.submit(mc.NewOrder("ANA", mc.Side.BUY, 5, "1.00"))
    sink = open_sink("sqlite:///x.db", engine.identity)
with mc.Follower("e", sink) as follower:
    print(follower.run().sequence, LEVELS)
"""
    done = without(["click", "rich", "matplotlib"], code, HOOKED, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2 5\n"), done.stderr


def test_the_command_line_does_not_load_what_it_may_not_need() -> None:
    code = (
        "import sys, matchcore.cli.app as app\n"
        "print([name for name in ('matplotlib', 'matchcore.bench') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("name", ["Queries", "reconcile", "to_frame"])
def test_what_needs_a_database_names_its_extra(name: str) -> None:
    code = f"import matchcore.sinks\ntry: matchcore.sinks.{name}\nexcept ImportError as e: print(e)"
    for block in (HALTED, HOOKED):
        done = without(["sqlalchemy"], code, block)
        assert done.stdout.endswith("optional dependency: pip install 'matchcore[sql]'\n"), done
    code = "import matchcore.sinks\nprint(hasattr(matchcore.sinks, 'nothing'))"
    assert without(["sqlalchemy"], code, HOOKED).stdout == "False\n"
