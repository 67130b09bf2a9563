"""Plain HTTP on the port of the WebSocket: what is known now, as JSON, and static files.

Each connection answers one GET.  What is answered comes from the memory of the feed.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from ...errors import InvalidArgument, UnknownInstrument
from ..serving import Feed
from . import texts
from .limits import Limits
from .openapi import document
from .tokens import Rights
from .topics import levels_of

JSON_TYPE = "application/json"
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:;"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
}
FILES_BYTES_MAX = 16 << 20
LEVELS, TRADES, MINUTES = 20, 50, 1440  # unless a request says another number
INTERVALS = {"1m": "bars.1m", "1d": "bars.1d"}


class HttpRefused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def answer(status: int, kind: str, body: bytes, **more: str) -> WSUpgradeResponseWithListener:
    """``more``: headers, with _ for -."""
    headers = {**HEADERS, "Content-Type": kind}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status < 400:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)


def refusal(status: int, code: str, message: str) -> WSUpgradeResponseWithListener:
    said = {"error": {"code": code, "message": message}}
    return answer(status, JSON_TYPE, json.dumps(said).encode())


class Pages:
    """Answers requests for what ``feed`` knows, and for the files of the directory ``page``.

    ``sign``: makes the signature of an answer's bytes; None: answers are not signed.
    """

    def __init__(
        self,
        feed: Feed,
        limits: Limits,
        page: Path | None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._feed, self._limits, self._sign = feed, limits, sign
        self._files = files_of(page) if page else {}
        self._openapi = json.dumps(document(limits)).encode()

    def answer(
        self, request: WSUpgradeRequest, rights: Rights | None, subscribers: int
    ) -> WSUpgradeResponseWithListener:
        """``rights``: None if a token is needed, and was not said."""
        target = request.path.decode("ascii", "replace")
        path, _, query = target.partition("?")
        try:
            if path == "/health":
                return answer(200, JSON_TYPE, self._health(subscribers))
            if path == "/openapi.json":
                return answer(200, JSON_TYPE, self._openapi)
            if path.startswith("/api/"):
                return self._signed(self._api(path, query, rights))
            kind, body = self._files[path]
            return answer(200, kind, body)
        except KeyError:
            return refusal(404, "not_found", f"nothing is at {path[:80]}")
        except HttpRefused as refused:
            return refusal(refused.status, refused.code, str(refused))

    def _signed(self, body: bytes) -> WSUpgradeResponseWithListener:
        if self._sign is None:
            return answer(200, JSON_TYPE, body)
        signature = base64.b64encode(self._sign(body)).decode()
        return answer(200, JSON_TYPE, body, SM2_Signature=signature)

    def _health(self, subscribers: int) -> bytes:
        stream = self._feed.stream
        said = {"status": "ok", "session": stream.session, "number": self._feed.history.last,
                "instruments": len(stream.instruments), "connections": subscribers}  # fmt: skip
        return json.dumps(said).encode()

    def _api(self, path: str, query: str, rights: Rights | None) -> bytes:
        if rights is None:
            raise HttpRefused(401, "token", "a token is needed: Authorization: Bearer TOKEN")
        try:
            asked = dict(parse_qsl(query, max_num_fields=8))
        except ValueError as error:
            raise HttpRefused(400, "malformed", str(error)) from None
        _, _, what, *rest = path.split("/")
        if what == "instruments" and not rest:
            return self._instruments()
        handler = _HANDLERS[what]  # KeyError: not found
        (symbol,) = rest if len(rest) == 1 else ("",)
        try:
            number = self._feed.stream.instruments.number(unquote(symbol))
        except UnknownInstrument as error:
            raise HttpRefused(404, "unknown_symbol", str(error)) from None
        return handler(self, number, unquote(symbol), rights, asked)

    def _instruments(self) -> bytes:
        found = enumerate(self._feed.stream.instruments, 1)
        said = [texts.instrument_said(number, one) for number, one in found]
        return json.dumps({"number": self._feed.history.last, "instruments": said}).encode()

    def _said(self, symbol: str, fields: str) -> bytes:
        head = f'"symbol":{json.dumps(symbol)},"number":{self._feed.history.last}'
        return f"{{{head},{fields}}}".encode()

    def book(self, number: int, symbol: str, rights: Rights, asked: dict[str, str]) -> bytes:
        depth = _count(asked, "depth", LEVELS, self._limits.levels)
        _permit(rights, "book.l2", symbol)
        tick = self._feed.stream.instruments[number].tick_parts
        return self._said(symbol, texts.levels(levels_of(self._feed, number, depth), tick))

    def trades(self, number: int, symbol: str, rights: Rights, asked: dict[str, str]) -> bytes:
        count = _count(asked, "limit", TRADES, 500)
        _permit(rights, "trades", symbol)
        return self._said(symbol, texts.trades(self._feed.statistics[number].trades.last(count)))

    def bars(self, number: int, symbol: str, rights: Rights, asked: dict[str, str]) -> bytes:
        interval = asked.get("interval", "1m")
        if interval not in INTERVALS:
            raise HttpRefused(400, "malformed", f"interval: one of {', '.join(INTERVALS)}")
        count = _count(asked, "limit", MINUTES, MINUTES + 1)
        _permit(rights, INTERVALS[interval], symbol)
        bars = self._feed.statistics[number].bars(interval == "1d", count)
        return self._said(symbol, texts.bars(bars))

    def status(self, number: int, symbol: str, rights: Rights, asked: dict[str, str]) -> bytes:
        _permit(rights, "status", symbol)
        statistics = self._feed.statistics
        return self._said(symbol, texts.status(statistics[number], statistics.states[number]))


_HANDLERS: dict[str, Callable[[Pages, int, str, Rights, dict[str, str]], bytes]] = {
    "book": Pages.book,
    "trades": Pages.trades,
    "bars": Pages.bars,
    "status": Pages.status,
}


def _permit(rights: Rights, channel: str, symbol: str) -> None:
    if not rights.allow(channel, symbol):
        raise HttpRefused(403, "forbidden", f"no right to {channel} of {symbol}")


def _count(asked: dict[str, str], name: str, usual: int, most: int) -> int:
    text = asked.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise HttpRefused(400, "malformed", f"{name}: 1 to {most}")
    return int(text)


def files_of(directory: Path) -> dict[str, tuple[str, bytes]]:
    """All files of a directory by path, with their types; / is index.html."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            if kind.startswith("text/"):
                kind += "; charset=utf-8"
            found[f"/{path.relative_to(directory).as_posix()}"] = kind, path.read_bytes()
    if sum(len(body) for _, body in found.values()) > FILES_BYTES_MAX:
        raise InvalidArgument(f"{directory}: more than {FILES_BYTES_MAX} bytes of files")
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found
