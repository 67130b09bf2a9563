#!/bin/sh
# The database servers that tests/sinks runs against: installed if they may be, named if not.
set -eu
if [ -n "${MATCHCORE_SKIP_SERVERS:-}" ]; then
    echo "tests against real database servers are skipped, as MATCHCORE_SKIP_SERVERS says"
    exit 0
fi
missing=""
PATH="$PATH:/usr/sbin"
command -v mariadbd >/dev/null || missing="$missing mariadb-server"
ls /usr/lib/mysql/plugin/ha_spider.so >/dev/null 2>&1 || missing="$missing mariadb-plugin-spider"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need database servers: sudo $line" >&2
    echo "(or, without them: MATCHCORE_SKIP_SERVERS=1 make test)" >&2
    exit 1
fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive $line
