"""A real OceanBase engine of the tests' own: the one of PyPI's ``pylibseekdb``, in a directory.

It listens at a Unix socket only, and runs as long as the process that has opened it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pymysql

KEEPER = """
import sys
import pylibseekdb
engine = pylibseekdb.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
engine.close()
"""


class OceanBaseServer:
    """One engine; `kill` is a crash, `start` after it recovers."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="matchcore-oceanbase-"))
        self._keeper: subprocess.Popen[str] | None = None
        self.socket = self.place / "run" / "sql.sock"

    def start(self) -> None:
        """Returns when it answers."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(self.place)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "open\n"

    def kill(self) -> None:
        """kill -9 of the engine and of the process that keeps it."""
        assert self._keeper is not None
        os.kill(int((self.place / "run" / "seekdb.pid").read_text()), signal.SIGKILL)
        self._keeper.kill()
        self._keeper.communicate(timeout=60)
        self._keeper = None

    def close(self) -> None:
        """Ends it, and takes the directory away."""
        if self._keeper is not None:
            self.kill()
        shutil.rmtree(self.place, ignore_errors=True)

    def url(self, database: str = "exchange") -> str:
        return f"mysql://root@127.0.0.1/{database}?unix_socket={self.socket}"

    def connect(
        self, database: str | None = None, user: str = "root", password: str = ""
    ) -> pymysql.Connection:
        return pymysql.connect(
            unix_socket=str(self.socket), user=user, password=password, database=database,
            autocommit=True,
        )  # fmt: skip

    def sql(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Runs statements as root; the rows of the last one."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def fresh(self, database: str = "exchange") -> str:
        """An empty database; its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
        return self.url(database)
