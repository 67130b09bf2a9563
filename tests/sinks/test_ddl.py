"""The tables as text, for each layout: golden files, so that no change of them is an accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

import matchcore as mc
from matchcore.sinks.sql import views
from matchcore.sinks.sql.schema import Layout, check_layout, ddl, layout_of

GOLDEN = Path(__file__).parent / "ddl"
LAYOUTS: dict[str, tuple[Dialect, Layout]] = {
    "sqlite": (sqlite.dialect(), Layout()),
    "postgresql": (postgresql.dialect(), Layout()),
    "mysql": (mysql.dialect(), Layout()),
    "mysql-partitions": (mysql.dialect(), Layout("partitions", 8)),
    "polardbx-auto": (mysql.dialect(), Layout("polardbx", 16)),
    "drds": (mysql.dialect(), Layout("drds")),
    "drds-tbpartition": (mysql.dialect(), Layout("drds", sub=4)),
}


def text_of(name: str) -> str:
    return "".join(f"{statement};\n" for statement in ddl(*LAYOUTS[name]))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_tables_are_those_of_the_golden_file(name: str) -> None:
    assert text_of(name) == (GOLDEN / f"{name}.sql").read_text()


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mysql"])
def test_the_views_are_those_of_the_golden_file(name: str) -> None:
    text = "".join(f"{statement};\n" for statement in views.ddl(LAYOUTS[name][0]).values())
    assert text == (GOLDEN / f"{name}-views.sql").read_text()


@pytest.mark.parametrize("name", ["polardbx-auto", "drds", "drds-tbpartition"])
def test_sharded_tables_are_split_by_shard_or_broadcast(name: str) -> None:
    dialect, layout = LAYOUTS[name]
    for statement in ddl(dialect, layout):
        assert "GLOBAL" not in statement and "PRIMARY KEY (shard" in statement
        broadcast = statement.endswith(" BROADCAST")
        assert broadcast == ("CREATE TABLE instruments" in statement)
        if not broadcast:
            assert "(shard) " in statement.splitlines()[-1] + " "


@pytest.mark.parametrize(
    ("version", "made", "layout"),
    [
        ("10.11.14-MariaDB-0+deb12u2", "", "plain"),
        ("8.0.36", "", "plain"),
        ("5.7.25-TDDL-5.4.13-16534775", "/* MODE = 'auto' */", "polardbx"),
        ("5.7.25-TDDL-5.4.12-16349923", "/* MODE = 'drds' */", "drds"),
        ("8.0.32-PolarDB-X-2.4.0", "CREATE DATABASE `x` /* MODE = 'AUTO' */", "polardbx"),
        ("5.6.29-TDDL-5.3.12", "", "drds"),
    ],
)
def test_a_product_is_known_by_its_version(version: str, made: str, layout: str) -> None:
    assert layout_of(version, made) == layout


def test_an_unknown_layout_names_those_there_are() -> None:
    expected = "layout 'round': must be one of plain, partitions, polardbx"
    with pytest.raises(mc.SinkError, match=expected):
        check_layout("round")
