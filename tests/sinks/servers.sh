#!/bin/sh
# Installs the servers and tools that tests/sinks and tests/feeds run against, and the browser of
# tests/feeds, as root or on CI with sudo.
# Elsewhere pytest skips their tests; on CI a missing server is an error.
set -eu
[ -z "${MATCHCORE_SKIP_SERVERS:-}" ] || exit 0
missing=""
PATH="$PATH:/usr/sbin"
command -v mariadbd >/dev/null || missing="$missing mariadb-server"
ls /usr/lib/mysql/plugin/ha_spider.so >/dev/null 2>&1 || missing="$missing mariadb-plugin-spider"
ls /usr/lib/galera/libgalera_smm.so >/dev/null 2>&1 || missing="$missing galera-4"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v pgbouncer >/dev/null || missing="$missing pgbouncer"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v haproxy >/dev/null || missing="$missing haproxy"
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
command -v chromedriver >/dev/null || missing="$missing chromium-driver"
fc-list :lang=zh 2>/dev/null | grep -q . || missing="$missing fontconfig fonts-wqy-microhei"
command -v tshark >/dev/null || missing="$missing tshark"
[ -n "$missing" ] || exit 0
line="apt-get install -y --no-install-recommends$missing"

install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then as=""; elif [ -n "${CI:-}" ]; then as="sudo -n"; else return 1; fi
    $as apt-get update -q && $as env DEBIAN_FRONTEND=noninteractive $line
}

if ! install; then
    echo "Programs for the tests are missing: sudo $line" >&2
    [ -z "${CI:-}" ] || exit 1
    echo "Their tests are skipped." >&2
fi
