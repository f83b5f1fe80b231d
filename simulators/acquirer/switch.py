"""The switch: many terminals' requests over the few links to the authorizer, and each terminal's own replies back.

A request is told from others by where it was made, its class, trace number and time; it is stamped with what its
terminal left out, its PIN block is translated, and it is entered in the books before it leaves. Where nothing was sent
the terminal hears 91 at once. Where something was sent and no reply came it hears nothing, as on any line that is cut:
it takes the request back, and the host finds out by itself what became of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from authz.wire.codec import Unsendable
from authz.wire.frames import FrameTooLong
from authz.wire.message import Message
from authz.wire.original import OriginalElements
from authz.wire.rules import echoing, first_mti
from simulators.acquirer.books import Books, Doubt
from simulators.acquirer.host import NETWORK_REQUEST, TOTALS_REQUEST
from simulators.acquirer.settlement import ADVICE, REVERSAL, UNDECIDED, Reference
from simulators.acquirer.terminals import Connection
from simulators.acquirer.totals import Totals
from simulators.acquirer.upstream import Tell, Upstream, said
from simulators.acquirer.zone_keys import KeyRing
from simulators.link import LinkError, NoConnection
from simulators.terminal.messages import naming, repeat

IN_FLIGHT_MAX = 1_024
"""Of all terminals, for each link; what comes beyond it hears 91."""
SETTLE_AFTER = timedelta(seconds=30)
"""How long a request is in doubt before the host finds out what became of it: its terminal has given up by then."""
SETTLE_EVERY_S = 5.0
PAUSE_MAX_S = 5.0
"""How long a request waits for the end of a cutover before it hears 91."""
APPROVED, INVALID, FORMAT, DUPLICATE, UNAVAILABLE = "00", "12", "30", "94", "91"
SERVED_HERE = ("001", "002", "301")
"""Network management (DE 70) of a terminal's own connection: sign-on, sign-off, echo."""
NAMED_BY = {"trace": 11, "local_time": 12, "local_date": 13, "terminal": 41, "merchant": 42, "transmitted": 7}
"""Fields without which a reply can't be told from another's."""


class Switch:
    """Serves terminals of one acquirer (DE 32). `in_flight` counts requests that await the authorizer."""

    def __init__(
        self,
        acquirer: str,
        keys: KeyRing,
        books: Books,
        upstream: Upstream,
        clock: Callable[[], datetime],
        tell: Tell,
        *,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self._acquirer = acquirer
        self._keys = keys
        self._books = books
        self._upstream = upstream
        self._clock = clock
        self._tell = tell
        self._in_flight_max = in_flight_max
        self._references = RetrievalReferences(clock)
        self._owners: dict[Reference, Connection] = {}
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._settling = asyncio.Lock()

    @property
    def in_flight(self) -> int:
        """How many requests of terminals await their reply."""
        return len(self._owners)

    async def serve(self, message: Message, terminal: Connection) -> Message | None:
        """Answer a terminal's message. None: it is not to be answered, or another's reply will do."""
        match message.mti[1]:
            case "8" if first_mti(message.mti) == NETWORK_REQUEST:
                known = message.network_code in SERVED_HERE
                return echoing(message, APPROVED if known else INVALID)
            case "5" if first_mti(message.mti) == TOTALS_REQUEST:
                return self._total(message)
            case "1" | "2" | "4":
                missing = next((field for name, field in NAMED_BY.items() if getattr(message, name) is None), None)
                return echoing(message, FORMAT) if missing else await self._pass_on(message, terminal)
            case _:
                return echoing(message, FORMAT)

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Let terminals wait for as long as the block runs, which begins when all that was asked is settled."""
        self._open.clear()
        try:
            await self._quiet.wait()
            async with self._settling:
                await self._settle_all()
                yield
        finally:
            self._open.set()

    async def drained(self, within_s: float) -> bool:
        """Wait until nothing is in flight; tell whether that came within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def keep_settled(self) -> None:
        """Find out, for as long as it runs, what became of requests that have been in doubt for long."""
        await self.settle()  # what an earlier run left: its terminals' connections ended with it
        while True:
            await asyncio.sleep(SETTLE_EVERY_S)
            now = self._clock()
            # One of a later time than now is of an earlier run, whose clock was ahead.
            await self.settle(lambda doubt: not now - SETTLE_AFTER < doubt.at <= now)  # noqa: B023 - used up at once

    async def settle(self, due: Callable[[Doubt], bool] = lambda _: True) -> None:
        """Find out what became of each request in doubt, the oldest first; one that gets no answer stays in doubt.

        A payment is taken back before it is asked about, so that asking can't make one of it: its terminal has given
        up. What told of something is told again.
        """
        async with self._settling:
            await self._settle_all(due)

    async def _settle_all(self, due: Callable[[Doubt], bool] = lambda _: True) -> None:
        for doubt in list(self._books.in_doubt.values()):
            if due(doubt) and Reference.of(doubt.request) not in self._owners:
                await self._upstream.until_up()
                await self._settle(doubt)

    async def _settle(self, doubt: Doubt) -> None:
        request = doubt.request
        try:
            if request.mti[1] != REVERSAL and request.mti[2] != ADVICE:
                taken = await self._ask(_taking_back(request, self._clock()))
                if taken.response_code in UNDECIDED:
                    return
            reply = await self._ask(repeat(request))
        except LinkError as failed:
            self._tell("still_in_doubt", mti=request.mti, trace=request.trace, why=str(failed))
        else:
            self._tell("settled", mti=request.mti, trace=request.trace, said=said(reply))

    async def _ask(self, request: Message) -> Message:
        """Ask the authorizer, in the books before and after. Raises `LinkError`."""
        await self._books.asked(request)
        try:
            reply = await self._upstream.ask(request)
        except (NoConnection, Unsendable, FrameTooLong):
            await self._books.unsent(request)
            raise
        await self._books.decided(request, reply)
        return reply

    async def _pass_on(self, message: Message, terminal: Connection) -> Message | None:
        name = Reference.of(message)
        if not await self._is_open():
            return echoing(message, UNAVAILABLE)
        owner = self._owners.get(name)
        if owner is not None:
            return self._repeated(message, name, owner, terminal)
        if not self._upstream.is_up or self.in_flight >= self._in_flight_max or name in self._books.taken_back:
            return echoing(message, UNAVAILABLE)
        self._owners[name] = terminal
        self._quiet.clear()
        try:
            reply = await self._ask(self._stamped(message))
        except NoConnection:
            reply = echoing(message, UNAVAILABLE)
        except (Unsendable, FrameTooLong):
            reply = echoing(message, FORMAT)
        except LinkError:
            return None
        finally:
            terminal = self._owners.pop(name)
            if not self._owners:
                self._quiet.set()
        terminal.answer(message, reply)
        return None

    async def _is_open(self) -> bool:
        """Tell whether requests can be sent; during a cutover, once it is over."""
        if not self._upstream.is_up:
            return False
        try:
            async with asyncio.timeout(PAUSE_MAX_S):
                await self._open.wait()
        except TimeoutError:
            return False
        return True

    def _repeated(self, message: Message, name: Reference, owner: Connection, terminal: Connection) -> Message | None:
        """A request that is in flight comes again: its reply goes to whoever asked last, if that is the same terminal.

        A terminal that connects anew has lost its old connection; while that lives, the name is another's.
        """
        if owner is not terminal and not owner.is_closed:
            return echoing(message, DUPLICATE)
        self._owners[name] = terminal
        return None

    def _stamped(self, message: Message) -> Message:
        """Put in what a terminal leaves to its host, and take its PIN from its zone to the link's."""
        original = message.original
        if original is not None and not int(OriginalElements.parse(original).acquirer):
            original = replace(OriginalElements.parse(original), acquirer=self._acquirer).text
        pin_block = message.pin_block
        if pin_block is not None and (message.elements is None or message.elements.key_serial is None):
            pin_block = self._keys.translate(pin_block)
        return replace(
            message,
            header=None,
            mac=None,
            acquirer=message.acquirer or self._acquirer,
            retrieval_reference=message.retrieval_reference or self._references.next(),
            pin_block=pin_block,
            original=original,
        )

    def _total(self, message: Message) -> Message:
        """Hold a terminal's totals of the open day against the host's own."""
        ours = self._books.totals_at((message.merchant or "").rstrip(), (message.terminal or "").rstrip())
        agreed = Totals.parse(message) == ours
        return replace(
            echoing(message, APPROVED), settlement_code="1" if agreed else "2", **ours.fields(self._books.day)
        )


class RetrievalReferences:
    """DE 37, unique for a year: the year's last digit and the day of the year, then eight digits that only grow.

    The eight are the milliseconds of the day, or one more than the last: after a restart none comes again.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._day = ""
        self._last = -1

    def next(self) -> str:
        """The next one, twelve digits."""
        now = self._clock().astimezone(UTC)
        day = f"{now:%Y%j}"[3:]
        if day != self._day:
            self._day, self._last = day, -1
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._last = max(self._last + 1, (now - midnight) // timedelta(milliseconds=1))
        return f"{day}{self._last:08d}"


def _taking_back(request: Message, at: datetime) -> Message:
    """The reversal of a request that may or may not have been decided.

    It bears the request's own trace number and local time, which no terminal gives another request of its own.
    """
    return replace(
        request,
        mti="0420",
        transmitted=f"{at.astimezone(UTC):%m%d%H%M%S}",
        original=naming(request),
        retrieval_reference=None,
        entry_mode=None,
        expiry=None,
        card_sequence=None,
    )
