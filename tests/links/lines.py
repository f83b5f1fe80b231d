"""A link server on a real loopback socket, with a scripted engine behind it and a bare client before it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from authz.clock import SimulatedClock
from authz.decision.outcomes import Reason, Reply
from authz.engine.requests import Answer, KeyChange, NoAnswer, Request, TotalsRequest
from authz.links.link import Link, Terms
from authz.links.server import LinkServer
from authz.links.tls import Tls
from authz.metrics import Metrics
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.software import SoftwareSecurityModule
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.frames import Framer
from authz.wire.message import Message

ACQUIRER = "970001"
NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
PAN = "9250100000000014"
HOST = "127.0.0.1"


class ScriptedEngine:
    """Answers as the test says: `script` if there is one, else each request waits in `asked` for its answer."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Request, asyncio.Future[Answer | NoAnswer]]] = asyncio.Queue()
        self.script: Callable[[Request], Awaitable[Answer | NoAnswer]] | None = None
        self.away: Reason | None = None
        """Why it turns every request away, if it does."""
        self.in_hand = 0
        self.in_hand_most = 0
        self.commands: list[tuple[Any, ...]] = []
        """What network management asked for."""
        self.reason = Reason.APPROVED
        """The answer to it."""
        self.too_late: NoAnswer | None = None
        """The answer to totals, if they aren't agreed to."""

    def turns_away(self, link: str) -> Reason | None:
        assert link == ACQUIRER
        return self.away

    async def pay(self, request: Request) -> Answer | NoAnswer:
        self.in_hand += 1
        self.in_hand_most = max(self.in_hand, self.in_hand_most)
        try:
            if self.script is not None:
                return await self.script(request)
            answer: asyncio.Future[Answer | NoAnswer] = asyncio.get_running_loop().create_future()
            self.asked.put_nowait((request, answer))
            return await answer
        finally:
            self.in_hand -= 1

    async def total(self, request: TotalsRequest) -> Answer | NoAnswer:
        counted = request.command.counted
        return self.too_late or Answer(request.command, Reply(Reason.APPROVED, totals=counted, agrees=True))

    async def cut_over(self, acquirer: str, begins: date | None, key: str) -> Reply:
        self.commands.append((acquirer, begins, key))
        return Reply(self.reason)

    async def change_key(self, acquirer: str, block: str, key: str) -> KeyChange:
        self.commands.append((acquirer, block, key))
        return KeyChange(Reply(self.reason), "ABC123" if self.reason.approves else None)


async def approve(request: Request) -> Answer:
    return Answer(request.command, Reply(Reason.APPROVED, approval="A1B2C3"))


class Client:
    """One connection to the server."""

    def __init__(self, codec: Codec, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._codec = codec
        self._framer = Framer(codec.dialect.framing)
        self._heard: list[Message] = []

    def send(self, *messages: Message) -> None:
        self.writer.write(b"".join(self.frame(message) for message in messages))

    def frame(self, message: Message) -> bytes:
        return self._framer.frame(self._codec.encode(message))

    async def hear(self) -> Message:
        """The next message; raises `EOFError` when the server has closed."""
        while not self._heard:
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            self._heard += [self._codec.decode(frame) for frame in self._framer.feed(data)]
        return self._heard.pop(0)

    async def ask(self, message: Message) -> Message:
        self.send(message)
        return await self.hear()


class Line:
    """A server, its engine, and clients of it."""

    def __init__(self, terms: Terms, dialect: str = "iso87ascii", tls: Tls | None = None) -> None:
        self.engine = ScriptedEngine()
        self.codec = Codec(shipped(dialect))
        self.metrics = Metrics()
        self.security = SoftwareSecurityModule(
            IssuerKeys(bytes(16), bytes(16), bytes(16), bytes(16)),
            {ACQUIRER: ZoneKeys(bytes(range(16)), bytes(range(16)), bytes(range(16)))},
            VaultKey(bytes(32)),
        )
        self.logged: list[tuple[Any, ...]] = []
        engine: Any = self.engine
        self.link = Link(terms, self.codec, engine, self.security, SimulatedClock(NOON), self.metrics)
        self.server = LinkServer(self.link, lambda *words, **fields: self.logged.append((*words, fields)), tls)
        self._clients: list[Client] = []

    async def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        reader, writer = await asyncio.open_connection(HOST, self.server.port, ssl=tls)
        self._clients.append(Client(self.codec, reader, writer))
        return self._clients[-1]

    def counted(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 where it has none."""
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def dropped(self, why: str) -> float:
        return self.counted("authz_frames_dropped_total", link=ACQUIRER, why=why)

    def closed(self, why: str) -> float:
        return self.counted("authz_links_closed_total", link=ACQUIRER, why=why)

    async def end(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()
        self.engine.script = approve
        while not self.engine.asked.empty():
            _, answer = self.engine.asked.get_nowait()
            answer.cancel()
        await self.server.stop()
        for client in self._clients:
            await asyncio.gather(client.writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def line_of(
    terms: Terms = Terms(ACQUIRER),  # noqa: B008, frozen
    dialect: str = "iso87ascii",
    tls: Tls | None = None,
) -> AsyncIterator[Line]:
    line = Line(terms, dialect, tls)
    await line.server.start(HOST, 0)
    try:
        yield line
    finally:
        await line.end()


def purchase(trace: int = 1, **changes: Any) -> Message:
    """A purchase of 12.50 on a chip."""
    message = Message(
        mti="0200",
        pan=PAN,
        processing_code="009000",
        amount="000000001250",
        transmitted="0512103000",
        trace=f"{trace:06}",
        local_time="123000",
        local_date="0512",
        entry_mode="051",
        acquirer=ACQUIRER,
        terminal="PAR00001",
        merchant="FR0000000000001",
        currency="978",
    )
    return replace(message, **changes)


def network(code: str, **changes: Any) -> Message:
    """An 0800."""
    return replace(Message(mti="0800", transmitted="0512103000", trace="000001", network_code=code), **changes)


def financial(mti: str) -> Message:
    """A message of this type with all its mandatory fields."""
    if mti.startswith("05"):
        number, amount = "0000000000", "0000000000000000"
        return Message(
            mti=mti,
            transmitted="0512103000",
            trace="000001",
            settlement_date="0512",
            acquirer=ACQUIRER,
            credits_number=number,
            credits_reversal_number=number,
            debits_number=number,
            debits_reversal_number=number,
            credits_amount=amount,
            credits_reversal_amount=amount,
            debits_amount=amount,
            debits_reversal_amount=amount,
            net_amount=f"C{amount}",
        )
    return purchase(1, mti=mti, original="0200" + "000001" + "0512103000" + ACQUIRER.zfill(11) + "0" * 11)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds that the other end of a socket brings about."""
    while not condition():  # noqa: ASYNC110  the product has no event for it
        await asyncio.sleep(0)
