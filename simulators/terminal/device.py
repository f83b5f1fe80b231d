"""The terminal without its screen: keys and cards go in, and what the screen is to show comes out.

Every step goes by the table in `states`. The PIN goes digit by digit into the PIN pad (`PinEntry`), which lets it out
enciphered or to the card's chip, and never to be read; a display has dots.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from authz.wire.codec import Unsendable
from authz.wire.message import Message
from simulators.mistakes import Mistake
from simulators.terminal import receipt
from simulators.terminal.card import Card, masked
from simulators.terminal.display import Display, Key, Line, MenuItem, Said
from simulators.terminal.floor import may_accept_offline
from simulators.terminal.messages import ANY_PRODUCT, CHIPPED, Entry
from simulators.terminal.pin_entry import PinEntry
from simulators.terminal.pinpad import PinPad
from simulators.terminal.receipt import DaySlip, Decision, Slip
from simulators.terminal.standing import Decided
from simulators.terminal.states import Event, State, after, can
from simulators.terminal.till import DayOpen, Till
from simulators.terminal.wording import PRODUCTS, Language

AMOUNT_CENTS_MAX = 99_999_999
"""What the keys let in: 999,999.99."""
CONTACTLESS_CENTS_MAX = 3_000
"""Above, a contactless payment takes a PIN (docs/interface.md, PIN_MISSING)."""


Listener = Callable[[Display], None]


class Visit(Struct, kw_only=True):
    """What is known of the customer at the till, or of what was chosen from the menu."""

    cents: int = 0
    generation: int | None = None
    card: Card | None = None
    entry: Entry = Entry.CHIP
    product: str = ANY_PRODUCT
    products: tuple[str, ...] = ()
    asks_balance: bool = False
    slip: Slip | None = None
    duplicate: bool = False
    day: DaySlip | None = None


class Device:
    """One terminal at work. Keys and cards that mean nothing where they come are passed over.

    `start` finishes what an earlier run left, as far as the host can be reached, and goes on telling the rest beside.
    `press` and `present` return at once: what they set off goes on beside, and `settled` awaits it. `listener` is told
    of every change. `stop` leaves the rest to the journal.
    """

    def __init__(
        self,
        till: Till,
        pin_pad: PinPad,
        listener: Listener | None = None,
        *,
        language: Language = Language.FRENCH,
    ) -> None:
        self._till = till
        self._site = till.terminal.site
        self._listener = listener
        self._language = language
        self._state = State.RESUMING
        self._pin = PinEntry(pin_pad)
        self._at_hand: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._forget()
        self.display = Display(state=self._state, lines=(Line(Said.RESUMING),), language=language)

    async def start(self) -> None:
        """Take back what an earlier run left in doubt, try once to tell what is to be told, and be ready."""
        doubts = self._till.store_doubts()
        to_tell = len(self._till.stored)
        if to_tell:
            self._show(Line(Said.RESUMING))
            await self._forward()
        self._telling = asyncio.create_task(self._keep_telling())
        resumed = Line(Said.RESUMED, {"told": to_tell - doubts, "reversed": doubts})
        self._go(Event.FINISHED, resumed if to_tell else Line(Said.READY), *self._left())

    async def settled(self) -> None:
        """Wait for what the last key or card set off."""
        if self._at_hand is not None:
            await self._at_hand

    async def stop(self) -> None:
        """Drop everything, as a power cut would: the journal has what the next start needs."""
        for task in (self._at_hand, self._telling):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def press(self, key: Key | str) -> None:
        """Press a key: a `Key`, or a digit."""
        digit = key if key.isascii() and key.isdigit() and len(key) == 1 else None
        if self._state is State.OUTCOME:
            self._leave_outcome(key)
            if digit is None:
                return
        if digit is not None:
            self._type(digit)
        elif key == Key.CANCEL:
            self._cancel()
        elif key == Key.MENU and can(self._state, Event.MENU_OPENED):
            self._go(Event.MENU_OPENED, Line(Said.MENU))
        elif key == Key.OK:
            self._confirm()
        elif key == Key.BACK:
            self._correct()

    def present(self, card: Card, entry: Entry) -> None:
        """Put a card into the reader, hold it to it, or draw its stripe through."""
        if self._state is not State.CARD:
            return
        if entry in CHIPPED and card.chip is None:
            self._show(Line(Said.CARD_UNREADABLE), Line(Said.PRESENT_CARD))
            return
        if self._visit.generation not in (None, card.generation):
            self._visit.generation = None
            wrong = Line(Said.OTHER_GENERATION, {"generation": card.generation})
            self._go(Event.OTHER_GENERATION, wrong, Line(Said.CHOOSE_GENERATION))
            return
        self._visit.card, self._visit.entry = card.without_pin(), entry
        listed = card.chip.products if card.chip is not None and entry in CHIPPED else ()
        if len(listed) > 1 and not self._visit.asks_balance:
            self._choose_among(listed)
        else:
            self._identify()

    def _type(self, digit: str) -> None:
        match self._state:
            case State.READY if digit != "0":
                self._visit.cents = int(digit)
                self._go(Event.DIGIT, Line(Said.TYPE_AMOUNT))
            case State.AMOUNT if self._visit.cents * 10 + int(digit) <= AMOUNT_CENTS_MAX:
                self._visit.cents = self._visit.cents * 10 + int(digit)
                self._show(Line(Said.TYPE_AMOUNT))
            case State.GENERATION if digit in "12":
                self._visit.generation = int(digit)
                self._go(Event.GENERATION_CHOSEN, Line(Said.PRESENT_CARD))
            case State.PRODUCT if 1 <= int(digit) <= len(self._visit.products):
                self._visit.product = self._visit.products[int(digit) - 1]
                self._identify()
            case State.PIN:
                self._pin.press(digit)
                self._show(Line(Said.TYPE_PIN))
            case State.MENU if 1 <= int(digit) <= len(MenuItem):
                self._choose(tuple(MenuItem)[int(digit) - 1])
            case _:
                pass

    def _confirm(self) -> None:
        match self._state:
            case State.AMOUNT:
                self._go(Event.AMOUNT_TYPED, Line(Said.CHOOSE_GENERATION))
            case State.GENERATION:
                self._visit.generation = None
                self._go(Event.GENERATION_CHOSEN, Line(Said.PRESENT_CARD))
            case State.PIN if self._pin.is_whole:
                self._ask()
            case State.PIN:
                self._show(Line(Said.PIN_TOO_SHORT), Line(Said.TYPE_PIN))
            case _:
                pass

    def _correct(self) -> None:
        match self._state:
            case State.AMOUNT if self._visit.cents >= 10:
                self._visit.cents //= 10
                self._show(Line(Said.TYPE_AMOUNT))
            case State.GENERATION:
                self._go(Event.BACK, Line(Said.TYPE_AMOUNT))
            case State.PIN:
                self._pin.rub_out()
                self._show(Line(Said.TYPE_PIN))
            case State.AMOUNT | State.MENU:
                self._cancel()
            case _:
                pass

    def _cancel(self) -> None:
        if can(self._state, Event.CANCELLED):
            self._forget()
            self._go(Event.CANCELLED, Line(Said.CANCELLED), Line(Said.READY))

    def _leave_outcome(self, key: Key | str) -> None:
        rest = 0 if self._visit.slip is None or self._visit.duplicate else self._visit.slip.rest
        self._forget()
        if key == Key.OK and rest:
            self._visit.cents = rest
            self._go(Event.REST_WANTED, Line(Said.TYPE_AMOUNT))
        else:
            self._go(Event.DISMISSED, Line(Said.READY))

    def _choose(self, item: MenuItem) -> None:
        match item:
            case MenuItem.BALANCE:
                self._visit.asks_balance = True
                self._go(Event.BALANCE_CHOSEN, Line(Said.PRESENT_CARD))
            case MenuItem.CANCEL_LAST:
                self._go(Event.CANCELLATION_CHOSEN, Line(Said.TAKING_BACK))
                self._beside(self._cancel_last())
            case MenuItem.DUPLICATE:
                last = self._till.standing.decided
                self._visit.slip, self._visit.duplicate = (
                    (None if last is None else self._slip_of(last)),
                    last is not None,
                )
                said = Said.NOTHING_TO_PRINT if self._visit.slip is None else _SAID[self._visit.slip.decision]
                self._go(Event.DUPLICATE_CHOSEN, Line(said, self._values()))
            case MenuItem.CLOSE_DAY:
                self._go(Event.CLOSING_CHOSEN, Line(Said.CLOSING))
                self._beside(self._close_day())
            case MenuItem.LANGUAGE:
                self._language = _NEXT_LANGUAGE.get(self._language, Language.FRENCH)
                self._go(Event.LANGUAGE_CHOSEN, Line(Said.MENU))

    def _choose_among(self, products: tuple[str, ...]) -> None:
        self._visit.products = products
        self._go(Event.PRODUCT_WANTED, Line(Said.CHOOSE_PRODUCT))

    def _identify(self) -> None:
        """Ask the holder for the PIN, where it is needed from the start."""
        if len(self._pin) or (self._visit.entry is Entry.CONTACTLESS and self._visit.cents <= CONTACTLESS_CENTS_MAX):
            self._ask()
        else:
            self._go(Event.PIN_WANTED, Line(Said.TYPE_PIN))

    def _ask(self) -> None:
        self._go(Event.COMPLETE, Line(Said.ASKING))
        self._beside(self._asking())

    async def _asking(self) -> None:
        request = self._request()
        reply = await self._till.ask(request)
        if reply is not None:
            self._hear(request, reply)
        elif self._till.doubts(request):
            self._go(Event.SILENCE, Line(Said.TAKING_BACK))
            self._till.store_doubts()
            await self._forward()
            self._visit.slip = self._unheard(request, receipt.UNANSWERED)
            self._end(Line(Said.NO_ANSWER), *self._left())
        else:
            self._decide_alone(request)

    def _request(self) -> Message:
        assert self._visit.card is not None
        terminal, card = self._till.terminal, self._visit.card
        if self._visit.asks_balance:
            request = terminal.inquiry(card, entry=self._visit.entry)
        else:
            request = terminal.purchase(
                card, self._visit.cents, entry=self._visit.entry, product=self._visit.product, takes_partial=True
            )
        return msgspec.structs.replace(request, pin_block=self._pin.block(card.pan) if len(self._pin) else None)

    def _hear(self, request: Message, reply: Message) -> None:
        """What a host answers; or what it wants first, and then it is asked anew."""
        assert self._visit.card is not None
        slip = receipt.read(self._site, self._till.terminal.now(), masked(self._visit.card.pan), request, reply)
        if self._visit.card.chip is not None:
            self._visit.card.chip.heard()
        if slip.reason == "PRODUCT_NOT_CHOSEN" and self._visit.product == ANY_PRODUCT:
            listed = () if self._visit.card.chip is None else self._visit.card.chip.products
            self._choose_among(listed if len(listed) > 1 else tuple(PRODUCTS))
        elif slip.reason == "PIN_MISSING" and not len(self._pin):
            self._want_pin(Line(Said.PIN_WANTED), Line(Said.TYPE_PIN))
        elif slip.reason == "PIN_WRONG" and slip.tries_left:
            self._want_pin(Line(Said.WRONG_PIN, {"tries": slip.tries_left}), Line(Said.TYPE_PIN))
        else:
            self._visit.slip = slip
            said = (
                Said.BALANCE
                if self._visit.asks_balance and slip.decision is Decision.APPROVED
                else _SAID[slip.decision]
            )
            self._end(Line(said, self._values()))

    def _want_pin(self, *lines: Line) -> None:
        self._pin.clear()
        self._go(Event.PIN_WANTED, *lines)

    def _decide_alone(self, request: Message) -> None:
        """Nothing left the terminal, for there is no link: the chip may accept, below the floor limit."""
        assert self._visit.card is not None
        card, chip = self._visit.card, self._visit.card.chip
        if (
            self._visit.asks_balance
            or chip is None
            or not may_accept_offline(self._site, card, self._visit.entry, self._visit.cents)
        ):
            self._refuse_alone(request)
        elif self._pin.shown_to(chip):
            advice = self._till.terminal.advice(card, self._visit.cents, product=self._visit.product)
            self._till.store(advice)
            self._visit.slip = self._unheard(advice, receipt.OFFLINE)
            self._end(Line(Said.ACCEPTED_OFFLINE), *self._left())
        elif chip.pin_tries_left:
            self._want_pin(Line(Said.WRONG_PIN, {"tries": chip.pin_tries_left}), Line(Said.TYPE_PIN))
        else:
            self._refuse_alone(request)

    def _refuse_alone(self, request: Message) -> None:
        self._visit.slip = self._unheard(request, receipt.UNREACHED)
        self._end(Line(Said.NO_LINK), Line(Said.REFUSED))

    async def _cancel_last(self) -> None:
        """Reverse the last sale, in full."""
        sale = self._till.standing.last_sale
        if sale is None:
            self._end(Line(Said.NOTHING_TO_CANCEL))
            return
        self._till.store(self._till.terminal.reversal(sale.request))
        await self._forward()
        self._visit.slip = msgspec.structs.replace(self._slip_of(sale), reversal=receipt.REVERSED)
        self._end(Line(Said.CANCELLED), *self._left())

    async def _close_day(self) -> None:
        try:
            closed = await self._till.close_day()
        except DayOpen as left:
            self._end(Line(Said.DAY_NOT_CLOSED, {"to_tell": left.to_tell}))
            return
        self._visit.day = DaySlip.of(closed.book, self._site, self._till.terminal.now())
        values: dict[str, str | int] = {"day": closed.batch.day.isoformat(), "owed": closed.batch.totals.net}
        self._end(Line(Said.DAY_CLOSED, values))

    def _slip_of(self, decided: Decided) -> Slip:
        """What was printed of a request; the journal has the reply, so also by an earlier run."""
        request, reply = decided.request, decided.reply
        card = masked(request.card_number or "")
        if reply is None:
            return receipt.unheard(self._site, decided.at, card, request, receipt.OFFLINE)
        return receipt.read(self._site, decided.at, card, request, reply)

    def _unheard(self, request: Message, response_code: str) -> Slip:
        now = self._till.terminal.now()
        return receipt.unheard(self._site, now, masked(request.card_number or ""), request, response_code)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._at_hand = asyncio.create_task(self._attended(work))

    async def _attended(self, work: Coroutine[Any, Any, None]) -> None:
        """Whatever can't be done is said on the screen; what it left in doubt is taken back at the next start."""
        try:
            await work
        except (Mistake, Unsendable) as failed:
            self._end(Line(Said.FAILED, {"why": str(failed)}))

    async def _keep_telling(self) -> None:
        """Go on telling what nobody has acknowledged yet, whatever the till is doing."""
        while True:
            await asyncio.sleep(self._till.patience.again_every_s)
            if self._till.stored:
                await self._forward()
                self._show(*((Line(Said.READY), *self._left()) if self._state is State.READY else self.display.lines))

    async def _forward(self) -> None:
        with suppress(Mistake):  # it stays stored
            await self._till.forward()

    def _left(self) -> tuple[Line, ...]:
        to_tell = len(self._till.stored)
        return (Line(Said.LEFT_TO_TELL, {"to_tell": to_tell}),) if to_tell else ()

    def _values(self) -> dict[str, str | int]:
        return {"rest": self._visit.slip.rest} if self._visit.slip is not None and self._visit.slip.rest else {}

    def _forget(self) -> None:
        """Let a new customer come."""
        self._visit = Visit()
        self._pin.clear()

    def _end(self, *lines: Line) -> None:
        """Show how it ended; the PIN is forgotten."""
        self._pin.clear()
        self._go(_ENDS[self._state], *lines)

    def _go(self, event: Event, *lines: Line) -> None:
        self._state = after(self._state, event)
        self._show(*lines)

    def _show(self, *lines: Line) -> None:
        self.display = Display(
            state=self._state,
            lines=lines,
            cents=self._visit.cents,
            generation=self._visit.generation,
            dots=len(self._pin) if self._state is State.PIN else 0,
            products=self._visit.products if self._state is State.PRODUCT else (),
            menu=tuple(MenuItem) if self._state is State.MENU else (),
            card=None if self._visit.card is None else masked(self._visit.card.pan),
            slip=self._visit.slip,
            duplicate=self._visit.duplicate,
            day=self._visit.day,
            language=self._language,
            linked=self._till.linked,
            to_tell=len(self._till.stored),
        )
        if self._listener is not None:
            self._listener(self.display)


_NEXT_LANGUAGE = {Language.FRENCH: Language.DUTCH, Language.DUTCH: Language.ENGLISH}
_ENDS = {State.ASKING: Event.DECIDED, State.TAKING_BACK: Event.TAKEN_BACK, State.CLOSING: Event.CLOSED}
"""How each thing that takes time ends."""
_SAID = {
    Decision.APPROVED: Said.APPROVED,
    Decision.PARTIAL: Said.PARTIAL,
    Decision.REFUSED: Said.REFUSED,
    Decision.OFFLINE: Said.ACCEPTED_OFFLINE,
}
