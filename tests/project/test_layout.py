"""The house keeps its shape: floors, sizes, and what must never be in it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "matchcore"
LINES_MAX, FUNCTION_LINES_MAX = 500, 60

#: Floor -> rooms.  A file imports from its own room and from floors below.
FLOORS = {
    0: {"errors", "_children", "_closing", "_version"},
    1: {"records"},
    2: {"_book", "machine", "capi"},
    3: {"venues"},
    4: {"journal", "markets", "reports"},
    5: {"engine", "operations", "serving"},
    6: {"sinks", "importers", "analysis", "feeds", "gateways", "shards", "standby"},
    7: {"bench", "drills", "torture", "traffic"},
    8: {"cli"},
    9: {"__init__", "__main__"},
}
#: Rooms of one floor that may be imported all the same.
BESIDE = {("operations", "engine"), ("_book", "machine"), ("machine", "_book"),
          ("capi", "machine"), ("capi", "_book"), ("machine", "capi"),
          ("traffic", "drills")}  # fmt: skip
BANNED = re.compile(r"\b(pickle|marshal|shelve|eval|exec|utils?)\b")
PLACES = re.compile(r"/(home|root|work|opt|Users)/|file://|localhost|\bpypi-|\b(chatbot|LLM)\b")
TEXT = {".py", ".sh", ".pyx", ".pxd", ".pyi", ".h", ".md", ".toml", ".in", ".yml", ".cfg",
        ".js", ".mjs", ".css", ".html", ".json", ".txt", ".svg", ""}  # fmt: skip

FOLDERS = (".ci", ".github", "benchmarks", "docs", "examples", "findings", "matchcore", "tests")
TOP = {
    "CHANGELOG.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "pyproject.toml", "setup.py",
}  # fmt: skip


def sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def room(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def floor(name: str) -> int:
    found = [number for number, rooms in FLOORS.items() if name in rooms]
    assert len(found) == 1, f"{name}: which floor does it live on?"
    return found[0]


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms of matchcore that a Python or Cython file imports, or names in a string."""
    depth = len(path.relative_to(PACKAGE).parts)
    text = path.read_text()
    for line in text.splitlines():
        match = re.match(r"\s*from (\.+)(\w*)[\w.]* c?import (.+)", line)
        if match is None:
            continue
        dots, module, names = match.groups()
        if len(dots) == depth:  # from the top of the package
            for name in [module] if module else re.findall(r"\w+", names.partition("#")[0]):
                if module or not name.startswith("__"):
                    yield name
    for name in re.findall(r"""["']matchcore\.(\w+)[\w.]*["']""", text):  # for import_module, -m
        if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists():
            yield name


def test_every_room_has_a_floor_and_every_name_a_room() -> None:
    rooms = {room(path) for path in sources(".py", ".pyx", ".pxd")}
    assert {name for names in FLOORS.values() for name in names} == rooms


@pytest.mark.parametrize("path", sources(".py", ".pyx", ".pxd"), ids=str)
def test_imports_go_down(path: Path) -> None:
    mine = room(path)
    for other in imported_rooms(path):
        if other == mine:
            continue
        below = floor(other) < floor(mine)
        beside = (mine, other) in BESIDE
        assert below or beside, f"{path.name} imports {other} from its own floor or above"


def owned() -> list[Path]:
    """The files of the project, whether git is here or not."""
    found = [path for path in ROOT.iterdir() if path.name in TOP]
    for name in FOLDERS:
        found += [path for path in (ROOT / name).rglob("*") if "__pycache__" not in path.parts]
    return [path for path in found if path.is_file()]


def page_source(path: Path) -> bool:
    """Whether it is a file of the web page that we have written."""
    mine = path.suffix in {".js", ".css", ".html"}
    return mine and path.is_relative_to(PACKAGE) and path.parent.name != "lib"


def test_files_and_functions_fit_a_reader() -> None:
    for path in owned():
        if path.suffix in {".py", ".pyx", ".pxd"} or page_source(path):
            lines = len(path.read_text().splitlines())
            assert lines <= LINES_MAX, f"{path}: {lines} lines"
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    size = (node.end_lineno or 0) - node.lineno + 1
                    assert size <= FUNCTION_LINES_MAX, f"{path}: {node.name} has {size} lines"


def test_nothing_unsafe_is_called() -> None:
    for path in sources(".py", ".pyx"):
        code = "\n".join(line.partition("#")[0] for line in path.read_text().splitlines())
        found = BANNED.search(code)
        assert found is None, f"{path}: {found and found[0]}"


def test_no_machine_of_ours_is_mentioned() -> None:
    for path in owned():
        if path.suffix in TEXT and path != Path(__file__):
            found = PLACES.search(path.read_text())
            assert found is None, f"{path}: {found and found[0]}"


def test_the_libraries_of_the_page_are_locked_and_from_no_named_registry() -> None:
    place = PACKAGE / "feeds" / "npm"
    asked = json.loads((place / "package.json").read_text())["dependencies"]
    locked = json.loads((place / "package-lock.json").read_text())["packages"]
    for name, version in asked.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("resolved" not in package for package in locked.values())


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT)) in text, page
