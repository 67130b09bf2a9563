"""What a client of the web door may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Limits of a web door, beside those of each login."""

    connections: int = 4096
    connections_per_address: int = 256  # those behind one proxy are one address
    body_bytes: int = 65_536
    head_bytes: int = 16_384  # of the request line, and of each header
    message_bytes: int = 65_536  # of a WebSocket
    first_seconds: float = 10.0  # until the first whole request, or the login of a stream
    body_seconds: float = 10.0
    keepalive_seconds: float = 75.0
    ping_seconds: float = 20.0  # between pings of a stream
    answer_seconds: float = 5.0  # for an answer; then it is 202, and the client asks later
    waiting: int = 64  # requests of a login that wait for an answer
    reports: int = 1000  # in an answer
    orders: int = 10_000  # open ones in an answer
    close_seconds: float = 2.0  # for the last bytes to everybody
    logins_kept: int = 10_000  # so that a password is not hashed for each request
    login_seconds: float = 60.0  # that one is kept
