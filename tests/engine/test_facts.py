"""Which passbooks a decision reads: each is looked for once, and those that aren't in memory are named."""

import itertools

import pytest

from authz.decision.commands import CardId
from authz.decision.outcomes import State
from authz.decision.position import Card, CardStatus, Position
from authz.decision.reference import Employer, Merchant
from authz.engine.facts import books_read
from authz.engine.passbooks import Passbook
from authz.programmes import shipped
from ledger.values import HolderId, Purse, Seq

HOLDER, SHOP, EMPLOYER = HolderId("h1"), HolderId("merchant:M1"), HolderId("employer:E1")
CARDS, HOUSE = HolderId("programme:apetiz"), HolderId("programme:pluxee-be")
CARD = Card("c1", "apetiz", 2, "2806", CardStatus.ACTIVE)
STATES: dict[HolderId, State] = {
    HOLDER: Position(Purse(), (CARD,), employer="E1"),
    SHOP: Merchant("M1", "Chez Lucie", "5812", "FR-75", "Europe/Paris", ("90",)),
    EMPLOYER: Employer("E1", "Atelier", "pluxee-be"),
    CARDS: shipped("apetiz"),
    HOUSE: shipped("pluxee-be"),
}
BOOKS = {name: Passbook(name, Seq(number), state) for number, (name, state) in enumerate(STATES.items(), 1)}


@pytest.mark.parametrize(("card", "programme"), [(CardId("c1"), CARDS), (None, HOUSE)])
def test_the_programme_is_the_used_cards_or_else_the_employers(card: CardId | None, programme: HolderId) -> None:
    sought: list[HolderId] = []

    def find(name: HolderId) -> Passbook:
        sought.append(name)
        return BOOKS[name]

    books = books_read(HOLDER, SHOP, card, find)
    assert sought == [HOLDER, SHOP, EMPLOYER, programme]
    assert books.used() == tuple(BOOKS[name].seq for name in sought)
    assert books.missing == ()


@pytest.mark.parametrize("there", list(itertools.product((True, False), repeat=4)))
def test_what_is_not_in_memory_is_named_as_far_as_it_can_be(there: tuple[bool, ...]) -> None:
    """The employer's name and the card's programme stand in the holder's passbook: without it, nobody knows them."""
    names = (HOLDER, SHOP, EMPLOYER, CARDS)
    known = {name: BOOKS[name] for name, here in zip(names, there, strict=True) if here}
    nameable = names if HOLDER in known else (HOLDER, SHOP)
    books = books_read(HOLDER, SHOP, CardId("c1"), known.get)
    assert books.missing == tuple(name for name in nameable if name not in known)
    assert books.used() == tuple(known[name].seq if name in known and name in nameable else 0 for name in names)
