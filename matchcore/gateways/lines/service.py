"""The engine's end of all lines: takes batches of gateways, and gives them the durable log."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ...engine._queue import Submission
from ...engine.engine import Engine
from ...engine.streaming import Stream
from ...errors import LogError, NotInTheLog, QueueFull
from ...journal import Log
from ..administration import Administration
from ..ways import INCARNATIONS_MAX, incarnation_of
from .address import Address
from .link import Link, all_gone
from .roll import Roll
from .wire import (
    ANY,
    Frame,
    LineError,
    Refusal,
    Type,
    end,
    log_frames,
    read_join,
    refused,
    welcome,
)

CONNECTIONS_MAX = 64
JOIN_SECONDS = 2.0
WINDOW_BYTES = 8 << 20  # of one gateway, taken and not settled
FULL_SECONDS = 0.001  # until a full engine is asked again
STREAM_BYTES_MAX = 16 << 20  # that wait for one line before it is served from the log
CLOSE_SECONDS = 5.0


class EngineService:
    """Serves ``engine`` to gateways at ``addresses``.  One service has all lines of an engine.

    ``engine``: None while this is a standby, which refuses gateways until `serve`.
    ``tls``: a server's context; ``token``: what a gateway must say.  A batch that comes again, over
    another line or the same, is dropped by its number.  Everything runs in one event loop.
    ``directory``: with the socket for administration.
    """

    engine: Engine
    log: Log

    def __init__(
        self,
        engine: Engine | None,
        addresses: Sequence[Address],
        *,
        tls: ssl.SSLContext | None = None,
        token: str = "",
        connections_max: int = CONNECTIONS_MAX,
        stands_in: bool = True,
        directory: Path | None = None,
    ) -> None:
        self.token = token.encode()
        self.why_not = "this engine has not started yet"  #: it is not served; empty while it is
        self._lost: Callable[[], str] = str
        self._addresses = addresses
        self._servers: list[asyncio.Server] = []
        self.listens = False
        self.listening: list[Address] = []  #: with the ports that the system chose for 0
        self._tls, self._most = tls, connections_max
        self.gateways: dict[int, Gateway] = {}
        self.links: set[Connection] = set()
        self.open: set[Link] = set()  # those, and what was lost and still has a socket
        self._settled: deque[Sent] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._rolling: asyncio.Task[None] | None = None
        self._administration = Administration(directory, self._administered) if directory else None
        if engine is not None:
            self.serve(engine, stands_in=stands_in)

    def serve(
        self, engine: Engine, lost: Callable[[], str] = str, *, stands_in: bool = True
    ) -> None:
        """Gateways may join from now on.

        ``lost``: says why the engine must tell nothing now, or "": it is asked before anything is
        told.  ``stands_in``: this process sees to sessions that no gateway sees to.
        """
        assert engine.log is not None, "gateways follow a log"
        self.engine, self.log, self._lost = engine, engine.log, lost
        self.gateways.clear()
        self._settled.clear()
        self.why_not = ""
        self._roll = Roll(engine, self._is_here, stands_in=stands_in)
        if self.listens:
            self._call_roll()

    def _administered(self) -> Engine:
        if self.why_not:
            raise LogError(f"{self.why_not}: ask the primary")
        return self.engine

    def _call_roll(self) -> None:
        self._rolling = asyncio.ensure_future(self._roll.run())
        self.begin(self._rolling)

    def stand_by(self, why: str) -> None:
        """The engine takes nothing more: lines end, gateways are refused until `serve`.

        Both are told ``why``.
        """
        self.why_not = why
        if self._rolling is not None:
            self._rolling.cancel()
        self._end_lines(why)

    def _end_lines(self, why: str) -> None:
        for link in [link for link in self.links if link.gateway is not None]:
            link.send(end(why))
            link.end(why, politely=True)

    def may_not_tell(self) -> str:
        """Why nothing may be told now, and then the lines are ended; empty if it may."""
        why = self.why_not or self._lost()
        if why:
            self._end_lines(why)
        return why

    @property
    def durable(self) -> int:
        """The engine's, 0 on a standby."""
        return 0 if self.why_not else self.log.durable

    @property
    def counts(self) -> dict[str, int]:
        """Numbers for an operator."""
        unsettled = sum(gateway.unsettled_bytes for gateway in self.gateways.values())
        return {
            "lines": len(self.links),
            "gateways": len(self.gateways),
            "unsettled_bytes": unsettled,
            "durable": self.durable,
        }

    async def start(self) -> None:
        """Listens."""
        self._loop = asyncio.get_running_loop()
        for address in self._addresses:
            server = await address.serve(lambda: Connection(self), self._tls)
            self._servers.append(server)
            if not address.port:
                address = Address(address.host, server.sockets[0].getsockname()[1])
            self.listening.append(address)
        self.listens = True
        if self._administration is not None:
            await self._administration.start()
        if not self.why_not:
            self._call_roll()

    async def close(self) -> None:
        """Takes no more, answers what was taken, and ends the lines."""
        self._closing = True
        if self._administration is not None:
            await self._administration.close()
        if self._rolling is not None:
            self._rolling.cancel()
            await asyncio.wait({self._rolling})
        for server in self._servers:
            server.close()
        until = self._loop.time() + CLOSE_SECONDS
        while self._loop.time() < until and not (
            self.why_not
            or all(gateway.settled == gateway.taken for gateway in self.gateways.values())
        ):
            await asyncio.sleep(0.005)
        while self._loop.time() < until and any(
            link.stream is not None and link.stream.sequence < self.durable for link in self.links
        ):
            await asyncio.sleep(0.005)
        for link in list(self.links):
            link.send(end("the engine is being stopped"))
            link.end("the engine is being stopped", politely=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await all_gone(self.open)
        for address, server in zip(self._addresses, self._servers, strict=True):
            await server.wait_closed()
            address.remove()

    # ------------------------------------------------------------------ for its connections

    @property
    def is_full(self) -> bool:
        return len(self.links) >= self._most or self._closing

    def knows(self, number: int) -> bool:
        """True if this gateway has been here, or there is room for it."""
        return number in self.gateways or len(self.gateways) + 1 < INCARNATIONS_MAX

    def gateway(self, number: int, before: int) -> Gateway:
        """What is known of a gateway, as long as the engine runs.

        ``before``: the incarnation that it has of an engine before this one; 0: none.
        """
        if number not in self.gateways:
            given = incarnation_of(self.log.epoch, len(self.gateways) + 1)
            known = {gateway.incarnation for gateway in self.gateways.values()}
            self.gateways[number] = Gateway(given if before in known | {0} else before)
        return self.gateways[number]

    def _is_here(self, incarnation: int) -> bool:
        return any(link.gateway and link.gateway.incarnation == incarnation for link in self.links)

    def left(self, gateway: Gateway) -> None:
        """A gateway has lost a line."""
        if not (self._closing or self.why_not or self._is_here(gateway.incarnation)):
            self._roll.left(gateway.incarnation)

    def begin(self, work: asyncio.Future[None] | asyncio.Task[None]) -> None:
        """Keeps a task until it has ended."""
        assert isinstance(work, asyncio.Task)
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    def settle_soon(self, sent: Sent) -> Callable[[], None]:
        """In the log's thread: ``sent`` is durable, or never will be.  Returns the loop's bell."""
        self._settled.append(sent)
        return self._wake

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop is closed
            self._settled.clear()

    def _settle(self) -> None:
        told: dict[Gateway, Sent] = {}
        while self._settled:
            sent = self._settled.popleft()
            gateway = sent.gateway
            gateway.unsettled_bytes -= sent.size
            if sent.error is not None:
                self.stand_by(str(sent.error))
                return
            gateway.settled, gateway.sequence = sent.number, int(sent.result["sequence"].max())
            told[gateway] = sent
        if self.may_not_tell():  # gateways hear it when they come again
            return
        for link in self.links:
            if link.gateway in told:
                link.settled()


class Gateway:
    """What the engine knows of one gateway: numbers of its batches, the last of each kind.

    ``incarnation``: no other gateway of this exchange has it.
    """

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.taken = 0  # by the engine
        self.settled = 0  # durable
        self.sequence = 0  # of the last command that is settled
        self.unsettled_bytes = 0


class Sent(Submission):
    """A batch on its way through the engine."""

    __slots__ = ("gateway", "number", "service")

    def __init__(self, service: EngineService, gateway: Gateway, number: int) -> None:
        self.service, self.gateway, self.number = service, gateway, number

    def done(self) -> Callable[[], None]:
        return self.service.settle_soon(self)


class Connection(Link):
    """One line, seen from the engine."""

    def __init__(self, service: EngineService) -> None:
        super().__init__(service.open)
        self._service = service
        self.gateway: Gateway | None = None
        self.stream: Stream | None = None
        self._rung = asyncio.Event()
        self._held: deque[Frame] = deque()  # batches that the engine has no room for
        self._trying = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._joins = self._loop.call_later(JOIN_SECONDS, self._must_have_joined)
        if self._service.is_full:
            self.refuse(Refusal.FULL, "the engine has no room for another line")
            return
        self._service.links.add(self)

    def lost(self) -> None:
        self._joins.cancel()
        self._service.links.discard(self)
        self._rung.set()
        if self.gateway is not None:
            self._service.left(self.gateway)

    def beat(self) -> Frame:
        return Frame(Type.ALIVE, self._service.durable)

    def _must_have_joined(self) -> None:
        if self.gateway is None:
            self.refuse(Refusal.PROTOCOL, f"no join within {JOIN_SECONDS} s")

    def refuse(self, code: Refusal, why: str) -> None:
        """Says why it ends."""
        self.send(refused(code, why))
        self.end(why, politely=True)

    def refused(self, why: str) -> None:
        self.refuse(Refusal.PROTOCOL, why)

    # ------------------------------------------------------------------ what comes

    def took(self, frame: Frame) -> None:
        if self.gateway is None:
            self._join(frame)
        elif frame.type == Type.BATCH:
            self._held.append(frame)
            if not self._trying:
                self._place()
        elif frame.type == Type.FOLLOW and self.stream is None:
            self._follow(frame.number)
        else:
            raise LineError(f"a frame of type {frame.type}, which is not expected here")

    def _join(self, frame: Frame) -> None:
        service = self._service
        identity, token = read_join(frame)
        if not hmac.compare_digest(token, service.token):
            self.refuse(Refusal.TOKEN, "another token is needed")
            return
        if why := service.may_not_tell():
            self.refuse(Refusal.STANDBY, why)
            return
        log = service.log
        rules = service.engine._machine.rules  # not `engine.rules`, which waits for the disk
        if identity not in (ANY, log.identity):
            what = f"this is exchange {log.identity.hex()}, not {identity.hex()}"
            self.refuse(Refusal.IDENTITY, what)
        elif frame.code < rules:
            what = f"the exchange has version {rules} of the rules; this gateway knows {frame.code}"
            self.refuse(Refusal.RULES, what)
        elif not service.knows(frame.number):
            self.refuse(Refusal.FULL, "too many gateways have come since the engine was started")
        else:
            self.gateway = service.gateway(frame.number, frame.rows)
            self.joined()
            incarnation = self.gateway.incarnation
            self.send(welcome(log.identity, log.epoch, log.durable, rules, incarnation))
            self.settled()

    def settled(self) -> None:
        """Says which batches are durable; there is room for more."""
        gateway = self.gateway
        assert gateway is not None
        self.send(Frame(Type.SETTLED, gateway.settled, gateway.sequence).to_bytes())
        if self._held and not self._trying:
            self._place()

    # ------------------------------------------------------------------ batches

    def _place(self) -> None:
        """Gives the engine what it has room for; what comes meanwhile waits in the system."""
        gateway, service = self.gateway, self._service
        assert gateway is not None
        self._trying = False
        while self._held and not self.why:
            frame = self._held[0]
            if frame.number > gateway.taken:
                if gateway.unsettled_bytes > WINDOW_BYTES or service._closing:
                    break  # `settled` goes on
                sent = Sent(service, gateway, frame.number)
                try:
                    service.engine._place(frame.commands(), sent, block=False)
                except QueueFull:
                    self._trying = True
                    self._loop.call_later(FULL_SECONDS, self._place)
                    break
                except LineError as error:
                    self.refused(str(error))
                    return
                except LogError as error:
                    service.stand_by(str(error))
                    return
                gateway.taken = frame.number
                gateway.unsettled_bytes += sent.size
            self._held.popleft()
        if not self.why:
            self.listen(not self._held)

    # ------------------------------------------------------------------ the log

    def _follow(self, after: int) -> None:
        try:
            self.stream = Stream(
                self._service.engine, after, self._ring, most=STREAM_BYTES_MAX, matched=False
            )
        except NotInTheLog as error:
            self.refuse(Refusal.PLACE, str(error))
            return
        except LogError as error:
            self._service.stand_by(str(error))
            return
        self._service.begin(self._loop.create_task(self._give(self.stream)))

    def _ring(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    async def _give(self, stream: Stream) -> None:
        try:
            while not self.why:
                self._rung.clear()
                ended = stream.ended
                if stream.reads:
                    parts = await self._loop.run_in_executor(None, stream.poll)
                else:
                    parts = stream.poll()
                for part in parts:
                    if self._service.may_not_tell():
                        return
                    for data in log_frames(part):
                        self.send(data)
                        await self.room()
                if not parts:
                    if ended:
                        self.send(end("the engine is closed"))
                        return
                    await self._rung.wait()
        except (LogError, OSError) as error:
            self.send(end(str(error)))
            self.end(str(error), politely=True)
        finally:
            stream.close()
