"""Each life of issuing: every cell of its table is what happens, and what isn't in it changes nothing."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import Administration, StopCard
from authz.decision.issuing.commands import (
    AnswerRequest,
    CancelOrder,
    ConfirmOrder,
    FinishRequest,
    MoveRun,
    NoteApplied,
    WithdrawOffer,
)
from authz.decision.issuing.lives import (
    CARD,
    OFFER,
    ORDER,
    REQUEST,
    RUN,
    CardEvent,
    OfferEvent,
    OrderEvent,
    RequestEvent,
    RunEvent,
)
from authz.decision.issuing.offers import issuer_day, status_on
from authz.decision.issuing.states import (
    CardRequest,
    Offer,
    OfferStatus,
    Order,
    OrderStatus,
    RequestStatus,
    Run,
    RunStatus,
)
from authz.decision.position import CardStatus, Position
from authz.decision.refused import Refused
from ledger.values import HolderId
from tests.decision.drawing import drawing_of_a_life, table_of_a_life
from tests.decision.issuing import world
from tests.decision.issuing.world import ACCEPTED, ACTIVATED, CLIENT, DRAFTED, FULFILLED, HOLDER, NEW, PAID, Books

LAST_DAY = timedelta(days=60)
"""From Tuesday to where the offer's last day is over."""
EVENTS: Mapping[StrEnum, Administration] = {
    OfferEvent.ACCEPTANCE: ACCEPTED,
    OfferEvent.WITHDRAWAL: WithdrawOffer(world.OFFER),
    OrderEvent.DRAFT: DRAFTED,
    OrderEvent.CONFIRMATION: world.CONFIRMED,
    OrderEvent.CANCELLATION: CancelOrder(CLIENT, world.ORDER),
    OrderEvent.PAYMENT: PAID,
    OrderEvent.LINE: FULFILLED,
    OrderEvent.LAST_LINE: NoteApplied(CLIENT, world.ORDER, 1, 0),
    RequestEvent.VALIDATION: AnswerRequest(CLIENT, world.REQUEST, validated=True),
    RequestEvent.REFUSAL: AnswerRequest(CLIENT, world.REQUEST, validated=False),
    RequestEvent.FULFILMENT: FinishRequest(CLIENT, world.REQUEST, NEW),
    RunEvent.SENDING: MoveRun(1, RunStatus.SENT),
    RunEvent.PIN_MAKING: MoveRun(1, RunStatus.PINS_MADE, "ef" * 32),
    RunEvent.PIN_SENDING: MoveRun(1, RunStatus.PINS_SENT),
    CardEvent.ACTIVATION: ACTIVATED,
    CardEvent.LOSS: StopCard(HOLDER, world.CARD, "lost"),
    CardEvent.THEFT: StopCard(HOLDER, world.CARD, "stolen"),
    CardEvent.FRAUD: StopCard(HOLDER, world.CARD, "fraud"),
    CardEvent.REPLACEMENT: StopCard(HOLDER, world.CARD, "replaced"),
}


def _offer(status: OfferStatus) -> Books:
    books = Books(world.OFFERED)
    if status is OfferStatus.LAPSED:
        books.instant += LAST_DAY
    else:
        books.put(HolderId("offer:f1"), replace(books.get("offer:f1", Offer), status=status))
    return books


def _order(status: OrderStatus) -> Books:
    """Paid up, so that its lines can be carried out; then put where it is to be."""
    books = world.paid()
    books.put(HolderId("order:c1:o1"), replace(books.order(), status=status))
    return books


def _request(status: RequestStatus) -> Books:
    books = Books(world.ASKED)
    books.put(HolderId("request:c1:r1"), replace(books.get("request:c1:r1", CardRequest), status=status))
    return books


def _run(status: RunStatus) -> Books:
    books = Books(world.STARTED)
    run = books.get("run:000001", Run)
    books.put(HolderId("run:000001"), replace(run, status=status, sent_at=books.instant - timedelta(hours=48)))
    return books


def _card(status: CardStatus) -> Books:
    books = world.held()
    [card] = books.position().cards
    books.put(HOLDER, books.position().with_card(replace(card, status=status)))
    return books


def _status_of_offer(books: Books) -> StrEnum:
    return status_on(books.get("offer:f1", Offer), issuer_day(books.instant))


class Life(NamedTuple):
    """A table, how to get into each of its states, where one reads which it is, and by what it begins."""

    table: Mapping[Any, Mapping[Any, StrEnum]]
    events: type[StrEnum]
    at: Callable[[Any], Books]
    status: Callable[[Books], StrEnum]
    begins: Mapping[str, StrEnum]


LIVES = {
    "Offer": Life(OFFER, OfferEvent, _offer, _status_of_offer, {"an offer is made": OfferStatus.OPEN}),
    "Order": Life(ORDER, OrderEvent, _order, lambda books: books.order().status, {"a first draft": OrderStatus.DRAFT}),
    "Request": Life(
        REQUEST,
        RequestEvent,
        _request,
        lambda books: books.get("request:c1:r1", CardRequest).status,
        {"the holder asks": RequestStatus.ASKED, "the employer asks": RequestStatus.VALIDATED},
    ),
    "Production run": Life(
        RUN,
        RunEvent,
        _run,
        lambda books: books.get("run:000001", Run).status,
        {"its card file is made": RunStatus.MADE},
    ),
    "Card": Life(
        CARD, CardEvent, _card, lambda books: books.position().cards[0].status, {"issue": CardStatus.INACTIVE}
    ),
}
EVERY_CELL = [
    (name, state, event)
    for name, life in LIVES.items()
    for state in life.table
    for event in life.events
    if event is not OfferEvent.LAST_DAY_OVER
]


def happen(event: StrEnum, books: Books) -> None:
    """Let something happen: a draft, by the revision that is next."""
    command = EVENTS[event]
    if event is OrderEvent.DRAFT:
        command = replace(DRAFTED, revision=books.order().revision + 1)
    books.do(command)


@pytest.mark.parametrize(("name", "state", "event"), EVERY_CELL)
def test_each_cell_of_a_table_is_what_happens_and_nothing_else_does(name: str, state: StrEnum, event: StrEnum) -> None:
    life = LIVES[name]
    books = life.at(state)
    assert life.status(books) is state
    following, before = life.table[state].get(event), books.snapshot()
    if following is None:
        with pytest.raises(Refused):
            happen(event, books)
        assert books.snapshot() == before
    else:
        happen(event, books)
        assert life.status(books) is following


@pytest.mark.parametrize("name", LIVES)
def test_a_table_says_what_becomes_of_every_state_and_every_state_is_reached(name: str) -> None:
    life = LIVES[name]
    states = set(life.table)
    assert states == set(type(next(iter(states)))._member_map_.values())
    assert {event for events in life.table.values() for event in events} == set(life.events)
    reached = set(life.begins.values())
    for _ in states:
        reached |= {following for state in reached for following in life.table[state].values()}
    assert reached == states


@given(st.sampled_from(list(LIVES)), st.data())
def test_whatever_happens_in_whatever_order_a_life_goes_by_its_table(name: str, data: st.DataObject) -> None:
    life = LIVES[name]
    state = data.draw(st.sampled_from(list(life.begins.values())))
    books = life.at(state)
    for event in data.draw(st.lists(st.sampled_from([one for one in life.events if one in EVENTS]), max_size=8)):
        before = books.snapshot()
        following = life.table[state].get(event)
        try:
            _carry_on(event, books)
        except Refused:
            assert books.snapshot() == before
            assert following is None or event in _ONCE
        else:
            assert following is not None
            state = following
        assert life.status(books) is state


_ONCE = (OrderEvent.LINE,)
"""What a table lets happen again, and another rule doesn't: the same line would issue the same card."""


def _carry_on(event: StrEnum, books: Books) -> None:
    """Let something happen after all that has: to the newest revision, once 48 hours have passed."""
    books.later(hours=48)
    if event is OrderEvent.CONFIRMATION:
        books.do(ConfirmOrder(CLIENT, world.ORDER, books.order().revision))
    else:
        happen(event, books)


@pytest.mark.parametrize("name", LIVES)
def test_docs_lives_md_shows_the_table_and_draws_it(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "lives.md").read_text()
    _, _, chapter = page.partition(f"## {name}\n")
    chapter, _, _ = chapter.partition("\n## ")
    life = LIVES[name]
    assert drawing_of_a_life(life.table, begins=life.begins) in chapter
    assert table_of_a_life(life.table) in chapter


def test_an_order_begins_as_a_draft_a_request_as_asked_or_validated_and_a_card_inactive() -> None:
    assert isinstance(world.client(DRAFTED).order(), Order)
    assert world.client(DRAFTED).order().status is OrderStatus.DRAFT
    for validated, status in ((False, RequestStatus.ASKED), (True, RequestStatus.VALIDATED)):
        books = Books(replace(world.ASKED, validated=validated))
        assert books.get("request:c1:r1", CardRequest).status is status
    assert [one.status for one in world.held().get(HOLDER, Position).cards] == [CardStatus.INACTIVE]
