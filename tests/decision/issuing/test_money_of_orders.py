"""The money of orders: it balances, face value and fees never mix (L3262-2), and an invoice is what the ledger has."""

from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.issuing.commands import NewCard, NoteApplied
from authz.decision.issuing.costs import costs_of, most_of
from authz.decision.issuing.states import (
    BASIS_POINTS,
    Chunk,
    Format,
    Order,
    OrderId,
    OrderLine,
    OrderStatus,
    Tariff,
    Wanted,
    order_passbook,
)
from authz.decision.position import CardId
from ledger import accounts
from ledger.values import Account, Cents, HolderId, Partition
from tests.decision.issuing import world
from tests.decision.issuing.world import (
    CLIENT,
    CONFIRMED,
    DRAFTED,
    ENTERED,
    FULFILLED,
    ORDER,
    PAID,
    TARIFF,
    Books,
    client,
)

PARTITIONS = 3
FUNDS = accounts.client_funds(CLIENT, "90")

rates = st.integers(0, BASIS_POINTS)
tariffs = st.builds(Tariff, commission=rates, card=st.integers(0, 2_000).map(Cents), vat=rates)


class Case(NamedTuple):
    """Lines of an order, each in its partition, and the tariff they are ordered at."""

    lines: tuple[tuple[int, OrderLine], ...]
    tariff: Tariff


def cases() -> st.SearchStrategy[Case]:
    line = st.tuples(st.integers(0, PARTITIONS - 1), st.integers(1, 60_000), st.booleans(), st.booleans())
    lines = st.lists(line, min_size=1, max_size=8).map(
        lambda drawn: tuple(
            (partition, OrderLine(HolderId(f"h{number}"), f"{number}", Cents(amount), card, days_off))
            for number, (partition, amount, card, days_off) in enumerate(drawn)
        )
    )
    return st.builds(Case, lines, tariffs)


def ordered(case: Case) -> list[Books]:
    """Draft, confirm and pay an order in every partition, the first with the fees."""
    each = [[line for place, line in case.lines if place == partition] for partition in range(PARTITIONS)]
    chunks = tuple(Chunk(number, len(lines), _face(lines)) for number, lines in enumerate(each) if lines)
    cards = sum(line.card for _, line in case.lines)
    contract = replace(world.CONTRACT, tariff=case.tariff)
    books = [Books(world.OFFERED, replace(world.OPENED, contracts=(contract,))) for _ in range(PARTITIONS)]
    for partition, one in enumerate(books):
        for command in (ENTERED, replace(DRAFTED, chunks=chunks, cards=cards), CONFIRMED):
            one.do(command)
        one.do(replace(PAID, amount=one.order().costs.total, partition=Partition(partition)))
    return books


def carried_out(case: Case, books: list[Books]) -> None:
    for partition, line in case.lines:
        card = NewCard(CardId(f"k{line.holder}"), 2, "3005") if line.card else None
        books[partition].do(replace(FULFILLED, holder=line.holder, amount=line.amount, card=card))
    for _ in books[0].order().chunks:
        for one in books:
            one.do(NoteApplied(CLIENT, ORDER, 1, 0))


def _face(lines: list[OrderLine]) -> Cents:
    return Cents(sum(line.amount for line in lines))


def _together(books: list[Books]) -> Counter[Account]:
    together: Counter[Account] = Counter()
    for one in books:
        together.update(one.balances)
    return together


def _rounded(amount: int, rate: int) -> int:
    return int((Decimal(amount) * rate / BASIS_POINTS).quantize(Decimal(1), ROUND_HALF_UP))


@given(cases())
def test_once_all_lines_are_carried_out_a_clients_funds_are_0_and_every_holder_has_their_line(case: Case) -> None:
    books = ordered(case)
    assert _together(books)[FUNDS] == sum(line.amount for _, line in case.lines)
    carried_out(case, books)
    for partition, one in enumerate(books):
        assert one.balances[FUNDS] == 0
        assert one.order().status is OrderStatus.DONE
        for place, line in case.lines:
            if place == partition:
                assert one.balances[accounts.of_holder(line.holder, "90", "2026")] == line.amount


@given(cases())
def test_the_invoice_is_what_the_ledger_has_to_the_cent(case: Case) -> None:
    books = ordered(case)
    costs, moved = books[0].order().costs, _together(books)
    assert moved[accounts.issuer_float("90")] == -costs.face
    assert moved[accounts.commission()] == costs.commission + costs.cards
    assert moved[accounts.vat()] == costs.vat
    assert moved[accounts.operating()] == -costs.fees
    assert costs.total == -moved[accounts.operating()] - moved[accounts.issuer_float("90")]
    assert {one.order().costs for one in books} == {costs}


@given(cases())
def test_face_value_and_fees_never_mix(case: Case) -> None:
    """L3262-2: what employers pay for titres stands on an account of its own, in which no commission is."""
    books = client(ENTERED, replace(DRAFTED, chunks=(Chunk(0, 1, case.lines[0][1].amount),)), CONFIRMED)
    outcome = books.do(replace(PAID, amount=books.order().costs.total))
    assert {(one.debit, one.credit) for one in outcome.transfers} <= {
        (accounts.issuer_float("90"), FUNDS),
        (accounts.operating(), accounts.commission()),
        (accounts.operating(), accounts.vat()),
    }


@given(st.integers(1, 10**9), st.integers(0, 1_000), tariffs)
def test_commission_is_on_the_face_value_and_vat_on_the_fees_each_rounded_half_up(
    face: int, cards: int, tariff: Tariff
) -> None:
    costs = costs_of(face, cards, tariff)
    assert (costs.face, costs.cards) == (face, cards * tariff.card)
    assert costs.commission == _rounded(face, tariff.commission)
    assert costs.vat == _rounded(costs.commission + costs.cards, tariff.vat)
    assert costs.total == costs.face + costs.commission + costs.cards + costs.vat


def test_half_a_cent_is_rounded_up() -> None:
    assert costs_of(20, 0, Tariff(250, Cents(0), 0)).commission == 1
    assert costs_of(19, 0, Tariff(250, Cents(0), 0)).commission == 0


def test_a_bill_by_hand() -> None:
    """50 holders of 180.00 at 2.5 %, 3 cards at 4.00, VAT 20 %: 9,000.00 + 225.00 + 12.00 + 47.40."""
    costs = costs_of(50 * 18_000, 3, TARIFF)
    assert (costs.commission, costs.cards, costs.vat, costs.total) == (22_500, 1_200, 4_740, 928_440)


@given(st.integers(1, 500), st.integers(1, 50_000), st.data(), tariffs)
def test_an_offer_is_a_maximum_and_has_a_card_for_everyone(
    holders: int, amount: int, data: st.DataObject, tariff: Tariff
) -> None:
    most = most_of((Wanted("90", Format.ELECTRONIC, holders, Cents(amount)),), tariff)
    assert most.cards == holders * tariff.card
    cards, fewer = data.draw(st.integers(0, holders)), data.draw(st.integers(1, holders))
    real = costs_of(fewer * amount, min(cards, fewer), tariff)
    assert real.total <= most.total


def test_paper_needs_no_card_in_an_offer() -> None:
    wanted = (Wanted("90", Format.ELECTRONIC, 2, Cents(100)), Wanted("91", Format.PAPER, 3, Cents(100)))
    assert most_of(wanted, TARIFF).cards == 2 * TARIFF.card


def test_an_order_is_recomputed_with_the_cards_really_needed() -> None:
    """S: the offer has a card for everyone, the order charges for those who need one."""
    books = client(replace(DRAFTED, cards=0))
    assert books.order().costs == costs_of(18_000, 0, TARIFF)
    books.do(replace(DRAFTED, revision=2))
    assert books.order().costs == costs_of(18_000, 1, TARIFF)


def test_an_order_changes_with_the_contract_in_force_when_it_is_drafted() -> None:
    dearer = replace(world.CONTRACT, tariff=replace(TARIFF, commission=500))
    books = client(DRAFTED, replace(world.ADDED, contracts=(dearer,)))
    assert books.order().costs.commission == 450
    books.do(replace(DRAFTED, revision=2))
    assert books.order().costs.commission == 900


def test_two_orders_of_a_client_share_its_funds() -> None:
    books = world.paid()
    second = {"order": OrderId("o2")}
    for command in (ENTERED, DRAFTED, CONFIRMED, PAID):
        books.do(replace(command, **second))
    assert books.balances[FUNDS] == 36_000
    books.do(FULFILLED)
    books.do(replace(FULFILLED, **second, card=None, lot="2027", valid_until=date(2028, 2, 29)))
    assert books.balances[FUNDS] == 0
    assert books.get(order_passbook(CLIENT, OrderId("o2")), Order).status is OrderStatus.PAID


def test_what_is_loaded_in_vain_stays_in_the_funds_and_is_counted() -> None:
    books = world.paid(NoteApplied(CLIENT, ORDER, 1, 1))
    assert (books.order().status, books.order().applied, books.order().refused) == (OrderStatus.DONE, 1, 1)
    assert books.balances[FUNDS] == 18_000
