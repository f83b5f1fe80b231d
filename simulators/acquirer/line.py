"""A till's line to the authorizer: one connection, made when it is first needed and again whenever it was lost."""

import asyncio
import ssl

from authz.wire.codec import Codec
from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost


class Line:
    """Any number of tills can share one. `connections` counts how often it was made."""

    def __init__(self, host: str, port: int, codec: Codec, *, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._host = host
        self._port = port
        self._codec = codec
        self._tls = tls
        self._acquirer: AcquirerHost | None = None
        self._connecting = asyncio.Lock()

    async def exchange(self, request: Message, timeout: float) -> Message:
        """Send a request and return its reply, within `timeout` seconds. Raises `LinkError`."""
        acquirer = await self._connected()
        return await acquirer.exchange(request, timeout)

    async def close(self) -> None:
        """End the connection; what is in flight fails with `LinkLost`."""
        if self._acquirer is not None:
            await self._acquirer.close()

    async def _connected(self) -> AcquirerHost:
        async with self._connecting:
            if self._acquirer is None or self._acquirer.lost:
                self._acquirer = await AcquirerHost.connect(self._host, self._port, self._codec, tls=self._tls)
                self.connections += 1
            return self._acquirer
