"""A payment terminal: builds the requests of one till, and keeps the book of its money.

It speaks for one merchant of one acquirer. Its clock is given, never read from the machine, and its requests are
plain messages: sending them is the acquirer host's business.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from authz.wire.message import Elements, Message
from authz.wire.original import OriginalElements
from authz.wire.rules import first_mti
from simulators.mistakes import Mistake
from simulators.terminal.book import REFUND, Book, Kind, Tally
from simulators.terminal.card import Card
from simulators.terminal.chip import Asked, Chip
from simulators.terminal.pinpad import PinPad

Clock = Callable[[], datetime]
"""Says what time it is, as an aware datetime."""

TRACE_MAX = 999_999
"""DE 11 has six digits: after 999999 comes 000001."""
AMOUNT_CENTS_MAX = 999_999_999_999
"""DE 4 has twelve digits."""
EURO = "978"
COUNTRY = "250"
"""France, where the terminal stands as far as chips are told."""
PURCHASE, INQUIRY = "00", "31"
"""In DE 3, first two digits."""
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
CHIPPED = (Entry.CHIP, Entry.CONTACTLESS)
"""Entries in which the chip, where the card has one, makes a cryptogram."""
TRACKED = (Entry.CHIP, Entry.STRIPE)
"""Entries that can carry track 2 (on a chip: its equivalent data)."""


class AmountUnfit(Mistake):
    """An amount is 0 to 999,999,999,999 cents."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Site(Struct, frozen=True):
    """Where a terminal stands: its id (DE 41), the merchant (DE 42), the name on receipts, the time zone.

    Below `floor_limit` cents it may accept a chip card offline, where the host can't be reached.
    """

    terminal: str
    merchant: str
    name: str
    time_zone: str
    floor_limit: int = 0

    @property
    def zone(self) -> ZoneInfo:
        """The zone of DE 12 and 13."""
        return ZoneInfo(self.time_zone)


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
        self.acquirer = acquirer
        self._pin_pad = pin_pad
        self._clock = clock
        self._zone = site.zone
        self.next_trace = first_trace
        self._sends_track2 = sends_track2
        self.book = Book()

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
        return self._request("0200", PURCHASE, card, cents, entry, product, takes_partial)

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
        return self._request("0100", PURCHASE, card, cents, entry, product, takes_partial)

    def inquiry(self, card: Card, *, entry: Entry = Entry.CHIP, product: str = ANY_PRODUCT) -> Message:
        """Ask what is left of a product, or of all that the card holds."""
        return self._request("0100", INQUIRY, card, None, entry, product, takes_partial=False)

    def refund(self, card: Card, original_purchase: Message, cents: int, *, entry: Entry = Entry.CHIP) -> Message:
        """Give money back for goods returned (0200, processing code 20), naming what was bought. It takes no PIN."""
        product = (original_purchase.processing_code or "")[2:4] or ANY_PRODUCT
        request = self._request("0200", REFUND, card.without_pin(), cents, entry, product)
        return msgspec.structs.replace(request, original=naming(original_purchase))

    def completion(
        self, card: Card, original_authorization: Message, cents: int, *, approval: str | None = None
    ) -> Message:
        """Capture a hold (0220); 0 cents release it. It is named by DE 90, or by its `approval` where that is given."""
        return msgspec.structs.replace(
            self._stamped("0220", self._clock()),
            pan=card.pan,
            processing_code=original_authorization.processing_code,
            amount=_amount(cents),
            currency=EURO,
            approval=approval,
            original=naming(original_authorization) if approval is None else None,
        )

    def advice(
        self,
        card: Card,
        cents: int,
        *,
        entry: Entry = Entry.CHIP,
        product: str = ANY_PRODUCT,
        response_code: str | None = None,
    ) -> Message:
        """Tell of a sale made offline (0220). `response_code` is what the terminal or the chip decided; None: 00.

        Where the chip was read, it bears the chip's approval of it (a TC) in place of a question (an ARQC).
        """
        request = self._request("0220", PURCHASE, card.without_pin(), cents, entry, product)
        return msgspec.structs.replace(request, response_code=response_code)

    def hold_advice(
        self,
        card: Card,
        cents: int,
        *,
        entry: Entry = Entry.CHIP,
        product: str = ANY_PRODUCT,
        response_code: str | None = None,
    ) -> Message:
        """Tell of an amount set aside offline (0120)."""
        return msgspec.structs.replace(
            self.advice(card, cents, entry=entry, product=product, response_code=response_code), mti="0120"
        )

    def reversal(self, request: Message, *, stands: int | None = None) -> Message:
        """Take a request back (0400), whatever became of it: in full, or down to the cents that `stands`."""
        return msgspec.structs.replace(
            self._stamped("0400", self._clock()),
            pan=request.pan,
            track2=request.track2,
            processing_code=request.processing_code,
            amount=request.amount,
            currency=request.currency,
            acquirer=request.acquirer,
            terminal=request.terminal,
            merchant=request.merchant,
            original=naming(request),
            replacement=None if stands is None else f"{_amount(stands)}{'':0<30}",
        )

    def reversal_advice(self, request: Message, *, stands: int | None = None) -> Message:
        """Tell that a request was taken back (0420): otherwise as `reversal`."""
        return msgspec.structs.replace(self.reversal(request, stands=stands), mti="0420")

    def note(self, request: Message, reply: Message) -> None:
        """Enter a reply in the book. The reply to a repeat replaces the first one's: it counts once."""
        self.book.note(request, reply)

    @property
    def sales(self) -> Tally:
        """What this terminal saw paid since its day began (0200), also where it was reversed since."""
        return self.book.tally(Kind.SALE)

    @property
    def holds(self) -> Tally:
        """What this terminal saw set aside since its day began (0100, 0120), also where it was ended since."""
        return self.book.tally(Kind.HOLD)

    @property
    def owed(self) -> int:
        """The cents that this terminal believes it is to be paid."""
        return self.book.owed

    def close_day(self) -> None:
        """Begin a new day: its book is empty, and knows what stands from before."""
        self.book = self.book.closed()

    def now(self) -> datetime:
        """The instant by the terminal's clock."""
        return self._clock()

    def _request(
        self,
        mti: str,
        transaction: str,
        card: Card,
        cents: int | None,
        entry: Entry,
        product: str,
        takes_partial: bool = False,
    ) -> Message:
        now = self._clock()
        tracked = self._sends_track2 and entry in TRACKED
        chip = card.chip if entry in CHIPPED else None
        return msgspec.structs.replace(
            self._stamped(mti, now),
            pan=None if tracked else card.pan,
            track2=card.track2 if tracked else None,
            processing_code=f"{transaction}{product}00",
            amount=None if cents is None else _amount(cents),
            currency=None if cents is None else EURO,
            expiry=card.expiry if entry in TYPED else None,
            entry_mode=WHOLE_STRIPE if tracked and entry is Entry.STRIPE else ENTRY_MODES[entry],
            card_sequence=None if chip is None else f"{chip.sequence:03}",
            chip=None if chip is None else self._ask_chip(chip, mti, self._asked(transaction, cents, now)),
            elements=_elements(card.cvv2 if entry in TYPED else None, takes_partial),
            pin_block=None if card.pin is None or entry is Entry.ONLINE else self._pin_pad.block(card.pin, card.pan),
        )

    @staticmethod
    def _ask_chip(chip: Chip, mti: str, asked: Asked) -> str | None:
        return chip.approve(asked) if mti[2] == "2" else chip.answer(asked)

    def _asked(self, transaction: str, cents: int | None, now: datetime) -> Asked:
        """What the card's chip is told."""
        return Asked(
            cents=cents or 0,
            currency=EURO,
            day=now.astimezone(self._zone).date(),
            kind=transaction,
            country=COUNTRY,
            unpredictable=secrets.token_bytes(4),
        )

    def _stamped(self, mti: str, now: datetime) -> Message:
        """A message that says when and where, and which one it is."""
        local = now.astimezone(self._zone)
        return Message(
            mti=mti,
            transmitted=f"{now.astimezone(UTC):%m%d%H%M%S}",
            trace=self._take_trace(),
            local_time=f"{local:%H%M%S}",
            local_date=f"{local:%m%d}",
            acquirer=self.acquirer,
            terminal=f"{self.site.terminal:8}",
            merchant=f"{self.site.merchant:15}",
        )

    def _take_trace(self) -> str:
        trace = self.next_trace
        self.next_trace = following(trace)
        return f"{trace:06d}"


def following(trace: int) -> int:
    """The trace number after this one.

    >>> following(41), following(999_999)
    (42, 1)
    """
    return trace % TRACE_MAX + 1


def repeat(request: Message) -> Message:
    """The same request, sent again because no reply came: only the last digit of its MTI differs."""
    return msgspec.structs.replace(request, mti=f"{request.mti[:3]}1")


def naming(original: Message) -> str:
    """DE 90: what names a request to those that come after it. A repeat is named as what it repeats."""
    elements = OriginalElements(
        first_mti(original.mti), original.trace or "", original.transmitted or "", original.acquirer or ""
    )
    return elements.text


def _amount(cents: int) -> str:
    if not 0 <= cents <= AMOUNT_CENTS_MAX:
        raise AmountUnfit
    return f"{cents:012d}"


def _elements(cvv2: str | None, takes_partial: bool) -> Elements | None:
    if cvv2 is None and not takes_partial:
        return None
    return Elements(cvv2=cvv2, takes_partial="1" if takes_partial else None)
