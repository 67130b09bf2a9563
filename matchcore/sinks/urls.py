"""URLs of databases: which options they may have, and how they are shown without their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

from ..errors import SinkError

_OURS = {"views"}
_MYSQL = _OURS | {
    "layout", "partitions", "tbpartitions", "connect_timeout", "read_timeout", "write_timeout",
    "unix_socket", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_key_password", "ssl_cipher",
    "ssl_check_hostname",
}  # fmt: skip
_POSTGRES = _OURS | {
    "host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts", "application_name",
    "options", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
    "keepalives_count", "tcp_user_timeout", "sslmode", "sslrootcert", "sslcert", "sslkey",
    "sslpassword", "sslcrl", "sslcrldir", "sslsni", "sslnegotiation", "ssl_min_protocol_version",
    "ssl_max_protocol_version", "channel_binding", "require_auth", "gssencmode", "krbsrvname",
}  # fmt: skip
#: By scheme the options that a URL may have.  Drivers know more, some of which read other files
#: (``read_default_file``, ``passfile``, ``service``), send them to the server or run statements.
OPTIONS: dict[str, set[str]] = {
    "sqlite": set(),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgresql": _POSTGRES,
}
#: Options of these whose values are secret.  The value of one that is not allowed is never shown.
SECRETS = {"ssl_key_password", "sslpassword"}
_REPEATED = {"host"}  # of several servers

_SERVER = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://"
    r"(?:(?P<user>[^:/?#@]*)(?::(?P<word>[^@]*))?@)?"
    r"(?P<place>(?:\[[\w:.%]+\]|[^:/?#@\[\]]*)(?::\d*)?(?:/[^?@]*)?)"
    r"(?:\?(?P<query>[^@]*))?"
)
_FILE = re.compile(r"(?P<scheme>sqlite)://(?P<place>/[^?]*)(?:\?(?P<query>.*))?")
_NAME = re.compile(r"\w+")
_PATH = re.compile(r"(?:(?:sqlite)?:/)?[\w./-]*")
_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]*://(?:[^\n]*@)?[^\s'\"]*")


def shown(url: str) -> str:
    """A URL for people, without secrets.

    ``***`` stands for the password, and for the value of each option that is secret or not known.
    Of a text that is no such URL only the scheme is left: nobody knows what is in the rest.
    """
    parts = _parts(url)
    if parts is None:
        scheme, mark, _ = url.partition("://")
        if mark and _NAME.fullmatch(scheme):
            return f"{scheme}://***"
        return url if _PATH.fullmatch(url) else "***"
    user, query = parts.get("user"), parts["query"]
    made = f"{parts['scheme']}://"
    if user is not None:
        made += f"{user}:***@" if parts["word"] is not None else f"{user}@"
    made += str(parts["place"])
    if query is not None:
        known = OPTIONS.get(str(parts["scheme"]), set()) - SECRETS
        made += "?" + "&".join(
            f"{name}={unquote_plus(value) if name in known else '***'}"
            for name, value in _options(query)
        )
    return made


def without_secrets(text: str) -> str:
    """A text of somebody else, in which URLs are shown as `shown` does."""
    return _IN_TEXT.sub(lambda found: shown(found[0]), text)


def check(url: str) -> None:
    """`SinkError` unless a URL of a built-in database is one that can be read in one way only,
    and has only options that it may have, each once."""
    parts = _parts(url)
    if parts is None:
        raise SinkError(
            f"{shown(url)!r}: must be scheme://user:password@host:port/database?option=value;"
            " in a user name, a password, a database or a value write @ as %40"
        )
    scheme = str(parts["scheme"])
    allowed, seen = OPTIONS[scheme], set()
    for name, _ in _options(parts["query"] or ""):
        if name not in allowed:
            can = ", ".join(sorted(allowed))
            raise SinkError(
                f"{shown(url)!r}: the option {name!r} is not one of this database's: {can}"
            )
        if name in seen and name not in _REPEATED:
            raise SinkError(f"{shown(url)!r}: the option {name!r} is given twice")
        seen.add(name)


def secrets_of(url: str) -> list[str]:
    """What must not be shown of a URL, as it is written there and as it is meant."""
    parts = _parts(url) or {}
    found = {str(parts.get("word") or ""), unquote(str(parts.get("word") or ""))}
    for name, value in _options(str(parts.get("query") or "")):
        if name in SECRETS:
            found |= {value, unquote_plus(value)}
    return sorted(found - {""}, key=len, reverse=True)


def hide(text: str, secrets: list[str]) -> str:
    """A driver's text without these secrets, where they stand as words of their own."""
    for secret in secrets:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _parts(url: str) -> dict[str, str | None] | None:
    if not url.isprintable():
        return None
    found = _FILE.fullmatch(url) or (None if url.startswith("sqlite:") else _SERVER.fullmatch(url))
    return found.groupdict() if found else None


def _options(query: str) -> Iterator[tuple[str, str]]:
    """Names and values.  What is not a name (it may be the end of a secret) comes as ``***``."""
    for piece in filter(None, query.split("&")):
        name, mark, value = piece.partition("=")
        name = unquote_plus(name)
        yield (name if mark and _NAME.fullmatch(name) else "***"), value
