"""What a client asks for, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ...errors import FeedError
from .limits import DEPTHS
from .topics import CHANNELS

ID_CHARACTERS_MAX = 64
TOKEN_CHARACTERS_MAX = 512
NAMES_MAX = 100_000
OPS = ("subscribe", "unsubscribe", "ping", "auth")
FORMATS = ("json", "binary")
NUMBER_MAX = 2**63 - 1

Id = int | str | None


class Refused(FeedError):
    """A request is answered with an error: a ``code`` for programs, and what is wrong."""

    def __init__(self, code: str, message: str, id: Id = None) -> None:
        super().__init__(message)
        self.code, self.id = code, id


@dataclass(frozen=True, slots=True)
class Request:
    """A message from a client.  ``symbols`` empty: all.  ``after``: None for a snapshot."""

    op: str
    id: Id = None
    channels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    after: int | None = None
    session: str = ""
    depth: int = 0
    binary: bool = False
    token: str = ""


def parse(text: bytes) -> Request:
    """`Refused` for anything that is no request."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("malformed", "not JSON") from None
    if not isinstance(said, dict):
        raise Refused("malformed", "not a JSON object")
    id = said.get("id")
    if not (id is None or _int(id) or (isinstance(id, str) and len(id) <= ID_CHARACTERS_MAX)):
        raise Refused("malformed", f"id: an integer or a text of {ID_CHARACTERS_MAX} characters")
    try:
        return _request(said, id)
    except Refused as refused:
        refused.id = id
        raise


def _request(said: dict[str, Any], id: Id) -> Request:
    op = said.get("op")
    if op not in OPS:
        raise Refused("unknown_op", f"op: one of {', '.join(OPS)}")
    if op == "ping":
        return Request(op, id)
    if op == "auth":
        token = said.get("token")
        if not isinstance(token, str) or not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
            raise Refused("malformed", "token: a text")
        return Request(op, id, token=token)
    channels, symbols = _names(said, "channels"), _names(said, "symbols")
    for channel in channels:
        if channel not in CHANNELS:
            known = ", ".join(CHANNELS)
            raise Refused("unknown_channel", f"{_shown(channel)}: the channels are {known}")
    if not channels:
        raise Refused("malformed", "channels: at least one")
    if symbols == ("*",):
        symbols = ()
    if op == "unsubscribe":
        return Request(op, id, channels, symbols)
    return Request(op, id, channels, symbols, *_options(said))


def _options(said: dict[str, Any]) -> tuple[int | None, str, int, bool]:
    after, session = said.get("from"), said.get("session", "")
    if after is not None and not (_int(after) and 0 <= after <= NUMBER_MAX):
        raise Refused("malformed", "from: a number of the stream")
    if not isinstance(session, str):
        raise Refused("malformed", "session: a text")
    depth = said.get("depth", 0)
    if not _int(depth) or depth not in DEPTHS:
        raise Refused("malformed", f"depth: one of {', '.join(map(str, DEPTHS))}")
    form = said.get("format", "json")
    if form not in FORMATS:
        raise Refused("malformed", f"format: one of {', '.join(FORMATS)}")
    return after, session, depth, form == "binary"


def _int(value: Any) -> bool:
    return type(value) is int  # not a bool


def _names(said: dict[str, Any], field: str) -> tuple[str, ...]:
    names = said.get(field, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("malformed", f"{field}: a list of texts")
    return tuple(dict.fromkeys(names))


def _shown(text: str) -> str:
    return repr(text[:40])
