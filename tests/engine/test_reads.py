"""Identities without a read a request (docs/ledger.md): what an ordinary payment costs the database."""

from collections import Counter
from typing import Any

from authz.decision.outcomes import Reason
from authz.decision.position import Position
from ledger.memory import MemoryStore
from tests.engine.messages import advice, completion, refund, reversal
from tests.engine.world import House, World, turns


def counting(store: MemoryStore) -> Counter[str]:
    """Count the calls to a store, by name, from now on."""
    calls: Counter[str] = Counter()

    def counted(name: str) -> Any:
        call = getattr(store, name)

        async def counting(*arguments: Any) -> Any:
            calls[name] += 1
            return await call(*arguments)

        return counting

    for name in ("append", "newest", "find", "history", "hash_at", "instant_of", "fence", "turnover", "holders_of"):
        setattr(store, name, counted(name))
    return calls


async def test_a_purchase_with_warm_passbooks_is_one_append_and_no_read(world: World, house: House, alice: str) -> None:
    await house.pay(world.request(alice, 1))
    calls = counting(house.store)
    for mti in ("0200", "0100", "0200"):
        assert (await house.pay(world.request(alice, 1, mti=mti))).reason is Reason.APPROVED
    await house.pay(world.request(alice, 1, pin="4321"))
    assert calls == {"append": 4}


async def test_advices_and_completions_read_nothing_either(world: World, house: House, alice: str) -> None:
    held = world.request(alice, 500, mti="0100")
    await house.pay(held)
    calls = counting(house.store)
    for request in (advice(world, alice, 20), completion(world, alice, 400, held)):
        assert (await house.pay(request)).reason is Reason.APPROVED
    assert calls == {"append": 2}


async def test_a_cold_holder_costs_one_read_at_each_depth(world: World, house: House, alice: str) -> None:
    """Holder and merchant together, then what the holder's position names: the employer and the programme."""
    await house.engine.age_lots()
    await house.crash()
    house = await world.open()
    await house.engine.age_lots()
    await turns()
    calls = counting(house.store)
    await house.pay(world.request(alice, 1))
    assert calls == {"newest": 2, "append": 1}


async def test_what_names_another_is_looked_for_at_its_own_expense(world: World, house: House, alice: str) -> None:
    """Its own keys, its original's and its steps, a year each: known ones cost nothing."""
    paid = world.request(alice, 500)
    await house.pay(paid)
    calls = counting(house.store)
    for request in (refund(world, alice, 100, paid), reversal(world, alice, paid, 100)):
        assert (await house.pay(request)).reason is Reason.APPROVED
    assert calls["newest"] == 0
    assert calls["find"] <= 2 * 2
    assert isinstance(world.position("h1"), Position)  # type: ignore[arg-type]
