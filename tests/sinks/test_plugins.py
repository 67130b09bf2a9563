"""A store of a third party: a small installed package, found by its entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sink_kit import expected, filled, logged

PLUGIN = '''
"""Keeps the rows of an exchange as JSON lines: not durable, but a whole store."""
import json
from pathlib import Path

import numpy as np
from matchcore.journal import Position
from matchcore.sinks import TABLES


class Lines:
    def __init__(self, path):
        self.path, self.tables, self.at = Path(path), {}, None
        if self.path.exists():
            self.at, self.tables = json.loads(self.path.read_text())

    def position(self, shard):
        return Position(*self.at) if self.at else None

    def read(self, shard, table, column="", values=()):
        made = np.array([self._row(row) for row in self.tables.get(table, ())], TABLES[table].dtype)
        return made[np.isin(made[column], values)] if column else made

    def write(self, shard, epoch, first, last, rows):
        if self.at and last <= self.at[1]:
            return
        for table, seqs in rows.gone.items():
            known = self.tables.get(table, [])
            self.tables[table] = [row for row in known if row[1] not in seqs]
        for table, new in rows.new.items():
            self.tables.setdefault(table, []).extend(map(self._plain, new.tolist()))
        self.at = (epoch, last)
        self.path.write_text(json.dumps([self.at, self.tables]))

    def _plain(self, row):
        return [value.decode() if isinstance(value, bytes) else value for value in row]

    def _row(self, row):
        return tuple(value.encode() if isinstance(value, str) else value for value in row)

    def close(self):
        pass


def open_lines(url, identity, shard):
    assert len(identity) == 16 and shard == 0
    return Lines(url.removeprefix("lines://"))
'''
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "matchcore-lines"
version = "1"
[project.entry-points."matchcore.sinks"]
lines = "lines_store:open_lines"
[tool.setuptools]
py-modules = ["lines_store"]
"""


def test_an_installed_store_is_found_by_its_scheme(tmp_path: Path) -> None:
    package, target = tmp_path / "package", tmp_path / "installed"
    package.mkdir()
    (package / "pyproject.toml").write_text(PROJECT)
    (package / "lines_store.py").write_text(PLUGIN)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(package)], check=True)
    exchange, file = filled(tmp_path / "e", 1, 300), tmp_path / "rows.json"
    program = (
        f"import sys; sys.path.append({str(target)!r})\n"
        "import matchcore as mc\n"
        "from matchcore.journal import identity_of\n"
        "from matchcore.sinks import open_sink\n"
        "from matchcore.engine import follower as following\nfollowing.BUNDLE_COMMANDS = 50\n"
        f"sink = open_sink('lines://{file}', identity_of({str(exchange)!r}))\n"
        f"with mc.Follower({str(exchange)!r}, sink) as follower: follower.run()\n"
    )
    for seed in (1, 2):  # the second one goes on from what the store says
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        at, tables = json.loads(file.read_text())
        wanted = expected(*logged(exchange))
        assert at[1] == len(logged(exchange)[0])
        for name, rows in wanted.items():
            plain = [[v.decode() if isinstance(v, bytes) else v for v in row] for row in rows]
            assert sorted(tables.get(name, [])) == plain, name
        filled(exchange, seed + 1, 300)


@pytest.mark.parametrize(
    ("url", "missing", "extra"),
    [
        ("mysql://user:word@127.0.0.1/x", "pymysql", "mysql"),
        ("mysql://user:word@127.0.0.1/x", "sqlalchemy", "sql"),
        ("sqlite:///x.db", "sqlalchemy", "sql"),
    ],
)
def test_a_missing_driver_names_the_extra(url: str, missing: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from matchcore.sinks import open_store\n"
        f"open_store({url!r}, bytes(16))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"pip install 'matchcore[{extra}]'" in done.stderr.splitlines()[-1]
    assert "word" not in done.stderr.splitlines()[-1]
