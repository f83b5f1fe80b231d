"""Offers bind to nothing; accepting one opens an account, or adds to one: all of it, wherever it was cut off."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from authz.decision.issuing.states import (
    Access,
    AgentId,
    Client,
    ClientId,
    Format,
    OfferStatus,
    Role,
    access_passbook,
)
from authz.decision.outcomes import Reason
from authz.decision.refused import OfferClosed, TooManyUsers
from authz.issuing.access import Gate, hash_of, token_of
from authz.issuing.clients import OtherProgramme
from authz.issuing.contacts import user_of
from authz.issuing.issuer import KeyReused, NotThere
from authz.issuing.names import access_id
from authz.issuing.person import Person
from tests.engine.world import World
from tests.issuing.office import BY, LEA, TARIFF, WANTED, Office, killed_everywhere

NOA = Person("Noa", "Blanc", "noa.blanc@example.org", "en")
NOBODY = ClientId("nobody")


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    world = World(partitions=2)
    office = Office(await world.open())
    yield office
    world.audit()
    await world.close()


@pytest.fixture
async def client(office: Office) -> ClientId:
    """An account that an accepted offer has opened."""
    return (await office.clients.accept(await office.offer(), None, BY, "acceptance")).id


class TestOffers:
    async def test_an_offer_is_a_maximum_with_a_card_for_everyone(self, office: Office) -> None:
        made = await office.clients.offered(await office.offer())
        assert (made.maximum.face, made.maximum.cards) == (50 * 16_000, 50 * 300)
        assert (made.company, made.contact) == ("Atelier Durand", user_of(office.world.security, LEA.email))

    async def test_it_binds_to_nothing(self, office: Office) -> None:
        await office.offer()
        assert not await office.clients.clients()
        assert set(office.kinds()) == {"offer"}

    async def test_the_same_key_is_the_same_offer(self, office: Office) -> None:
        assert await office.offer("k") == await office.offer("k") != await office.offer("other")

    async def test_the_same_key_for_another_is_refused(self, office: Office) -> None:
        await office.offer("k")
        with pytest.raises(KeyReused):
            await office.offer("k", company="Another")

    async def test_they_are_listed_page_by_page(self, office: Office) -> None:
        made = sorted([await office.offer(f"k{number}") for number in range(5)])
        first = await office.clients.offers(most=3)
        assert [one.id for one in first] == made[:3]
        assert [one.id for one in await office.clients.offers(after=first[-1].id)] == made[3:]

    async def test_one_that_is_taken_back_is_not_accepted(self, office: Office) -> None:
        offer = await office.offer()
        assert (await office.clients.withdraw(offer, BY, "withdrawal")).status is OfferStatus.WITHDRAWN
        with pytest.raises(OfferClosed):
            await office.clients.accept(offer, None, BY, "acceptance")
        assert not await office.clients.clients()

    async def test_one_of_an_unknown_programme_is_not_made(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.offer(programme="apetit")
        assert not office.kinds()

    async def test_people_are_in_no_record(self, office: Office, client: ClientId) -> None:
        await office.clients.add_user(client, NOA, BY, "user")
        texts = [
            f"{one.entry.request}{one.entry.reply}{one.entry.position}"
            for shelf in office.world.ledger.shelves.values()
            for one in shelf.records
        ]
        for secret in (LEA.email, LEA.last_name, NOA.email, NOA.last_name, "example.org"):
            assert not any(secret in text for text in texts)


class TestAcceptance:
    async def test_it_opens_an_account_with_its_contracts(self, office: Office, client: ClientId) -> None:
        account = await office.clients.client(client)
        contract = account.contract("90", Format.ELECTRONIC)
        assert contract is not None
        assert (contract.tariff, contract.since) == (TARIFF, date(2026, 5, 12))
        assert (await office.clients.offered(contract.offer)).client == client
        assert await office.clients.clients() == [account]

    async def test_payments_know_the_employer_without_days_off(self, office: Office, client: ClientId) -> None:
        employer = await office.clients.employer(client)
        assert (employer.id, employer.name, employer.sundays_holidays) == (client, "Atelier Durand", False)

    async def test_the_first_user_s_token_opens_the_account(self, office: Office, client: ClientId) -> None:
        assert await opens(office, client, LEA) == (Role.EMPLOYER, client)

    async def test_an_account_takes_the_contracts_of_a_second_offer(self, office: Office, client: ClientId) -> None:
        second = await office.offer("second")
        assert (await office.clients.accept(second, client, BY, "again")).id == client
        account = await office.clients.client(client)
        assert [one.offer for one in account.contracts] == [second]
        assert await office.clients.clients() == [account]

    async def test_or_a_separate_account_is_opened_for_it(self, office: Office, client: ClientId) -> None:
        """The client's choice: one account, or two."""
        other = await office.clients.accept(await office.offer("second"), None, BY, "again")
        assert {one.id for one in await office.clients.clients()} == {client, other.id}

    async def test_an_account_is_of_one_programme(self, office: Office, client: ClientId) -> None:
        offer = await office.offer("belgian", programme="pluxee-be")
        with pytest.raises(OtherProgramme):
            await office.clients.accept(offer, client, BY, "again")
        assert (await office.clients.offered(offer)).status is OfferStatus.OPEN

    async def test_an_account_that_is_not_there_takes_nothing(self, office: Office) -> None:
        offer = await office.offer()
        with pytest.raises(NotThere):
            await office.clients.accept(offer, NOBODY, BY, "acceptance")
        assert (await office.clients.offered(offer)).status is OfferStatus.OPEN

    async def test_an_offer_is_accepted_once(self, office: Office, client: ClientId) -> None:
        [contract] = (await office.clients.client(client)).contracts
        with pytest.raises(OfferClosed):
            await office.clients.accept(contract.offer, None, BY, "another key")
        assert len(await office.clients.clients()) == 1

    async def test_repeated_days_later_it_changes_nothing(self, office: Office) -> None:
        """What is from a day on is from the day of the acceptance, whenever it is asked again."""
        offer = await office.offer()
        first = await office.clients.accept(offer, None, BY, "acceptance")
        head = office.kinds()
        office.world.clock.wait_at(office.world.clock() + timedelta(days=40))
        assert await office.clients.accept(offer, None, BY, "acceptance") == first
        assert office.kinds() == head

    @pytest.mark.parametrize("partitions", [1, 2])
    async def test_killed_anywhere_a_repeat_completes_it(self, partitions: int) -> None:
        async def furnish() -> Office:
            office = Office(await World(partitions).open())
            await office.offer()
            return office

        async def accept(office: Office) -> Client:
            office.world.clock.wait_at(office.world.clock() + timedelta(days=1))
            return await office.clients.accept(await office.offer(), None, BY, "acceptance")

        await killed_everywhere(furnish, accept, is_whole)

    async def test_killed_anywhere_a_repeat_completes_an_addition(self) -> None:
        async def furnish() -> Office:
            office = Office(await World(2).open())
            await office.clients.accept(await office.offer(), None, BY, "acceptance")
            await office.offer("second")
            return office

        async def accept(office: Office) -> Client:
            [first] = await office.clients.clients()
            return await office.clients.accept(await office.offer("second"), first.id, BY, "again")

        await killed_everywhere(furnish, accept, is_whole)


class TestUsers:
    async def test_several_act_for_one_client(self, office: Office, client: ClientId) -> None:
        account = await office.clients.add_user(client, NOA, BY, "user")
        assert account.users == tuple(user_of(office.world.security, one.email) for one in (LEA, NOA))
        assert await opens(office, client, NOA) == (Role.EMPLOYER, client)

    async def test_each_is_there_once(self, office: Office, client: ClientId) -> None:
        first = await office.clients.add_user(client, NOA, BY, "user")
        for key in ("user", "another key"):
            assert await office.clients.add_user(client, NOA, BY, key) == first

    async def test_they_are_at_most_so_many(
        self, office: Office, client: ClientId, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("authz.decision.issuing.clients.USERS_MAX", 1)
        with pytest.raises(TooManyUsers):
            await office.clients.add_user(client, NOA, BY, "user")

    async def test_one_user_of_two_accounts_has_two_tokens(self, office: Office, client: ClientId) -> None:
        other = (await office.clients.accept(await office.offer("second"), None, BY, "again")).id
        assert token(office, client, LEA) != token(office, other, LEA)
        assert await opens(office, other, LEA) == (Role.EMPLOYER, other)


class TestWhoActs:
    """Killed anywhere, a repeat leaves a user, an agent, an appointment: once, with a token that opens."""

    async def test_a_user(self) -> None:
        async def add(office: Office) -> Client:
            [account] = await office.clients.clients()
            return await office.clients.add_user(account.id, NOA, BY, "user")

        async def check(office: Office, account: Client) -> None:
            assert account.users == tuple(user_of(office.world.security, one.email) for one in (LEA, NOA))
            assert await opens(office, account.id, NOA) == (Role.EMPLOYER, account.id)

        await killed_everywhere(with_an_account, add, check)

    async def test_an_agent_and_its_appointment(self) -> None:
        async def appoint(office: Office) -> Client:
            [account] = await office.clients.clients()
            agent = await office.clients.register_agent("Secrétariat Nord", NOA, BY, "agent")
            return await office.clients.appoint(account.id, agent.id, BY, "appointment")

        async def check(office: Office, account: Client) -> None:
            [agent] = await office.clients.agents()
            assert account.agents == (agent.id,)
            assert await opens(office, agent.id, NOA) == (Role.AGENT, agent.id)

        await killed_everywhere(with_an_account, appoint, check)

    async def test_two_at_the_same_time_are_both_there(self, office: Office, client: ClientId) -> None:
        people = [Person("P", str(number), f"p{number}@example.org") for number in range(4)]
        await asyncio.gather(
            *[office.clients.add_user(client, one, BY, f"user {one.email}") for one in people],
        )
        assert len((await office.clients.client(client)).users) == 1 + len(people)


class TestAgents:
    async def test_an_agent_orders_for_those_who_appoint_it(self, office: Office, client: ClientId) -> None:
        agent = await office.clients.register_agent("Secrétariat Nord", NOA, BY, "agent")
        assert await office.clients.agents() == [agent]
        caller = await Gate(office.issuer).who(token(office, agent.id, NOA))
        assert not await Gate(office.issuer).may(caller, client=client)
        assert (await office.clients.appoint(client, agent.id, BY, "appointment")).agents == (agent.id,)
        assert await Gate(office.issuer).may(caller, client=client)
        assert (await office.clients.dismiss(client, agent.id, BY, "dismissal")).agents == ()
        assert not await Gate(office.issuer).may(caller, client=client)

    async def test_one_that_is_not_there_is_not_appointed(self, office: Office, client: ClientId) -> None:
        with pytest.raises(NotThere):
            await office.clients.appoint(client, AgentId("nobody"), BY, "appointment")

    async def test_a_repeat_changes_nothing(self, office: Office, client: ClientId) -> None:
        agent = await office.clients.register_agent("Secrétariat Nord", NOA, BY, "agent")
        assert await office.clients.register_agent("Secrétariat Nord", NOA, BY, "agent") == agent
        first = await office.clients.appoint(client, agent.id, BY, "appointment")
        head = office.kinds()
        assert await office.clients.appoint(client, agent.id, BY, "appointment") == first
        assert office.kinds() == head


class TestChanges:
    async def test_the_client_decides_on_alerts_and_days_off(self, office: Office, client: ClientId) -> None:
        """R3262-8: Sundays and holidays, where the employer decides so."""
        changed = await office.clients.change(client, BY, "change", load_alerts=True, sundays_holidays=True)
        assert changed.load_alerts
        assert (await office.clients.employer(client)).sundays_holidays

    async def test_the_same_key_with_something_else_is_refused(self, office: Office, client: ClientId) -> None:
        await office.clients.change(client, BY, "change", load_alerts=True)
        with pytest.raises(KeyReused):
            await office.clients.change(client, BY, "change", sundays_holidays=True)
        assert not (await office.clients.employer(client)).sundays_holidays

    async def test_what_is_not_named_stays(self, office: Office, client: ClientId) -> None:
        await office.clients.change(client, BY, "1", load_alerts=True)
        await office.clients.change(client, BY, "2", sundays_holidays=True)
        assert (await office.clients.change(client, BY, "3", load_alerts=None)).load_alerts
        assert (await office.clients.employer(client)).sundays_holidays

    async def test_a_repeat_of_the_acceptance_does_not_undo_it(self, office: Office, client: ClientId) -> None:
        [contract] = (await office.clients.client(client)).contracts
        await office.clients.change(client, BY, "change", sundays_holidays=True)
        await office.clients.accept(contract.offer, None, BY, "acceptance")
        assert (await office.clients.employer(client)).sundays_holidays

    async def test_nobody_is_not_changed(self, office: Office) -> None:
        with pytest.raises(NotThere):
            await office.clients.change(NOBODY, BY, "change", load_alerts=True)


async def with_an_account() -> Office:
    office = Office(await World(2).open())
    await office.clients.accept(await office.offer(), None, BY, "acceptance")
    return office


async def is_whole(office: Office, client: Client) -> None:
    """The account, in every partition, with what belongs to it, once."""
    [account] = await office.clients.clients()
    assert account == client
    for shelf in office.world.ledger.shelves.values():
        assert all(shelf.newest[f"{kind}:{client.id}"] for kind in ("client", "employer"))  # type: ignore[index]
        kinds = [record.entry.kind for record in shelf.records if record.entry.reason is Reason.APPROVED]
        assert kinds.count("acceptance") == kinds.count("offer")
        assert kinds.count("client") == kinds.count("access") == kinds.count("employer") == 1
    [contract] = account.contracts
    offer = await office.clients.offered(contract.offer)
    assert (offer.status, offer.client) == (OfferStatus.ACCEPTED, client.id)
    assert contract.product == WANTED[0].product
    assert await opens(office, client.id, LEA) == (Role.EMPLOYER, client.id)


def token(office: Office, subject: ClientId | AgentId, person: Person) -> str:
    """What the welcome letter brings."""
    security = office.world.security
    return token_of(security, access_id(subject, user_of(security, person.email)))


async def opens(office: Office, subject: ClientId | AgentId, person: Person) -> tuple[Role, str]:
    access = await office.issuer.state(access_passbook(hash_of(token(office, subject, person))))
    assert isinstance(access, Access)
    return access.role, access.subject
