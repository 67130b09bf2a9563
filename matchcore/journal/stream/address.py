"""Where a replicated log is: the servers that keep it, and its name there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from ...errors import InvalidArgument

if TYPE_CHECKING:
    import ssl

SCHEMES = ("nats", "tls")
PORT = 4222
SERVERS_MAX = 16
REPLICAS = 3
USER_VARIABLE, PASSWORD_VARIABLE = "MATCHCORE_NATS_USER", "MATCHCORE_NATS_PASSWORD"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_FORM = "nats://HOST:PORT,HOST:PORT,HOST:PORT/NAME"


@dataclass(frozen=True, slots=True)
class Address:
    """``nats://[USER:PASSWORD@]HOST[:PORT],…/NAME[?OPTION=VALUE&…]``; ``tls://`` encrypts.

    Options:

    - ``replicas``: how many servers keep each message; 3 by default.  1 is no replicated log.
    - ``monitor``: the HTTP port at which each server tells its settings, or one for each, with
      commas between; then opening checks that they write before they acknowledge.
    - ``state``: a directory of this machine for snapshots, which shorten opening.
    - ``ca``, ``cert``, ``key``: files in PEM, for ``tls://``.

    The name and the password may also come from the environment: MATCHCORE_NATS_USER and
    MATCHCORE_NATS_PASSWORD.  `str` gives servers and name, for messages.
    """

    scheme: str
    servers: tuple[str, ...]  # host:port
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    replicas: int = REPLICAS
    monitors: tuple[str, ...] = ()  # host:port
    state: Path | None = None
    files: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str | Address) -> Address:
        """`InvalidArgument` for what is none; the message never has a password."""
        if isinstance(text, Address):
            return text
        if any(one <= " " for one in text):  # which `urlsplit` would drop
            raise _wrong("has a space or a control character")
        try:
            parts = urlsplit(text)
            options = dict(
                parse_qsl(parts.query, strict_parsing=bool(parts.query), max_num_fields=8)
            )
        except ValueError:
            raise _wrong("cannot be read") from None
        if parts.scheme not in SCHEMES or parts.fragment:
            raise _wrong("must begin with nats:// or tls://")
        known, _, listed = parts.netloc.rpartition("@")
        user, _, password = known.partition(":")
        servers = tuple(_server(one) for one in listed.split(","))
        if len(servers) > SERVERS_MAX:
            raise _wrong(f"names {len(servers)} servers, at most {SERVERS_MAX} are allowed")
        return cls(
            parts.scheme, servers, _name(parts),
            unquote(user) if known else os.environ.get(USER_VARIABLE),
            unquote(password) if known else os.environ.get(PASSWORD_VARIABLE),
            _replicas(options.pop("replicas", str(REPLICAS))),
            _monitors(options.pop("monitor", ""), servers), _state(options.pop("state", "")),
            _files(options),
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.scheme}://{','.join(self.servers)}/{self.name}"

    @property
    def url(self) -> str:
        """All of it but the password, for another process; `environment` has that."""
        options = {"replicas": str(self.replicas)} if self.replicas != REPLICAS else {}
        if self.monitors:
            options["monitor"] = ",".join(one.rpartition(":")[2] for one in self.monitors)
        if self.state is not None:
            options["state"] = str(self.state.absolute())
        options.update(self.files)
        return f"{self}?{urlencode(options)}" if options else str(self)

    def environment(self) -> dict[str, str]:
        """For a process that is given the `url`."""
        known = {USER_VARIABLE: self.user, PASSWORD_VARIABLE: self.password}
        return {name: value for name, value in known.items() if value is not None}

    def connect_options(self) -> dict[str, Any]:
        """For the client of the servers."""
        options: dict[str, Any] = {"servers": [f"{self.scheme}://{one}" for one in self.servers]}
        if self.user is not None:
            options.update(user=self.user, password=self.password or "")
        if self.scheme == "tls":
            options["tls"] = self._tls()
        return options

    def _tls(self) -> ssl.SSLContext:
        import ssl

        files = dict(self.files)
        try:
            context = ssl.create_default_context(cafile=files.get("ca"))
            if "cert" in files:
                context.load_cert_chain(files["cert"], files.get("key"))
        except (OSError, ssl.SSLError) as error:
            raise _wrong(f"has certificates that cannot be read: {error}") from None
        return context


def _wrong(what: str) -> InvalidArgument:
    return InvalidArgument(f"the address of a replicated log {what}: {_FORM}")


def _server(text: str) -> str:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    host, port = (host, port) if colon else (text, str(PORT))
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise _wrong("names a server that is no HOST:PORT")
    return f"{host}:{int(port)}"


def _name(parts: SplitResult) -> str:
    name = parts.path.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise _wrong("needs a NAME of letters, digits, - and _, at most 64")
    return name


def _replicas(text: str) -> int:
    if text not in ("1", "3", "5"):
        raise _wrong(f"has replicas={text[:20]}, which must be 1, 3 or 5")
    return int(text)


def _monitors(text: str, servers: tuple[str, ...]) -> tuple[str, ...]:
    if not text:
        return ()
    ports = text.split(",")
    if len(ports) == 1:
        ports *= len(servers)
    if len(ports) != len(servers):
        raise _wrong("has a monitor, which must be one port, or one for each server")
    return tuple(
        _server(f"{one.rpartition(':')[0]}:{port}")
        for one, port in zip(servers, ports, strict=True)
    )


def _state(text: str) -> Path | None:
    if "\0" in text:
        raise _wrong("has a state directory that is none")
    return Path(text) if text else None


def _files(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    for name in options:
        if name not in ("ca", "cert", "key"):
            raise _wrong(f"has an unknown option {name[:20]!r}")
    for name, file in options.items():
        if not Path(file).is_file():
            raise _wrong(f"has {name}={file}, which is no file")
    return tuple(sorted(options.items()))
