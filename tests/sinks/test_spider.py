"""A real sharded MySQL: Spider, a head that keeps no rows and two servers that do.

Tables are split by shard; instruments lie on one of the servers only, as far from the rows of
the other one's shard as a broadcast table of a sharded product: one commit of both could be torn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from mariadb_server import PASSWORD, USER, MariadbServer
from sink_kit import DAY, PLAIN_TABLES, contents, expected, filled, followed, logged
from sqlalchemy.dialects import mysql

import matchcore as mc
from matchcore.sinks.rows.tables import TABLES
from matchcore.sinks.sql.queries import Queries
from matchcore.sinks.sql.reconcile import reconcile
from matchcore.sinks.sql.schema import METADATA, Layout, ddl
from matchcore.sinks.sql.store import SqlStore

LAYOUT = "?layout=drds&read_timeout=10"  # sharded: instruments go first, in their own transaction


class Sharded:
    """Shard 0 on the first server, shard 1 on the second; instruments on the first."""

    def __init__(self, stack: ExitStack) -> None:
        self.head = MariadbServer(spider=True)
        self.backs = [MariadbServer(host="127.0.0.1"), MariadbServer(host="127.0.0.2")]
        for server in (*self.backs, self.head):
            stack.callback(server.close)
            server.start()
        for at, back in enumerate(self.backs):
            self.head.sql(
                f"CREATE SERVER s{at} FOREIGN DATA WRAPPER mysql OPTIONS (HOST '{back.host}',"
                f" DATABASE 'exchange', USER '{USER}', PASSWORD '{PASSWORD}', PORT {back.port})"
            )

    def fresh(self) -> str:
        url = self.head.fresh()
        for back in self.backs:
            back.fresh()
            back.sql(*ddl(mysql.dialect(), Layout()), database="exchange")
        for table, statement in zip(
            METADATA.sorted_tables, ddl(mysql.dialect(), Layout()), strict=True
        ):
            remote = f'wrapper "mysql", table "{table.name}"'
            split = ", ".join(
                f"PARTITION p{at} VALUES IN ({at}) COMMENT='srv \"s{at}\"'" for at in (0, 1)
            )
            where = f"COMMENT='{remote}' PARTITION BY LIST (shard) ({split})"
            if table.name == "instruments":
                where = f"COMMENT='{remote}, srv \"s0\"'"
            text = statement.replace("ENGINE=InnoDB", "ENGINE=SPIDER")
            self.head.sql(f"{text} {where}", database="exchange")
        return url + LAYOUT


@pytest.fixture(scope="module")
def sharded() -> Iterator[Sharded]:
    with ExitStack() as stack:
        yield Sharded(stack)


def test_a_shard_is_on_one_server(tmp_path: Path, sharded: Sharded) -> None:
    url = sharded.fresh()
    for shard in (0, 1):
        exchange = filled(tmp_path / str(shard), shard, 300)
        followed(exchange, url, shard=shard)
        assert contents(exchange, url, shard) == expected(*logged(exchange), shard)
        told = expected(*logged(exchange), shard)["trades"]
        with Queries(url, shard=shard) as ask:
            assert ask.trades("1970-01-02").tolist() == [row for row in told if row[-1] // DAY == 1]
            assert ask.minute_bars("1970-01-02")["trades"].sum() == len(ask.trades("1970-01-02"))
            assert ask.lives("ONE", told[0][10])
        for view, key in (("trades_view", "trade_id"), ("minute_bars_view", "start_ns")):
            seen = sharded.head.sql(
                f"SELECT symbol, {key} FROM exchange.{view}"
                f" WHERE shard = {shard} AND symbol = 'TWO'"
            )
            assert seen and {symbol for symbol, _ in seen} == {"TWO"}
    for shard, back in enumerate(sharded.backs):
        assert back.sql("SELECT DISTINCT shard FROM exchange.trades") == [(shard,)]
        assert back.sql("SELECT DISTINCT shard FROM exchange.positions") == [(shard,)]


@pytest.mark.parametrize("dies", [0, 1])
def test_a_torn_commit_is_made_whole(
    tmp_path: Path, sharded: Sharded, monkeypatch: pytest.MonkeyPatch, dies: int
) -> None:
    """One of the two servers is killed between the writes and the commit of a batch of shard 1."""
    url, exchange = sharded.fresh(), tmp_path / "e"
    filled(exchange, 1, 200)
    followed(exchange, url, shard=1)
    filled(exchange, 2, 200)
    with mc.Engine.open(exchange) as engine:
        engine.add_instrument(mc.Instrument("THREE", "0.1"))
    whole = SqlStore._write_rows

    def killing(self: SqlStore, connection: sa.Connection, *arguments: object) -> None:
        whole(self, connection, *arguments)  # type: ignore[arg-type]
        sharded.backs[dies].kill()

    with monkeypatch.context() as patched:
        patched.setattr(SqlStore, "_write_rows", killing)
        if dies == 1:
            with pytest.raises(mc.SinkError):
                followed(exchange, url, shard=1)
        else:  # the server of the instruments, which are committed: the shard is not touched
            followed(exchange, url, shard=1)
    sharded.backs[dies].start()
    if dies == 1:  # torn: the instrument is there, the batch and its position are not
        assert sharded.backs[0].sql("SELECT count(*) FROM exchange.instruments") == [(3,)]
        assert sharded.backs[1].sql("SELECT seq FROM exchange.positions") == [(202,)]
    followed(exchange, url, shard=1, patience=30.0)
    assert contents(exchange, url, 1) == expected(*logged(exchange), 1)


def test_reconcile_finds_and_repairs_one_shard_and_leaves_the_other(
    tmp_path: Path, sharded: Sharded
) -> None:
    """A changed, a missing and an extra row in each table of shard 1."""
    url, whole = sharded.fresh(), {}
    for shard in (0, 1):
        exchange = filled(tmp_path / str(shard), shard, 400)
        followed(exchange, url, shard=shard)
        assert reconcile(exchange, url, shard=shard).equal
        whole[shard] = contents(exchange, url, shard)
    exchange, planted = tmp_path / "1", 0
    for name in PLAIN_TABLES:
        spec = TABLES[name]
        back = sharded.backs[0 if name == "instruments" else 1]
        column = "lot" if name == "instruments" else [*spec.columns][-1]
        seqs = sorted({row[1] for row in whole[1][name]})
        where = f"FROM exchange.{name} WHERE shard = 1 AND seq ="
        names = ", ".join(one if one != "seq" else "seq + 90000" for one in spec.columns)
        back.sql(f"INSERT INTO exchange.{name} SELECT {names} {where} {seqs[-1]}")
        back.sql(f"DELETE {where} {seqs[0]}")
        changed = f"SET {column} = {column} + 1 WHERE shard = 1 AND seq = {seqs[-1]}"
        back.sql(f"UPDATE exchange.{name} {changed}")
        planted += 3
    report = reconcile(exchange, url, shard=1, repair=True)
    assert not report.equal and report.repaired == planted
    for shard in (0, 1):
        assert contents(tmp_path / str(shard), url, shard) == whole[shard]
        assert reconcile(tmp_path / str(shard), url, shard=shard).equal
