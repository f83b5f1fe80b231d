"""Lines carried out and cards on their way: a person above employers, one card at a time, the balance the person's."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import CardId, IssueCard, StopCard
from authz.decision.issuing.commands import NewCard, Remind
from authz.decision.issuing.states import ClientId
from authz.decision.position import Card, CardStatus
from authz.decision.refused import Refused
from ledger.values import Account, Cents, Lot, Transfer
from tests.decision.issuing.world import (
    ACTIVATED,
    CARD,
    CLIENT,
    CONFIRMED,
    DRAFTED,
    ENTERED,
    FULFILLED,
    HOLDER,
    NEW,
    OPENED,
    PAID,
    REMADE,
    Books,
    enrolled,
    held,
    paid,
)

OTHER = ClientId("c2")
VINTAGE = Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(18_000))


def of_two_clients() -> Books:
    """Two employers who each have paid an order for the same holder."""
    books = paid()
    for command in (OPENED, ENTERED, DRAFTED, CONFIRMED, PAID):
        books.do(replace(command, client=OTHER))
    return books


def line(client: str, **changes: Any) -> Any:
    return replace(FULFILLED, client=ClientId(client), card=None, **changes)


def status(books: Books, card: str) -> CardStatus:
    found = books.position().card(card)
    assert found is not None
    return found.status


# Lines


def test_a_line_enrols_issues_and_loads_in_one_record() -> None:
    books = paid()
    outcome = books.do(FULFILLED)
    assert outcome.transfers == (Transfer(Account("client:c1:funds:90"), Account("holder:h1:90:2026"), Cents(18_000)),)
    position = books.position()
    assert position.purse.lots == (VINTAGE,)
    assert position.cards == (Card(CARD, "apetiz", 2, "3005", CardStatus.INACTIVE),)
    assert (position.products, position.employer, position.employers) == (("90",), CLIENT, (CLIENT,))


def test_a_line_without_a_card_only_loads() -> None:
    """S: a card that hasn't expired isn't replaced by an order; new vouchers are loaded on it."""
    books = enrolled()
    books.do(IssueCard(HOLDER, CARD, "apetiz", 2, "3005"))
    before = books.position().cards
    books.do(line(CLIENT))
    assert (books.position().cards, books.position().purse.lots) == (before, (VINTAGE,))


def test_what_is_due_by_the_date_is_posted_before_a_load() -> None:
    books = of_two_clients()
    books.do(FULFILLED)
    books.instant = datetime(2027, 3, 1, 12, tzinfo=UTC)
    following = {"lot": "2027", "valid_from": date(2027, 1, 1), "valid_until": date(2028, 2, 29)}
    outcome = books.do(line(OTHER, **following))
    assert [one.credit for one in outcome.transfers] == ["expired:h1:90:2026", "holder:h1:90:2027"]


def test_one_card_serves_vouchers_from_several_employers() -> None:
    """A person stands above employers: their money is together, and each employer's funds pay its own."""
    books = of_two_clients()
    books.do(FULFILLED)
    books.do(line(OTHER))
    position = books.position()
    assert (position.employers, len(position.cards)) == ((CLIENT, OTHER), 1)
    assert [lot.amount for lot in position.purse.lots] == [36_000]
    assert [books.balances[Account(f"client:{one}:funds:90")] for one in (CLIENT, OTHER)] == [0, 0]


def test_who_enrolled_a_holder_is_their_first_employer() -> None:
    books = enrolled("E1")
    assert books.position().employers == ("E1",)
    books.do(line(CLIENT))
    assert (books.position().employer, books.position().employers) == ("E1", ("E1", CLIENT))


@pytest.mark.parametrize(
    ("said", "employer", "works"),
    [
        ([(CLIENT, False)], CLIENT, False),
        ([(CLIENT, True)], CLIENT, True),
        ([(CLIENT, True), (CLIENT, False)], CLIENT, False),
        ([(CLIENT, False), (OTHER, True)], OTHER, True),
        ([(CLIENT, True), (OTHER, False)], CLIENT, True),
        ([(CLIENT, True), (OTHER, True), (CLIENT, False)], OTHER, True),
        ([(CLIENT, True), (OTHER, True), (OTHER, False)], OTHER, False),
    ],
)
def test_whose_decision_on_sundays_counts_is_the_first_or_who_last_said_that_the_holder_works_then(
    said: list[tuple[str, bool]], employer: str, works: bool
) -> None:
    """R3262-8: the employer's decision, and only for the holders who work those days."""
    books = of_two_clients()
    for command in (ENTERED, DRAFTED, CONFIRMED, PAID):
        for one in (CLIENT, OTHER):
            books.do(replace(command, client=one, order="o2"))
    for number, (client, days_off) in enumerate(said):
        again = "o2" if (client, days_off) in said[:number] or client in dict(said[:number]) else "o1"
        books.do(line(client, order=again, works_days_off=days_off))
    assert (books.position().employer, books.position().works_days_off) == (employer, works)


def test_a_reminder_changes_nothing_of_the_holders() -> None:
    books = held()
    before = books.position()
    assert books.do(Remind(HOLDER, "90", "2026")).transfers == ()
    assert books.position() == before


# Cards


def test_a_card_is_inactive_until_its_letter_has_come_and_it_is_activated() -> None:
    """S: cards arrive with a letter that explains activation; inactive until then."""
    books = held()
    assert status(books, CARD) is CardStatus.INACTIVE
    books.do(ACTIVATED)
    assert status(books, CARD) is CardStatus.ACTIVE


def test_an_activation_replaces_the_older_cards_of_the_programme_and_no_other() -> None:
    books = held(ACTIVATED)
    books.do(IssueCard(HOLDER, CardId("belgian"), "pluxee-be", 2, "3005"))
    for card in ("k2", "k3", "k4"):
        books.do(replace(REMADE, new=NewCard(CardId(card), 2, "3006")))
    books.do(replace(ACTIVATED, card=CardId("k3")))
    statuses = {card.id: card.status for card in books.position().cards}
    assert statuses == {
        CARD: CardStatus.REPLACED,
        "belgian": CardStatus.ACTIVE,
        "k2": CardStatus.REPLACED,
        "k3": CardStatus.ACTIVE,
        "k4": CardStatus.INACTIVE,
    }


@pytest.mark.parametrize("because", ["lost", "stolen", "fraud"])
def test_an_opposition_is_for_good_and_a_new_card_does_not_change_why(because: Any) -> None:
    """S: opposition by the holder at any hour; at once, for good, even if found."""
    books = held(ACTIVATED, StopCard(HOLDER, CARD, because), REMADE, replace(ACTIVATED, card=NEW))
    assert (status(books, CARD), status(books, NEW)) == (CardStatus(because), CardStatus.ACTIVE)


def test_the_balance_at_the_opposition_is_on_the_new_card() -> None:
    """S: then a new card on the employer's validation; the balance at that instant moves to it."""
    books = held(ACTIVATED, StopCard(HOLDER, CARD, "lost"))
    before = books.position().purse
    books.do(REMADE)
    assert books.position().purse == before
    assert books.position().card(NEW) == Card(NEW, "apetiz", 2, "3006", CardStatus.INACTIVE)


steps = st.lists(
    st.tuples(st.sampled_from(["remake", "activate", "lost", "stolen", "fraud"]), st.integers(0, 5)), max_size=12
)


@given(steps)
def test_whatever_is_done_at_most_one_card_of_a_programme_pays_and_what_is_stopped_stays_so(
    life: list[tuple[Any, int]],
) -> None:
    books = held()
    for number, (step, which) in enumerate(life):
        before = {card.id: card.status for card in books.position().cards}
        card = CardId(list(before)[which % len(before)])
        try:
            if step == "remake":
                books.do(replace(REMADE, old=card, new=NewCard(CardId(f"n{number}"), 2, "3006")))
            elif step == "activate":
                books.do(replace(ACTIVATED, card=card))
            else:
                books.do(StopCard(HOLDER, card, step))
        except Refused:
            continue
        now = {card.id: card.status for card in books.position().cards}
        for one, was in before.items():
            assert now[one] is was or was in (CardStatus.INACTIVE, CardStatus.ACTIVE)
        assert list(now.values()).count(CardStatus.ACTIVE) <= 1


def test_a_holder_who_was_enrolled_before_employers_were_kept_gets_them_with_the_next_line() -> None:
    books = enrolled("E1")
    books.put(HOLDER, replace(books.position(), employers=()))
    books.do(line(CLIENT))
    assert books.position().employers == (CLIENT,)
