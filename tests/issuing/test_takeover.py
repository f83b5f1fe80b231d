"""Portfolios taken over: each holder once, whole, or refused with the reason, however often they come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.position import CardStatus
from authz.decision.refused import LotMalformed
from authz.engine.requests import Answer
from authz.issuing.bodies.operations import OperationKind
from authz.issuing.bodies.portfolio import TakenOver
from authz.issuing.cardmaking import with_check_digit
from authz.issuing.issuer import NotThere
from authz.issuing.operations import NEWEST
from authz.issuing.takeover import (
    BroughtCard,
    BroughtHolder,
    BroughtLot,
    LinkUnknown,
    Portfolio,
    card_of,
    holder_of,
    lot_named,
)
from authz.programmes import shipped
from authz.security.module import PinMethod
from ledger.values import Cents
from tests.engine.world import LINK, OTHER_LINK, TUESDAY, House, World, pin_pad
from tests.issuing.office import BY, Office, killed_everywhere

SOME = 300
"""More than one query of the vault, and one batch of the lane, hold."""


def pan_of(number: int) -> str:
    return with_check_digit(f"92501099{number:07}")


def pin_of(number: int) -> str:
    return f"{number % 10_000:04}"


def brought(number: int, **changes: Any) -> BroughtHolder:
    pan = changes.pop("pan", pan_of(number))
    block = changes.pop("pin_block", pin_pad.block(changes.pop("pin", pin_of(number)), pan))
    expiry = changes.pop("expiry", "2909")
    card = BroughtCard(pan, expiry, 2, True, block)
    lots = (BroughtLot("90", "2026", Cents(1_000 + number)),)
    return replace(BroughtHolder(f"r{number}", "E1", False, (card,), lots), **changes)


ALL = [brought(number) for number in range(SOME)]


@pytest.fixture(params=[1, 3])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(partitions=request.param)
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def office(world: World) -> Office:
    house = await world.open()
    await house.furnish()
    return Office(house)


async def take_over(office: Office, holders: list[BroughtHolder], zone: str = LINK) -> TakenOver:
    return await Portfolio(office.issuer).take_over("apetiz", zone, holders, BY)


async def why(office: Office, holder: BroughtHolder, zone: str = LINK) -> str:
    """Why the only one was refused."""
    taken = await take_over(office, [holder], zone)
    assert (taken.taken_over, [one.reference for one in taken.refused]) == (0, [holder.reference])
    return taken.refused[0].why


async def paid_with_pin(house: House, number: int, cents: int, pin: str | None = None) -> str:
    answer = await house.engine.pay(house.world.request(pan_of(number), cents, pin=pin or pin_of(number)))
    assert isinstance(answer, Answer)
    return answer.reply.reason


async def test_everybody_is_there_in_one_record_each_and_pays(office: Office) -> None:
    assert await take_over(office, ALL) == TakenOver(SOME)
    assert office.kinds().count("takeover") == SOME
    assert {await paid_with_pin(office.house, number, 1_000) for number in (0, 7, SOME - 1)} == {"APPROVED"}
    assert await paid_with_pin(office.house, 8, 1_000, pin="9999") == "PIN_WRONG"
    holder = holder_of(office.issuer.security, "apetiz", "r7")
    position = await office.issuer.position(holder)
    assert position is not None
    assert [(one.expiry, one.status) for one in position.cards] == [("2909", CardStatus.ACTIVE)]
    assert (position.employer, [lot.amount for lot in position.purse.lots]) == ("E1", [7])
    operations = (await office.holders.operations(holder, NEWEST, 9)).operations
    assert [(one.kind, one.product, one.amount) for one in operations] == [
        (OperationKind.PAYMENT, "90", 1_000),
        (OperationKind.LOAD, "90", 1_007),
    ]


async def test_the_same_again_has_no_second_effect(office: Office) -> None:
    await take_over(office, ALL[:20])
    records = len(office.kinds())
    assert await paid_with_pin(office.house, 3, 500) == "APPROVED"
    assert await take_over(office, ALL[:20]) == TakenOver(20)
    assert len(office.kinds()) == records + 1, "the payment's"
    assert await take_over(office, [ALL[3], ALL[3]]) == TakenOver(2)


async def test_chunks_side_by_side_take_everybody_over_once(office: Office) -> None:
    portfolio = Portfolio(office.issuer)
    chunks = [ALL[first : first + 30] for first in range(0, 120, 15)]
    done = await asyncio.gather(*(portfolio.take_over("apetiz", LINK, some, BY) for some in chunks))
    assert done == [TakenOver(len(some)) for some in chunks]
    assert office.kinds().count("takeover") == len({one.reference for some in chunks for one in some})


@pytest.mark.parametrize(
    "changes",
    [
        {"lots": (BroughtLot("90", "2026", Cents(1)),)},
        {"works_days_off": True},
        {"cards": ()},
        {"expiry": "3001"},
        {"pin": "9876"},
        {"pan": pan_of(900)},
    ],
)
async def test_other_content_under_a_reference_is_refused(office: Office, changes: dict[str, Any]) -> None:
    await take_over(office, [ALL[1]])
    assert "other content" in await why(office, brought(1, **changes))
    assert await paid_with_pin(office.house, 1, 1_001) == "APPROVED", "with the PIN, and all of the vouchers, as before"
    assert await paid_with_pin(office.house, 900, 100) == "CARD_UNKNOWN"


@pytest.mark.parametrize(
    ("changes", "zone", "word"),
    [
        ({"employer": "nobody"}, LINK, "no such employer"),
        ({"pin_block": "00" * 8}, LINK, "PIN block"),
        ({"pin_block": pin_pad.block("1234", pan_of(2))}, LINK, "PIN block"),
        ({"pin": "12345"}, LINK, "PIN block"),
        ({"pan": pan_of(1)[:-1] + str((int(pan_of(1)[-1]) + 1) % 10)}, LINK, "check digit"),
        ({"lots": (BroughtLot("90", "26", Cents(1)),)}, LINK, "lot"),
        ({"lots": (BroughtLot("92", "2026-02-01", Cents(1)),)}, LINK, "lot"),
        ({"lots": (BroughtLot("90", "2026", Cents(1)),) * 2, "employer": "E9"}, LINK, "no such employer"),
    ],
)
async def test_who_makes_no_sense_is_refused_and_nothing_is_kept(
    office: Office, changes: dict[str, Any], zone: str, word: str
) -> None:
    records = office.kinds()
    said = await why(office, brought(1, **changes), zone)
    assert word in said
    assert not any(pan_of(number) in said for number in (1, 2))
    assert office.kinds() == records
    assert await take_over(office, [ALL[1]]) == TakenOver(1), "put right, it is taken over"


async def test_one_refusal_keeps_nobody_else_out(office: Office) -> None:
    taken = await take_over(office, [ALL[0], brought(1, employer="nobody"), ALL[2]])
    assert (taken.taken_over, [one.reference for one in taken.refused]) == (2, ["r1"])


async def test_a_number_is_one_holders(office: Office) -> None:
    await take_over(office, [ALL[1]])
    assert "another holder" in await why(office, brought(2, pan=pan_of(1)))
    taken = await take_over(office, [brought(5), brought(6, pan=pan_of(5))])
    assert (taken.taken_over, [one.reference for one in taken.refused]) == (1, ["r6"])


async def test_a_number_that_was_issued_here_isnt_taken_over(office: Office) -> None:
    pan = with_check_digit("92501000000000" + "1")
    await office.house.cards.add(
        card_of(office.issuer.security, pan_of(3)),
        holder_of(office.issuer.security, "apetiz", "somebody"),
        office.issuer.engine.partition_of(holder_of(office.issuer.security, "apetiz", "somebody")),
        pan,
        "2909",
        await office.issuer.security.make_block_check(PinMethod.PVV, LINK, pin_pad.block("1234", pan), pan),
    )
    assert "another holder" in await why(office, brought(2, pan=pan))


async def test_the_link_and_the_programme_are_known(office: Office) -> None:
    with pytest.raises(LinkUnknown):
        await take_over(office, [ALL[0]], "999999")
    with pytest.raises(NotThere):
        await Portfolio(office.issuer).take_over("nowhere", LINK, [ALL[0]], BY)
    assert await take_over(office, [ALL[0]], OTHER_LINK) == TakenOver(1)


async def test_killed_anywhere_and_sent_again_everybody_is_there_once() -> None:
    async def furnish() -> Office:
        house = await World().open()
        await house.furnish()
        return Office(house)

    async def check(office: Office, taken: TakenOver) -> None:
        assert taken == TakenOver(4)
        assert office.kinds().count("takeover") == 4
        assert await paid_with_pin(office.house, 3, 1_003) == "APPROVED"

    await killed_everywhere(furnish, lambda office: take_over(office, ALL[:4]), check)


@given(st.integers(2000, 2099))
def test_a_vintage_names_its_lot_as_an_order_does(year: int) -> None:
    product = shipped("apetiz").product("90")
    assert product is not None
    lot = lot_named(product, str(year), Cents(1))
    assert (lot.name, lot.valid_from, lot.valid_until) == (str(year), *product.lot_dates(TUESDAY.date(), year))


@given(st.dates(TUESDAY.date().replace(year=2024), TUESDAY.date()))
def test_a_day_of_credit_names_its_lot_as_an_order_does(day: Any) -> None:
    product = shipped("pluxee-be").product("92")
    assert product is not None
    lot = lot_named(product, day.isoformat(), Cents(1))
    assert (lot.valid_from, lot.valid_until) == product.lot_dates(day)


@given(st.text("0123456789-+W ", max_size=12) | st.sampled_from(("20260201", "2026-W05-1", "+202", " 202", "02026")))
def test_no_other_name_is_a_lots(name: str) -> None:
    for programme, code in (("apetiz", "90"), ("pluxee-be", "92")):
        product = shipped(programme).product(code)
        assert product is not None
        try:
            lot = lot_named(product, name, Cents(1))
        except LotMalformed:
            continue
        assert name in (str(lot.valid_from.year), lot.valid_from.isoformat())
        assert lot.valid_from <= lot.valid_until
