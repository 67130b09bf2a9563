"""Two gateways behind haproxy, with the configuration of the examples."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from missing import missing

import matchcore as mc
from matchcore._children import environment

CONFIGURATION = Path(__file__).parents[2] / "examples" / "haproxy-gateways.cfg"
SECONDS_MAX = 60.0


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in made]


def healthy(port: int, path: str = "/health") -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def started(stack: ExitStack, *command: str, **more: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, env=environment(**more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def test_a_gateway_that_is_killed_or_frozen_is_replaced(tmp_path: Path) -> None:
    binary = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    line = f"unix:{tmp_path}/line"
    mc.Engine.open(tmp_path / "x", instruments=[mc.Instrument("ANA", "0.05")]).close()
    matchcore = (sys.executable, "-m", "matchcore")
    web_a, web_b, ouch_a, ouch_b, status_a, status_b, web, ouch, fix = map(str, free_ports(9))
    with ExitStack() as stack:
        started(stack, *matchcore, "serve", str(tmp_path / "x"), "--lines", line)
        a, b = [
            started(stack, *matchcore, "gateway", "--engine", line, "--web", one, "--ouch", two,
                    "--status", status, "--state", str(tmp_path / "state"))
            for one, two, status in ((web_a, ouch_a, status_a), (web_b, ouch_b, status_b))
        ]  # fmt: skip
        until(lambda: healthy(int(status_a), "/ready") and healthy(int(status_b), "/ready"))
        here = "127.0.0.1:{}".format
        balancer = started(
            stack, binary or missing("haproxy", "haproxy"), "-db", "-f", str(CONFIGURATION),
            WEB=here(web), WEB_A=here(web_a), WEB_B=here(web_b), OUCH=here(ouch),
            OUCH_A=here(ouch_a), OUCH_B=here(ouch_b), FIX=here(fix), FIX_A=here(web_a),
            FIX_B=here(web_b), STATUS_A=status_a, STATUS_B=status_b,
        )  # fmt: skip
        until(lambda: healthy(int(web)))
        with socket.create_connection(("127.0.0.1", int(ouch)), SECONDS_MAX) as client:
            a.send_signal(signal.SIGSTOP)  # the kernel still takes connections for it
            assert client.recv(1) == b"", "who was connected is cut off"
        until(lambda: healthy(int(web)))
        a.send_signal(signal.SIGCONT)
        until(lambda: healthy(int(status_a), "/ready"))
        b.kill()
        until(lambda: healthy(int(web)))
        assert balancer.poll() is None
