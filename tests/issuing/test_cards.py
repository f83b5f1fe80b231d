"""A card is stopped at once and for good, made anew on the employer's validation, and its PIN is sent again so."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from authz.decision.commands import Enrol, IssueCard
from authz.decision.issuing.states import CardRequest, ClientId, RequestId, RequestKind, RequestStatus
from authz.decision.outcomes import Reason
from authz.decision.position import Card, CardId, CardStatus
from authz.decision.refused import CardNotInactive, CardStopped, RequestAnswered
from authz.issuing import cards, following
from authz.issuing.cards import CardSucceeded, Opposition, PinOfDeadCard, Remakes
from authz.issuing.issuer import KeyReused, NotThere
from ledger.store import Unavailable
from ledger.values import HolderId, Partition
from tests.engine.world import MAIN, WRONG_PIN, Barrier, World, holder_of, turns
from tests.issuing.office import BY, Office, killed_everywhere

ALICE, BRUNO = holder_of(1), holder_of(2)
CARD = CardId("c1")
E1, E2 = ClientId("E1"), ClientId("E2")
LOADED = 10_000
PAID = 900
"""Twice a day: under the cap of 19.00, which is the person's, whichever card pays."""
TRIES = 3
"""Wrong PINs in a row that lock a card of the first generation."""


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = await furnished()
    yield office
    office.world.audit()
    await office.world.close()


@pytest.fixture
async def alice(office: Office) -> str:
    """The number of a card with 100.00 on it."""
    return await office.house.enrol(1, LOADED)


async def furnished(partitions: int = 1) -> Office:
    office = Office(await World(partitions).open())
    await office.house.furnish()
    return office


async def pay(office: Office, pan: str, pin: str | None = "1234") -> Reason:
    return (await office.house.pay(office.world.request(pan, PAID, pin=pin))).reason


async def lock(office: Office, pan: str) -> None:
    for _ in range(TRIES):
        await pay(office, pan, WRONG_PIN)


def card(office: Office, name: CardId, holder: HolderId = ALICE) -> Card:
    found = office.world.position(holder).card(name)
    assert found is not None
    return found


async def number_and_pin(office: Office, name: CardId) -> tuple[str, str]:
    """What the production files say of a new card."""
    numbered = (await office.issuer.cards.named([name]))[name]
    return numbered.pan, await office.world.security.pin_mailer(numbered.pan, numbered.check)


class TestOpposition:
    @pytest.mark.parametrize(
        ("because", "refused"),
        [("lost", Reason.CARD_LOST), ("stolen", Reason.CARD_STOLEN), ("fraud", Reason.CARD_FRAUD)],
    )
    async def test_the_very_next_payment_is_refused(
        self, office: Office, alice: str, because: Opposition, refused: Reason
    ) -> None:
        assert await pay(office, alice) is Reason.APPROVED
        await office.cards.oppose(ALICE, CARD, because, BY, "opposition")
        assert await pay(office, alice) is refused

    async def test_a_payment_that_comes_while_it_is_written_is_refused(self, office: Office, alice: str) -> None:
        """It is decided behind the opposition, though neither is in the ledger yet."""
        barrier = Barrier(office.house.store)
        opposition = asyncio.create_task(office.cards.oppose(ALICE, CARD, "lost", BY, "opposition"))
        await barrier.reached()
        payment = asyncio.create_task(pay(office, alice))
        await turns()
        assert not opposition.done()
        barrier.release()
        assert await payment is Reason.CARD_LOST
        await opposition

    async def test_it_is_in_the_ledger_when_it_returns(self, office: Office, alice: str) -> None:
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        office = await office.reopened()
        assert await pay(office, alice) is Reason.CARD_LOST

    @pytest.mark.usefixtures("alice")
    async def test_it_is_for_good(self, office: Office) -> None:
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        with pytest.raises(CardStopped):
            await office.cards.oppose(ALICE, CARD, "stolen", BY, "again")
        with pytest.raises(CardNotInactive):
            await office.cards.activate(ALICE, CARD, BY, "activation")
        assert card(office, CARD).status is CardStatus.LOST

    @pytest.mark.usefixtures("alice")
    async def test_a_repeat_changes_nothing(self, office: Office) -> None:
        for _ in range(2):
            await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        assert office.kinds().count("stop") == 1

    @pytest.mark.usefixtures("alice")
    async def test_nobody_stops_another_s_card(self, office: Office) -> None:
        await office.house.enrol(2)
        for holder, name in ((BRUNO, CARD), (ALICE, CardId("c2")), (HolderId("h9"), CARD)):
            with pytest.raises(NotThere):
                await office.cards.oppose(holder, name, "lost", BY, f"{holder} {name}")
        assert not office.kinds().count("stop")

    async def test_the_balance_stays_the_holder_s(self, office: Office, alice: str) -> None:
        await pay(office, alice)
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        assert office.world.available(ALICE) == LOADED - PAID


class TestActivation:
    async def test_a_card_is_refused_until_it_is_activated(self, office: Office, alice: str) -> None:
        await remade(office)
        new = CardId(office.world.position(ALICE).cards[-1].id)
        pan, pin = await number_and_pin(office, new)
        assert await pay(office, pan, pin) is Reason.CARD_NOT_ACTIVE
        assert await pay(office, alice) is Reason.APPROVED
        await office.cards.activate(ALICE, new, BY, "activation")
        assert await pay(office, pan, pin) is Reason.APPROVED
        assert await pay(office, alice) is Reason.CARD_REPLACED

    @pytest.mark.usefixtures("alice")
    async def test_a_card_that_is_not_there_is_not_activated(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.cards.activate(ALICE, CardId("c9"), BY, "activation")


class TestRemakes:
    async def test_a_lost_card_is_made_anew_when_the_employer_validates(self, office: Office, alice: str) -> None:
        """The balance as of the opposition pays with the new card."""
        await pay(office, alice)
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        asked = await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, "request")
        assert (asked.status, asked.new) == (RequestStatus.ASKED, None)
        assert len(office.world.position(ALICE).cards) == 1
        done = await office.cards.answer(E1, asked.id, BY, "validation", validated=True)
        assert (done.status, done.new is None) == (RequestStatus.DONE, False)
        assert done.new is not None
        assert card(office, done.new).status is CardStatus.INACTIVE
        await office.cards.activate(ALICE, done.new, BY, "activation")
        assert card(office, CARD).status is CardStatus.LOST
        assert await pay(office, *await number_and_pin(office, done.new)) is Reason.APPROVED
        assert office.world.available(ALICE) == LOADED - 2 * PAID

    async def test_a_locked_card_is_made_anew(self, office: Office, alice: str) -> None:
        await lock(office, alice)
        assert await pay(office, alice) is Reason.PIN_LOCKED
        new = (await remade(office)).new
        assert new is not None
        await office.cards.activate(ALICE, new, BY, "activation")
        assert await pay(office, *await number_and_pin(office, new)) is Reason.APPROVED
        assert await pay(office, alice) is Reason.CARD_REPLACED

    @pytest.mark.usefixtures("alice")
    async def test_what_the_employer_refuses_is_not_done(self, office: Office) -> None:
        asked = await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, "request")
        refused = await office.cards.answer(E1, asked.id, BY, "refusal", validated=False)
        assert refused.status is RequestStatus.REFUSED
        with pytest.raises(RequestAnswered):
            await office.cards.answer(E1, asked.id, BY, "validation", validated=True)
        assert not office.kinds().count("remake")

    @pytest.mark.usefixtures("alice")
    async def test_the_employer_starts_one_itself(self, office: Office) -> None:
        assert (await remade(office)).status is RequestStatus.DONE
        assert [one.status for one in await office.cards.requests(E1)] == [RequestStatus.DONE]

    @pytest.mark.usefixtures("alice")
    async def test_two_who_ask_for_one_card_get_one(self, office: Office) -> None:
        asked = [await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, key) for key in ("1", "2")]
        done = [await office.cards.answer(E1, one.id, BY, f"v {one.id}", validated=True) for one in asked]
        assert {one.new for one in done} == {CardId(office.world.position(ALICE).cards[-1].id)}
        assert office.kinds().count("remake") == 1

    @pytest.mark.usefixtures("alice")
    async def test_one_that_has_a_successor_is_not_made_again(self, office: Office) -> None:
        new = (await remade(office)).new
        assert new is not None
        with pytest.raises(CardSucceeded):
            await remade(office, key="again")
        assert (await remade(office, new, key="of the new one")).new not in (None, new, CARD)

    async def test_repeated_it_is_the_same_request_also_the_day_after(self, office: Office, alice: str) -> None:
        first = await remade(office)
        office.world.clock.wait_at(office.world.clock().replace(day=20))
        head = office.kinds()
        assert await remade(office) == first
        assert office.kinds() == head
        await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
        assert await remade(office) == first
        assert await pay(office, alice) is Reason.CARD_LOST

    @pytest.mark.usefixtures("alice")
    async def test_the_key_of_another_request_is_refused(self, office: Office) -> None:
        await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, "request")
        with pytest.raises(KeyReused):
            await office.cards.ask(ALICE, CARD, RequestKind.PIN, E1, BY, "request")

    @pytest.mark.parametrize("partitions", [1, 2])
    async def test_killed_anywhere_it_is_done_once(self, partitions: int) -> None:
        async def furnish() -> Office:
            office = await furnished(partitions)
            await office.house.enrol(1, LOADED)
            await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, "request")
            return office

        async def validate(office: Office) -> CardRequest:
            [asked] = await office.cards.requests(E1)
            return await office.cards.answer(E1, asked.id, BY, "validation", validated=True)

        async def check(office: Office, done: CardRequest) -> None:
            assert done.status is RequestStatus.DONE
            assert [one.id for one in office.world.position(ALICE).cards] == [CARD, done.new]
            assert office.kinds().count("remake") == 1

        await killed_everywhere(furnish, validate, check)


class TestBehindTheJournal:
    """What was validated and cut off is done, though nobody asks again."""

    async def test_it_is_done_by_the_next_process(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        await validated_and_cut_off(office, monkeypatch)
        office = await office.reopened()
        await Remakes(office.issuer, MAIN).remake()
        [done] = await office.cards.requests(E1)
        assert done.status is RequestStatus.DONE
        assert [one.id for one in office.world.position(ALICE).cards] == [CARD, done.new]

    async def test_what_was_followed_is_not_followed_again(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await validated_and_cut_off(office, monkeypatch)
        await Remakes(office.issuer, MAIN).remake()
        head = office.kinds()
        await Remakes(office.issuer, MAIN).remake()
        await Remakes((await office.reopened()).issuer, MAIN).remake()
        assert office.kinds() == head

    async def test_windows_and_pages_leave_nothing_out(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(1, 5):
            await office.house.enrol(number)
        with monkeypatch.context() as cut:
            cut.setattr(cards, "carry_out", cut_off)
            for number in range(1, 5):
                with pytest.raises(Unavailable):
                    await remade(office, CardId(f"c{number}"), holder_of(number), key=f"k{number}")
        monkeypatch.setattr(following, "HOLDERS_WINDOW_SEQS_MAX", 3)
        monkeypatch.setattr(following, "EVENTS_A_CALL_MAX", 1)
        await Remakes(office.issuer, MAIN).remake()
        assert {one.status for one in await office.cards.requests(E1)} == {RequestStatus.DONE}

    async def test_each_partition_does_its_own_holders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        office = await furnished(partitions=2)
        for number in range(1, 5):
            await office.house.enrol(number)
        with monkeypatch.context() as cut:
            cut.setattr(cards, "carry_out", cut_off)
            for number in range(1, 5):
                with pytest.raises(Unavailable):
                    await remade(office, CardId(f"c{number}"), holder_of(number), key=f"k{number}")
        for partition in (Partition(0), Partition(1)):
            await Remakes(office.issuer, partition).remake()
            assert all(
                (len(office.world.position(holder).cards) == 2) is (place <= partition)
                for holder in map(holder_of, range(1, 5))
                if (place := office.issuer.engine.partition_of(holder)) is not None
            )
        office.world.audit()
        await office.world.close()


class TestPins:
    @pytest.mark.usefixtures("alice")
    async def test_a_forgotten_pin_is_asked_for_and_validated(self, office: Office) -> None:
        """No card is made: the PIN is in the next production run's file."""
        asked = await office.cards.ask(ALICE, CARD, RequestKind.PIN, E1, BY, "request")
        assert asked.status is RequestStatus.ASKED
        done = await office.cards.answer(E1, asked.id, BY, "validation", validated=True)
        assert (done.status, done.new) == (RequestStatus.DONE, None)
        assert len(office.world.position(ALICE).cards) == 1

    @pytest.mark.usefixtures("alice")
    async def test_or_the_employer_starts_it(self, office: Office) -> None:
        done = await office.cards.start(E1, ALICE, CARD, RequestKind.PIN, BY, "request")
        assert done.status is RequestStatus.DONE

    async def test_that_of_a_locked_card_is_not_sent(self, office: Office, alice: str) -> None:
        await lock(office, alice)
        with pytest.raises(PinOfDeadCard):
            await office.cards.ask(ALICE, CARD, RequestKind.PIN, E1, BY, "request")

    @pytest.mark.usefixtures("alice")
    async def test_that_of_a_stopped_card_is_not_sent(self, office: Office) -> None:
        await office.cards.oppose(ALICE, CARD, "stolen", BY, "opposition")
        with pytest.raises(PinOfDeadCard):
            await office.cards.start(E1, ALICE, CARD, RequestKind.PIN, BY, "request")


class TestTwoEmployers:
    """A person stands above employers: each validates what it was asked, and sees nothing of the other's."""

    @pytest.mark.usefixtures("alice")
    async def test_one_who_does_not_employ_the_holder_is_not_asked(self, office: Office) -> None:
        for attempt in (office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E2, BY, "1"), start_as(office, E2)):
            with pytest.raises(NotThere):
                await attempt
        assert not office.kinds().count("request")

    @pytest.mark.usefixtures("alice")
    async def test_one_does_not_answer_for_the_other(self, office: Office) -> None:
        asked = await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, E1, BY, "request")
        with pytest.raises(NotThere):
            await office.cards.answer(E2, asked.id, BY, "validation", validated=True)
        with pytest.raises(NotThere):
            await office.cards.request(E2, asked.id)
        assert await office.cards.requests(E2) == []

    async def test_requests_are_listed_page_by_page(self, office: Office) -> None:
        for number in range(1, 6):
            await office.house.enrol(number)
            await office.cards.ask(
                holder_of(number), CardId(f"c{number}"), RequestKind.PIN, E1, BY, f"request {number}"
            )
        whole = [one.id for one in await office.cards.requests(E1)]
        first = [one.id for one in await office.cards.requests(E1, most=2)]
        assert len(whole) == 5
        assert first + [one.id for one in await office.cards.requests(E1, after=first[-1])] == whole

    async def test_a_request_that_is_not_there(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.cards.request(E1, RequestId("r"))


async def test_the_online_lock_is_lifted(office: Office) -> None:
    await office.house.administer(Enrol(ALICE, "E1"), "enrolment")
    await office.house.administer(IssueCard(ALICE, CARD, "apetiz", 1, "2806"), "card")
    await office.cards.lift_online_lock(ALICE, CARD, BY, "lift")
    assert office.kinds()[-1] == "lift"
    with pytest.raises(NotThere):
        await office.cards.lift_online_lock(ALICE, CardId("c9"), BY, "another")


async def remade(office: Office, name: CardId = CARD, holder: HolderId = ALICE, key: str = "start") -> CardRequest:
    """Made anew at the employer's own request."""
    return await office.cards.start(E1, holder, name, RequestKind.REMAKE, BY, key)


async def start_as(office: Office, client: ClientId) -> CardRequest:
    return await office.cards.start(client, ALICE, CARD, RequestKind.REMAKE, BY, "start")


async def cut_off(*_: object, **__: object) -> None:
    raise Unavailable("the database can't be reached")


async def validated_and_cut_off(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is validated, and nothing else."""
    await office.house.enrol(1, LOADED)
    with monkeypatch.context() as cut:
        cut.setattr(cards, "carry_out", cut_off)
        with pytest.raises(Unavailable):
            await remade(office)
    [asked] = await office.cards.requests(E1)
    assert asked.status is RequestStatus.VALIDATED
