"""Options of `matchcore feed` for ITCH, and `matchcore feed-login`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InvalidArgument
from ..journal import Keys, Place
from .options import address, json_option
from .output import failing_kindly, show

if TYPE_CHECKING:  # they take their time, and other commands do without
    from ..feeds.itch.outlet import Face
    from ..feeds.serving import Outlet

F = TypeVar("F", bound=Callable[..., Any])

_HERE, _THERE = "[HOST:]PORT", "ADDRESS:PORT"
_OPTIONS = (
    click.option("--mold", metavar=_THERE, callback=address,
                 help="Send ITCH messages over MoldUDP64 to an address or a multicast group."),
    click.option("--mold-interface", metavar="ADDRESS", default="",
                 help="Address of the network card for a multicast group; its name for IPv6."),
    click.option("--mold-requests", metavar=_HERE, callback=address,
                 help="Answer requests for lost MoldUDP64 messages."),
    click.option("--soup", metavar=_HERE, callback=address,
                 help="Serve ITCH messages over SoupBinTCP, from any number."),
    click.option("--glimpse", metavar=_HERE, callback=address,
                 help="Serve snapshots of all books over SoupBinTCP."),
    click.option("--logins", type=click.Path(dir_okay=False, path_type=Path),
                 help="Who may log in to --soup and --glimpse: a file of feed-login."),
)  # fmt: skip


def itch_options(command: F) -> F:
    """Adds the options to a command, which gets them by name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def itch_outlets(
    directory: Place | None,
    state: Path | None,
    *,
    mold: tuple[str, int] | None,
    mold_interface: str,
    mold_requests: tuple[str, int] | None,
    soup: tuple[str, int] | None,
    glimpse: tuple[str, int] | None,
    logins: Path | None,
    **_: object,
) -> list[Outlet]:
    """The outlet that the options ask for."""
    if not (mold or mold_requests or soup or glimpse):
        return []
    if (soup or glimpse) and logins is None:
        raise InvalidArgument("--soup and --glimpse need --logins; matchcore feed-login makes it")
    from ..feeds.itch import Glimpse, ItchOutlet, Logins, MoldPublisher, MoldRequests, SoupFeed

    faces: list[Face] = []
    if mold:
        faces.append(MoldPublisher(*mold, interface=mold_interface))
    if mold_requests:
        faces.append(MoldRequests(*mold_requests))
    if soup and logins:
        faces.append(SoupFeed(*soup, partial(Logins, logins)))
    if glimpse and logins:
        faces.append(Glimpse(*glimpse, partial(Logins, logins)))
    return [ItchOutlet(directory, *faces, state=state, keys=Keys.from_environment())]


@click.command(name="feed-login")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("user")
@click.password_option(help="Asked for if it is not given.")
@json_option
def feed_login(file: Path, user: str, password: str, as_json: bool) -> None:
    """Let a user log in to `matchcore feed` over SoupBinTCP, or give him another password.

    \b
    Example:  matchcore feed-login logins.json alice
    Up to 6 letters and digits for the name and 10 characters for the password: the protocol has
    room for no more, and sends both as they are.
    """
    from ..feeds.itch import add_login

    with failing_kindly(as_json):
        add_login(file, user, password)
    show({"user": user, "file": str(file)}, as_json, title="May log in")
