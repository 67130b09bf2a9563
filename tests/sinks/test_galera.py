"""Followers into a real Galera cluster: a lost quorum, a node that is behind, two first starts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pymysql
import pytest
from galera_cluster import GaleraCluster
from mariadb_server import MariadbServer
from proxy import Proxy
from running import Running
from sink_kit import contents, expected, filled, followed, logged

import matchcore as mc


@pytest.fixture(scope="module")
def cluster() -> Iterator[GaleraCluster]:
    with closing(GaleraCluster()) as made:
        yield made


@pytest.fixture
def nodes(cluster: GaleraCluster) -> list[MariadbServer]:
    """With an empty database."""
    cluster.fresh()
    return cluster.nodes


def standing(node: MariadbServer) -> int:
    try:
        ((sequence,),) = node.sql("SELECT seq FROM exchange.positions")
    except (pymysql.MySQLError, ValueError):
        return -1
    return int(str(sequence))


def test_two_first_followers_at_two_nodes_do_not_end_each_other(
    tmp_path: Path, cluster: GaleraCluster, nodes: list[MariadbServer]
) -> None:
    """Both begin to make the tables; one wins, and the other waits until all is there."""
    exchange = filled(tmp_path / "e", 1, 100)
    for _ in range(3):
        cluster.fresh()
        together, failed = threading.Barrier(2), []

        def first(node: MariadbServer) -> None:
            together.wait()  # noqa: B023 - of this turn
            try:
                followed(exchange, node.url(), patience=30.0)
            except mc.MatchcoreError as error:
                failed.append(error)  # noqa: B023

        threads = [threading.Thread(target=first, args=(node,)) for node in nodes[:2]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
    assert contents(exchange, nodes[0].url()) == expected(*logged(exchange))


def test_an_address_that_moves_to_a_node_that_is_behind(
    tmp_path: Path, nodes: list[MariadbServer]
) -> None:
    """The rows come late there, and twice: from the cluster, and from the follower."""
    exchange = filled(tmp_path / "e")
    behind = nodes[2]
    with (
        closing(Proxy("127.0.0.1", nodes[0].port)) as proxy,
        Running(exchange, nodes[0].url(port=proxy.port)) as running,
    ):
        running.until(lambda: standing(behind) == 602)
        with (
            pymysql.connect(unix_socket=f"{behind.place}/s", user="root") as held,
            held.cursor() as cursor,
        ):
            cursor.execute("SET GLOBAL wsrep_desync = ON")
            cursor.execute("FLUSH TABLES WITH READ LOCK")
            filled(exchange, 2)
            running.until(lambda: standing(nodes[0]) == 1202)
            assert standing(behind) == 602
            proxy.move("127.0.0.1", behind.port)
            running.until_said("stands at sequence 602, and stood at 1202 before")
            cursor.execute("UNLOCK TABLES")
            cursor.execute("SET GLOBAL wsrep_desync = OFF")
        running.until(lambda: standing(behind) == 1202)
        filled(exchange, 3)
        running.until(lambda: all(standing(node) == 1802 for node in nodes))
    for node in nodes:
        assert contents(exchange, node.url()) == expected(*logged(exchange))


def test_a_lost_quorum_passes(
    tmp_path: Path, cluster: GaleraCluster, nodes: list[MariadbServer]
) -> None:
    exchange = filled(tmp_path / "e")
    with Running(exchange, nodes[0].url() + "?read_timeout=5") as running:
        running.until(lambda: standing(nodes[0]) == 602)
        cluster.lose_the_quorum()
        filled(exchange, 2)
        running.until_said("retrying")
        running.until_said("WSREP has not yet prepared node")
        cluster.find_the_quorum()
        running.until(lambda: standing(nodes[0]) == 1202)
        running.until_said("accepts rows again")
    assert contents(exchange, nodes[0].url()) == expected(*logged(exchange))
