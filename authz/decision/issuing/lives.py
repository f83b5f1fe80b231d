"""The lives of what issuing deals with, each one table: offers, orders, requests, runs, adjustments and cards.

From them come the drawings and tables of docs/lives.md, and the tests. What isn't in a table isn't done.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from authz.decision.issuing.states import AdjustmentStatus, OfferStatus, OrderStatus, RequestStatus, RunStatus
from authz.decision.position import CardStatus
from authz.decision.refused import Refused

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class OfferEvent(StrEnum):
    """What can happen to an offer."""

    ACCEPTANCE = "acceptance"
    WITHDRAWAL = "withdrawal"
    LAST_DAY_OVER = "its last day is over"


OFFER: Mapping[OfferStatus, Mapping[OfferEvent, OfferStatus]] = {
    OfferStatus.OPEN: {
        OfferEvent.ACCEPTANCE: OfferStatus.ACCEPTED,
        OfferEvent.WITHDRAWAL: OfferStatus.WITHDRAWN,
        OfferEvent.LAST_DAY_OVER: OfferStatus.LAPSED,
    },
    OfferStatus.ACCEPTED: {},
    OfferStatus.WITHDRAWN: {},
    OfferStatus.LAPSED: {},
}
"""What becomes of an offer. That it lapsed follows from its days, and is nowhere written."""


class OrderEvent(StrEnum):
    """What can happen to an order."""

    DRAFT = "a new draft"
    CONFIRMATION = "confirmation"
    CANCELLATION = "cancellation"
    PAYMENT = "payment of its total"
    LINE = "one of its lines is carried out"
    LAST_LINE = "its last line is carried out"


ORDER: Mapping[OrderStatus, Mapping[OrderEvent, OrderStatus]] = {
    OrderStatus.DRAFT: {
        OrderEvent.DRAFT: OrderStatus.DRAFT,
        OrderEvent.CONFIRMATION: OrderStatus.CONFIRMED,
        OrderEvent.CANCELLATION: OrderStatus.CANCELLED,
    },
    OrderStatus.CONFIRMED: {
        OrderEvent.DRAFT: OrderStatus.DRAFT,
        OrderEvent.PAYMENT: OrderStatus.PAID,
        OrderEvent.CANCELLATION: OrderStatus.CANCELLED,
    },
    OrderStatus.PAID: {OrderEvent.LINE: OrderStatus.PAID, OrderEvent.LAST_LINE: OrderStatus.DONE},
    OrderStatus.DONE: {},
    OrderStatus.CANCELLED: {},
}
"""What becomes of an order: it can be changed until it is paid, and nothing is made or loaded before that."""


class RequestEvent(StrEnum):
    """What can happen to what was asked of an employer."""

    VALIDATION = "validation"
    REFUSAL = "refusal"
    FULFILMENT = "it is done"


REQUEST: Mapping[RequestStatus, Mapping[RequestEvent, RequestStatus]] = {
    RequestStatus.ASKED: {
        RequestEvent.VALIDATION: RequestStatus.VALIDATED,
        RequestEvent.REFUSAL: RequestStatus.REFUSED,
    },
    RequestStatus.VALIDATED: {RequestEvent.FULFILMENT: RequestStatus.DONE},
    RequestStatus.REFUSED: {},
    RequestStatus.DONE: {},
}
"""What becomes of a request. One that the employer starts begins validated."""


class RunEvent(StrEnum):
    """What can happen to a production run."""

    SENDING = "its cards are sent"
    PIN_MAKING = "its PIN file is made"
    PIN_SENDING = "its PINs are sent"


RUN: Mapping[RunStatus, Mapping[RunEvent, RunStatus]] = {
    RunStatus.MADE: {RunEvent.SENDING: RunStatus.SENT},
    RunStatus.SENT: {RunEvent.PIN_MAKING: RunStatus.PINS_MADE},
    RunStatus.PINS_MADE: {RunEvent.PIN_SENDING: RunStatus.PINS_SENT},
    RunStatus.PINS_SENT: {},
}
"""What becomes of a production run: a card and its PIN are never on their way together."""


class AdjustmentEvent(StrEnum):
    """What can happen to an adjustment."""

    APPROVAL = "approval by somebody else"
    REFUSAL = "refusal"


ADJUSTMENT: Mapping[AdjustmentStatus, Mapping[AdjustmentEvent, AdjustmentStatus]] = {
    AdjustmentStatus.PROPOSED: {
        AdjustmentEvent.APPROVAL: AdjustmentStatus.APPROVED,
        AdjustmentEvent.REFUSAL: AdjustmentStatus.REFUSED,
    },
    AdjustmentStatus.APPROVED: {},
    AdjustmentStatus.REFUSED: {},
}
"""What becomes of an adjustment: what was approved is undone by another one, of as many cents the other way round."""


class CardEvent(StrEnum):
    """What can happen to a card."""

    ACTIVATION = "activation"
    LOSS = "its holder lost it"
    THEFT = "it was stolen"
    FRAUD = "a fraudster used it"
    REPLACEMENT = "a newer card takes over"


_STOPPED = {
    CardEvent.LOSS: CardStatus.LOST,
    CardEvent.THEFT: CardStatus.STOLEN,
    CardEvent.FRAUD: CardStatus.FRAUD,
    CardEvent.REPLACEMENT: CardStatus.REPLACED,
}
CARD: Mapping[CardStatus, Mapping[CardEvent, CardStatus]] = {
    CardStatus.INACTIVE: {CardEvent.ACTIVATION: CardStatus.ACTIVE, **_STOPPED},
    CardStatus.ACTIVE: _STOPPED,
    CardStatus.LOST: {},
    CardStatus.STOLEN: {},
    CardStatus.FRAUD: {},
    CardStatus.REPLACED: {},
}
"""What becomes of a card. Wrong PINs lock it without a state of their own: see docs/rules.md."""


def step(life: Mapping[State, Mapping[Event, State]], state: State, event: Event, refusal: type[Refused]) -> State:
    """Give the state that follows. Raises `refusal` where the table has none."""
    following = life[state].get(event)
    if following is None:
        raise refusal
    return following
