"""What reversals, refunds and completions name is found (docs/interface.md): in flight, in memory, in the ledger."""

import asyncio
from typing import Any

import pytest

from authz.decision.outcomes import Reason
from authz.engine.gate import GateState
from ledger.memory import Fault
from ledger.store import Unavailable
from tests.engine.messages import advice, again, completion, refund, reversal
from tests.engine.world import Barrier, House, World, holder_of, turns

ALICE = holder_of(1)
STEPS = 600
"""More than are looked up in the first seven rounds of reading."""


async def reopened(world: World, house: House, **limits: int) -> House:
    await house.crash()
    return await world.open(**limits)


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
async def test_repeats_of_a_reversal_in_flight_at_once_get_one_decision(
    world: World, house: House, alice: str, restarted: bool
) -> None:
    paid = world.request(alice, 500)
    await house.pay(paid)
    house = await reopened(world, house) if restarted else house
    barrier = Barrier(house.store)
    undo = reversal(world, alice, paid, 100)
    tasks = [house.begin(again(undo, repeat=repeat)) for repeat in (False, True, False, True)]
    await turns()
    barrier.release()
    replies = [(await task).reply for task in tasks]
    assert [reply.reason for reply in replies] == [Reason.APPROVED] * 4
    assert all(reply == replies[0] for reply in replies)
    assert len(world.payments()) == 2
    assert world.available(ALICE) == 10_000 - 100


@pytest.mark.parametrize("blocked", [True, False], ids=["behind_another", "alone"])
@pytest.mark.parametrize(
    ("reversed_first", "reasons"),
    [
        (False, [Reason.APPROVED, Reason.APPROVED]),
        (True, [Reason.REVERSED_BEFORE, Reason.NO_ORIGINAL]),
    ],
    ids=["original_first", "reversal_first"],
)
async def test_an_original_and_its_reversal_race_in_one_batch(
    world: World, house: House, alice: str, reversed_first: bool, reasons: list[Reason], blocked: bool
) -> None:
    """Whichever has the earlier record decides; the money is back either way."""
    barrier = Barrier(house.store)
    if blocked:
        house.begin(world.request(alice, 1))
        await barrier.reached()
    paid = world.request(alice, 500)
    tasks = {}
    for request in sorted([paid, reversal(world, alice, paid)], key=lambda one: (one is paid) == reversed_first):
        tasks[request is paid] = house.begin(request)
        await turns()
    barrier.release()
    assert [(await tasks[True]).reply.reason, (await tasks[False]).reply.reason] == reasons
    assert world.available(ALICE) == 10_000 - blocked


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.LOST_BEFORE, Fault.LOST_AFTER])
async def test_the_reversal_of_an_original_in_flight_whose_append_fails(
    world: World, house: House, alice: str, fault: Fault
) -> None:
    """It stands on what the ledger has in the end: an original to undo, or none, which is then refused."""
    paid = world.request(alice, 500)
    house.store.faults.append(fault)
    barrier = Barrier(house.store)
    front = house.begin(paid)
    await barrier.reached()
    behind = house.begin(reversal(world, alice, paid))
    await turns()
    barrier.release()
    lost = fault is not Fault.LOST_AFTER
    assert (await front).reply.reason is (Reason.UNAVAILABLE if lost else Reason.APPROVED)
    assert (await behind).reply.reason is (Reason.NO_ORIGINAL if lost else Reason.APPROVED)
    assert (await house.pay(again(paid))).reason is (Reason.REVERSED_BEFORE if lost else Reason.APPROVED)
    assert world.available(ALICE) == 10_000


async def test_two_reversals_of_one_purchase_in_one_batch_never_undo_the_same_cents(
    world: World, house: House, alice: str
) -> None:
    paid = world.request(alice, 900)
    await house.pay(paid)
    barrier = Barrier(house.store)
    stands = (700, 300, 300, 500, 0, 0)
    tasks = [house.begin(reversal(world, alice, paid, cents)) for cents in stands]
    await turns()
    barrier.release()
    replies = [(await task).reply for task in tasks]
    assert {reply.reason for reply in replies} == {Reason.APPROVED}
    assert [bool(reply.standings) for reply in replies] == [True, True, False, False, True, False]
    assert [one.step for reply in replies for one in reply.standings] == [1, 2, 3]
    assert world.available(ALICE) == 10_000


async def test_a_refund_and_a_reversal_of_one_purchase_in_one_batch(world: World, house: House, alice: str) -> None:
    """Together they never exceed it."""
    paid = world.request(alice, 900)
    await house.pay(paid)
    barrier = Barrier(house.store)
    tasks = [
        house.begin(request)
        for request in (
            refund(world, alice, 600, paid),
            reversal(world, alice, paid, 400),
            reversal(world, alice, paid, 100),
            refund(world, alice, 101, paid),
        )
    ]
    await turns()
    barrier.release()
    reasons = [(await task).reply.reason for task in tasks]
    assert reasons == [Reason.APPROVED, Reason.APPROVED, Reason.APPROVED, Reason.REFUND_NOT_ALLOWED]
    assert world.available(ALICE) == 10_000 - 100


async def test_many_steps_on_one_payment_are_followed_to_the_last(world: World, house: House, alice: str) -> None:
    """Also where only the ledger has them: nothing but its acquirer can refuse a reversal."""
    paid = world.request(alice, STEPS + 50)
    await house.pay(paid)
    for stands in range(STEPS + 49, 49, -1):
        await house.pay(reversal(world, alice, paid, stands))
    house = await reopened(world, house)
    reply = await house.pay(reversal(world, alice, paid, 20))
    assert [one.step for one in reply.standings] == [STEPS + 1]
    assert world.available(ALICE) == 10_000 - 20


async def test_what_is_not_acknowledged_is_never_forgotten(world: World) -> None:
    """However small the memory: a request behind others in flight is still known to its repeat and its reversal."""
    house = await world.open(remembered_max=1)
    await house.furnish()
    alice = await house.enrol(1)
    barrier = Barrier(house.store)
    paid = world.request(alice, 500)
    others = [world.request(alice, 1) for _ in range(6)]
    requests = [paid, *others, again(paid, repeat=False), reversal(world, alice, paid)]
    async with asyncio.timeout(5):
        tasks = [house.begin(request) for request in requests]
        await turns()
        barrier.release()
        replies = [(await task).reply for task in tasks]
    assert {reply.reason for reply in replies} == {Reason.APPROVED}
    assert world.available(ALICE) == 10_000 - 6
    assert len(house.writer._desk._recent) == 1


@pytest.mark.parametrize("how", ["restarted", "evicted"])
async def test_stored_replies_of_every_kind_outlive_memory(world: World, how: str) -> None:
    house = await world.open(remembered_max=2)
    await house.furnish()
    alice = await house.enrol(1)
    paid, held = world.request(alice, 500), world.request(alice, 600, mti="0100")
    requests = [
        paid,
        held,
        advice(world, alice, 20),
        completion(world, alice, 550, held),
        refund(world, alice, 100, paid),
        reversal(world, alice, paid, 50),
        reversal(world, alice, world.request(alice, 1)),
    ]
    first = [await house.pay(request) for request in requests]
    money = world.available(ALICE)
    house = await reopened(world, house) if how == "restarted" else house
    assert [await house.pay(again(request, repeat=False)) for request in requests] == first
    assert world.available(ALICE) == money
    assert len(world.payments()) == len(requests)


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
async def test_an_original_that_comes_after_its_reversal_is_refused_94(
    world: World, house: House, alice: str, restarted: bool, marked: bool
) -> None:
    paid = world.request(alice, 500)
    assert (await house.pay(reversal(world, alice, paid))).reason is Reason.NO_ORIGINAL
    house = await reopened(world, house) if restarted else house
    assert (await house.pay(again(paid, repeat=marked))).reason is Reason.REVERSED_BEFORE
    assert (await house.pay(reversal(world, alice, paid))).reason is Reason.NO_ORIGINAL
    assert world.available(ALICE) == 10_000


@pytest.mark.parametrize("years", [1, 2, 3])
async def test_an_original_of_an_earlier_year_is_found(world: World, house: House, alice: str, years: int) -> None:
    """DE 90 has no year: the newest that fits is meant."""
    old = world.request(alice, 500, local=f"{2026 - years}0512123000")
    await house.pay(old)
    house = await reopened(world, house)
    reply = await house.pay(reversal(world, alice, old))
    assert reply.reason is Reason.APPROVED
    assert world.available(ALICE) == 10_000


async def test_of_two_originals_a_year_apart_the_newer_is_meant(world: World, house: House, alice: str) -> None:
    old = world.request(alice, 500, local="20250512123000")
    new = again(world.request(alice, 70, trace=old.command.origin.trace), repeat=False)
    for request in (old, new):
        assert (await house.pay(request)).reason is Reason.APPROVED
    await house.pay(reversal(world, alice, new))
    assert world.available(ALICE) == 10_000 - 500


async def test_the_reversal_in_january_of_a_december_payment(world: World, house: House, alice: str) -> None:
    paid = world.request(alice, 500, transmitted="1231225900", local="20251231235900")
    await house.pay(paid)
    undo = reversal(world, alice, paid, transmitted="1231230100", local="20260101000100")
    assert (await house.pay(undo)).reason is Reason.APPROVED
    assert world.available(ALICE) == 10_000


async def test_an_original_that_cannot_be_looked_up_is_answered_91(world: World, house: House, alice: str) -> None:
    """What is unknown is not taken for absent: no tombstone is set on a payment that is there."""
    paid = world.request(alice, 500)
    await house.pay(paid)
    house = await reopened(world, house)

    async def down(*_: object) -> None:
        raise Unavailable("the database can't be reached")

    find, house.store.find = house.store.find, down
    undo = reversal(world, alice, paid)
    assert (await house.pay(undo)).reason is Reason.UNAVAILABLE
    house.store.find = find
    assert (await house.pay(again(undo))).reason is Reason.APPROVED
    assert world.available(ALICE) == 10_000


async def test_what_was_looked_for_before_a_batch_was_settled_is_looked_for_again(
    world: World, house: House, alice: str
) -> None:
    """A completion lands after the reversal of its hold has looked for it, while the holder's line is being read."""
    held = world.request(alice, 500, mti="0100")
    await house.pay(held)
    house = await reopened(world, house)
    await house.pay(world.request(alice, 1))
    store, gate = house.store, house.writer.gate
    find, newest, retake = store.find, store.newest, store.retake
    lost, steps_are_looked_for = asyncio.Event(), asyncio.Event()

    async def find_what_has_landed(*arguments: Any) -> Any:
        await lost.wait()
        found = await find(*arguments)
        if gate.state is GateState.OPEN:
            return found
        return {key: one for key, one in found.items() if '"type":"completion"' not in one.request}

    async def newest_once_settled(*arguments: Any) -> Any:
        if "programme:apetiz" in arguments[1]:  # read with the steps of the hold, after the holder's line
            steps_are_looked_for.set()
            await gate.is_open()
        return await newest(*arguments)

    async def land(*arguments: Any) -> Any:
        lost.set()
        await steps_are_looked_for.wait()
        await turns()
        return await retake(*arguments)

    store.find, store.newest, store.retake = find_what_has_landed, newest_once_settled, land
    store.faults.append(Fault.LOST_AFTER)
    barrier = Barrier(store)
    front = house.begin(completion(world, alice, 500, held))
    await barrier.reached()
    behind = house.begin(reversal(world, alice, held))
    await turns()
    barrier.release()
    replies = [(await task).reply for task in (front, behind)]
    assert [reply.reason for reply in replies] == [Reason.APPROVED, Reason.APPROVED]
    assert [one.amount for one in replies[1].standings] == [0]
    assert world.available(ALICE) == 10_000 - 1
