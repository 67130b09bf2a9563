"""Databases that follow a log.  A sink keeps its position in the same transaction as its rows.

Queries, data frames, reconcile, rebuild and the statements of the tables need SQLAlchemy (extra
`sql`) and are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from .interface import SinkAway, Store
from .opening import RowSink, open_sink, open_store
from .process import FollowerProcess
from .rows import TABLES, Rows

if TYPE_CHECKING:
    from .sql.ddl import statements
    from .sql.frames import to_arrow, to_frame
    from .sql.queries import Queries
    from .sql.rebuild import rebuild
    from .sql.reconcile import reconcile

#: name -> its module in `sql`
_OF_SQL = {
    "Queries": "queries",
    "rebuild": "rebuild",
    "reconcile": "reconcile",
    "statements": "ddl",
    "to_arrow": "frames",
    "to_frame": "frames",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_SQL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".sql.{_OF_SQL[name]}", __name__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sqlalchemy":
            raise
        raise MissingExtra(f"{__name__}.{name}", "sql") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "TABLES",
    "FollowerProcess",
    "Queries",
    "RowSink",
    "Rows",
    "SinkAway",
    "Store",
    "open_sink",
    "open_store",
    "rebuild",
    "reconcile",
    "statements",
    "to_arrow",
    "to_frame",
]
