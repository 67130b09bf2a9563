"""What the pages and examples say runs as they say it."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/quickstart.md", "docs/persistence.md", "docs/idempotence.md",
         "docs/queries.md", "docs/what-if.md", "docs/operations.md",
         "docs/feeds/client.md", "docs/feeds/itch.md", "docs/orders.md",
         "docs/gateways/reports.md", "docs/gateways/lines.md",
         "docs/markets/index.md", "docs/markets/venues.md")  # fmt: skip


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_python_on_the_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if page != "README.md":  # the other pages go on with the exchange that the first one makes
        exec(compile(blocks("README.md")[0], "README.md", "exec"), {})
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"{page}, block {number}", "exec"), names)


def generator(monkeypatch: pytest.MonkeyPatch, name: str = "generate_reference") -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module(name)


def test_the_reference_is_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    page = generator(monkeypatch).page()
    assert page == (ROOT / "docs" / "reference.md").read_text()
    assert not re.search(r" at 0x|ForwardRef|/site-packages/", page)


def test_the_rule_tables_on_the_page_are_those_of_the_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (ROOT / "docs" / "markets" / "venues.md").read_text()
    assert generator(monkeypatch, "generate_venues").page(page) == page
    assert len(page.splitlines()) > 200


def test_every_public_name_and_argument_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    assert generator(monkeypatch).undocumented() == []


def test_every_example_is_linked_from_a_page() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    linked = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())
    }
    for example in (ROOT / "examples").glob("[!_]*"):
        inside = set(example.rglob("*.py")) if example.is_dir() else set()
        assert linked & {example, *inside}, f"no page links {example.name}"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    maker = [sys.executable, str(ROOT / "examples" / "exchange.py")]
    subprocess.run(maker, cwd=tmp_path, check=True, capture_output=True)
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(example)], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_the_example_is_built_and_trades(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "strategy", tmp_path / "s")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tmp_path / "s", check=True, capture_output=True,
    )  # fmt: skip
    (built,) = (tmp_path / "s").glob("market_maker.*.so")
    code = "import json, market_maker; print(json.dumps(market_maker.run(10_000)))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=built.parent, check=True, capture_output=True, text=True
    ).stdout
    found = json.loads(said)
    assert found["trades"] == 10_000  # each taker meets the quote it aims at
    assert found["bid"] + 4 == found["ask"]
    assert found["worth"] == found["cash"] + found["position"] * (found["bid"] + 2)


DOCTESTS = [
    "machine._orderbook", "records.events", "records.instruments", "records.market",
    "records.market_texts", "records.order_faces", "engine.engine", "engine.forks",
    "engine.orders", "records._ids", "reports.stored", "markets",
]  # fmt: skip


@pytest.mark.parametrize("module", DOCTESTS)
def test_docstrings_run(module: str) -> None:
    tested = doctest.testmod(importlib.import_module(f"matchcore.{module}"))
    assert tested.attempted and not tested.failed


FOLDERS = ("docs", "tests")
MARKDOWN = [ROOT / "README.md", ROOT / "CHANGELOG.md",
            *sorted(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))]  # fmt: skip
COLUMNS = 100


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_wrapped(page: Path) -> None:
    """Tables, code, and lines that one link or piece of code makes long are free."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for line in prose.splitlines():
        words = re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`", "", line)
        unbroken = len(words.split()) <= 1
        assert len(line) <= COLUMNS or line.startswith("|") or unbroken, line


def docstrings() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "matchcore").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, ast.get_docstring(node) or ""
    for path in sorted((ROOT / "matchcore").rglob("*.py[xi]")):  # all of their text
        yield path, path.read_text()


def test_cannot_is_one_word() -> None:
    for path, text in [*((page, page.read_text()) for page in MARKDOWN), *docstrings()]:
        found = re.search(r"\bcan\s+not\b", text, re.IGNORECASE)
        assert found is None, f"{path}: {text[found.start() - 40 : found.end() + 40]!r}"


def test_the_changelog_says_each_thing_once() -> None:
    """Branches that are merged line by line leave sections and entries twice."""
    entry = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1]
    lines = re.findall(r"^(?:### |- ).*", entry, re.MULTILINE)
    assert sorted({line for line in lines if lines.count(line) > 1}) == []
