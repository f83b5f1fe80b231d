"""A host that answers after delays of its own choosing, and then tells what they were.

Its own lateness counts as a delay: it tells when it answered, not when it meant to. Run as a process.
"""

import asyncio
import json
import random
import sys
import time

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.frames import Framer
from authz.wire.message import Message

SEED = 7


class Slow(asyncio.Protocol):
    def __init__(self, delays, took):
        self._codec = Codec(shipped("iso87ascii"))
        self._framer = Framer()
        self._delays = delays
        self._took = took
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        at = time.perf_counter()
        for frame in self._framer.feed(data):
            delay = next(self._delays)
            frame = self._framer.frame(self._codec.encode(self._answer(self._codec.decode(frame))))
            if delay:
                asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + delay, self._send, frame, at)
            else:
                self._send(frame, at)

    def _send(self, frame, at):
        self._took.append((time.perf_counter() - at) * 1_000)
        self._transport.write(frame)

    @staticmethod
    def _answer(request):
        echoed = (
            "processing_code",
            "amount",
            "transmitted",
            "trace",
            "local_time",
            "local_date",
            "terminal",
            "merchant",
        )
        refused = request.amount is not None and int(request.amount) % 4 == 0
        return Message(
            mti=f"{request.mti[:2]}{int(request.mti[2]) + 1}0",
            response_code="51" if refused else "00",
            reason="NO_FUNDS" if refused else "APPROVED",
            **{name: getattr(request, name) for name in echoed},
        )


def exponential(milliseconds):
    chance = random.Random(SEED)
    while True:
        yield chance.expovariate(1_000 / float(milliseconds))


def stall(seconds, at_request):
    """Read nothing and answer nothing for once: a collector's pause, a failover."""
    for number in range(sys.maxsize):
        if number == int(at_request):
            time.sleep(float(seconds))
        yield 0


async def main(kind, *arguments):
    delays = {"exponential": exponential, "stall": stall}[kind](*arguments)
    took = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Slow(delays, took), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
