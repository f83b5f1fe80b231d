"""A till at work: it asks, and what it gets no answer to it takes back, until that is acknowledged.

Whoever asks for money over a line that can fail can't know whether silence means no. So a request without an answer
is reversed, and only an acknowledged reversal says what became of it; an answer that comes after the reversal was
begun is too late. What has happened already (a completion, an offline sale) can't be taken back by silence: it is
told again until it is heard. All is kept in memory: a till that is switched off forgets what it still had to tell.
"""

import asyncio

from msgspec import Struct

from authz.wire.message import Message
from simulators.link import Authorizer, LinkError
from simulators.mistakes import Mistake
from simulators.terminal.book import ACKNOWLEDGEMENTS, REVERSALS
from simulators.terminal.messages import Terminal, repeat

ANSWER_WITHIN_S = 8.0
"""Above the 5 s within which a host answers or declines to."""
AGAIN_EVERY_S = 10.0
REPEATS_MAX = 0
REVERSALS_MAX_TRIES = 1_000
"""At one every 10 s: close to three hours."""
UNDECIDED = ("91", "96")
"""Response codes by which nothing was recorded: a copy of the same request may still be decided otherwise."""


class NotAcknowledged(Mistake):
    """A message that must be told was not acknowledged, as often as it was sent."""

    def __init__(self, mti: str, tries: int, response_code: str | None) -> None:
        last = "no answer" if response_code is None else f"response code {response_code}"
        super().__init__(f"a {mti} was sent {tries} times and not acknowledged: {last} to the last")


class Patience(Struct, frozen=True, kw_only=True):
    """How long a till waits, and how often it tries.

    `repeats_max` is how often a request is sent again before it is taken back; `reversals_max_tries` how often a
    stored message, a reversal or an advice, is sent in all.
    """

    answer_within_s: float = ANSWER_WITHIN_S
    again_every_s: float = AGAIN_EVERY_S
    repeats_max: int = REPEATS_MAX
    reversals_max_tries: int = REVERSALS_MAX_TRIES


class Till:
    """One terminal with its line. It serves one customer at a time.

    `terminal.book` is its view of its money. `stored` is what it still has to tell: more than nothing only while it
    is telling, or after `NotAcknowledged`.
    """

    def __init__(self, terminal: Terminal, authorizer: Authorizer, patience: Patience = Patience()) -> None:  # noqa: B008, frozen
        self.terminal = terminal
        self.stored: list[Message] = []
        self._authorizer = authorizer
        self._patience = patience

    async def pay(self, request: Message) -> Message | None:
        """Ask for a payment, a hold, a refund or a balance. None: there was no answer, and the request is taken back.

        Raises `NotAcknowledged` where taking it back didn't succeed either.
        """
        patience = self._patience
        for sending in (request, *[repeat(request)] * patience.repeats_max):
            reply = await self._ask(sending, patience.answer_within_s)
            if reply is not None and reply.response_code not in UNDECIDED:
                self.terminal.note(request, reply)
                return reply
        await self.take_back(request)
        return None

    async def take_back(self, request: Message, *, stands: int | None = None) -> Message:
        """Reverse a request, in full or down to the cents that `stands`. Raises `NotAcknowledged`."""
        return await self.tell(self.terminal.reversal(request, stands=stands))

    async def tell(self, message: Message) -> Message:
        """Send an advice, a completion or a reversal until it is acknowledged. Raises `NotAcknowledged`."""
        self.stored.append(message)
        reply = await self._forward(message)
        self.stored.remove(message)
        self.terminal.note(message, reply)
        return reply

    async def _forward(self, message: Message) -> Message:
        clock = asyncio.get_running_loop().time
        patience, sending, reply = self._patience, message, None
        for _ in range(patience.reversals_max_tries):
            due = clock() + patience.again_every_s
            reply = await self._ask(sending, patience.again_every_s)
            if reply is not None and _acknowledges(message, reply):
                return reply
            sending = repeat(message)
            await asyncio.sleep(max(0.0, due - clock()))
        raise NotAcknowledged(
            message.mti, patience.reversals_max_tries, None if reply is None else reply.response_code
        ) from None

    async def _ask(self, request: Message, within_s: float) -> Message | None:
        try:
            return await self._authorizer.exchange(request, within_s)
        except LinkError:
            return None


def _acknowledges(message: Message, reply: Message) -> bool:
    if message.mti in REVERSALS:
        return reply.response_code in ACKNOWLEDGEMENTS
    return reply.response_code not in UNDECIDED
