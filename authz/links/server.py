"""Listens for one acquirer's connections, with a limit on how many an address may open."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

from authz.links.connection import Connection
from authz.links.link import Link

CONNECTIONS_PER_ADDRESS_MAX = 1_024
BACKLOG_MAX = 1_024
DRAIN_MAX_S = 5
"""What is unanswered then has been promised nothing; with the engine's own end it stays below the 10 s of a stop."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Two minutes after it was last heard of (seconds, seconds, times), a host that vanished is taken for dead."""


class LinkServer:
    """A listening socket, and the connections that came by it."""

    def __init__(self, link: Link, log: Callable[..., None]) -> None:
        self.link = link
        self.port = 0
        self._log = log
        self._listener: asyncio.Server | None = None
        self._stopping = False
        self._connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._open = link.metrics.connections.labels(link.terms.acquirer)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 picks a free one. Raises `OSError` where that can't be."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self.link, self._opened, self._closed, self._log),
            host,
            port,
            backlog=BACKLOG_MAX,
            start_serving=False,
        )
        for listening in self._listener.sockets:
            _keep_alive(listening)
        await self._listener.start_serving()
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no new connection and no new request; answer what is in flight, then close. Ends in `DRAIN_MAX_S`."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
        await asyncio.gather(*(connection.drain(DRAIN_MAX_S) for connection in self._connections))

    def _opened(self, connection: Connection) -> str:
        """Count a connection. Says why it isn't taken; empty: it is."""
        self._connections.add(connection)
        self._by_address[connection.address] += 1
        self._open.set(len(self._connections))
        if self._stopping:  # the system had accepted it before the listener closed
            return "stopping"
        return "too_many_connections" if self._by_address[connection.address] > CONNECTIONS_PER_ADDRESS_MAX else ""

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        self._open.set(len(self._connections))


def _keep_alive(listening: socket.socket) -> None:
    """Have the system notice when the other end of a connection is dead. What is accepted here inherits it."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
