"""The group of all commands."""

from __future__ import annotations

import click

from .. import __version__
from .archive import archive_command
from .bench import bench
from .book import book
from .cluster import cluster
from .copy import copy, promote
from .ddl import ddl_command
from .demo import demo
from .draw import draw_command
from .drill import drill
from .drill_gateways import drill_gateways
from .feed import feed
from .feed_itch import feed_login
from .feed_token import feed_token_command
from .follow import follow
from .import_ import import_
from .info import info
from .instrument import end_day_command, instrument
from .lines import lines_command
from .load import load
from .market import market
from .operate import kill_command, limits_command, notice_command
from .output import Commands
from .query import query
from .rebuild import rebuild
from .reconcile import reconcile
from .repair import repair_command
from .replay import replay
from .schedule import schedule_command
from .serve import gateway, serve
from .shards import shards_command
from .sign import check_signature, sign
from .sm_front import sm_front
from .snapshot import snapshot
from .standby import standby, switch
from .tail import tail
from .torture import torture
from .upgrade_rules import upgrade_rules_command
from .user import user
from .verify import verify


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="matchcore")
def app() -> None:
    """Inspect, fill, verify and follow exchange directories.

    \b
    Example:  matchcore demo
    Exit codes: 0 success, 1 damaged or refused data, 2 wrong usage, 3 a database or the machine
    failed, 4 an unexpected error, 130 stopped with Ctrl-C.
    """


for command in (
    demo, import_, instrument, market, end_day_command, info, book, tail, verify, replay, snapshot,
    archive_command, repair_command, upgrade_rules_command, serve, standby, switch, copy, promote,
    gateway, lines_command, user, notice_command, limits_command, kill_command, schedule_command,
    follow, feed, feed_login, feed_token_command, reconcile, rebuild, query, ddl_command,
    shards_command, sm_front, sign, check_signature, draw_command, bench, load, torture, cluster,
    drill, drill_gateways,
):  # fmt: skip
    app.add_command(command)
