"""Clients over HTTP that send each request until it is answered, wherever the exchange is."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.engine import Engine
from ..records.codec import encode
from ..records.operating import Register

AGAIN_SECONDS = 0.05
ANSWER_SECONDS_MAX = 5.0  # then a client goes elsewhere
#: Statuses that settle a request: it is in the log, or will never be.
ANSWERED = (200, 201, 400, 404, 409, 422)
RATE = 1_000_000  # commands a second that a client may send


class Request(NamedTuple):
    """``name``: the id under which it is done once."""

    name: str
    method: str
    path: str
    body: dict[str, Any] | None = None


class Answer(NamedTuple):
    """``asked``, ``answered``: by `time.monotonic_ns`, of the try that was answered."""

    request: Request
    status: int
    said: dict[str, Any]
    asked: int
    answered: int


class Client(threading.Thread):
    """Sends its requests one by one, each again until it is answered.

    - ``token``: of its login.
    - ``places``: hosts and ports of the doors; after a failure it goes to the next.
    - ``requests``: taken one by one; may wait.
    - ``told``: called with each answer, in this thread.
    - ``seconds``: to wait for an answer before it goes elsewhere.
    """

    def __init__(
        self,
        token: str,
        places: Sequence[tuple[str, int]],
        requests: Iterable[Request],
        told: Callable[[Answer], object] = lambda answer: None,
        seconds: float = ANSWER_SECONDS_MAX,
    ) -> None:
        super().__init__(daemon=True)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._places, self._requests, self._told = places, requests, told
        self._seconds = seconds
        self.answered = self.again = 0
        self._at = 0

    def run(self) -> None:
        connection = self._connection()
        for request in self._requests:
            while True:
                asked = time.monotonic_ns()
                try:
                    status, said = self._sent(connection, request)
                except (OSError, http.client.HTTPException, ValueError):
                    status, said = 0, {}
                if status in ANSWERED:
                    self.answered += 1
                    self._told(Answer(request, status, said, asked, time.monotonic_ns()))
                    break
                self.again += 1
                connection.close()
                self._at += 1
                time.sleep(AGAIN_SECONDS)
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._places[self._at % len(self._places)]
        return http.client.HTTPConnection(host, port, timeout=self._seconds)

    def _sent(
        self, connection: http.client.HTTPConnection, request: Request
    ) -> tuple[int, dict[str, Any]]:
        body = None if request.body is None else json.dumps(request.body)
        connection.request(request.method, request.path, body, self._headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        return answer.status, said if isinstance(said, dict) else {}


def register(engine: Engine, count: int) -> list[str]:
    """Makes ``count`` users, client1 and so on, of accounts 1 and so on; their tokens."""
    from ..gateways.logins import Action, Grant
    from ..gateways.users import Entry, RegisteredUsers, editing

    users, tokens = RegisteredUsers(), []
    entries: list[Entry] = []
    for number in range(1, count + 1):
        name = f"client{number}"
        added = editing.add(users, name, account=number, messages_per_second=RATE)
        for entry in added:
            users.take(entry)
        may = Action.TRADE | Action.CANCEL | Action.READ
        granted = editing.grant(users, name, Grant(may, number, number, 0))
        token, secret = editing.token(users, name, time.time_ns())
        tokens.append(token)
        entries += [*added, *granted, *secret]
    known = engine.instruments
    engine.submit_batch(
        np.concatenate([encode(Register(one.topic, one.key, one.data), known) for one in entries])
    )
    return tokens
