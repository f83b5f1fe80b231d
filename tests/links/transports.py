"""A connection over no socket."""

import asyncio

from authz.links.connection import Connection
from tests.links.lines import Line


class BareTransport(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))


def joined(line: Line) -> tuple[Connection, BareTransport]:
    """A connection of this server."""
    transport = BareTransport()
    made = Connection(line.link, line.server._opened, line.server._log)
    made.connection_made(transport)
    line.server._connections.discard(made)
    return made, transport
