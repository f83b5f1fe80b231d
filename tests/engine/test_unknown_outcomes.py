"""Failing is closed: what is unknown is settled before it is answered (docs/ledger.md, "The pipeline")."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from authz.clock import SimulatedClock
from authz.decision.outcomes import Reason
from authz.engine.requests import Answer, NoAnswer
from ledger.memory import Fault, MemoryStore
from tests.engine.world import MAIN, TUESDAY, WRONG_PIN, Barrier, House, World, holder_of, turns

ALICE = holder_of(1)


@pytest.mark.parametrize(
    ("fault", "reason", "left"),
    [
        (Fault.LOST_BEFORE, Reason.UNAVAILABLE, 10_000),
        (Fault.REFUSED, Reason.UNAVAILABLE, 10_000),
        (Fault.LOST_AFTER, Reason.APPROVED, 9_900),
    ],
    ids=["lost_before", "refused", "lost_after"],
)
async def test_a_batch_is_answered_as_it_stands_in_the_ledger(
    world: World, house: House, alice: str, fault: Fault, reason: Reason, left: int
) -> None:
    house.store.faults.append(fault)
    assert (await house.pay(world.request(alice, 100))).reason is reason
    assert world.available(ALICE) == left
    assert len(world.payments()) == (reason is Reason.APPROVED)
    assert (await house.pay(world.request(alice, 50))).reason is Reason.APPROVED
    assert world.available(ALICE) == left - 50


async def test_a_wrong_pin_that_was_lost_on_the_way_back_is_counted(world: World, house: House, alice: str) -> None:
    house.store.faults.append(Fault.LOST_AFTER)
    replies = [await house.pay(world.request(alice, pin=WRONG_PIN)) for _ in range(3)]
    assert [reply.reason for reply in replies] == [Reason.PIN_WRONG, Reason.PIN_WRONG, Reason.PIN_LOCKED]
    assert [reply.pin_tries_left for reply in replies] == [2, 1, None]


@pytest.mark.parametrize("fault", list(Fault))
async def test_what_was_decided_behind_a_failed_batch_is_decided_again_on_true_positions(
    world: World, house: House, alice: str, fault: Fault
) -> None:
    """100.00 on the card, a cap of 19.00: 15.00 in flight, and 10.00 behind it that only fits where that isn't in."""
    barrier = Barrier(house.store)
    house.store.faults.append(fault)
    front = house.begin(world.request(alice, 1_500))
    await barrier.reached()
    behind = house.begin(world.request(alice, 1_000))
    await turns()
    barrier.release()
    replies = [(await one).reply for one in (front, behind)]
    is_in = fault is Fault.LOST_AFTER
    assert replies[0].reason is (Reason.APPROVED if is_in else Reason.UNAVAILABLE)
    assert replies[1].reason is (Reason.DAILY_CAP if is_in else Reason.APPROVED)
    assert world.available(ALICE) == (8_500 if is_in else 9_000)


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_repeat_behind_a_failed_batch_gets_what_the_ledger_has(
    world: World, house: House, alice: str, fault: Fault
) -> None:
    barrier = Barrier(house.store)
    house.store.faults.append(fault)
    request = world.request(alice, 100)
    first = house.begin(request)
    await barrier.reached()
    repeat = house.begin(request)
    await turns()
    barrier.release()
    assert (await repeat).reply.reason is Reason.APPROVED
    assert (await first).reply.reason is (Reason.APPROVED if fault is Fault.LOST_AFTER else Reason.UNAVAILABLE)
    assert len(world.payments()) == 1


async def test_an_outcome_settled_after_its_deadline_is_recorded_and_not_sent(
    world: World, house: House, alice: str
) -> None:
    """Nor is 91: only silence. The repeat gets the answer, by its own deadline."""
    barrier = Barrier(house.store)
    request = world.request(alice, 100, deadline=asyncio.get_running_loop().time() + 0.05)
    first = house.begin(request)
    await barrier.reached()
    repeat = house.begin(world.request(alice, 100, trace=request.command.origin.trace, repeat=True))
    await turns()
    await _at(request.deadline)
    barrier.release()
    assert await first is NoAnswer.TOO_LATE
    assert (await repeat).reply.reason is Reason.APPROVED
    assert len(world.payments()) == 1


async def test_an_outcome_that_cannot_be_settled_is_not_answered_at_all(world: World, house: House, alice: str) -> None:
    barrier = Barrier(house.store)
    task = house.begin(world.request(alice, deadline=asyncio.get_running_loop().time() + 0.05))
    await barrier.reached()
    house.store.reachable = False
    assert await task is NoAnswer.TOO_LATE
    assert house.engine.unready()


async def test_the_deadline_is_tested_last_when_a_batch_is_sent(
    world: World, house: House, alice: str, bruno: str
) -> None:
    """Behind a slow append one deadline passes: 91 and not in; those around it are decided again, and are in."""
    barrier = Barrier(house.store)
    front = house.begin(world.request(bruno, 1))
    await barrier.reached()
    late = world.request(alice, 1_500, deadline=asyncio.get_running_loop().time() + 0.02)
    tasks = [house.begin(late), house.begin(world.request(alice, 1_000)), house.begin(world.request(bruno, 2))]
    await turns()
    await _at(late.deadline)
    barrier.release()
    replies = [(await task).reply.reason for task in (front, *tasks)]
    assert replies == [Reason.APPROVED, Reason.UNAVAILABLE, Reason.APPROVED, Reason.APPROVED]
    assert world.available(ALICE) == 9_000


async def test_who_waits_behind_a_stuck_append_hears_91_at_their_deadline(world: World) -> None:
    house, alice = await _housed(world, beat_every_ms=5, batch_records_max=1)
    barrier = Barrier(house.store)
    front = house.begin(world.request(alice, 1))
    await barrier.reached()
    soon = asyncio.get_running_loop().time() + 0.02
    behind = [house.begin(world.request(alice, 2, deadline=soon)) for _ in range(3)]
    assert [(await one).reply.reason for one in behind] == [Reason.UNAVAILABLE] * 3
    barrier.release()
    assert (await front).reply.reason is Reason.APPROVED
    assert (await house.pay(world.request(alice, 3))).reason is Reason.APPROVED
    assert world.available(ALICE) == 10_000 - 4


async def test_a_request_past_its_deadline_on_arrival_is_answered_91(world: World, house: House, alice: str) -> None:
    late = world.request(alice, deadline=asyncio.get_running_loop().time())
    assert (await house.pay(late)).reason is Reason.UNAVAILABLE
    assert not world.payments()


async def test_after_silence_the_session_is_cut_and_the_batch_settled(world: World) -> None:
    house, alice = await _housed(world, silence_max_ms=20)
    barrier = Barrier(house.store)
    front = house.begin(world.request(alice, 100))
    await barrier.reached()
    behind = house.begin(world.request(alice, 50))
    assert (await front).reply.reason is Reason.UNAVAILABLE
    assert (await behind).reply.reason is Reason.UNAVAILABLE
    barrier.release()
    await house.engine.is_ready()
    assert (await house.pay(world.request(alice, 25))).reason is Reason.APPROVED
    assert world.available(ALICE) == 9_975


async def test_an_acknowledgement_that_overtakes_the_cut_leaves_the_writer_alive(world: World) -> None:
    """The session is given up after a silence, but the answer comes first: it counts, and a new epoch begins."""

    class Deaf(MemoryStore):
        """Cuts a session only after its append is in."""

        async def abandon(self, partition: object) -> None:
            barrier.release()
            await turns()
            await super().abandon(MAIN)

    store = Deaf(world.ledger)
    house, alice = await _housed(world, store, silence_max_ms=20)
    barrier = Barrier(store)
    epoch = world.ledger.shelves[MAIN].fence.epoch
    assert (await house.pay(world.request(alice, 100))).reason is Reason.APPROVED
    await house.engine.is_ready()
    assert (await house.pay(world.request(alice, 50))).reason is Reason.APPROVED
    assert world.ledger.shelves[MAIN].fence.epoch == epoch + 1


async def test_without_a_database_the_answer_is_91_at_once_and_it_recovers_by_itself(
    world: World, house: House, alice: str
) -> None:
    house.store.reachable = False
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert house.engine.unready() == ["partition 0: the database can't be reached"]
    house.store.reachable = True
    await house.engine.is_ready()
    assert house.engine.unready() == []
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    assert len(world.payments()) == 1


async def test_a_fenced_engine_approves_nothing_any_more(world: World, house: House, alice: str) -> None:
    other = MemoryStore(world.ledger)
    await other.take(MAIN, await other.fence(MAIN))
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert house.engine.unready() == ["partition 0: standing by: another engine writes partition 0"]
    assert not world.payments()


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER], ids=["lost_before", "lost_after"])
async def test_in_doubt_and_fenced_an_engine_refuses_what_is_not_in_and_leaves_what_is_in_untold(
    world: World, house: House, alice: str, fault: Fault
) -> None:
    """No take of its own proves that the database's standbys have the record: whoever writes now answers the repeat."""
    other, request = MemoryStore(world.ledger), world.request(alice, 100)
    lose = house.store.append

    async def lost_to_another(*batch: object) -> None:
        try:
            await lose(*batch)
        finally:
            await other.take(MAIN, await other.fence(MAIN))

    house.store.append = lost_to_another
    house.store.faults.append(fault)
    answer = await house.engine.pay(request)
    is_in = fault is Fault.LOST_AFTER
    assert len(world.payments()) == is_in
    assert answer is NoAnswer.TOO_LATE if is_in else answer.reply.reason is Reason.UNAVAILABLE
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    await other.close()
    successor = await world.open()
    assert (await successor.pay(request)).reason is Reason.APPROVED
    assert world.available(ALICE) == 9_900


async def test_even_an_answer_from_memory_leaves_only_under_a_lease_that_holds(
    world: World, house: House, alice: str
) -> None:
    """A stale engine knows a reply, and must not give it: a reversal may have come by another (docs/ledger.md)."""
    request = world.request(alice)
    await house.pay(request)
    other = MemoryStore(world.ledger)
    await other.take(MAIN, await other.fence(MAIN))
    assert (await house.pay(request)).reason is Reason.UNAVAILABLE


async def test_an_engine_that_stands_by_takes_over_when_the_other_dies(world: World, house: House, alice: str) -> None:
    request = world.request(alice, 100)
    first = await house.pay(request)
    successor = world.prepare()
    successor.engine.start()
    assert not await successor.engine.takes_office()
    assert successor.engine.unready() == ["partition 0: standing by: another engine writes partition 0"]
    await house.crash()
    await successor.engine.is_ready()
    assert await successor.pay(request) == first
    assert world.available(ALICE) == 9_900


@pytest.mark.parametrize("defect", [RuntimeError("a defect"), ValueError("another")])
async def test_an_append_that_ends_in_a_defect_is_settled_as_any_other(
    world: World, house: House, alice: str, defect: Exception
) -> None:
    sound = house.store.append

    async def append(*_: object) -> None:
        house.store.append = sound
        raise defect

    house.store.append = append
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    assert len(world.payments()) == 1
    assert not any(str(defect) in line for line in world.said)


@pytest.mark.parametrize("call", ["retake", "instant_of"])
@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("another")])
async def test_a_writer_outlives_a_defect_while_it_settles(
    world: World, house: House, alice: str, call: str, error: Exception
) -> None:
    sound = getattr(house.store, call)

    async def fail(*_: object) -> None:
        setattr(house.store, call, sound)
        if call == "instant_of":  # what has failed before the new epoch has no session to be waited for
            await house.store.abandon(MAIN)
        raise error

    setattr(house.store, call, fail)
    house.store.faults.append(Fault.LOST_AFTER)
    deadline = asyncio.get_running_loop().time() + 0.5
    answer = await house.engine.pay(world.request(alice, deadline=deadline))
    assert answer is NoAnswer.TOO_LATE or (isinstance(answer, Answer) and answer.reply.reason is Reason.APPROVED)
    await house.engine.is_ready()
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    assert len(world.payments()) == 2


async def test_a_decision_that_fails_costs_its_own_request(world: World, house: House, alice: str, bruno: str) -> None:
    request = world.request(alice)
    broken = replace(request, command=replace(request.command, amount="x"))
    good = house.begin(world.request(bruno))
    with pytest.raises(TypeError):
        await house.engine.pay(broken)
    assert (await good).reply.reason is Reason.APPROVED


async def test_instants_never_run_backward_across_a_restart(world: World, house: House, alice: str) -> None:
    world.clock = SimulatedClock(TUESDAY + timedelta(minutes=5))
    await house.crash()
    house = await world.open()
    await house.pay(world.request(alice))
    world.clock = SimulatedClock(TUESDAY - timedelta(hours=1))
    await house.crash()
    house = await world.open()
    await house.pay(world.request(alice))
    assert [record.entry.at for record in world.payments()] == [TUESDAY + timedelta(minutes=5)] * 2


async def test_a_request_cancelled_while_it_is_in_flight_harms_nobody(
    world: World, house: House, alice: str, bruno: str
) -> None:
    barrier = Barrier(house.store)
    gone, stays = house.begin(world.request(alice)), house.begin(world.request(bruno))
    await barrier.reached()
    gone.cancel()
    barrier.release()
    assert (await stays).reply.reason is Reason.APPROVED
    assert len(world.payments()) == 2


async def test_a_stopped_engine_answers_91(world: World, house: House, alice: str) -> None:
    await house.engine.stop()
    assert (await house.pay(world.request(alice))).reason is Reason.UNAVAILABLE
    assert house.engine.unready() == ["partition 0: stopped"]


async def test_stopping_lets_what_is_in_flight_be_answered(world: World, house: House, alice: str) -> None:
    barrier = Barrier(house.store)
    paying = house.begin(world.request(alice))
    await barrier.reached()
    stopping = asyncio.create_task(house.engine.stop())
    await turns()
    assert not stopping.done()
    barrier.release()
    assert (await paying).reply.reason is Reason.APPROVED
    await stopping


async def _housed(world: World, store: MemoryStore | None = None, **limits: int) -> tuple[House, str]:
    house = await world.open(store, **limits)
    await house.furnish()
    return house, await house.enrol(1)


async def _at(moment: float) -> None:
    """Wait until the loop's clock has passed a moment: what the test is about is time itself."""
    loop = asyncio.get_running_loop()
    reached = loop.create_future()
    loop.call_at(moment, reached.set_result, None)
    await reached
