"""The statements that make the tables and views, for any kind of database."""

from __future__ import annotations

from importlib import import_module

from ...errors import MissingExtra, SinkError


def statements(kind: str, layout: str, partitions: int, sub: int) -> list[str]:
    """The tables and views of a kind of database, in the order in which they must be made.

    ``kind``: "sqlite", "mysql" or "postgresql"; ``layout``, ``partitions`` and ``sub``: how MySQL
    spreads the tables.  `SinkError` for a layout that the kind does not have.
    """
    try:
        dialects = import_module(f"sqlalchemy.dialects.{kind}")
    except ImportError:
        raise MissingExtra("matchcore ddl", "sql") from None
    from . import views
    from .schema import Layout, check_layout, ddl

    check_layout(layout)
    if layout != "plain" and kind != "mysql":
        raise SinkError(f"layout {layout!r} is one of mysql, not of {kind}")
    dialect = dialects.dialect()
    return [*ddl(dialect, Layout(layout, partitions, sub)), *views.ddl(dialect).values()]
