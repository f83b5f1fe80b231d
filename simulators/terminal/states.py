"""The life of a till, as one table: what it may be doing, what may happen then, and what it does next.

Everything about the machine stands here. What isn't in the table doesn't happen: a key that means nothing where it is
pressed changes nothing. docs/terminal.md draws the table, and a test holds it to that.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """What the till is doing, or waiting for."""

    RESUMING = "resuming"
    """It finishes what an earlier run left."""
    READY = "ready"
    AMOUNT = "amount"
    """The cashier types the amount."""
    GENERATION = "generation"
    """The cashier says which generation of card comes: 1, 2, or leaves it to the card."""
    CARD = "card"
    """The holder is to present the card."""
    PRODUCT = "product"
    """The holder says with which of the card's vouchers to pay."""
    PIN = "pin"
    ASKING = "asking"
    TAKING_BACK = "taking back"
    OUTCOME = "outcome"
    """The till shows how it ended."""
    MENU = "menu"
    CLOSING = "closing"


class Event(StrEnum):
    """What may happen to a till. A key is an event only where it means one."""

    FINISHED = "all that can be is finished"
    DIGIT = "a first digit"
    AMOUNT_TYPED = "an amount is there"
    GENERATION_CHOSEN = "a generation is chosen"
    OTHER_GENERATION = "a card of the other generation"
    PRODUCT_WANTED = "a choice of voucher is wanted"
    PIN_WANTED = "a PIN is wanted"
    COMPLETE = "all is there to ask"
    BACK = "back"
    CANCELLED = "cancelled"
    DECIDED = "an answer, or an offline decision"
    SILENCE = "no answer"
    TAKEN_BACK = "taken back, or left to be"
    REST_WANTED = "the rest is to be paid"
    DISMISSED = "dismissed"
    MENU_OPENED = "the menu is opened"
    BALANCE_CHOSEN = "balance"
    CANCELLATION_CHOSEN = "cancel the last payment"
    DUPLICATE_CHOSEN = "duplicate of the receipt"
    LANGUAGE_CHOSEN = "language"
    CLOSING_CHOSEN = "close the day"
    CLOSED = "the day is closed, or can't be yet"


LIFE: Mapping[State, Mapping[Event, State]] = {
    State.RESUMING: {
        Event.FINISHED: State.READY,
    },
    State.READY: {
        Event.DIGIT: State.AMOUNT,
        Event.MENU_OPENED: State.MENU,
    },
    State.AMOUNT: {
        Event.AMOUNT_TYPED: State.GENERATION,
        Event.CANCELLED: State.READY,
    },
    State.GENERATION: {
        Event.GENERATION_CHOSEN: State.CARD,
        Event.BACK: State.AMOUNT,
        Event.CANCELLED: State.READY,
    },
    State.CARD: {
        Event.OTHER_GENERATION: State.GENERATION,
        Event.PRODUCT_WANTED: State.PRODUCT,
        Event.PIN_WANTED: State.PIN,
        Event.COMPLETE: State.ASKING,
        Event.CANCELLED: State.READY,
    },
    State.PRODUCT: {
        Event.PIN_WANTED: State.PIN,
        Event.COMPLETE: State.ASKING,
        Event.CANCELLED: State.READY,
    },
    State.PIN: {
        Event.COMPLETE: State.ASKING,
        Event.CANCELLED: State.READY,
    },
    State.ASKING: {
        Event.DECIDED: State.OUTCOME,
        Event.SILENCE: State.TAKING_BACK,
        Event.PRODUCT_WANTED: State.PRODUCT,
        Event.PIN_WANTED: State.PIN,
    },
    State.TAKING_BACK: {
        Event.TAKEN_BACK: State.OUTCOME,
    },
    State.OUTCOME: {
        Event.REST_WANTED: State.AMOUNT,
        Event.DISMISSED: State.READY,
    },
    State.MENU: {
        Event.BALANCE_CHOSEN: State.CARD,
        Event.CANCELLATION_CHOSEN: State.TAKING_BACK,
        Event.DUPLICATE_CHOSEN: State.OUTCOME,
        Event.LANGUAGE_CHOSEN: State.MENU,
        Event.CLOSING_CHOSEN: State.CLOSING,
        Event.CANCELLED: State.READY,
    },
    State.CLOSING: {
        Event.CLOSED: State.OUTCOME,
    },
}
"""The state after an event; what isn't listed can't happen."""


class Impossible(Exception):
    """A till can't do that now. Only a fault in the program gets here: keys are looked up with `can` first."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} can't happen while {state}")


def can(state: State, event: Event) -> bool:
    """Tell whether an event can happen in a state."""
    return event in LIFE[state]


def after(state: State, event: Event) -> State:
    """The state after an event. Raises `Impossible`.

    >>> after(State.READY, Event.DIGIT)
    <State.AMOUNT: 'amount'>
    """
    if not can(state, event):
        raise Impossible(state, event)
    return LIFE[state][event]
