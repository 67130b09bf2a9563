"""A short trial of an installed matchcore: python smoke.py VERSION, in an empty folder."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import matchcore as mc


def trade() -> None:
    """An exchange is opened, trades, and is the same one when it is opened again."""
    ana = mc.Instrument("ANA", tick="0.05", lot=1)
    with mc.Engine.open("exchange.d", instruments=[ana]) as engine:
        engine.submit(mc.NewOrder("ANA", mc.Side.SELL, quantity=74, price="95.70", account=1))
        taken = engine.submit(
            mc.NewOrder("ANA", mc.Side.BUY, quantity=30, price="95.75", account=2)
        )
        assert [trade.quantity for trade in taken.trades] == [30], taken
        before = engine.digest()
    with mc.Engine.open("exchange.d") as engine:
        assert engine.digest() == before
        left = engine.book("ANA").best_ask
        assert left is not None and left.quantity == 44, left


def find_the_c_interface() -> None:
    """What C and Cython include is installed."""
    headers, package = Path(mc.get_include()), Path(mc.__file__).parent
    for name in ("matchcore.h", "matchcore_capi.h"):
        assert (headers / name).is_file(), name
    for name in ("capi.pxd", "machine/_machine.pxd", "machine/core/records.pxd"):
        assert (package / name).is_file(), name


def ask_the_command_line() -> None:
    """`matchcore info` answers, or names the extra that it needs."""
    info = [sys.executable, "-m", "matchcore", "info", "exchange.d"]
    done = subprocess.run(info, capture_output=True, text=True)
    try:
        version("click")
    except ModuleNotFoundError:
        assert done.returncode == 2 and "matchcore[cli]" in done.stderr, done
    else:
        assert done.returncode == 0 and "ANA" in done.stdout, done


def show_the_page() -> None:
    """`matchcore demo --web` serves the page, or names the extra that it needs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    demo = [sys.executable, "-m", "matchcore", "demo", "--web", str(port), "--json"]
    try:
        version("picows")
    except ModuleNotFoundError:
        done = subprocess.run(demo, capture_output=True, text=True)
        assert done.returncode == 2 and "pip install 'matchcore[" in done.stdout + done.stderr, done
        return
    with subprocess.Popen(demo, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = json.loads("".join(iter(child.stdout.readline, "}\n")) + "}")
        with urlopen(said["url"]) as page:
            assert b'src="app.js"' in page.read()
        child.send_signal(signal.SIGINT)
        assert child.wait() == 0


if __name__ == "__main__":
    assert mc.__version__ == version("matchcore") == sys.argv[1], mc.__version__
    assert Path(mc.__file__).is_relative_to(sys.prefix), mc.__file__
    trade()
    find_the_c_interface()
    ask_the_command_line()
    show_the_page()
