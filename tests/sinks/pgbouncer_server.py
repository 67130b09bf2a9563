"""A real PgBouncer of the tests' own before a PostgreSQL, pooling by transaction.

Its servers are changed all the time: no transaction may need what another one left in a session.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from missing import missing
from sqlalchemy import make_url

STARTING_SECONDS_MAX = 30.0
#: `server_lifetime`: a server is left soon after its transaction; round robin: the next
#: transaction of a client takes another one.
SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {place}/users
pool_mode = transaction
default_pool_size = 3
min_pool_size = 0
server_round_robin = 1
server_lifetime = 1
max_client_conn = 50
"""


class PgBouncer:
    """One pooler, running from the start."""

    def __init__(self, server: str) -> None:
        """``server``: the URL of any database there."""
        found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if found is None:
            missing("PgBouncer", "pgbouncer")
        self._server = make_url(server)
        self.place = Path(tempfile.mkdtemp(prefix="matchcore-pgbouncer-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        settings, users = self.place / "settings", self.place / "users"
        settings.write_text(
            SETTINGS.format(server=self._server.port, port=self.port, place=self.place)
        )
        users.write_text(f'"{self._server.username}" "{self._server.password}"\n')
        given: dict[str, Any] = {}
        if os.geteuid() == 0:  # which it refuses to run as
            for path in (self.place, settings, users):
                shutil.chown(path, "postgres", "postgres")
            given = {"user": "postgres", "group": "postgres", "extra_groups": []}
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [found, str(settings)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.place, **given,
            )  # fmt: skip
        until = time.monotonic() + STARTING_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.close()
                    raise
                time.sleep(0.02)

    def url(self, database: str) -> str:
        there = self._server.set(port=self.port, database=database)
        return there.render_as_string(hide_password=False).replace(" ", "%20")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(60)
        shutil.rmtree(self.place, ignore_errors=True)
