"""The cards of a holder after they were ordered: activated, stopped, made again."""

from typing import Literal

from msgspec.structs import replace

from authz.decision import holders
from authz.decision.commands import StopCard
from authz.decision.issuing.commands import ActivateCard, NewCard, RemakeCard
from authz.decision.issuing.lives import CARD, CardEvent, step
from authz.decision.position import Card, CardStatus, Position
from authz.decision.refused import CardNotInactive, CardStopped, CardUnknown

WHY: dict[Literal["lost", "stolen", "fraud", "replaced"], CardEvent] = {
    "lost": CardEvent.LOSS,
    "stolen": CardEvent.THEFT,
    "fraud": CardEvent.FRAUD,
    "replaced": CardEvent.REPLACEMENT,
}
"""What has happened to a card that is stopped."""


def stop(command: StopCard, position: Position) -> Position:
    """Stop a card, at once and for good, even if it is found again."""
    card = known(position, command.card)
    return position.with_card(replace(card, status=step(CARD, card.status, WHY[command.because], CardStopped)))


def activate(command: ActivateCard, position: Position) -> Position:
    """Have a card pay. The cards of its programme that the holder had before it are replaced by it."""
    card = known(position, command.card)
    active = replace(card, status=step(CARD, card.status, CardEvent.ACTIVATION, CardNotInactive))
    place = position.cards.index(card)
    older = [_replaced(one) if one.programme == card.programme else one for one in position.cards[:place]]
    return replace(position, cards=(*older, active, *position.cards[place + 1 :]))


def remake(command: RemakeCard, position: Position) -> Position:
    """Issue a new card in place of one of the holder's. It is inactive until it has come; the money is the holder's."""
    return issued(position, command.new, known(position, command.old).programme)


def issued(position: Position, new: NewCard, programme: str) -> Position:
    """Give a holder a card that isn't active yet."""
    return holders.add_card(position, Card(new.card, programme, new.generation, new.expiry, CardStatus.INACTIVE))


def known(position: Position, card: str) -> Card:
    """Find a card by its id. Raises `CardUnknown`."""
    one = position.card(card)
    if one is None:
        raise CardUnknown
    return one


def _replaced(card: Card) -> Card:
    """Let a newer card take over from one, unless it was stopped for good before."""
    return replace(card, status=CARD[card.status].get(CardEvent.REPLACEMENT, card.status))
