#!/bin/sh
# OceanBase takes MySQL's innodb_lock_wait_timeout without an error, and nothing changes: a lock is
# waited for until ob_query_timeout, 10 seconds by default, or ob_trx_lock_timeout.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q pylibseekdb==1.4.0.post1 PyMySQL==1.1.1
cat >"$place/look.py" <<'END'
import sys
import time

import pylibseekdb
import pymysql

engine = pylibseekdb.open(sys.argv[1])
one, two = (
    pymysql.connect(database="test", autocommit=True, **engine.connection_options()).cursor()
    for _ in range(2)
)


def waited(*settings):
    """Seconds until a lock that the other connection holds is given up, and the error's code."""
    for setting in settings:
        two.execute(setting)
    begun = time.monotonic()
    try:
        two.execute("SELECT * FROM t FOR UPDATE")
    except pymysql.MySQLError as error:
        return time.monotonic() - begun, error.args[0]
    raise SystemExit("the lock was got")


one.execute("SELECT VERSION()")
print("version:", one.fetchone()[0])
one.execute("CREATE TABLE t (a INT PRIMARY KEY)")
one.execute("INSERT INTO t VALUES (1)")
one.execute("BEGIN")
one.execute("SELECT * FROM t FOR UPDATE")
first = waited("SET innodb_lock_wait_timeout = 1")
two.execute("SELECT @@innodb_lock_wait_timeout")
(value,) = two.fetchone()
print(f"after SET innodb_lock_wait_timeout = 1 it is {value}; waited {first[0]:.1f} s: {first[1]}")
second = waited("SET ob_query_timeout = 3000000")
print(f"ob_query_timeout = 3 s: waited {second[0]:.1f} s: {second[1]}")
third = waited("SET ob_query_timeout = 20000000", "SET ob_trx_lock_timeout = 1000000")
print(f"ob_trx_lock_timeout = 1 s: waited {third[0]:.1f} s: {third[1]}")
same = value == 50 and first[0] > 8 and 2 < second[0] < 8 and third[0] < 3
same = same and first[1] == second[1] == third[1] == 1205
print("as found" if same else "OTHERWISE than found")
sys.exit(not same)
END
"$place/venv/bin/python" "$place/look.py" "$place/engine"
