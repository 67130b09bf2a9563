"""A small exchange goes through failures under load and keeps its promises; figures of a drill."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matchcore.drills.attacks import JUMP_SECONDS
from matchcore.drills.cluster import noted
from matchcore.drills.drill import Report, Round, percentile
from matchcore.drills.processes import exists, wait_until
from matchcore.journal import LogReader
from matchcore.journal.copies import REGION_EPOCHS

CLOCKS = "clocks an hour ahead and behind, and back"
MATCHCORE = [sys.executable, "-m", "matchcore"]
TIMEOUT = 300


def ran(*words: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and what it printed."""
    done = subprocess.run(
        [*MATCHCORE, *words, "--json"], capture_output=True, text=True, timeout=TIMEOUT
    )
    return done.returncode, json.loads(done.stdout)


def test_rounds_of_a_drill_keep_every_promise(tmp_path: Path) -> None:
    faults = ("primary killed", "planned switch", "primary frozen", "all servers killed",
              "gateway killed", CLOCKS, "region promoted")  # fmt: skip
    words = [word for fault in faults for word in ("--fault", fault)]
    code, said = ran("drill", "--rounds", "7", "--seed", "1", "--dir", str(tmp_path / "d"), *words)
    assert code == 0 and said["good"], said["broken"]
    assert sorted(one["fault"] for one in said["rounds"]) == sorted(faults)
    for one in said["rounds"]:
        assert one["lost"] == 0 and one["rto"] > 0 and one["silence"] > 0
    last = said["rounds"][-1]
    assert last["sequence"] >= last["answered"] > 0
    assert not noted(tmp_path / "d")
    epochs = {one["fault"]: one["epochs"] for one in said["rounds"]}
    assert epochs["primary killed"] >= 1 and epochs["region promoted"] > REGION_EPOCHS
    with LogReader(tmp_path / "d" / "copy") as reader:  # engines and gateways have seen the jumps
        times = np.concatenate([frame.commands["time"] for frame in reader.read()])
    assert np.ptp(times) > JUMP_SECONDS * 10**9


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A cluster that runs in a process of its own, and what it said."""
    place = tmp_path_factory.mktemp("cluster") / "c"
    with subprocess.Popen(
        [*MATCHCORE, "cluster", "up", str(place), "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, text
            text += line
        yield place, json.loads(text)
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def ordered(place: Path, said: dict[str, Any], name: str) -> int:
    """The status of an order, sent until somebody answers."""
    (url,) = [part["where"] for part in said["parts"] if part["name"] == "gateway-1"]
    token = (place / "token").read_text()
    body = {"client_order_id": name, "symbol": "ANA", "side": "buy", "quantity": 1, "price": "95"}
    found: list[int] = []

    def answered() -> bool:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            connection.request("POST", "/orders", json.dumps(body), headers)
            found[:] = [connection.getresponse().status]
        except OSError:
            return False
        finally:
            connection.close()
        return found[0] in (200, 201)

    wait_until("an answer", answered)
    return found[0]


def test_a_cluster_takes_orders_and_survives_its_primary(
    cluster: tuple[Path, dict[str, Any]],
) -> None:
    place, said = cluster
    names = [part["name"] for part in said["parts"]]
    assert names[:3] == ["server-1", "server-2", "server-3"] and {"copy", "sql"} < set(names)
    assert str(place / "token") in said["curl"]
    assert ordered(place, said, "first") == 201
    assert ran("cluster", "status", str(place))[0] == 0
    pids = {part["role"]: part["pid"] for part in said["parts"] if part["role"]}
    os.kill(pids["primary"], signal.SIGKILL)
    assert ordered(place, said, "second") == 201
    assert ordered(place, said, "first") == 200  # sent again: it is not done again
    code, now = ran("cluster", "status", str(place))
    assert code == 1  # no standby
    roles = {part["pid"]: part["role"] for part in now["parts"]}
    assert roles[pids["standby"]] == "primary" and pids["primary"] not in roles


def test_a_second_cluster_in_the_same_folder_is_refused(
    cluster: tuple[Path, dict[str, Any]],
) -> None:
    code, said = ran("cluster", "up", str(cluster[0]))
    assert code == 2 and "a cluster runs there" in said["error"]


def test_down_ends_every_process_and_says_so(cluster: tuple[Path, dict[str, Any]]) -> None:
    place, _ = cluster
    parts = [part for part in noted(place)["parts"] if part["pid"]]
    code, said = ran("cluster", "down", str(place))
    assert code == 0 and len(said["ended"]) >= 8
    assert not any(exists(part["pid"], part["began"]) for part in parts)
    assert ran("cluster", "down", str(place)) == (
        2, {"error": f"{place}: no cluster runs there", "kind": "InvalidArgument"},
    )  # fmt: skip


def test_status_without_a_cluster_says_how_to_start_one(tmp_path: Path) -> None:
    code, said = ran("cluster", "status", str(tmp_path))
    assert code == 2 and "matchcore cluster up" in said["error"]


def test_a_fault_that_there_is_not_names_those_that_there_are(tmp_path: Path) -> None:
    code, said = ran("drill", "--fault", "earthquake", "--dir", str(tmp_path / "d"))
    assert code == 2 and "primary killed" in said["error"]


def test_all_faults_are_listed_with_what_they_need() -> None:
    code, said = ran("drill", "--list")
    found = {one["fault"]: one["option"] for one in said["faults"]}
    assert code == 0 and len(found) == len(said["faults"])
    assert found["gateway killed"] == found["region promoted"] == found[CLOCKS] == ""
    assert found["disk of the leading server full"] == "--full-disk"
    assert found["power cut of all servers"] == "--power-cut"
    assert found["primary cut off"] == "--netns"


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([1.0], 99) == 1.0
    assert percentile([float(n) for n in range(1, 101)], 50) == 50.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0
    assert percentile([1.0, 2.0, 3.0], 99) == 3.0


def test_a_table_has_a_row_for_each_fault_and_one_for_all() -> None:
    report = Report(1, [Round("a", ["x"], rto=5.0), Round("b", ["y"], rto=9.0, lost=1, rpo=3.0),
                        Round("a", ["x"], rto=7.0)])  # fmt: skip
    first, second, both = report.table()
    assert (first["fault"], first["rounds"], first["rto_ms_max"]) == ("a", 2, 7.0)
    assert (second["lost"], second["rpo_ms"]) == (1, 3.0)
    assert (both["fault"], both["rounds"], both["lost"], both["rto_ms_median"]) == (
        "all",
        3,
        1,
        7.0,
    )
