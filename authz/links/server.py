"""Listens for one acquirer's connections, with a limit on how many an address may open."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from authz.links.connection import CLOSED_BECAUSE, DROPPED_BECAUSE, Connection
from authz.links.link import Link, Terms
from authz.links.tls import CLOSE_MAX_S, HANDSHAKE_MAX_S, Tls, failure_of

CONNECTIONS_PER_ADDRESS_MAX = 1_024
BACKLOG_MAX = 1_024
ACCEPT_AGAIN_S = 0.1
"""How long nothing is accepted after the system could not: it is out of descriptors or memory."""
DRAIN_MAX_S = 5
"""What is unanswered then has been promised nothing; with the engine's own end it stays below the 10 s of a stop."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Two minutes after it was last heard of (seconds, seconds, times), a host that vanished is taken for dead."""


TURNED_AWAY_BECAUSE = ("too_many_connections", "stopping", "client_name_wrong")
"""Why a connection isn't taken."""


class LinkServer:
    """A listening socket, and the connections that came by it.

    Each counts for its address from its acceptance to its end, so that a TLS handshake that is never finished holds a
    place of its own address until its time is over, and nobody else's.
    """

    def __init__(self, link: Link, log: Callable[..., None], tls: Tls | None = None) -> None:
        self.link = link
        self.port = 0
        self._log = log
        self._tls = tls
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._stopping = False
        self._serving: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._expose()

    def _expose(self) -> None:
        """Have metrics that can be read at any time be read when they are asked for, and the others begin at 0."""
        metrics, acquirer = self.link.metrics, self.link.terms.acquirer
        metrics.connections.labels(acquirer).set_function(self._by_address.total)
        metrics.signed_on.labels(acquirer).set_function(lambda: sum(one.is_signed_on for one in self._connections))
        for why in DROPPED_BECAUSE:
            metrics.frames_dropped.labels(acquirer, why)
        for why in (*CLOSED_BECAUSE, *TURNED_AWAY_BECAUSE):
            metrics.links_closed.labels(acquirer, why)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 picks a free one. Raises `OSError` where that can't be."""
        self.begin(listening_at(host, port))

    def begin(self, listening: socket.socket) -> None:
        """Accept the connections that come by a socket that listens."""
        self._listening = listening
        self.port = listening.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(listening))

    def change(self, terms: Terms, tls: Tls | None) -> None:
        """Go by other terms from now on, over every connection; those to come are secured by `tls`."""
        self.link.change(terms)
        self._tls = tls
        for connection in self._connections:
            connection.watch()

    async def hand_over(self) -> socket.socket:
        """Accept no more connections, and give the socket away: those that come by it wait there for whoever begins."""
        assert self._listening is not None, "it has begun"
        assert self._accepting is not None, "it has begun"
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        listening, self._listening, self._accepting = self._listening, None, None
        return listening

    async def stop(self) -> None:
        """Take no new connection and no new request; answer what is in flight, then close. Ends in `DRAIN_MAX_S`."""
        self._stopping = True
        if self._listening is not None:
            (await self.hand_over()).close()
        await asyncio.gather(*(connection.drain(DRAIN_MAX_S) for connection in self._connections))
        for serving in self._serving:  # handshakes, and what couldn't be drained
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, (address, *_) = await loop.sock_accept(listening)
            except OSError as error:
                self._log("connection not accepted", error=type(error).__name__)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            serving = loop.create_task(self._serve(accepted, address))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket, address: str) -> None:
        """Keep a connection to its end, if its address has not too many already."""
        with accepted:
            if self._by_address[address] >= CONNECTIONS_PER_ADDRESS_MAX:
                self._turn_away("too_many_connections")
                return
            self._by_address[address] += 1
            try:
                await self._connect(accepted)
            finally:
                self._by_address[address] -= 1
                if not self._by_address[address]:
                    del self._by_address[address]

    async def _connect(self, accepted: socket.socket) -> None:
        """Have the handshake, where the link has TLS, and then messages, until the connection ends."""
        connection = Connection(self.link, self._opened, self._log)
        secured: dict[str, Any] = {}
        if self._tls is not None:
            secured = {
                "ssl": self._tls.context,
                "ssl_handshake_timeout": HANDSHAKE_MAX_S,
                "ssl_shutdown_timeout": CLOSE_MAX_S,
            }
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted, **secured)
            await connection.ended()
        except OSError as error:
            self._turn_away(failure_of(error))
        finally:
            self._connections.discard(connection)

    def _opened(self, connection: Connection) -> str:
        """Take up a connection. Says why it isn't taken; empty: it is."""
        self._connections.add(connection)
        if self._stopping:  # its handshake had begun before
            return "stopping"
        return "" if self._tls is None or self._tls.admits(connection.certificate) else "client_name_wrong"

    def _turn_away(self, why: str) -> None:
        self.link.metrics.links_closed.labels(self.link.terms.acquirer, why).inc()
        self._log("link closed", acquirer=self.link.terms.acquirer, why=why)


def listening_at(host: str, port: int) -> socket.socket:
    """Open a socket that listens; port 0 picks a free one. Raises `OSError` where that can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG_MAX)
    listening.setblocking(False)
    _set_options(listening)
    return listening


def _set_options(listening: socket.socket) -> None:
    """Have answers leave at once, and the system notice when the other end is dead. What is accepted inherits it."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
