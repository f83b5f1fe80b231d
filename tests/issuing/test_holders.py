"""What a holder is shown at any hour (R3262-1-2), and what they may ask: each sees their own, an employer its loads."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.decision.commands import AdoptProgramme, Enrol, Inquiry, IssueCard, Load
from authz.decision.issuing.commands import ConfirmOrder, DraftOrder, EnterLines, Fulfil, PayOrder
from authz.decision.issuing.states import (
    Chunk,
    ClientId,
    Difference,
    Order,
    OrderId,
    OrderLine,
    order_passbook,
)
from authz.decision.outcomes import Reason
from authz.decision.position import CardId, CardStatus
from authz.decision.programme import HOLD_DAYS
from authz.decision.refused import ExchangeOver, NothingWaits, NotReactivated, ReactivationOver
from authz.engine.requests import Request
from authz.issuing import operations
from authz.issuing.bodies.holders import CardView, Expired, Vouchers
from authz.issuing.bodies.operations import Operation, OperationKind
from authz.issuing.issuer import NotThere
from authz.programmes import shipped
from ledger.values import Cents, HolderId, Seq
from tests.engine.messages import advice, completion, partial, refund, reversal
from tests.engine.world import BISTROT, MAIN, World, holder_of
from tests.issuing.office import BY, Office

ALICE = holder_of(1)
CARD = CardId("c1")
LOADED = 10_000
VINTAGE = (date(2026, 1, 1), date(2027, 2, 28))
NOON = timedelta(hours=11)
MARCH_1 = datetime(2027, 2, 28, 23, tzinfo=UTC)
"""1 March 2027 begins in Paris."""
MARCH_15 = datetime(2027, 3, 14, 23, tzinfo=UTC)
EXCHANGE_UNTIL = date(2027, 3, 15)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office(await World().open())
    await office.house.furnish()
    yield office
    office.world.audit()
    await office.world.close()


@pytest.fixture
async def alice(office: Office) -> str:
    """The number of a card with 100.00 of vintage 2026 on it."""
    return await office.house.enrol(1, LOADED)


async def load(office: Office, lot: str, cents: int, days: tuple[date, date], product: str = "90") -> None:
    command = Load(ALICE, product, lot, *days, Cents(cents))
    await office.house.administer(command, f"{product} {lot}")


async def order(office: Office, client: ClientId, number: int, cents: int) -> None:
    """Have an order of one line carried out for Alice."""
    do, name = office.issuer.do, OrderId(f"o{number}")
    await do(EnterLines(client, name, 1, 0, (OrderLine(ALICE, "1", Cents(cents)),)), f"lines {client} {name}", BY)
    chunks = (Chunk(0, 1, Cents(cents)),)
    draft = DraftOrder(client, name, "90", date(2026, 5, 1), 1, chunks, 0, Difference(new=1))
    await do(draft, f"draft {client} {name}", BY)
    await do(ConfirmOrder(client, name, 1), f"confirmation {client} {name}", BY)
    drafted = await office.issuer.state(order_passbook(client, name))
    assert isinstance(drafted, Order)
    await do(PayOrder(client, name, "VIR 1", drafted.costs.total, MAIN), f"payment {client} {name}", BY)
    line = Fulfil(ALICE, client, name, "apetiz", "90", "2026", *VINTAGE, Cents(cents))
    await do(line, f"line {client} {name}", BY)


async def shown(office: Office, before: Seq | None = None, most: int = 50) -> list[Operation]:
    return list((await office.holders.operations(ALICE, before, most)).operations)


class TestBalances:
    """R3262-1-2: split by vintage, with what expired and can be exchanged, and expiry dates."""

    async def test_they_are_split_by_vintage(self, office: Office, alice: str) -> None:
        await load(office, "2027", 700, (date(2027, 1, 1), date(2028, 2, 29)))
        await office.house.pay(office.world.request(alice, 1_000))
        [balance] = (await office.holders.balances(ALICE)).balances
        assert balance.vouchers == (
            Vouchers("2026", Cents(LOADED - 1_000), *VINTAGE),
            Vouchers("2027", Cents(700), date(2027, 1, 1), date(2028, 2, 29)),
        )
        assert (balance.product, balance.name, balance.expired) == ("90", "titre-restaurant", ())
        assert balance.available == LOADED - 1_000, "what is valid later isn't spent today"

    async def test_the_day_s_cap_is_told(self, office: Office, alice: str) -> None:
        await office.house.pay(office.world.request(alice, 1_000))
        assert (await office.holders.balances(ALICE)).balances[0].cap_left == 1_900 - 1_000
        office.world.clock.wait_at(office.world.clock() + timedelta(days=1))
        assert (await office.holders.balances(ALICE)).balances[0].cap_left == 1_900

    async def test_what_is_set_aside_is_not_available(self, office: Office, alice: str) -> None:
        await office.house.pay(office.world.request(alice, 1_000, mti="0100"))
        [balance] = (await office.holders.balances(ALICE)).balances
        assert (balance.available, balance.held) == (LOADED - 1_000, 1_000)

    @pytest.mark.parametrize("swept", [False, True])
    @pytest.mark.usefixtures("alice")
    async def test_what_expired_waits_whether_or_not_it_was_posted(self, office: Office, *, swept: bool) -> None:
        await office.house.engine.age_lots()
        office.world.clock.wait_at(MARCH_1)
        if swept:
            await office.house.engine.age_lots()
        [balance] = (await office.holders.balances(ALICE)).balances
        assert (balance.available, balance.vouchers) == (0, ())
        assert balance.expired == (Expired("2026", Cents(LOADED), VINTAGE[1], EXCHANGE_UNTIL, None),)

    @pytest.mark.usefixtures("alice")
    async def test_until_the_last_day_to_ask_is_over(self, office: Office) -> None:
        for at, until in ((MARCH_15 + NOON, EXCHANGE_UNTIL), (MARCH_15 + timedelta(days=1), None)):
            office.world.clock.wait_at(at)
            [balance] = (await office.holders.balances(ALICE)).balances
            assert [one.exchange_until for one in balance.expired] == [until]

    @pytest.mark.usefixtures("alice")
    async def test_a_belgian_voucher_is_reactivated_rather_than_exchanged(self, office: Office) -> None:
        """Asked within three months (L AR 22 Nov 2022); not gift."""
        for product in ("92", "93"):
            await load(office, "2026-05-01", 500, (date(2025, 5, 2), date(2026, 5, 1)), product)
        balances = {one.product: one for one in (await office.holders.balances(ALICE)).balances}
        assert [one.reactivate_until for one in balances["92"].expired] == [date(2026, 8, 1)]
        assert [one.reactivate_until for one in balances["93"].expired] == [None]
        assert balances["92"].cap_left is None

    async def test_cards_are_masked(self, office: Office, alice: str) -> None:
        [card] = (await office.holders.balances(ALICE)).cards
        expected = f"{alice[:6]}******{alice[-4:]}"
        assert card == CardView(CARD, "apetiz", 1, expected, date(2028, 6, 1), CardStatus.ACTIVE, locked=False)
        assert alice not in repr(await office.holders.balances(ALICE))

    async def test_a_locked_card_says_so(self, office: Office, alice: str) -> None:
        for _ in range(3):
            await office.house.pay(office.world.request(alice, 100, pin="4321"))
        [card] = (await office.holders.balances(ALICE)).cards
        assert (card.locked, card.status) == (True, CardStatus.ACTIVE)

    async def test_a_holder_without_anything_is_shown_that(self, office: Office) -> None:
        await office.house.administer(Enrol(ALICE, "E1"), "enrolment")
        view = await office.holders.balances(ALICE)
        assert (view.balances, view.cards, view.employers) == ((), (), ("E1",))

    async def test_nobody_is_not_shown(self, office: Office) -> None:
        nobody = HolderId("nobody")
        for attempt in (office.holders.balances(nobody), office.holders.operations(nobody)):
            with pytest.raises(NotThere):
                await attempt


class TestExchange:
    """R3262-5: free, for the same amount of the next vintage, if asked by 15 March."""

    async def test_it_pays_again(self, office: Office, alice: str) -> None:
        office.world.clock.wait_at(MARCH_15 + NOON)
        assert (await office.house.pay(office.world.request(alice))).reason is Reason.VINTAGE_EXPIRED
        await office.holders.exchange(ALICE, "90", "2026", BY, "exchange")
        [balance] = (await office.holders.balances(ALICE)).balances
        assert balance.vouchers == (Vouchers("2027", Cents(LOADED), date(2027, 1, 1), date(2028, 2, 29)),)
        assert (await office.house.pay(office.world.request(alice))).reason is Reason.APPROVED

    @pytest.mark.usefixtures("alice")
    async def test_on_the_16th_it_is_over(self, office: Office) -> None:
        office.world.clock.wait_at(MARCH_15 + timedelta(days=1))
        with pytest.raises(ExchangeOver):
            await office.holders.exchange(ALICE, "90", "2026", BY, "exchange")

    @pytest.mark.usefixtures("alice")
    async def test_a_repeat_changes_nothing(self, office: Office) -> None:
        office.world.clock.wait_at(MARCH_1)
        for _ in range(2):
            await office.holders.exchange(ALICE, "90", "2026", BY, "exchange")
        with pytest.raises(NothingWaits):
            await office.holders.exchange(ALICE, "90", "2026", BY, "another key")
        assert office.world.available(ALICE) == LOADED

    async def test_nobody_exchanges_nothing(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.holders.exchange(ALICE, "90", "2026", BY, "exchange")
        with pytest.raises(NotThere):
            await office.holders.reactivate(ALICE, "90", "2026", BY, "reactivation")


class TestReactivation:
    @pytest.fixture
    async def belgian(self, office: Office) -> None:
        """A holder whose eco vouchers ended on 1 May."""
        await office.house.administer(AdoptProgramme(shipped("pluxee-be")), "pluxee")
        offer = await office.offer("belgian", programme="pluxee-be")
        client = (await office.clients.accept(offer, None, BY, "acceptance")).id
        await office.house.administer(Enrol(ALICE, client), "enrolment")
        await office.house.administer(IssueCard(ALICE, CARD, "pluxee-be", 1, "2806"), "card")
        await load(office, "2026-05-01", 500, (date(2025, 5, 2), date(2026, 5, 1)), "92")

    @pytest.mark.usefixtures("belgian")
    async def test_it_gives_three_months_once(self, office: Office) -> None:
        await office.holders.reactivate(ALICE, "92", "2026-05-01", BY, "reactivation")
        [balance] = (await office.holders.balances(ALICE)).balances
        assert (balance.available, balance.vouchers[0].valid_until) == (500, date(2026, 8, 12))
        office.world.clock.wait_at(office.world.clock().replace(month=8, day=13))
        [balance] = (await office.holders.balances(ALICE)).balances
        assert [one.reactivate_until for one in balance.expired] == [None]

    @pytest.mark.usefixtures("belgian")
    async def test_it_is_asked_within_three_months(self, office: Office) -> None:
        office.world.clock.wait_at(office.world.clock().replace(month=8, day=2))
        with pytest.raises(ReactivationOver):
            await office.holders.reactivate(ALICE, "92", "2026-05-01", BY, "reactivation")

    @pytest.mark.usefixtures("alice")
    async def test_french_ones_are_not(self, office: Office) -> None:
        office.world.clock.wait_at(MARCH_1)
        with pytest.raises(NotReactivated):
            await office.holders.reactivate(ALICE, "90", "2026", BY, "reactivation")


class TestOperations:
    async def test_payments_are_shown_newest_first_with_the_merchant_and_the_reason(
        self, office: Office, alice: str
    ) -> None:
        await office.house.pay(office.world.request(alice, 1_000))
        await office.house.pay(office.world.request(alice, 1_000))
        refused, paid, loaded, issued = await shown(office)
        assert (refused.kind, refused.reason, refused.amount) == (OperationKind.PAYMENT, Reason.DAILY_CAP, 1_000)
        assert (paid.kind, paid.reason, paid.party) == (OperationKind.PAYMENT, Reason.APPROVED, BISTROT.name)
        assert (paid.product, paid.amount, paid.card) == ("90", 1_000, CARD)
        assert (loaded.kind, loaded.amount, loaded.lot) == (OperationKind.LOAD, LOADED, "2026")
        assert (issued.kind, issued.card, issued.amount) == (OperationKind.CARD, CARD, None)
        assert paid.at == office.world.clock()

    async def test_a_partial_approval_shows_what_was_paid(self, office: Office, alice: str) -> None:
        await office.house.pay(partial(office.world.request(alice, 3_000)))
        assert ((await shown(office))[0].amount, (await shown(office))[0].reason) == (1_900, Reason.PARTIAL)

    async def test_a_reversal_shows_what_came_back(self, office: Office, alice: str) -> None:
        paid = office.world.request(alice, 1_000)
        await office.house.pay(paid)
        await office.house.pay(reversal(office.world, alice, paid))
        back = (await shown(office))[0]
        assert (back.kind, back.product, back.amount) == (OperationKind.REVERSAL, "90", 1_000)

    async def test_a_reversal_of_nothing_is_not_shown(self, office: Office, alice: str) -> None:
        await office.house.pay(reversal(office.world, alice, office.world.request(alice, 1_000)))
        assert [one.kind for one in await shown(office)] == [OperationKind.LOAD, OperationKind.CARD]

    async def test_a_hold_and_its_release(self, office: Office, alice: str) -> None:
        await office.house.pay(office.world.request(alice, 1_000, mti="0100"))
        assert (await shown(office))[0].kind is OperationKind.HOLD
        office.world.clock.wait_at(office.world.clock() + timedelta(days=15))
        await office.house.chores.sweep.sweep()
        released = (await shown(office))[0]
        assert (released.kind, released.amount) == (OperationKind.RELEASE, 1_000)

    async def test_what_is_paid_of_a_hold(self, office: Office, alice: str) -> None:
        held = office.world.request(alice, 1_000, mti="0100")
        await office.house.pay(held)
        await office.house.pay(completion(office.world, alice, 800, held))
        captured = (await shown(office))[0]
        assert (captured.kind, captured.product, captured.amount) == (OperationKind.CAPTURE, "90", 800)
        assert office.world.available(ALICE) == LOADED - 800

    async def test_what_was_paid_offline(self, office: Office, alice: str) -> None:
        """Of an excess the balance pays nothing: that is between the acquirer and finance."""
        await office.house.pay(advice(office.world, alice, LOADED + 500))
        await office.house.pay(advice(office.world, alice, 100, declined=True))
        paid = (await shown(office))[0]
        assert (paid.kind, paid.amount) == (OperationKind.PAYMENT, LOADED)

    async def test_expiry_and_exchange(self, office: Office, alice: str) -> None:
        await office.house.pay(office.world.request(alice, 1_000))
        await office.house.engine.age_lots()
        office.world.clock.wait_at(MARCH_1)
        await office.house.engine.age_lots()
        await office.holders.exchange(ALICE, "90", "2026", BY, "exchange")
        exchanged, expired = (await shown(office))[:2]
        assert (expired.kind, expired.amount) == (OperationKind.EXPIRY, LOADED - 1_000)
        assert (exchanged.kind, exchanged.amount, exchanged.lot) == (OperationKind.EXCHANGE, LOADED - 1_000, "2026")

    @pytest.mark.usefixtures("alice")
    async def test_what_nobody_asked_for_falls(self, office: Office) -> None:
        await office.house.engine.age_lots()
        office.world.clock.wait_at(MARCH_1 + timedelta(days=30))
        await office.house.engine.age_lots()
        fell = (await shown(office))[0]
        assert (fell.kind, fell.amount) == (OperationKind.FORFEIT, LOADED)

    async def test_what_is_only_asked_is_not_shown(self, office: Office, alice: str) -> None:
        before = await shown(office)
        await office.house.pay(office.world.request(alice, 0, kind=Inquiry, processing_code="309000", amount=None))
        assert await shown(office) == before

    @pytest.mark.usefixtures("alice")
    async def test_an_opposition_is_shown(self, office: Office) -> None:
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        assert ((await shown(office))[0].kind, (await shown(office))[0].card) == (OperationKind.OPPOSITION, CARD)

    async def test_pages_leave_nothing_out_and_end(self, office: Office, alice: str) -> None:
        for _ in range(5):
            await office.house.pay(office.world.request(alice, 100))
        whole, seen, before = await shown(office), list[Operation](), None
        while True:
            page = await office.holders.operations(ALICE, before, 3)
            seen += page.operations
            before = page.next
            if before is None:
                break
        assert seen == whole
        assert len(whole) == 7

    async def test_what_is_too_long_ago_is_shown_without_an_amount(
        self, office: Office, alice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paid = office.world.request(alice, 1_000)
        await office.house.pay(paid)
        await office.house.pay(reversal(office.world, alice, paid))
        await office.house.pay(office.world.request(alice, 100))
        monkeypatch.setattr(operations, "HISTORY_LINES_MAX", 2)
        assert ((await shown(office))[1].kind, (await shown(office))[1].amount) == (OperationKind.REVERSAL, None)

    async def test_another_s_are_not_shown(self, office: Office, alice: str) -> None:
        before = await shown(office)
        await office.house.pay(office.world.request(await office.house.enrol(2), 100))
        assert alice
        assert await shown(office) == before


class Action(StrEnum):
    """What may happen to a holder's money, each on a day of its own."""

    PAYMENT = "0200"
    HOLD = "0100"
    REVERSAL = "0400"
    REFUND = "20"
    SWEEP = "the sweep comes by, 15 days later"


SIGNS = {
    OperationKind.LOAD: 1,
    OperationKind.PAYMENT: -1,
    OperationKind.HOLD: -1,
    OperationKind.REVERSAL: 1,
    OperationKind.REFUND: 1,
    OperationKind.RELEASE: 1,
}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Action), st.integers(1, 2_000), st.integers(0, 9)), max_size=HOLD_DAYS))
def test_the_operations_that_were_granted_add_up_to_the_balance(story: list[tuple[Action, int, int]]) -> None:
    """Whatever was paid, set aside, reversed in part or whole, refunded, refused or released.

    So short a story that no hold lapses but by the sweep: with another record, it has no line of its own.
    """

    async def live() -> None:
        office = Office(await World().open())
        await office.house.furnish()
        pan, requests = await office.house.enrol(1, LOADED), list[Request]()
        for action, amount, which in story:
            await act(office, pan, requests, action, amount, which)
            office.world.clock.wait_at(office.world.clock() + timedelta(days=1))
        granted = [one for one in await shown(office) if one.reason.approves and one.amount is not None]
        added = sum(SIGNS[one.kind] * one.amount for one in granted if one.amount is not None)
        [balance] = (await office.holders.balances(ALICE)).balances
        assert added == balance.available
        office.world.audit()
        await office.world.close()

    asyncio.run(live())


async def act(office: Office, pan: str, requests: list[Request], action: Action, amount: int, which: int) -> None:
    of = requests[which % len(requests)] if requests else None
    match action:
        case Action.PAYMENT | Action.HOLD:
            requests.append(office.world.request(pan, amount, mti=action.value))
            await office.house.pay(requests[-1])
        case Action.REVERSAL if of is not None:
            await office.house.pay(reversal(office.world, pan, of, amount // 2))
        case Action.REFUND:
            await office.house.pay(refund(office.world, pan, amount, of))
        case Action.SWEEP:
            office.world.clock.wait_at(office.world.clock() + timedelta(days=15))
            await office.house.chores.sweep.sweep()


class TestTwoEmployers:
    """A person stands above employers: one card serves the vouchers of several, and each sees only its own."""

    @pytest.fixture
    async def clients(self, office: Office) -> tuple[ClientId, ClientId]:
        one, other = [
            (await office.clients.accept(await office.offer(name, name), None, BY, f"acceptance {name}")).id
            for name in ("Durand", "Bellevue")
        ]
        await order(office, one, 1, 3_000)
        await order(office, other, 1, 500)
        await order(office, one, 2, 200)
        return one, other

    async def test_each_sees_what_it_loaded(self, office: Office, clients: tuple[ClientId, ClientId]) -> None:
        one, other = clients
        found = {client: await office.holders.loads(client, ALICE) for client in clients}
        assert [load.amount for load in found[one].operations] == [200, 3_000]
        assert [load.amount for load in found[other].operations] == [500]
        assert {load.party for load in found[other].operations} == {"Bellevue"}
        assert found[one].next is found[other].next is None

    async def test_the_holder_sees_all_in_one_balance(self, office: Office, clients: tuple[ClientId, ClientId]) -> None:
        view = await office.holders.balances(ALICE)
        assert [balance.available for balance in view.balances] == [3_700]
        assert view.employers == clients
        assert [one.party for one in await shown(office)] == ["Durand", "Bellevue", "Durand"]

    @pytest.mark.usefixtures("clients")
    async def test_a_stranger_sees_nothing(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.holders.loads(ClientId("E1"), ALICE)
