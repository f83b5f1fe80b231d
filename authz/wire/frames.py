"""Frames in a stream of bytes: a length, then so many bytes of message."""

from authz.wire.dialect import Framing


class FrameTooLong(Exception):
    """A frame is longer than the dialect allows."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class LengthUnreadable(FrameTooLong):
    """There is no decimal number where a frame's length is expected: there is no end to be found."""


class Framer:
    """Cuts one connection's bytes into frames. Between calls it keeps less than one frame.

    `keep_alives` counts frames of length 0, which carry nothing.
    """

    def __init__(self, framing: Framing = Framing()) -> None:  # noqa: B008, frozen
        self.keep_alives = 0
        self._length_bytes = framing.length_bytes
        self._decimal = framing.length_coding == "ascii"
        self._payload_bytes_max = framing.payload_bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in bytes as they came; return the payloads that are whole now, in their order.

        Raises `FrameTooLong` (`LengthUnreadable`) as soon as a length says so, now and ever after: nothing behind it
        can be told apart, so the connection is to be closed. Frames before it in the same bytes are dropped with it.
        """
        buffer = self._buffer
        buffer += data
        head = self._length_bytes
        payloads: list[bytes] = []
        start, end = 0, len(buffer)
        while end - start >= head:
            try:
                size = self._size(buffer[start : start + head])
            except FrameTooLong:
                buffer[:] = buffer[start : start + head]
                raise
            if end - start < head + size:
                break
            start += head
            if size:
                payloads.append(bytes(buffer[start : start + size]))
            else:
                self.keep_alives += 1
            start += size
        del buffer[:start]
        return payloads

    def frame(self, payload: bytes) -> bytes:
        """Put its length before a payload. Raises `FrameTooLong`."""
        if len(payload) > self._payload_bytes_max:
            raise FrameTooLong
        size = len(payload)
        head = b"%0*d" % (self._length_bytes, size) if self._decimal else size.to_bytes(self._length_bytes, "big")
        return head + payload

    def _size(self, head: bytearray) -> int:
        if self._decimal and not head.isdigit():
            raise LengthUnreadable
        size = int(head) if self._decimal else int.from_bytes(head, "big")
        if size > self._payload_bytes_max:
            raise FrameTooLong
        return size
