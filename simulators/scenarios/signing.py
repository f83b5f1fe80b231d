"""MACs on a scenario's messages: made, spoilt and verified under the link's MAC key."""

from typing import Literal

import msgspec

from authz.security.mac import RetailMac
from authz.wire.codec import Codec
from authz.wire.message import Message
from simulators.link import Authorizer
from simulators.mistakes import Mistake

KEY_DIGITS = 32


class MacKeyUnfit(Mistake):
    """A MAC key is 32 hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Signer:
    """Signs under a MAC key, given in hexadecimal. Its repr doesn't show it."""

    def __init__(self, codec: Codec, key: str) -> None:
        if len(key) != KEY_DIGITS:
            raise MacKeyUnfit
        self._codec = codec
        self._mac = RetailMac(bytes.fromhex(key))

    def __repr__(self) -> str:
        return "Signer(…)"

    def signed(self, message: Message) -> Message:
        """The message with its MAC, whatever it bore before. Raises `Unsendable`."""
        frame = self._codec.encode_unsigned(message)
        return msgspec.structs.replace(message, mac=self._mac.of(self._codec.covered(frame)))

    def spoilt(self, message: Message) -> Message:
        """The message with a MAC of which one bit is wrong. Raises `Unsendable`."""
        right = self.signed(message).mac
        assert right is not None
        return msgspec.structs.replace(message, mac=f"{int(right, 16) ^ 1:016X}")

    def verify(self, reply: Message) -> Literal["right", "wrong"] | None:
        """Tell whether a reply's MAC is right; None: it has none, or has fields that can't be written again."""
        if reply.mac is None or reply.unused:
            return None
        return "right" if self.signed(reply).mac == reply.mac else "wrong"


class SignedLine:
    """A line on which every message that has no MAC gets one."""

    def __init__(self, line: Authorizer, signer: Signer) -> None:
        self._line = line
        self._signer = signer

    async def exchange(self, request: Message, timeout: float) -> Message:
        """Sign a request, send it, and return its reply. Raises `LinkError`."""
        return await self._line.exchange(request if request.mac else self._signer.signed(request), timeout)
