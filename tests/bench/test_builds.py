"""Two builds are compared figure by figure; how they compare is not for tests."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matchcore as mc

ROOT = Path(__file__).parents[2]
FIGURES = (
    "c-batches", "c-singles", "batch-4096", "batch-256", "sync", "os", "async", "replay", "submit",
    "submit-sync", "tasks-sync", "add", "cancel", "book", "bids", "ids-one", "ids-many",
    "instruments",
)  # fmt: skip


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`benchmarks.builds`, which the checkout only has."""
    if not (ROOT / "benchmarks" / "builds").is_dir():
        pytest.skip("the comparison of builds is in the checkout only")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import builds

    monkeypatch.setattr(builds.worker, "SYNCED", 8)
    monkeypatch.setattr(builds.worker, "LOOKS", 2)
    return builds


@pytest.fixture
def small(builds: Any) -> Any:
    return builds.Size(count=500, operations=500, crowd=500, instruments=20)


def test_every_figure_of_small_sizes(builds: Any, small: Any, tmp_path: Path) -> None:
    assert {*FIGURES, "start", "start-ours"} == set(builds.FIGURES)
    builds.write_inputs(tmp_path, FIGURES, small)
    for name in FIGURES:
        assert builds.FIGURES[name].take(tmp_path) > 0, name


def test_a_build_beside_itself(builds: Any, small: Any) -> None:
    names, seen = ["add", "c-batches", "start-ours"], list[str]()
    found = builds.compare(Path(sys.executable), names, pairs=1, size=small, progress=seen.append)
    assert seen == [figure["name"] for figure in found["figures"]] == names
    assert found["versions"] == {"this": mc.__version__, "other": mc.__version__}
    for figure in found["figures"]:
        assert 0 < figure["least"] <= figure["ratio"] <= figure["most"] and figure["this"] > 0
    assert len(builds.table(found).splitlines()) == 1 + len(names)


def test_records_of_another_layout(builds: Any, small: Any, tmp_path: Path) -> None:
    """Fields are copied by name: other places, a type of another width, a field of one side."""
    builds.write_inputs(tmp_path, ["c-batches"], small)
    flow = np.load(tmp_path / "flow.npy")
    fields = [(name, "<u8" if name == "kind" else mc.COMMAND[name]) for name in flow.dtype.names]
    other = np.zeros(len(flow), [("unknown", "<i8"), *reversed(fields[:-1])])
    for name, _ in fields[:-1]:
        other[name] = flow[name]
    np.save(tmp_path / "other.npy", other)
    assert (builds.worker.commands(tmp_path, "other") == flow).all()


def python_without(place: Path, code: str) -> Path:
    """A Python in which some code ran first."""
    script = place / "python"
    text = f"import runpy, sys; sys.argv = sys.argv[1:]; {code}; runpy.run_path(sys.argv[0], "
    first = place / "first.py"
    first.write_text(text + "run_name='__main__')\n")
    script.write_text(f'#!{shutil.which("sh")}\nexec "{sys.executable}" "{first}" "$@"\n')
    script.chmod(0o755)
    return script


def test_a_figure_that_a_build_lacks_is_told(builds: Any, small: Any, tmp_path: Path) -> None:
    old = python_without(tmp_path, "sys.modules['matchcore.bench._loops'] = None")
    found = builds.compare(old, ["c-batches", "add"], pairs=1, size=small)
    lacks, has = found["figures"]
    assert lacks["problem"].startswith("other build: ") and "_loops" in lacks["problem"]
    assert "ratio" not in lacks and has["ratio"] > 0
    assert lacks["problem"] in builds.table(found)


def test_a_python_without_matchcore(
    builds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import beside

    none = python_without(tmp_path, "sys.modules['matchcore'] = None")
    for python, why in ((none, "matchcore"), (tmp_path / "nothing", "cannot be run")):
        monkeypatch.setattr(sys, "argv", ["beside", "--build", str(python), "--figure", "add"])
        with pytest.raises(SystemExit, match=why):
            beside.main()


def test_the_command_prints_json(
    builds: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import beside

    given = ["beside", "--build", sys.executable, "--figure", "add", "--pairs", "1", "--json"]
    monkeypatch.setattr(sys, "argv", given)
    beside.main()
    (figure,) = json.loads(capsys.readouterr().out)["figures"]
    assert figure["name"] == "add" and figure["ratio"] > 0
    monkeypatch.setattr(sys, "argv", [*given, "--", "./program"])
    with pytest.raises(SystemExit, match="2"):
        beside.main()
