"""The file of an exchange with several shards: which instruments live on which log."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, ShardError
from ..records.arguments import SHARD_MAX

SHARDS_MAX = 1024
PLAN_BYTES_MAX = 16 << 20
#: 16 characters fit into the entry of the register that a moved instrument leaves.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
_KEYS = frozenset({"number", "log", "instruments"})


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a plan.

    - ``name``: up to 16 lower-case letters, digits and hyphens.
    - ``number``: of its rows in a database that shards share (``--shard``).
    - ``log``: a directory, or the address of a replicated log.
    - ``instruments``: symbols.
    """

    name: str
    number: int
    log: str
    instruments: tuple[str, ...]


class Plan:
    """The shards of an exchange, in the order of their file.

    ``shards``: by name; ``places``: the shard of each symbol.  `ShardError` for two shards with one
    name, number, log or instrument, or without any shard.
    """

    def __init__(self, shards: Iterable[Shard], *, path: str = "plan") -> None:
        self.path = path
        self.shards: dict[str, Shard] = {}
        self.places: dict[str, Shard] = {}
        numbers: dict[int, str] = {}
        logs: dict[str, str] = {}
        for shard in shards:
            self._once(self.shards, shard.name, shard, "the name")
            self._once(numbers, shard.number, shard.name, "the number")
            self._once(logs, shard.log, shard.name, "the log")
            for symbol in shard.instruments:
                self._once(self.places, symbol, shard, "the instrument")
        if not 0 < len(self.shards) <= SHARDS_MAX:
            raise ShardError(f"{path}: {len(self.shards)} shards: must be 1 to {SHARDS_MAX}")

    def _once(self, found: dict[Any, Any], key: object, value: object, what: str) -> None:
        if key in found:
            raise ShardError(f"{self.path}: {what} {key!r} is there twice")
        found[key] = value

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Plan:
        """The plan of the TOML file ``path`` (docs/availability/shards.md).

        A directory of a log is relative to the file.  `ShardError` for a plan that says something
        else than a plan can; OSError if the file cannot be read.
        """
        file = Path(path)
        with file.open("rb") as source:
            data = source.read(PLAN_BYTES_MAX + 1)
        if len(data) > PLAN_BYTES_MAX:
            raise ShardError(f"{file}: more than {PLAN_BYTES_MAX} bytes")
        try:
            said = _toml(data.decode())
        except ValueError as error:
            raise ShardError(f"{file}: {error}") from None
        table = said.pop("shards", None)
        if said:
            raise ShardError(f"{file}: {next(iter(said))!r}: only tables [shards.NAME] are known")
        if not isinstance(table, Mapping):
            raise ShardError(f"{file}: has no table [shards.NAME]")
        found = [_shard(file, name, row) for name, row in table.items()]
        return cls(found, path=str(file))

    def only(self, *names: str) -> Plan:
        """The plan with the shards ``names`` alone."""
        return Plan([one for name, one in self.shards.items() if name in names], path=self.path)

    def moved(self, symbol: str, to: str) -> Plan:
        """The plan with the instrument ``symbol`` on the shard ``to``."""
        shards = []
        for shard in self.shards.values():
            symbols = [one for one in shard.instruments if one != symbol]
            symbols += [symbol] if shard.name == to else []
            shards.append(replace(shard, instruments=tuple(symbols)))
        return Plan(shards, path=self.path)

    def __getitem__(self, name: str) -> Shard:
        """The shard of a name; `ShardError` if there is none."""
        if name not in self.shards:
            names = ", ".join(self.shards)
            raise ShardError(f"{self.path}: no shard {name!r}; there are {names}")
        return self.shards[name]

    def shard_of(self, symbol: str) -> Shard:
        """The shard of the instrument ``symbol``; `ShardError` if the plan does not name it."""
        if symbol not in self.places:
            raise ShardError(f"{self.path}: no shard has the instrument {symbol!r}")
        return self.places[symbol]


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise MissingExtra("a plan of shards, before Python 3.11,", "cli") from None
    found: dict[str, Any] = tomllib.loads(text)
    return found


def _shard(file: Path, name: str, row: object) -> Shard:
    where = f"{file}: [shards.{name}]"
    if not _NAME.fullmatch(name):
        raise ShardError(f"{where}: a name has 1 to 16 lower-case letters, digits and hyphens")
    if not isinstance(row, Mapping):
        raise ShardError(f"{where}: must be a table")
    if unknown := set(row) - _KEYS:
        raise ShardError(f"{where}: {min(unknown)!r}: must be one of {', '.join(sorted(_KEYS))}")
    number, log, symbols = (row.get(key) for key in ("number", "log", "instruments"))
    if type(number) is not int or not 0 <= number <= SHARD_MAX:
        raise ShardError(f"{where}: number {number!r}: must be 0 to {SHARD_MAX}")
    if not isinstance(log, str) or not log:
        raise ShardError(f"{where}: log {log!r}: must be a directory or an address")
    if not isinstance(symbols, list) or not all(isinstance(one, str) for one in symbols):
        raise ShardError(f"{where}: instruments: must be a list of symbols")
    where_to = log if "://" in log else str(file.absolute().parent / log)
    return Shard(name, number, where_to, tuple(symbols))
