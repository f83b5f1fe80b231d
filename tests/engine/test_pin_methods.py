"""What verifies a PIN is kept with the card: a Visa PVV or an IBM 3624 offset, under the newest key or an older one."""

import pytest

from authz.decision.commands import CardId, Enrol, IssueCard, Load
from authz.decision.outcomes import Reason
from authz.decision.programme import vintage_dates
from authz.security.module import PinMethod, SecurityUnavailable
from ledger.values import Cents
from tests.engine.world import PIN, WRONG_PIN, House, World, holder_of, pan_of


@pytest.mark.parametrize("method", PinMethod)
async def test_a_pin_is_verified_by_what_its_card_was_made_with(world: World, method: PinMethod) -> None:
    house = await world.open()
    await house.furnish()
    pan = await issued(house, method)
    reasons = [(await house.pay(world.request(pan, 100, pin=pin))).reason for pin in (PIN, WRONG_PIN, PIN)]
    assert reasons == [Reason.APPROVED, Reason.PIN_WRONG, Reason.APPROVED]


async def test_a_security_module_that_does_not_answer_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await world.open()
    await house.furnish()
    request = world.request(await issued(house, PinMethod.PVV))

    async def silent(*_: object) -> None:
        raise SecurityUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(world.security, "verify_pin", silent)
        assert (await house.pay(request)).reason is Reason.UNAVAILABLE
    assert not world.payments()
    assert (await house.pay(request)).reason is Reason.APPROVED


async def issued(house: House, method: PinMethod) -> str:
    """Give a holder a card whose PIN is verified by this method; return its number."""
    holder, card, pan = holder_of(1), CardId("c1"), pan_of(1)
    check = await house.world.security.make_pin_check(method, pan, PIN)
    await house.cards.add(card, holder, house.engine.partition_of(holder), pan, "2806", check)
    await house.administer(Enrol(holder, "E1"), "enrolment")
    await house.administer(IssueCard(holder, card, "apetiz", 1, "2806"), "card")
    await house.administer(Load(holder, "90", "2026", *vintage_dates(2026), Cents(10_000)), "load")
    return pan
