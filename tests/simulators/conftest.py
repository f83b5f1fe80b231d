"""A scripted ISO 8583 host on a real socket: what the simulators are tested against."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.frames import Framer
from authz.wire.message import Message
from simulators.terminal import parameters
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad

LOOP_TURNS_TO_SETTLE = 10
NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)


class Peer:
    """The host's side of one connection: `heard` is what came, `send` and `cut` are what it does."""

    def __init__(self, codec: Codec, writer: asyncio.StreamWriter) -> None:
        self.heard: list[Message] = []
        self._codec = codec
        self._framer = Framer(codec.dialect.framing)
        self._writer = writer

    def send(self, message: Message) -> None:
        self.send_bytes(self._framer.frame(self._codec.encode(message)))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def cut(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Peer, Message], Awaitable[None] | None]


class ScriptedHost:
    """Runs a script on every message that it hears."""

    def __init__(self, codec: Codec, script: Script) -> None:
        self.peers: list[Peer] = []
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._codec = codec
        self._script = script

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        peer = Peer(self._codec, writer)
        self.peers.append(peer)
        framer = Framer(self._codec.dialect.framing)
        try:
            while data := await reader.read(65_536):
                for frame in framer.feed(data):
                    message = self._codec.decode(frame)
                    peer.heard.append(message)
                    waiting = self._script(peer, message)
                    if waiting is not None:
                        await waiting
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def end(self) -> None:
        """Cut every connection, and wait until all are closed."""
        for peer in self.peers:
            peer.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await settle()

    @property
    def heard(self) -> list[Message]:
        return [message for peer in self.peers for message in peer.heard]


async def settle() -> None:
    # From accepting a connection to its handler, and from aborting it to its closed socket, asyncio takes a few
    # turns of the loop, and has no event for either.
    for _ in range(LOOP_TURNS_TO_SETTLE):
        await asyncio.sleep(0)


def answer(request: Message, code: str = "00", reason: str = "APPROVED", **fields: object) -> Message:
    """A reply with the fields that replies echo, and what is given."""
    echoed = ("processing_code", "amount", "transmitted", "trace", "local_time", "local_date", "acquirer")
    echoed += ("terminal", "merchant", "currency", "network_code", "pan")
    reply = Message(
        mti=f"{request.mti[:2]}{int(request.mti[2]) + 1}0",
        **{name: getattr(request, name) for name in echoed},
        response_code=code,
        reason=reason,
    )
    return msgspec.structs.replace(reply, **fields)


Hosting = Callable[[Script], "asynccontextmanager[ScriptedHost]"]


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(shipped("iso87ascii"))


@pytest.fixture
def hosting(codec):
    """`async with hosting(script) as host`: a host on a port of its own, until the block ends."""

    @asynccontextmanager
    async def host(script: Script) -> AsyncIterator[ScriptedHost]:
        scripted = ScriptedHost(codec, script)
        server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
        scripted.port = server.sockets[0].getsockname()[1]
        try:
            yield scripted
        finally:
            await settle()  # a connection accepted as its server closes is never closed
            server.close()
            await scripted.end()

    return host


@pytest.fixture(name="answer")
def answer_fixture():
    return answer


@pytest.fixture
def demo():
    return parameters.demo()


@pytest.fixture
def terminal(demo):
    """The terminal at Le Bistrot du Port, on Tuesday 12 May 2026 at 12:30."""
    return Terminal(demo.site("PAR00001"), demo.acquirer, PinPad(demo.zone_pin_key), lambda: NOON)
