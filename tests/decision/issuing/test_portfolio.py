"""A holder who is taken over: one record, whole or not at all, whose money comes from where loads come from."""

from collections import Counter
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import CardId, Enrol, IssueCard, Load, RegisterEmployer
from authz.decision.issuing.commands import TakenCard
from authz.decision.position import CardStatus
from authz.decision.programme import vintage_dates
from authz.decision.reference import Employer
from authz.decision.refused import (
    CardIssued,
    EmployerUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    LoadEmpty,
    LotDiffers,
    LotMalformed,
    ProgrammeDiffers,
)
from ledger import accounts
from ledger.values import Cents, Lot
from tests.decision.issuing.world import CLIENT, TAKEN, Books, client

VALID = Lot("90", "2026", *vintage_dates(2026), Cents(100))
CARDS = st.lists(st.tuples(st.sampled_from((1, 2)), st.booleans()), max_size=4)
LOTS = st.lists(st.tuples(st.sampled_from((2026, 2027)), st.integers(1, 10**7)), max_size=6)


def test_a_holder_is_there_with_cards_and_lots() -> None:
    position = client(TAKEN).position(TAKEN.holder)
    assert (position.employer, position.employers, position.works_days_off) == (CLIENT, (CLIENT,), True)
    assert [(one.id, one.generation, one.expiry, one.status) for one in position.cards] == [
        ("k7", 2, "4801", CardStatus.ACTIVE),
        ("k8", 1, "4802", CardStatus.INACTIVE),
    ]
    assert [(lot.name, lot.amount) for lot in position.purse.lots] == [("2026", 120_00)]


def test_what_has_expired_waits_with_what_expired_here() -> None:
    """R3262-5: it can still be asked for in exchange, as if it had been here on its last day."""
    for lots in (TAKEN.lots, TAKEN.lots[::-1]):
        position = client(replace(TAKEN, lots=lots)).position(TAKEN.holder)
        assert [(lot.name, lot.amount) for lot in position.purse.expired] == [("2025", 7_50)]


@given(CARDS, LOTS, st.booleans())
def test_it_comes_to_what_enrolment_cards_and_loads_come_to(
    cards: list[tuple[Any, bool]], lots: list[tuple[int, int]], works: bool
) -> None:
    taken = tuple(TakenCard(CardId(f"k{n}"), generation, "4801", on) for n, (generation, on) in enumerate(cards))
    loaded = tuple(Lot("90", str(year), *vintage_dates(year), Cents(cents)) for year, cents in lots)
    books = client(replace(TAKEN, cards=taken, lots=loaded, works_days_off=works))
    apart = client(Enrol(TAKEN.holder, CLIENT, works))
    for card in taken:
        apart.do(IssueCard(TAKEN.holder, card.card, "apetiz", card.generation, card.expiry, card.active))
    for lot in loaded:
        apart.do(Load(TAKEN.holder, lot.product, lot.name, lot.valid_from, lot.valid_until, lot.amount))
    assert books.position(TAKEN.holder) == apart.position(TAKEN.holder)
    assert +books.balances == +apart.balances
    assert books.balances[accounts.issuer_float("90")] == -sum(cents for _, cents in lots)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"employer": "nobody"}, EmployerUnknown),
        ({"programme": "pluxee-be"}, ProgrammeDiffers),
        ({"cards": (TAKEN.cards[0], TAKEN.cards[0])}, CardIssued),
        ({"cards": (replace(TAKEN.cards[0], expiry="4813"),)}, ExpiryMalformed),
        ({"lots": (replace(VALID, amount=Cents(0)),)}, LoadEmpty),
        ({"lots": (replace(VALID, product="89"),)}, LotMalformed),
        ({"lots": (replace(VALID, name="20:26"),)}, LotMalformed),
        ({"lots": (VALID, replace(VALID, valid_until=date(2027, 3, 1)))}, LotDiffers),
    ],
)
def test_what_makes_no_sense_changes_nothing(changes: dict[str, Any], why: type[Exception]) -> None:
    books = client()
    before = books.snapshot()
    with pytest.raises(why):
        books.do(replace(TAKEN, **changes))
    assert books.snapshot() == before


def test_who_is_here_already_isnt_taken_over() -> None:
    books = client(TAKEN)
    with pytest.raises(HolderEnrolled):
        books.do(TAKEN)
    with pytest.raises(HolderEnrolled):
        client(Enrol(TAKEN.holder, CLIENT)).do(TAKEN)


def test_the_employer_is_of_the_programme() -> None:
    books = Books(RegisterEmployer(Employer(CLIENT, "Brasserie Janssens", "pluxee-be")))
    with pytest.raises(ProgrammeDiffers):
        books.do(TAKEN)
    assert books.balances == Counter()
