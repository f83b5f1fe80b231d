"""How messages reach a host, whoever sends them: what a sender may rely on, and what can go wrong."""

from typing import Protocol

from authz.wire.message import Message
from simulators.mistakes import Mistake


class LinkError(Mistake):
    """A message could not be exchanged with the host."""


class NoConnection(LinkError):
    """No connection could be made to the authorizer."""


class LinkLost(LinkError):
    """The connection was lost: what was in flight may or may not have been decided."""


class NoReply(LinkError):
    """No reply came in time: the request may or may not have been decided."""


class AlreadyInFlight(LinkError):
    """A request with the same matching fields still awaits its reply."""


class Authorizer(Protocol):
    """How a till reaches its host: a `Line`, or whatever exchanges messages as one does."""

    async def exchange(self, request: Message, timeout: float) -> Message:
        """Send a request and return its reply. Raises `LinkError` where there is none within `timeout` s."""
