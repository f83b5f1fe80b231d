"""Orders: drafted from a whole list, changed until they are paid, paid to the cent (docs/issuing.md)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decision.issuing.commands import PayOrder
from authz.decision.issuing.states import LINES_A_CHUNK, Chunk, Difference, OrderId, OrderLine, OrderStatus
from authz.decision.refused import (
    NoContract,
    OrderFixed,
    OrderNotConfirmed,
    PaymentDiffers,
    RevisionDiffers,
)
from authz.engine.bulk import Interrupted
from authz.issuing import chunks
from authz.issuing.contacts import MemoryContacts
from authz.issuing.drafting import BadRows
from authz.issuing.issuer import KeyReused, NotThere
from authz.issuing.orders import MonthOver
from ledger import accounts
from ledger.values import Cents, HolderId, Partition
from tests.engine.world import World
from tests.issuing.ordering import DURAND, FIRST, JUNE, LEROY, MAY, PEETERS, SECOND, Desk, balances, row, rows


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def desk(world: World) -> Desk:
    desk = Desk(world, await world.open(), MemoryContacts())
    await desk.furnish()
    return desk


async def test_a_first_list_is_all_new_and_everybody_needs_a_card(desk: Desk) -> None:
    order = await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    assert (order.status, order.revision, order.cards) == (OrderStatus.DRAFT, 1, 3)
    assert order.difference == Difference(new=3)
    assert order.chunks == (Chunk(0, 3, 3 * 180_00),)
    costs = order.costs
    assert (costs.face, costs.commission, costs.cards, costs.vat) == (540_00, 13_50, 12_00, 5_10)


async def test_its_lines_are_the_rows_page_by_page(desk: Desk) -> None:
    many = rows(*range(1, LINES_A_CHUNK + 52))
    order = await desk.draft(DURAND, FIRST, many)
    assert [chunk.lines for chunk in order.chunks] == [LINES_A_CHUNK, 51]
    pages = [await desk.orders.lines(DURAND, FIRST, after, 100) for after in range(0, len(many) + 100, 100)]
    assert [len(page) for page in pages] == [100, 100, 100, 1, 0]
    assert [(line.number, line.amount) for page in pages for line in page] == [(one.number, 180_00) for one in many]
    assert all(line.card for page in pages for line in page)


async def test_a_later_list_is_told_as_a_difference_to_the_last_one_paid_for(desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    await desk.pay(DURAND, FIRST)
    order = await desk.draft(DURAND, SECOND, [row(2), row(3, quantity=10), row(4), row(5)], JUNE)
    assert order.difference == Difference(new=2, changed=1, missing=1)


async def test_an_order_that_was_given_up_is_not_what_a_list_is_compared_with(desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    await desk.orders.cancel(DURAND, FIRST, "test", "cancel")
    assert (await desk.draft(DURAND, SECOND, rows(1))).difference == Difference(new=1)


async def test_a_second_order_finds_who_has_a_card(desk: Desk) -> None:
    """S: an order finds by itself which holders need a card, and charges only for those."""
    await desk.draft(DURAND, FIRST, rows(1, 2))
    await desk.pay(DURAND, FIRST)
    await desk.release()
    order = await desk.draft(DURAND, SECOND, rows(1, 2, 3), JUNE)
    assert order.cards == 1
    assert [line.card for line in await desk.orders.lines(DURAND, SECOND)] == [False, False, True]


async def test_it_stays_editable_until_it_is_paid(desk: Desk) -> None:
    """S: quantities and holders are changed before payment."""
    await desk.draft(DURAND, FIRST, rows(1, 2))
    await desk.orders.confirm(DURAND, FIRST, 1, "test", "confirm")
    again = await desk.draft(DURAND, FIRST, rows(2), key="redraft")
    assert (again.status, again.revision, again.lines) == (OrderStatus.DRAFT, 2, 1)
    with pytest.raises(RevisionDiffers):
        await desk.orders.confirm(DURAND, FIRST, 1, "test", "late")
    await desk.pay(DURAND, FIRST)
    with pytest.raises(OrderFixed):
        await desk.draft(DURAND, FIRST, rows(1), key="too late")
    with pytest.raises(OrderFixed):
        await desk.orders.cancel(DURAND, FIRST, "test", "too late too")
    assert [line.number for line in await desk.orders.lines(DURAND, FIRST)] == ["E0002"]


async def test_the_same_key_drafts_once(world: World, desk: Desk) -> None:
    first = await desk.draft(DURAND, FIRST, rows(1, 2))
    written = len(world.records())
    assert await desk.draft(DURAND, FIRST, rows(1, 2)) == first
    assert len(world.records()) == written
    with pytest.raises(KeyReused):
        await desk.draft(DURAND, FIRST, rows(1))
    with pytest.raises(KeyReused):
        await desk.draft(DURAND, FIRST, rows(1, 3))
    with pytest.raises(KeyReused):
        await desk.draft(DURAND, SECOND, rows(1, 2), key=f"draft {FIRST}")


async def test_it_is_paid_to_the_cent_once(world: World, desk: Desk) -> None:
    drafted = await desk.draft(DURAND, FIRST, rows(1, 2))
    with pytest.raises(OrderNotConfirmed):
        await desk.orders.pay(DURAND, FIRST, "VIR 1", drafted.costs.total, "test", "early")
    await desk.orders.confirm(DURAND, FIRST, 1, "test", f"confirm {FIRST}")
    with pytest.raises(PaymentDiffers):
        await desk.orders.pay(DURAND, FIRST, "VIR 1", drafted.costs.face, "test", "short")
    paid = await desk.pay(DURAND, FIRST)
    assert (paid.status, paid.reference) == (OrderStatus.PAID, "VIR 1")
    assert await desk.pay(DURAND, FIRST) == paid
    with pytest.raises(OrderNotConfirmed):
        await desk.orders.pay(DURAND, FIRST, "VIR 2", drafted.costs.total, "test", "twice")
    assert sum(record.entry.kind == PayOrder.__struct_config__.tag for record in world.records()) == 1


async def test_face_value_and_fees_never_mix_and_the_invoice_is_the_ledger(world: World, desk: Desk) -> None:
    """L3262-2: the face value stands on an account of its own, with no commission in it."""
    await desk.draft(DURAND, FIRST, rows(1, 2))
    await desk.pay(DURAND, FIRST)
    invoice, held = await desk.orders.invoice(DURAND, FIRST), balances(world)
    assert held[accounts.client_funds(DURAND, "90")] == invoice.face == -held[accounts.issuer_float("90")]
    assert held[accounts.commission()] == invoice.commission + invoice.cards
    assert held[accounts.vat()] == invoice.vat
    assert held[accounts.operating()] == -invoice.fees
    assert invoice.total == invoice.face + invoice.fees
    assert invoice.reference == "VIR 1"


async def test_a_draft_has_a_recap_and_no_invoice(desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1, 2))
    recap = await desk.orders.recap(DURAND, FIRST)
    assert (recap.lines, recap.cards, recap.costs.face) == (2, 2, 360_00)
    assert recap.delivery is not None
    assert recap.delivery.cards_from > date(2026, 5, 12)
    with pytest.raises(NotThere):
        await desk.orders.invoice(DURAND, FIRST)


async def test_without_a_contract_there_is_no_order(desk: Desk) -> None:
    """S: no contract for the electronic format, no order."""
    with pytest.raises(NoContract):
        await desk.orders.draft(PEETERS, FIRST, "91", MAY, rows(1), "test", "draft")


async def test_what_would_have_expired_is_not_ordered(desk: Desk) -> None:
    with pytest.raises(MonthOver):
        await desk.draft(DURAND, FIRST, rows(1), date(2025, 1, 1))


async def test_an_e_mail_is_one_persons_case_and_accents_apart(world: World, desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, [row(1), row(2)])
    await desk.draft(LEROY, FIRST, [row(1, first_name="ZOE1", email="ZOE1@example.org")], key="same person")
    before = len(world.records())
    with pytest.raises(BadRows) as bad:
        await desk.draft(LEROY, SECOND, [row(3), row(1, last_name="Dupont"), row(2, first_name="Luc")])
    assert [(one.line, one.column) for one in bad.value.errors] == [(3, "email"), (4, "email")]
    assert "zoe1" not in repr(bad.value.errors).lower()
    assert len(world.records()) == before
    assert desk.holder(LEROY, row(3)) not in await desk.contacts.find([desk.holder(LEROY, row(3))])


async def test_a_holder_stands_in_a_list_once(desk: Desk) -> None:
    with pytest.raises(BadRows) as bad:
        await desk.draft(DURAND, FIRST, [row(1), row(2), row(1, email="ZOE1@EXAMPLE.ORG")])
    assert [(one.line, one.column) for one in bad.value.errors] == [(4, "email")]


async def test_an_empty_list_orders_nothing(desk: Desk) -> None:
    with pytest.raises(BadRows):
        await desk.draft(DURAND, FIRST, [])


async def test_a_product_limits_the_face_value(desk: Desk) -> None:
    """I: eco-vouchers are of 10 € at most each."""
    with pytest.raises(BadRows) as bad:
        await desk.draft(PEETERS, FIRST, [row(1, 2, 10_00), row(2, 2, 10_01)])
    assert [(one.line, one.column, one.what) for one in bad.value.errors] == [(3, "face", "is over 10.00")]


async def test_a_product_limits_what_a_holder_gets_in_a_year(desk: Desk) -> None:
    """I: eco-vouchers for 250 € a year at most: what is paid counts, what is only drafted doesn't."""
    await desk.draft(PEETERS, OrderId("drafted"), [row(1, 25, 10_00)])
    await desk.draft(PEETERS, FIRST, [row(1, 20, 10_00), row(2, 25, 10_00)])
    await desk.pay(PEETERS, FIRST)
    await desk.draft(PEETERS, SECOND, [row(1, 5, 10_00)], JUNE)
    with pytest.raises(BadRows) as bad:
        await desk.draft(PEETERS, SECOND, [row(1, 6, 10_00), row(2, 1, 1), row(3, 25, 10_00)], JUNE, key="more")
    assert [(one.line, one.column) for one in bad.value.errors] == [(2, "quantity"), (3, "quantity")]
    next_year = date(2027, 1, 1)
    await desk.draft(PEETERS, SECOND, [row(1, 25, 10_00), row(2, 25, 10_00)], next_year, key="next year")


async def test_a_client_sees_its_own_orders_alone(desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1))
    await desk.draft(DURAND, SECOND, rows(1), key="second")
    await desk.draft(LEROY, OrderId("o3"), rows(2))
    assert [one.id for one in await desk.orders.list(DURAND)] == [FIRST, SECOND]
    assert [one.id for one in await desk.orders.list(DURAND, after=FIRST)] == [SECOND]
    for ask in (desk.orders.order, desk.orders.lines, desk.orders.recap, desk.orders.invoice):
        with pytest.raises(NotThere):
            await ask(LEROY, FIRST)  # type: ignore[operator]
    with pytest.raises(NotThere):
        await desk.orders.confirm(LEROY, FIRST, 1, "test", "theirs")
    with pytest.raises(NotThere):
        await desk.orders.cancel(LEROY, FIRST, "test", "theirs")


async def test_errors_beyond_what_is_listed_are_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authz.issuing.drafting.ERRORS_MAX", 2)
    with pytest.raises(BadRows) as bad:
        await desk.draft(PEETERS, FIRST, [row(number, 1, 99_00) for number in range(5)])
    assert [one.line for one in bad.value.errors] == [2, 3, 0]
    assert bad.value.errors[-1].what == "3 more errors"


async def test_two_drafts_of_one_order_at_once_are_two_revisions_and_each_has_its_lines(desk: Desk) -> None:
    one, two = await asyncio.gather(
        desk.draft(DURAND, FIRST, rows(1, 2), key="one"), desk.draft(DURAND, FIRST, rows(3), key="two")
    )
    assert sorted((one.revision, two.revision)) == [1, 2]
    order = await desk.orders.order(DURAND, FIRST)
    lines = await desk.orders.lines(DURAND, FIRST)
    assert [chunk.lines for chunk in order.chunks] == [len(lines)]
    assert sum(line.amount for line in lines) == order.costs.face


async def test_what_a_draft_that_was_cut_off_left_is_written_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut_off(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(desk.issuer, "do", cut_off)
        with pytest.raises(Interrupted):
            await desk.draft(DURAND, FIRST, rows(1, 2, 3), key="cut off")
    order = await desk.draft(DURAND, FIRST, rows(4), key="another")
    assert order.revision == 1
    assert [line.number for line in await desk.orders.lines(DURAND, FIRST)] == ["E0004"]


@given(st.lists(st.integers(0, 999), unique=True, max_size=300), st.integers(1, 4), st.integers(1, 40))
def test_chunks_hold_every_line_once_in_its_partition(numbers: list[int], partitions: int, most: int) -> None:
    lines = [OrderLine(HolderId(f"h{number}"), f"E{number}", Cents(number + 1)) for number in numbers]

    def partition_of(holder: HolderId) -> Partition:
        return Partition(crc32(holder.encode()) % partitions)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chunks, "LINES_A_CHUNK", most)
        filled = asyncio.run(chunks.divide(lines, partition_of))
    assert sorted(line.number for one in filled for line in one.lines) == sorted(line.number for line in lines)
    for one in filled:
        assert 0 < len(one.lines) <= most
        assert {partition_of(line.holder) for line in one.lines} == {one.chunk.partition}
        assert (one.chunk.lines, one.chunk.face) == (len(one.lines), sum(line.amount for line in one.lines))
