"""A payment terminal: builds the requests of one till, and keeps its day's totals.

It speaks for one merchant of one acquirer. Its clock is given, never read from the machine, and its requests are
plain messages: sending them is the acquirer host's business.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from authz.wire.message import Elements, Message
from simulators.card import Card
from simulators.pinpad import PinPad

Clock = Callable[[], datetime]
"""Says what time it is, as an aware datetime."""

TRACE_MAX = 999_999
"""DE 11 has six digits: after 999999 comes 000001."""
AMOUNT_CENTS_MAX = 999_999_999_999
"""DE 4 has twelve digits."""
EURO = "978"
ANY_PRODUCT = "00"
"""In DE 3: the card's only product."""


class Entry(StrEnum):
    """How the card is read."""

    CHIP = "chip"
    CONTACTLESS = "contactless"
    STRIPE = "stripe"
    ONLINE = "online"
    MANUAL = "manual"


ENTRY_MODES = {
    Entry.CHIP: "051",
    Entry.CONTACTLESS: "071",
    Entry.STRIPE: "021",
    Entry.ONLINE: "812",
    Entry.MANUAL: "011",
}
"""DE 22. A stripe sent whole, as track 2, is 901."""
WHOLE_STRIPE = "901"
TYPED = (Entry.ONLINE, Entry.MANUAL)
"""The card isn't there or isn't read: its expiry and CVV2 are typed in."""
TRACKED = (Entry.CHIP, Entry.STRIPE)
"""Entries that can carry track 2 (on a chip: its equivalent data)."""


class AmountUnfit(Exception):
    """An amount is 0 to 999,999,999,999 cents."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Site(Struct, frozen=True):
    """Where a terminal stands: its id (DE 41), the merchant (DE 42), the name on receipts, the time zone."""

    terminal: str
    merchant: str
    name: str
    time_zone: str

    @property
    def zone(self) -> ZoneInfo:
        """The zone of DE 12 and 13."""
        return ZoneInfo(self.time_zone)


class Tally(Struct, frozen=True):
    """How many payments a terminal saw approved, and what they come to."""

    count: int = 0
    cents: int = 0


class Terminal:
    """One till. `first_trace` is the first trace number, 1 to 999999; `sends_track2` puts the PAN in DE 35."""

    def __init__(
        self,
        site: Site,
        acquirer: str,
        pin_pad: PinPad,
        clock: Clock,
        *,
        first_trace: int = 1,
        sends_track2: bool = False,
    ) -> None:
        if not 1 <= first_trace <= TRACE_MAX:
            raise ValueError("a trace number is 1 to 999999")
        self.site = site
        self._acquirer = acquirer
        self._pin_pad = pin_pad
        self._clock = clock
        self._zone = site.zone
        self._next_trace = first_trace
        self._sends_track2 = sends_track2
        self._approved: dict[tuple[str, ...], int] = {}

    def __repr__(self) -> str:
        return f"Terminal({self.site.terminal})"

    def purchase(
        self,
        card: Card,
        cents: int,
        *,
        entry: Entry = Entry.CHIP,
        product: str = ANY_PRODUCT,
        takes_partial: bool = False,
    ) -> Message:
        """Ask to be paid at once (0200). `takes_partial`: the till can collect the rest otherwise."""
        return self._request("0200", "00", card, cents, entry, product, takes_partial)

    def authorization(
        self,
        card: Card,
        cents: int,
        *,
        entry: Entry = Entry.CHIP,
        product: str = ANY_PRODUCT,
        takes_partial: bool = False,
    ) -> Message:
        """Ask that an amount be set aside (0100)."""
        return self._request("0100", "00", card, cents, entry, product, takes_partial)

    def inquiry(self, card: Card, *, entry: Entry = Entry.CHIP, product: str = ANY_PRODUCT) -> Message:
        """Ask what is left of a product, or of all that the card holds."""
        return self._request("0100", "31", card, None, entry, product, takes_partial=False)

    def note(self, request: Message, reply: Message) -> None:
        """Enter a reply in the day's totals. The reply to a repeat replaces the first one's: it counts once."""
        if request.amount is None or reply.response_code not in ("00", "10"):
            return
        counted = reply.amount if reply.response_code == "10" else request.amount
        kind = "hold" if request.mti.startswith("01") else "sale"
        self._approved[kind, _text(request.trace), _text(request.local_date), _text(request.local_time)] = int(
            _text(counted)
        )

    @property
    def sales(self) -> Tally:
        """What this terminal saw paid since its day began (0200)."""
        return self._tally("sale")

    @property
    def holds(self) -> Tally:
        """What this terminal saw set aside since its day began (0100)."""
        return self._tally("hold")

    def close_day(self) -> None:
        """Begin a new day: totals start from nothing."""
        self._approved.clear()

    def _tally(self, kind: str) -> Tally:
        amounts = [cents for key, cents in self._approved.items() if key[0] == kind]
        return Tally(len(amounts), sum(amounts))

    def _request(
        self,
        mti: str,
        transaction: str,
        card: Card,
        cents: int | None,
        entry: Entry,
        product: str,
        takes_partial: bool,
    ) -> Message:
        if cents is not None and not 0 <= cents <= AMOUNT_CENTS_MAX:
            raise AmountUnfit
        now = self._clock()
        local = now.astimezone(self._zone)
        tracked = self._sends_track2 and entry in TRACKED
        return Message(
            mti=mti,
            pan=None if tracked else card.pan,
            track2=card.track2 if tracked else None,
            processing_code=f"{transaction}{product}00",
            amount=None if cents is None else f"{cents:012d}",
            currency=None if cents is None else EURO,
            transmitted=f"{now.astimezone(UTC):%m%d%H%M%S}",
            trace=self._take_trace(),
            local_time=f"{local:%H%M%S}",
            local_date=f"{local:%m%d}",
            expiry=card.expiry if entry in TYPED else None,
            entry_mode=WHOLE_STRIPE if tracked and entry is Entry.STRIPE else ENTRY_MODES[entry],
            acquirer=self._acquirer,
            terminal=f"{self.site.terminal:8}",
            merchant=f"{self.site.merchant:15}",
            elements=_elements(card.cvv2 if entry in TYPED else None, takes_partial),
            pin_block=None if card.pin is None or entry is Entry.ONLINE else self._pin_pad.block(card.pin, card.pan),
        )

    def _take_trace(self) -> str:
        trace = self._next_trace
        self._next_trace = trace % TRACE_MAX + 1
        return f"{trace:06d}"


def repeat(request: Message) -> Message:
    """The same request, sent again because no reply came: only the last digit of its MTI differs."""
    return msgspec.structs.replace(request, mti=f"{request.mti[:3]}1")


def _elements(cvv2: str | None, takes_partial: bool) -> Elements | None:
    if cvv2 is None and not takes_partial:
        return None
    return Elements(cvv2=cvv2, takes_partial="1" if takes_partial else None)


def _text(value: str | None) -> str:
    if value is None:
        raise ValueError("a field that every payment has is missing")
    return value
