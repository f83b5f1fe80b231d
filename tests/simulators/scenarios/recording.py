"""A good run, kept: what was asked and answered, to be answered again by nobody but memory."""

from collections import defaultdict, deque

from authz.wire.message import Message
from simulators.link import Authorizer, LinkError, NoReply

Key = tuple[str | None, ...]


class Recorder:
    """Passes requests on and keeps what came of them: a reply, or none."""

    def __init__(self, line: Authorizer) -> None:
        self.kept: dict[Key, list[Message | None]] = defaultdict(list)
        self._line = line

    async def exchange(self, request: Message, timeout: float) -> Message:
        try:
            reply = await self._line.exchange(request, timeout)
        except LinkError:
            self.kept[_key(request)].append(None)
            raise
        self.kept[_key(request)].append(reply)
        return reply


class Replayer:
    """A host in memory that answers as a recorded one did. It is a bad line too, of which the recording knows."""

    faults: object = None

    def __init__(self, kept: dict[Key, list[Message | None]]) -> None:
        self._left = {key: deque(replies) for key, replies in kept.items()}

    def heal(self) -> None:
        pass

    async def exchange(self, request: Message, timeout: float) -> Message:
        replies = self._left[_key(request)]
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        if reply is None:
            raise NoReply("nothing came then")
        return reply


def _key(request: Message) -> Key:
    return (request.mti, request.trace, request.local_time, request.local_date, request.terminal, request.merchant)
