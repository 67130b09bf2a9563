"""What a client of the web face may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a web server; a client that passes one is told which, and perhaps disconnected."""

    connections: int = 4096  # WebSockets at once
    connections_per_address: int = 1024  # those behind one proxy are one address
    subscriptions: int = 20_000  # of a connection: channels x symbols
    message_bytes: int = 65_536  # from a client
    messages_per_second: float = 50.0
    messages_burst: int = 200
    gets_per_second: float = 500.0  # of all clients: a plain GET has no address here
    gets_burst: int = 2000
    tokens_tried: int = 3  # wrong ones
    first_message_seconds: float = 10.0
    ping_seconds: float = 20.0  # of silence; as long again for the answer
    buffer_bytes: int = 1 << 20  # waiting for a slow subscriber, then it is conflated
    kernel_bytes: int = 0  # that the system keeps beside that; 0: as it thinks fit, some MiB
    slow_seconds: float = 30.0  # conflated and not taking anything, then it is dropped
    orders: int = 100_000  # in a snapshot of book.l3
    resume_changes: int = 200_000  # looked through for what came after a number
    levels: int = 1000  # of a side, in an answer over HTTP


#: Depths of book.l2 that may be asked for; 0: all levels.
DEPTHS = (0, 1, 5, 10, 20, 50, 100, 200, 500)
