"""A real MariaDB of the tests' own: free loopback port, data in a temporary directory.

With `spider`, tables of its own may lie on other servers: a sharded MySQL.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import pymysql
from missing import missing

PLUGINS = ("/usr/lib/mysql/plugin", "/usr/lib64/mysql/plugin", "/usr/lib64/mariadb/plugin")
USER, PASSWORD = "matchcore", "secret word"
STARTING_SECONDS_MAX = 60.0
#: What a new server needs; again, if it was cut off in the middle.
FIRST = (
    "CREATE DATABASE IF NOT EXISTS exchange",
    f"CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{PASSWORD}'",
    f"GRANT ALL ON *.* TO {USER}@'%'",
)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        found: int = probe.getsockname()[1]
        return found


@cache
def _new_data(install: str, *options: str) -> Path:
    """The data of a new server: made once in a run, and copied, as it takes seconds."""
    place = tempfile.mkdtemp(prefix="matchcore-mariadb-new-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    command = [install, "--no-defaults", f"--datadir={place}/data", *options,
               "--auth-root-authentication-method=normal", "--skip-test-db"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(place, "data")


class MariadbServer:
    """One server; `kill` is a crash, `start` after it recovers."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        spider: bool = False,
        options: tuple[str, ...] = (),
        copy_of: MariadbServer | None = None,
        programs: Path = Path("/usr/sbin"),
    ) -> None:
        """`copy_of`: begins with the data of one that is stopped.  `programs`: that it may run."""
        found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
        install = shutil.which("mariadb-install-db")
        if found is None or install is None:
            missing("MariaDB", "mariadb-server")
        if spider and not any(Path(place, "ha_spider.so").exists() for place in PLUGINS):
            missing("MariaDB's Spider", "mariadb-plugin-spider")
        self._program, self.host, self._spider, self._options = found, host, spider, options
        self._programs = programs
        self.place = Path(tempfile.mkdtemp(prefix="matchcore-mariadb-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port: int = free_port(host)
        self._as = ["--user=root"] if os.geteuid() == 0 else []
        self._first = copy_of is None
        data = _new_data(install, *self._as) if copy_of is None else copy_of.place / "data"
        shutil.copytree(data, self.place / "data")

    def start(self, *options: str) -> None:
        """Returns when it answers; after a crash it has recovered then."""
        self.launch(*options)
        self.await_answer()

    def launch(self, *options: str) -> None:
        command = [
            self._program, "--no-defaults", f"--datadir={self.place}/data", *self._as,
            f"--bind-address={self.host}", f"--port={self.port}", f"--socket={self.place}/s",
            f"--pid-file={self.place}/pid", "--innodb-buffer-pool-size=64M", "--skip-name-resolve",
            *self._options, *options,
        ]  # fmt: skip
        if self._spider:
            command += ["--plugin-load-add=ha_spider", "--plugin-maturity=gamma"]
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"},
            )  # fmt: skip

    def await_answer(self) -> None:
        until = time.monotonic() + STARTING_SECONDS_MAX
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(f"{self.place}/s")
                # a node of a cluster answers before it is ready, and takes no statement then
                self.sql("SELECT 1", *(FIRST if self._first else ()))
                self._first = False
                return
            except (OSError, pymysql.OperationalError):
                assert self._process is not None and self._process.poll() is None, self.log()
                assert time.monotonic() < until, self.log()
                time.sleep(0.05)

    def url(self, database: str = "exchange", *, port: int = 0) -> str:
        """``mysql://…``; `port` is that of a proxy."""
        word = PASSWORD.replace(" ", "%20")
        return f"mysql://{USER}:{word}@{self.host}:{port or self.port}/{database}"

    def sql(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Runs statements as root; the rows of the last one."""
        with (
            pymysql.connect(
                unix_socket=f"{self.place}/s", user="root", database=database, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def fresh(self, database: str = "exchange") -> str:
        """An empty database; its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
        return self.url(database)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """A clean end."""
        self._end(signal.SIGTERM)

    def signal(self, what: signal.Signals) -> None:
        """Such as SIGSTOP: it is there, and says nothing until SIGCONT."""
        if self._process is not None:
            self._process.send_signal(what)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """Ends it, and takes the directory away."""
        self.kill()
        shutil.rmtree(self.place, ignore_errors=True)

    def log(self) -> str:
        return (self.place / "log").read_text(errors="replace")
