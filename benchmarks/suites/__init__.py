"""Suites of figures for who develops matchcore; the others are `matchcore bench`."""

from __future__ import annotations

from matchcore.bench.suite import Suites

from . import (
    auctions,
    fanout,
    fix,
    markets,
    neighbours,
    ouch,
    replicated,
    scale,
    snapshot,
    sql,
    standby,
    worst,
)

SUITES: Suites = {
    "auctions": (auctions.groups, True),
    "fanout": (fanout.groups, False),
    "fix": (fix.groups, False),
    "markets": (markets.groups, True),
    "neighbours": (neighbours.groups, False),
    "ouch": (ouch.groups, False),
    "replicated": (replicated.groups, False),
    "scale": (scale.groups, False),
    "snapshot": (snapshot.groups, False),
    "sql": (sql.groups, False),
    "standby": (standby.groups, False),
    "worst": (worst.groups, True),
}
