"""A link's key is changed once, in the order of the journal: recorded, kept, in use (docs/interface.md, 161)."""

import asyncio

import pytest

from authz.decision.outcomes import Reason
from authz.engine.requests import KeyChange
from authz.security.keyblock import check_value, wrap
from authz.security.module import ZoneKeyUsage
from ledger.store import Unavailable
from simulators.terminal.pinpad import PinPad
from tests.engine import world as worlds
from tests.engine.world import LINK, PIN, House, World

ZMK = bytes(range(16))
"""As the links of the world have it."""
KEYS = {"A": bytes.fromhex("4042434546494A4C5051525457585B5D"), "B": bytes.fromhex("6061626467686B6D7073757679797A7C")}


async def change(house: House, letter: str, key: str) -> KeyChange:
    return await house.engine.change_key(LINK, wrap(ZMK, ZoneKeyUsage.PIN, KEYS[letter]), key)


async def newest(house: House) -> str:
    """The key that is kept for the link."""
    [(_, kept)] = await house.engine._key_changes.zone_keys.all()
    return next(letter for letter, key in KEYS.items() if check_value(key) == kept.check_value)


def recorded(world: World) -> int:
    return sum(one.entry.kind == "key" for one in world.records())


async def pays_under(world: World, house: House, pan: str, letter: str, monkeypatch: pytest.MonkeyPatch) -> Reason:
    monkeypatch.setattr(worlds, "pin_pad", PinPad(KEYS[letter].hex()))
    return (await house.pay(world.request(pan, 1, pin=PIN))).reason


async def test_the_new_key_is_recorded_kept_and_in_use(
    world: World, house: House, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await change(house, "A", "first")
    assert (answer.reply.reason, answer.check_value) == (Reason.APPROVED, check_value(KEYS["A"]))
    assert (recorded(world), await newest(house)) == (1, "A")
    assert await pays_under(world, house, alice, "A", monkeypatch) is Reason.APPROVED
    assert await pays_under(world, house, alice, "B", monkeypatch) is Reason.PIN_WRONG


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
async def test_a_repeat_after_a_later_change_does_not_bring_the_old_key_back(
    world: World, house: House, restarted: bool
) -> None:
    for letter in "AB":
        await change(house, letter, letter)
    keys = house.engine._key_changes.zone_keys
    if restarted:
        await house.crash()
        house = await world.open()
        house.engine._key_changes.zone_keys = keys
    answer = await change(house, "A", "A")
    assert answer.reply.reason is Reason.APPROVED
    assert (recorded(world), await newest(house)) == (2, "B")


async def test_the_same_change_with_another_key_is_refused_94(world: World, house: House) -> None:
    await change(house, "A", "first")
    answer = await change(house, "B", "first")
    assert (answer.reply.reason, answer.check_value) == (Reason.IDENTITY_REUSED, None)
    assert await newest(house) == "A"


async def test_a_key_that_was_recorded_and_not_kept_is_kept_by_its_repeat(world: World, house: House) -> None:
    """The process ended, or the database went, between the two."""
    put = house.engine._key_changes.zone_keys.put

    async def down(*_: object) -> None:
        raise Unavailable("the zone keys can't be reached")

    house.engine._key_changes.zone_keys.put = down  # type: ignore[method-assign]
    assert (await change(house, "A", "first")).reply.reason is Reason.UNAVAILABLE
    house.engine._key_changes.zone_keys.put = put  # type: ignore[method-assign]
    assert (await change(house, "A", "first")).reply.reason is Reason.APPROVED
    assert (recorded(world), await newest(house)) == (1, "A")


async def test_a_delayed_repeat_beside_a_later_change_does_not_win(world: World, house: House) -> None:
    """The repeat has read the journal, and the later change overtakes it before it is kept."""
    await change(house, "A", "A")
    put = house.engine._key_changes.zone_keys.put
    slow = asyncio.Event()

    async def slowly(zone: str, key: object) -> None:
        if not slow.is_set():
            slow.set()
            for _ in range(50):
                await asyncio.sleep(0)
        await put(zone, key)  # type: ignore[arg-type]

    house.engine._key_changes.zone_keys.put = slowly  # type: ignore[method-assign]
    repeat = asyncio.create_task(change(house, "A", "A"))
    await slow.wait()
    later = asyncio.create_task(change(house, "B", "B"))
    await asyncio.gather(repeat, later)
    assert await newest(house) == "B"


async def test_a_block_that_is_no_key_of_this_link_is_recorded_nowhere(world: World, house: House) -> None:
    block = wrap(bytes(16), ZoneKeyUsage.PIN, KEYS["A"])
    answer = await house.engine.change_key(LINK, block, "first")
    assert (answer.reply.reason, answer.check_value) == (Reason.FORMAT, None)
    assert recorded(world) == 0
