"""The stage of one scenario: its terminals, cards and clock, and each step's request made of them."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from authz.wire.message import Message
from simulators.acquirer.host import CUTOVER, ECHO, NETWORK_REQUEST, SIGN_OFF, SIGN_ON, TOTALS_REQUEST
from simulators.acquirer.totals import Totals
from simulators.scenarios.arithmetic import Sum, cents
from simulators.scenarios.expectations import filled
from simulators.scenarios.fields import Address, put
from simulators.scenarios.script import CardInHand, Place, ScenarioInvalid, Script
from simulators.scenarios.steps import (
    Advice,
    Authorization,
    Completion,
    DayTotals,
    Following,
    HoldAdvice,
    Inquiry,
    Network,
    Pays,
    Presented,
    Purchase,
    Raw,
    Refund,
    Repeat,
    Reversal,
    ReversalAdvice,
    Sent,
)
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip, Version
from simulators.terminal.messages import TRACE_MAX, Clock, Entry, Terminal, repeat
from simulators.terminal.parameters import KnownCard, Parameters
from simulators.terminal.pinpad import PinPad

TRACES_A_TERMINAL = 10_000
"""Between the first trace numbers of two terminals: one site may stand in a scenario more than once."""
NETWORK_CODES = {"sign-on": SIGN_ON, "sign-off": SIGN_OFF, "cutover": CUTOVER, "echo": ECHO}


class Stage:
    """Makes the requests of one run. `sent` has them by step, `variables` what was captured so far.

    `first_trace` is the first terminal's first trace number. Raises `ScenarioInvalid` for a terminal that the
    parameters don't know, and `CardInvalid`.
    """

    def __init__(self, script: Script, parameters: Parameters, *, first_trace: int = 1) -> None:
        self.sent: dict[str, Message] = {}
        self.variables = {name: str(value) for name, value in script.variables.items()}
        self._script = script
        self._parameters = parameters
        self._jumps = dict.fromkeys(script.terminals, timedelta())
        self._cards = {name: self._card(card) for name, card in script.cards.items()}
        self._cards_by_step: dict[str, Card] = {}
        self._approvals: dict[str, str | None] = {}
        self._places: dict[str, str] = {}
        firsts = itertools.count(first_trace, TRACES_A_TERMINAL)
        self.terminals = {
            name: self._terminal(name, place, _trace(first))
            for (name, place), first in zip(script.terminals.items(), firsts, strict=False)
        }
        self._host_traces = itertools.count(first_trace + TRACES_A_TERMINAL * len(script.terminals))

    def place_of(self, step: Sent) -> str:
        """The scenario's name of the terminal that sends a step's message: its own, its original's, or the only one."""
        named = step.terminal or (self._places[step.of] if isinstance(step, Following) else None)
        return named or next(iter(self._script.terminals))

    def jump(self, by: timedelta, place: str | None) -> None:
        """Let the clock of a terminal jump, or all of theirs."""
        for name in self._jumps if place is None else (place,):
            self._jumps[name] += by

    def request(self, step: Sent) -> Message:
        """Make a step's request, with its fields changed as it says. Raises what terminals do, and `SumInvalid`."""
        self._places[step.name] = self.place_of(step)
        message = self._plain(step)
        for text, value in step.fields.items():
            message = put(message, Address.parse(text), filled(value, self.variables))
        for text in step.without:
            message = put(message, Address.parse(text), None)
        self.sent[step.name] = message
        return message

    def heard(self, step: Sent, reply: Message) -> None:
        """Keep what later steps need of a reply: the approval code that names a hold."""
        self._approvals[step.name] = reply.approval

    def answered(self, step: Sent, reply: Message) -> None:
        """Keep that, and enter the reply in the terminal's book, which a till does by itself."""
        self.heard(step, reply)
        self.terminals[self.place_of(step)].note(self.sent[step.name], reply)

    def chip_of(self, step: Sent) -> Chip | None:
        """The chip of the card that a step presents."""
        card = self._cards_by_step.get(step.name)
        return None if card is None else card.chip

    def cents(self, written: Sum) -> int:
        """Work a sum out. Raises `SumInvalid`."""
        return cents(written, self.variables)

    def _plain(self, step: Sent) -> Message:
        if isinstance(step, Presented):
            return self._presented(step)
        if isinstance(step, Following):
            return self._following(step)
        return self._by_the_host(step)

    def _presented(self, step: Presented) -> Message:
        terminal, card = self.terminals[self.place_of(step)], self._in_hand(step)
        where: dict[str, Any] = {"entry": step.entry, "product": step.product}
        match step:
            case Purchase() | Pays():
                return terminal.purchase(card, self.cents(step.amount), takes_partial=step.partial, **where)
            case Authorization():
                return terminal.authorization(card, self.cents(step.amount), takes_partial=step.partial, **where)
            case Inquiry():
                return terminal.inquiry(card, **where)
            case Advice():
                return terminal.advice(card, self.cents(step.amount), response_code=step.response_code, **where)
            case HoldAdvice():
                return terminal.hold_advice(card, self.cents(step.amount), response_code=step.response_code, **where)
        raise AssertionError(step)

    def _following(self, step: Following) -> Message:
        terminal, original = self.terminals[self.place_of(step)], self.sent[step.of]
        card = self._cards_by_step.get(step.of)
        if card is not None:
            self._cards_by_step[step.name] = card
        match step:
            case Repeat():
                return repeat(original)
            case Reversal():
                return terminal.reversal(original, stands=self._stands(step.stands))
            case ReversalAdvice():
                return terminal.reversal_advice(original, stands=self._stands(step.stands))
        if card is None:
            raise ScenarioInvalid(f"of: {step.of!r} presented no card")
        match step:
            case Refund():
                return terminal.refund(card, original, self.cents(step.amount))
            case Completion():
                approval = None if step.by == "original" else self._approval_of(step.of)
                return terminal.completion(card, original, self.cents(step.amount), approval=approval)
        raise AssertionError(step)

    def _approval_of(self, step: str) -> str:
        approval = self._approvals.get(step)
        if approval is None:
            raise ScenarioInvalid(f"by: {step!r} was given no approval code")
        return approval

    def _by_the_host(self, step: Sent) -> Message:
        transmitted = f"{self._script.clock.host.astimezone(UTC):%m%d%H%M%S}"
        trace = f"{_trace(next(self._host_traces)):06}"
        match step:
            case Network():
                day = None if step.day is None else f"{step.day:%m%d}"
                return Message(
                    mti=NETWORK_REQUEST,
                    transmitted=transmitted,
                    trace=trace,
                    network_code=NETWORK_CODES[step.code],
                    settlement_date=day,
                )
            case DayTotals():
                names = step.counted.__struct_fields__
                counted = Totals(**{name: self.cents(getattr(step.counted, name)) for name in names})
                return Message(
                    mti=TOTALS_REQUEST,
                    transmitted=transmitted,
                    trace=trace,
                    acquirer=self._parameters.acquirer,
                    **counted.fields(step.day),  # type: ignore[arg-type]  # all of them texts
                )
            case Raw():
                return Message(mti=step.mti, transmitted=transmitted, trace=trace)
        raise AssertionError(step)

    def _in_hand(self, step: Presented) -> Card:
        """The card as it is presented now: without a PIN where its holder isn't asked for one."""
        card = self._cards[step.card]
        typed = step.pin or (None if step.entry is Entry.CONTACTLESS else card.pin)
        if card.chip is not None and step.counter is not None:
            card.chip.counter = step.counter - 1
        self._cards_by_step[step.name] = card
        return msgspec.structs.replace(card, pin=typed)

    def _stands(self, stands: Sum | None) -> int | None:
        return None if stands is None else self.cents(stands)

    def _card(self, given: CardInHand) -> Card:
        known = self._known(given)
        chip, pan = given.chip, given.pan or (known.pan if known else "")
        return Card(
            pan=pan,
            expiry=given.expiry or (known.expiry_at(self._script.clock.host.year) if known else None),
            pin=given.pin or (known.pin if known else None),
            cvv2=given.cvv2,
            generation=given.generation or (known.generation if known else 2),
            chip=None if chip is None else Chip(chip.key, pan, sequence=chip.sequence, version=Version(chip.version)),
        )

    def _known(self, given: CardInHand) -> KnownCard | None:
        """What the parameters say of a card. A name must be that of one card."""
        if given.pan is not None:
            return self._parameters.known(given.pan)
        found = [card for card in self._parameters.card if card.holder == given.holder]
        if len(found) != 1:
            raise ScenarioInvalid(
                f"cards: the parameters know {len(found)} cards of {given.holder}; name one by its pan"
            )
        return found[0]

    def _terminal(self, name: str, place: Place, first_trace: int) -> Terminal:
        site = self._parameters.site(place.terminal)
        if site is None:
            raise ScenarioInvalid(f"terminals: the parameters know no {place.terminal}")
        return Terminal(
            msgspec.structs.replace(site, merchant=place.merchant or site.merchant),
            self._parameters.acquirer,
            PinPad(self._parameters.pin_pad_key),
            self._clock(name, place.off),
            first_trace=first_trace,
            sends_track2=place.track2,
        )

    def _clock(self, name: str, off: timedelta) -> Clock:
        def now() -> datetime:
            return self._script.clock.host + off + self._jumps[name]

        return now


def _trace(number: int) -> int:
    return (number - 1) % TRACE_MAX + 1
