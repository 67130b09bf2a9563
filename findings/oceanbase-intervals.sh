#!/bin/sh
# OceanBase adds intervals of at most 32 bits of any unit to a time: microseconds reach 35 minutes,
# seconds until 2038.  MySQL and MariaDB take 64 bits, so that the usual conversion of a count of
# microseconds since 1970 fails here with error 1690.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q pylibseekdb==1.4.0.post1 PyMySQL==1.1.1
cat >"$place/look.py" <<'END'
import sys

import pylibseekdb
import pymysql

engine = pylibseekdb.open(sys.argv[1])
cursor = pymysql.connect(database="test", **engine.connection_options()).cursor()
cursor.execute("SELECT VERSION()")
print("version:", cursor.fetchone()[0])
same = True
for count, unit, expected in (
    (2**31 - 1, "MICROSECOND", "1970-01-01 00:35:47.483647"), (2**31, "MICROSECOND", 1690),
    (2**31 - 1, "SECOND", "2038-01-19 03:14:07"), (2**31, "SECOND", 1690),
    (2**31 // 60 + 1, "MINUTE", "2038-01-19 03:15:00"),
):
    try:
        cursor.execute(f"SELECT TIMESTAMP'1970-01-01 00:00:00' + INTERVAL {count} {unit}")
        found = str(cursor.fetchone()[0])
    except pymysql.MySQLError as error:
        found = error.args[0]
    print(f"1970 + INTERVAL {count} {unit}: {found}")
    same = same and found == expected
print("as found" if same else "OTHERWISE than found")
sys.exit(not same)
END
"$place/venv/bin/python" "$place/look.py" "$place/engine"
