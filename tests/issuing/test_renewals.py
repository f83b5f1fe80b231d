"""Cards are valid for four years and reissued automatically; the new one keeps the balance."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from authz.decision.commands import AdoptProgramme, Enrol, IssueCard, Load, RegisterEmployer
from authz.decision.issuing.states import ClientId, RequestKind
from authz.decision.outcomes import Reason
from authz.decision.position import Card, CardId, CardStatus
from authz.decision.reference import Employer
from authz.issuing import renewals
from authz.issuing.cardmaking import VALID_YEARS
from authz.issuing.renewals import Renewals
from authz.programmes import shipped
from ledger.store import Unavailable
from ledger.values import Cents, HolderId, Partition
from tests.engine.world import MAIN, PIN, WRONG_PIN, World, holder_of, pan_of
from tests.issuing.office import BY, Office, killed_everywhere

LOADED = 10_000
HOLDERS = 5
ALL = [holder_of(number) for number in range(1, HOLDERS + 1)]
APRIL = datetime(2028, 4, 30, 21, 59, tzinfo=UTC)
"""The last minute of April in Paris: what ends in June has two months left."""
MAY = datetime(2028, 4, 30, 22, tzinfo=UTC)
TUESDAY_NOON = datetime(2028, 5, 2, 10, tzinfo=UTC)
E1 = ClientId("E1")


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Five holders, each with a card that ends in June 2028 and 100.00 on it."""
    office = await furnished()
    yield office
    office.world.audit()
    await office.world.close()


async def furnished(partitions: int = 1) -> Office:
    office = Office(await World(partitions).open())
    await office.house.furnish()
    for number in range(1, HOLDERS + 1):
        await office.house.enrol(number, LOADED)
    return office


async def renew(office: Office) -> None:
    for partition in office.world.ledger.shelves:
        await Renewals(office.issuer, partition).renew()


def cards(office: Office, holder: HolderId = ALL[0]) -> tuple[Card, ...]:
    return office.world.position(holder).cards


async def test_what_ends_next_month_is_made_anew_and_not_before(office: Office) -> None:
    office.world.clock.wait_at(APRIL)
    await renew(office)
    assert not office.kinds().count("remake")
    office.world.clock.wait_at(MAY)
    await renew(office)
    for holder in ALL:
        old, new = cards(office, holder)
        assert (old.status, new.status) == (CardStatus.ACTIVE, CardStatus.INACTIVE)
        assert (new.expiry, new.generation) == (f"{28 + VALID_YEARS}05", 2)


async def test_the_old_one_pays_until_the_new_one_is_activated(office: Office) -> None:
    office.world.clock.wait_at(TUESDAY_NOON)
    load = Load(ALL[0], "90", "2028", date(2028, 1, 1), date(2029, 2, 28), Cents(LOADED))
    await office.house.administer(load, "vintage 2028")
    await renew(office)
    new = CardId(cards(office)[-1].id)
    numbered = (await office.issuer.cards.named([new]))[new]
    pin = await office.world.security.pin_mailer(numbered.pan, numbered.check)
    assert await pay(office, pan_of(1)) is Reason.APPROVED
    assert await pay(office, numbered.pan, pin) is Reason.CARD_NOT_ACTIVE
    await office.cards.activate(ALL[0], new, BY, "activation")
    assert await pay(office, pan_of(1)) is Reason.CARD_REPLACED
    assert await pay(office, numbered.pan, pin) is Reason.APPROVED
    [balance] = (await office.holders.balances(ALL[0])).balances
    assert balance.available == LOADED - 200, "the balance is the holder's"


async def pay(office: Office, pan: str, pin: str = PIN) -> Reason:
    return (await office.house.pay(office.world.request(pan, 100, pin=pin))).reason


async def test_once_a_month_also_by_the_next_process(office: Office) -> None:
    office.world.clock.wait_at(MAY)
    await renew(office)
    head = office.kinds()
    for _ in range(2):
        await renew(office)
        office = await office.reopened()
        office.world.clock.wait_at(MAY + timedelta(days=10))
        office.house.store.passbooks = unreachable
        await renew(office)
    assert office.kinds() == head


async def test_once_in_all(office: Office) -> None:
    for days in range(0, 120, 20):
        office.world.clock.wait_at(MAY + timedelta(days=days))
        await renew(office)
    assert office.kinds().count("remake") == HOLDERS


async def test_one_job_does_each_month_once(office: Office) -> None:
    job = Renewals(office.issuer, MAIN)
    for days in (0, 1, 31, 32):
        office.world.clock.wait_at(MAY + timedelta(days=days))
        await job.renew()
    assert office.kinds().count("followed") == 2
    assert office.kinds().count("remake") == HOLDERS


async def test_whoever_has_another_card_already_gets_none(office: Office) -> None:
    """Remade at the employer's request in April: that one is on its way."""
    office.world.clock.wait_at(APRIL)
    await office.cards.start(E1, ALL[0], CardId("c1"), RequestKind.REMAKE, BY, "start")
    office.world.clock.wait_at(MAY)
    await renew(office)
    assert [len(cards(office, holder)) for holder in ALL] == [2] * HOLDERS


async def test_a_card_that_was_lost_and_not_asked_for_is_not_made_anew(office: Office) -> None:
    """That takes the employer's validation."""
    await office.cards.oppose(ALL[0], CardId("c1"), "lost", BY, "opposition")
    office.world.clock.wait_at(MAY)
    await renew(office)
    assert [len(cards(office, holder)) for holder in ALL] == [1, 2, 2, 2, 2]


async def test_a_card_that_has_ended_is_not_made_anew(office: Office) -> None:
    """Whoever let it end has an order for them find it: they need a card."""
    office.world.clock.wait_at(MAY + timedelta(days=62))
    await renew(office)
    assert not office.kinds().count("remake")


async def test_a_locked_card_that_ends_is_made_anew(office: Office) -> None:
    for _ in range(3):
        assert await pay(office, pan_of(1), WRONG_PIN) is not Reason.APPROVED
    office.world.clock.wait_at(MAY)
    await renew(office)
    assert len(cards(office)) == 2


async def test_what_the_walk_has_made_is_what_a_request_for_it_gets(office: Office) -> None:
    """Validated after the renewal, asked for before it: one new card."""
    asked = await office.cards.ask(ALL[0], CardId("c1"), RequestKind.REMAKE, E1, BY, "request")
    office.world.clock.wait_at(MAY)
    await renew(office)
    done = await office.cards.answer(E1, asked.id, BY, "validation", validated=True)
    assert [one.id for one in cards(office)] == ["c1", done.new]


async def test_a_holder_of_each_programme_gets_its_card(office: Office) -> None:
    belgian = HolderId("hb")
    await office.house.administer(AdoptProgramme(shipped("pluxee-be")), "pluxee")
    await office.house.administer(RegisterEmployer(Employer("E3", "Janssens", "pluxee-be")), "E3")
    await office.house.administer(Enrol(belgian, "E3"), "enrolment")
    await office.house.administer(IssueCard(belgian, CardId("cb"), "pluxee-be", 1, "2806"), "card")
    office.world.clock.wait_at(MAY)
    await renew(office)
    assert [one.programme for one in cards(office, belgian)] == ["pluxee-be"] * 2
    numbered = await office.issuer.cards.named([CardId(cards(office, belgian)[1].id)])
    assert [one.pan[:6] for one in numbered.values()] == ["905610"]


async def test_nobody_to_come_by_is_no_walk() -> None:
    """Who is entered later in the month isn't passed over."""
    office = Office(await World().open())
    office.world.clock.wait_at(MAY)
    job = Renewals(office.issuer, MAIN)
    await job.renew()
    assert not office.kinds()
    await office.house.furnish()
    await office.house.enrol(1)
    await job.renew()
    assert office.kinds().count("remake") == 1
    await office.world.close()


async def test_every_partition_renews_its_own() -> None:
    office = await furnished(partitions=2)
    office.world.clock.wait_at(MAY)
    await Renewals(office.issuer, Partition(0)).renew()
    own = [holder for holder in ALL if office.issuer.engine.partition_of(holder) == 0]
    assert [holder for holder in ALL if len(cards(office, holder)) == 2] == own
    await Renewals(office.issuer, Partition(1)).renew()
    assert [len(cards(office, holder)) for holder in ALL] == [2] * HOLDERS
    office.world.audit()
    await office.world.close()


async def test_killed_anywhere_each_card_is_renewed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "PASSBOOKS_A_LOOK", 2)

    async def at_the_end_of_the_month() -> Office:
        office = await furnished()
        office.world.clock.wait_at(MAY)
        return office

    async def check(office: Office, _: None) -> None:
        assert [len(cards(office, holder)) for holder in ALL] == [2] * HOLDERS
        assert office.kinds().count("remake") == HOLDERS

    await killed_everywhere(at_the_end_of_the_month, renew, check)


async def unreachable(*_: object) -> object:
    raise Unavailable("the database can't be reached")
