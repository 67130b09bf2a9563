"""`matchcore user`: who may log in to an exchange's gateways, and what he may do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engine.engine import Engine
from ..journal import Keys, Place, identity_of
from ..records.times import parse
from .alone import administered
from .options import json_option, place_argument
from .output import failing_kindly, show, show_rows

if TYPE_CHECKING:  # it takes its time, and other commands do without
    from ..gateways.users import Entry, RegisteredUsers

ACCOUNT_MAX = 2**64 - 1
name_argument = click.argument("name")
_ACTIONS = ("trade", "cancel", "read", "drop_copy", "administer")

Edit = Callable[["RegisteredUsers", Engine], "list[Entry]"]


@click.group()
def user() -> None:
    """Say who may log in to the gateways of an exchange.

    \b
    Example:  matchcore user add exchange.d alice --account 7
              matchcore user password exchange.d alice
    Users are a part of the log: gateways know of a change as soon as it is in there, and drop
    sessions that have no right any more.  Its server changes an exchange that is being served.
    """


def _done(directory: Place, name: str, /, **arguments: Any) -> dict[str, Any]:
    return administered(directory, name, **arguments)


def _accounts(_: object, __: object, text: str | None) -> tuple[int, int] | None:
    """7, 7-9 or all."""
    if text is None or text == "all":
        return None if text is None else (0, ACCOUNT_MAX)
    first, dash, last = text.partition("-")
    numbers = [first, last if dash else first]
    if not all(one.isascii() and one.isdigit() and int(one) <= ACCOUNT_MAX for one in numbers):
        raise click.BadParameter(f"{text!r}: a number, two with a dash, or all")
    return int(numbers[0]), int(numbers[1])


def _actions(_: object, __: object, text: str) -> tuple[str, ...]:
    words = tuple(word.strip().replace("-", "_") for word in text.split(","))
    for word in words:
        if word not in _ACTIONS:
            raise click.BadParameter(f"{word!r}: of {', '.join(_ACTIONS)}")
    return words


def _moment(_: object, __: object, text: str | None) -> int:
    try:
        return 0 if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


may_option = click.option(
    "--may", default="trade,cancel,read", show_default=True, callback=_actions, metavar="ACTIONS",
    help=f"Of {', '.join(_ACTIONS)}; with commas between.",
)  # fmt: skip
overlap_option = click.option(
    "--overlap", type=click.FloatRange(min=0), metavar="SECONDS",
    help="How long the ones before stay good.",
)  # fmt: skip


@user.command()
@place_argument
@name_argument
@click.option("--account", type=click.IntRange(0, ACCOUNT_MAX),
              help="Of orders that name none; the user may use it as --may says.")  # fmt: skip
@may_option
@click.option("--cancel-on-disconnect", is_flag=True,
              help="Cancel the user's open orders when the connection has ended.")  # fmt: skip
@click.option("--grace", type=click.FloatRange(0, 3600), default=5.0, show_default=True,
              metavar="SECONDS", help="For coming back before that.")  # fmt: skip
@click.option("--rate", type=click.IntRange(1, 10**6), default=1000, show_default=True,
              help="Commands a second; cancels are counted apart.")  # fmt: skip
@click.option("--burst", type=click.IntRange(1, 10**6), default=2000, show_default=True,
              help="Commands at once.")  # fmt: skip
@click.option("--under-way", type=click.IntRange(1, 10**6), default=10_000, show_default=True,
              help="Commands without an answer.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, 65535), default=16, show_default=True,
              help="Streams at a time.")  # fmt: skip
@json_option
def add(
    directory: Place,
    name: str,
    account: int | None,
    may: tuple[str, ...],
    cancel_on_disconnect: bool,
    grace: float,
    rate: int,
    burst: int,
    under_way: int,
    connections: int,
    as_json: bool,
) -> None:
    """Add a user, who then needs a password or a token.

    \b
    Example:  matchcore user add exchange.d alice --account 7 --cancel-on-disconnect
    """
    options = {
        "cancel_on_disconnect": cancel_on_disconnect, "grace_ms": round(grace * 1000),
        "messages_per_second": rate, "burst": burst, "under_way": under_way,
        "connections": connections,
    }  # fmt: skip
    with failing_kindly(as_json):
        result = _done(directory, "user_add", name=name, account=account, may=may, options=options)
    show(result, as_json, title=f"Added to {directory}")


@user.command()
@place_argument
@name_argument
@click.password_option(envvar="MATCHCORE_PASSWORD",
                       help="Asked for if it is not given; or in MATCHCORE_PASSWORD.")  # fmt: skip
@overlap_option
@json_option
def password(
    directory: Place, name: str, password: str, overlap: float | None, as_json: bool
) -> None:
    """Give a user a password, in place of the one before.

    \b
    Example:  matchcore user password exchange.d alice --overlap 3600
    Without --overlap, sessions that came with the password before end at once.
    """
    nanoseconds = round((overlap or 0) * 1e9)
    with failing_kindly(as_json):
        result = _done(directory, "user_password", name=name, password=password,
                       overlap_ns=nanoseconds)  # fmt: skip
    show(result, as_json, title="Has a new password")


@user.command()
@place_argument
@name_argument
@click.option("--expires", callback=_moment, metavar="TIME",
              help="UTC, as 2027-01-01T00:00:00Z; else never.")  # fmt: skip
@overlap_option
@json_option
def token(directory: Place, name: str, expires: int, overlap: float | None, as_json: bool) -> None:
    """Make a token for a user, and print it, once.

    \b
    Example:  matchcore user token exchange.d alice --expires 2027-01-01T00:00:00Z
    The log has a hash of it only.  Tokens before stay as they are, unless --overlap says how long
    they are good; 0 deletes them.
    """
    nanoseconds = None if overlap is None else round(overlap * 1e9)
    with failing_kindly(as_json):
        result = _done(directory, "user_token", name=name, expires=expires, overlap_ns=nanoseconds)
    if as_json:
        show(result, as_json)
    else:
        click.echo(result["token"])


@user.command()
@place_argument
@name_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@overlap_option
@json_option
def certificate(
    directory: Place, name: str, file: Path, overlap: float | None, as_json: bool
) -> None:
    """Let a user log in with the certificate in a file (PEM).

    \b
    Example:  matchcore user certificate exchange.d alice alice.pem
    Doors ask for it with --fix-client-ca, --ouch-client-ca and --web-client-ca.  Certificates
    before stay as they are, unless --overlap says how long they are good; 0 deletes them.
    """
    from ..serving.certificates import fingerprint_of

    nanoseconds = None if overlap is None else round(overlap * 1e9)
    with failing_kindly(as_json):
        fingerprint = fingerprint_of(file.read_text("ascii", "replace")).hex()
        result = _done(directory, "user_certificate", name=name, fingerprint=fingerprint,
                       overlap_ns=nanoseconds)  # fmt: skip
    show(result, as_json, title="May log in with")


@user.command()
@place_argument
@name_argument
@click.option("--account", "accounts", callback=_accounts, required=True, metavar="ACCOUNTS",
              help="A number, a range as 7-9, or all.")  # fmt: skip
@click.option("--symbol", help="One instrument; without it, all of them.")
@may_option
@json_option
def grant(
    directory: Place,
    name: str,
    accounts: tuple[int, int],
    symbol: str | None,
    may: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give a user a right.

    \b
    Example:  matchcore user grant exchange.d alice --account 7-9 --symbol ANA --may trade,read
    """
    with failing_kindly(as_json):
        result = _done(directory, "user_grant", name=name, accounts=accounts, symbol=symbol,
                       may=may)  # fmt: skip
    show(result, as_json, title="Granted")


@user.command()
@place_argument
@name_argument
@click.option("--secret", type=int, help="Number of one password or token, as `list` shows it.")
@click.option("--grant", type=int, help="Number of one right, as `list` shows it.")
@json_option
def revoke(
    directory: Place, name: str, secret: int | None, grant: int | None, as_json: bool
) -> None:
    """Take a secret or a right from a user; without options, everything.

    \b
    Example:  matchcore user revoke exchange.d alice
    """
    with failing_kindly(as_json):
        result = _done(directory, "user_revoke", name=name, secret=secret, grant=grant)
    show(result, as_json, title="Revoked")


@user.command("list")
@place_argument
@json_option
def list_(directory: Place, as_json: bool) -> None:
    """Show the users, their secrets (never what they are) and their rights.

    \b
    Example:  matchcore user list exchange.d --json
    """
    from ..gateways.administration import asked, perform

    with failing_kindly(as_json):
        result = asked(directory, "user_list", {}) if isinstance(directory, Path) else None
        if result is None:
            identity_of(directory)
            with Engine.at(directory, keys=Keys.from_environment()) as engine:
                result = perform(engine, "user_list", {})
    found = result["users"]
    if as_json:
        show({"users": found}, as_json)
        return
    columns = ("session", "user", "state", "account", "secrets", "grants")
    show_rows(columns, [[str(one[column]) if isinstance(one[column], list) else one[column]
                         for column in columns] for one in found])  # fmt: skip
