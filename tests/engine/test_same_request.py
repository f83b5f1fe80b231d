"""Same request, same answer (docs/interface.md): whatever is sent again has no second effect, also after a restart."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from authz.decision.commands import Inquiry
from authz.decision.outcomes import Reason
from authz.engine.requests import Answer
from tests.engine.messages import again
from tests.engine.world import TUESDAY, WRONG_PIN, Barrier, House, World, holder_of, turns

ALICE = holder_of(1)
NEXT_YEAR = "20270512123000"


@pytest.mark.parametrize("repeat", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
@pytest.mark.parametrize("pin", ["1234", WRONG_PIN], ids=["approved", "declined"])
async def test_a_repeat_gets_the_stored_reply(
    world: World, house: House, alice: str, repeat: bool, restarted: bool, pin: str
) -> None:
    request = world.request(alice, pin=pin)
    first = await house.pay(request)
    if restarted:
        await house.crash()
        house = await world.open()
    answer = await house.engine.pay(again(request, repeat=repeat))
    assert isinstance(answer, Answer)
    assert answer.reply == first
    assert answer.command.origin == request.command.origin  # type: ignore[union-attr]
    assert len(world.payments()) == 1


async def test_a_repeat_of_one_in_flight_waits_for_it_and_never_overtakes_it(
    world: World, house: House, alice: str
) -> None:
    barrier = Barrier(house.store)
    request = world.request(alice)
    first = house.begin(request)
    await barrier.reached()
    repeats = [house.begin(again(request)) for _ in range(3)]
    await turns()
    assert not any(task.done() for task in repeats)
    barrier.release()
    answers = await asyncio.gather(first, *repeats)
    assert all(answer == answers[0] for answer in answers)
    assert len(world.payments()) == 1


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
async def test_the_same_identity_with_another_amount_is_refused_94(
    world: World, house: House, alice: str, restarted: bool
) -> None:
    request = world.request(alice, 100)
    await house.pay(request)
    if restarted:
        await house.crash()
        house = await world.open()
    reply = await house.pay(again(request, amount="000000000200", repeat=False))
    assert reply.reason is Reason.IDENTITY_REUSED
    assert len(world.payments()) == 1
    assert world.available(ALICE) == 9_900


async def test_another_content_of_one_in_flight_is_refused_94_with_a_batch(
    world: World, house: House, alice: str
) -> None:
    barrier = Barrier(house.store)
    request = world.request(alice, 100)
    first = house.begin(request)
    await barrier.reached()
    other = house.begin(again(request, processing_code="000000"))
    await turns()
    assert not other.done()
    barrier.release()
    assert [(await one).reply.reason for one in (first, other)] == [Reason.APPROVED, Reason.IDENTITY_REUSED]


async def test_a_repeat_whose_original_never_came_is_new(world: World, house: House, alice: str) -> None:
    assert (await house.pay(world.request(alice, repeat=True))).reason is Reason.APPROVED
    assert world.available(ALICE) == 9_900


async def test_trailing_spaces_of_terminal_and_merchant_do_not_count(world: World, house: House, alice: str) -> None:
    request = world.request(alice)
    await house.pay(request)
    merchant = f"{request.command.origin.merchant}  "[:15]
    await house.pay(again(request, terminal="PAR00001  ", merchant=merchant))
    assert len(world.payments()) == 1


async def test_two_requests_with_one_reference_but_two_identities_are_refused(
    world: World, house: House, alice: str
) -> None:
    """A reversal names by DE 7 and 11: two requests of one name could not be told apart."""
    request = world.request(alice)
    await house.pay(request)
    assert (await house.pay(again(request, local="20260512123001"))).reason is Reason.IDENTITY_REUSED


async def test_an_identity_that_only_the_ledger_knows_costs_nobody_behind_or_in_front(
    world: World, house: House, alice: str, bruno: str
) -> None:
    """The unique violation path (docs/ledger.md, "Identities without a read a request")."""
    taken = world.request(alice, 500)
    stored = await house.pay(taken)
    await house.crash()
    house = await world.open()
    barrier = Barrier(house.store)
    flying = house.begin(world.request(bruno, 1))
    await barrier.reached()
    tasks = [
        house.begin(one)
        for one in (
            world.request(alice, 10),
            world.request(bruno, 20),
            again(taken, repeat=False),
            world.request(alice, 30),
            world.request(bruno, 40),
        )
    ]
    await turns()
    barrier.release()
    replies = [(await task).reply for task in (flying, *tasks)]
    assert replies[3] == stored
    assert {reply.reason for reply in replies} == {Reason.APPROVED}
    assert world.available(holder_of(1)) == 10_000 - 500 - 10 - 30
    assert world.available(holder_of(2)) == 10_000 - 1 - 20 - 40


async def test_what_was_decided_behind_a_taken_identity_is_decided_again(
    world: World, house: House, alice: str
) -> None:
    """5.00 counted twice would leave 9.00 of the day's 19.00; counted once, it leaves 14.00."""
    taken = world.request(alice, 500)
    stored = await house.pay(taken)
    await house.crash()
    house = await world.open()
    barrier = Barrier(house.store)
    first = house.begin(again(taken, repeat=False))
    await barrier.reached()
    behind = house.begin(world.request(alice, 1_400))
    await turns()
    barrier.release()
    assert (await first).reply == stored
    assert (await behind).reply.reason is Reason.APPROVED
    assert world.available(ALICE) == 10_000 - 1_900


async def test_a_link_that_sent_what_the_ledger_had_is_looked_up_first_for_a_while(
    world: World, house: House, alice: str
) -> None:
    requests = [world.request(alice, cents) for cents in (1, 2, 3)]
    for request in requests:
        await house.pay(request)
    await house.crash()
    house = await world.open()
    for request in requests:
        await house.pay(again(request, repeat=False))
    failures = house.metrics.registry.get_sample_value("authz_append_failures_total", {"how": "identity_taken"})
    assert failures == 1
    assert len(world.payments()) == 3


async def test_an_inquiry_is_recorded_and_repeated_as_any_other(world: World, house: House, alice: str) -> None:
    request = world.request(alice, 0, kind=Inquiry, processing_code="309000", amount=None)
    first = await house.pay(request)
    await house.pay(world.request(alice, 300))
    assert await house.pay(again(request)) == first
    assert first.balances[0].available == 10_000


async def test_what_is_forgotten_in_memory_is_found_in_the_ledger(world: World) -> None:
    """`Recent` is bounded; the unique key of the ledger judges."""
    house = await world.open(remembered_max=4)
    await house.furnish()
    alice = await house.enrol(1)
    requests = [world.request(alice, 1) for _ in range(12)]
    first = [await house.pay(request) for request in requests]
    assert [await house.pay(again(request, repeat=False)) for request in requests] == first
    assert len(house.writer._desk._recent) <= 4
    assert len(world.payments()) == 12


@pytest.mark.parametrize("marked", [True, False])
async def test_a_repeat_after_half_a_year_finds_its_answer_though_its_date_reads_as_next_year_s(
    world: World, house: House, alice: str, marked: bool
) -> None:
    """DE 13 has no year: from 12 November on, 12 May reads as the next one's. Marked as a repeat, it is looked for."""
    request = world.request(alice)
    first = await house.pay(request)
    world.clock.wait_at(TUESDAY + timedelta(days=200))
    late = replace(request, command=replace(request.command, origin=replace(request.command.origin, local=NEXT_YEAR)))
    answer = await house.engine.pay(again(late, repeat=marked))
    assert isinstance(answer, Answer)
    if marked:
        assert answer.reply == first
    assert len(world.payments()) == (1 if marked else 2)


async def test_another_request_of_the_same_moment_a_year_ago_is_no_repeat(
    world: World, house: House, alice: str
) -> None:
    request = world.request(alice, 100)
    await house.pay(request)
    late = replace(request, command=replace(request.command, origin=replace(request.command.origin, local=NEXT_YEAR)))
    reply = await house.pay(again(late, amount="000000000200", repeat=True))
    assert reply.reason is not Reason.IDENTITY_REUSED
    assert len(world.payments()) == 2
