"""Offers, the accounts that they open, and who acts for an account: its users, and the agents who order for it.

What takes several records is done in such an order that a repeat, under the same key, goes on where it was cut off;
an account that is there has all that belongs to it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import date

from authz.decision.calendar import local_day
from authz.decision.commands import RegisterEmployer
from authz.decision.issuing.commands import (
    AcceptOffer,
    AddContracts,
    ChangeClient,
    GrantAccess,
    MakeOffer,
    OpenClient,
    RegisterAgent,
    WithdrawOffer,
)
from authz.decision.issuing.states import (
    Access,
    Agent,
    AgentId,
    Client,
    ClientId,
    ContactId,
    Contract,
    Offer,
    OfferId,
    Role,
    Tariff,
    Wanted,
    agent_passbook,
    client_passbook,
    offer_passbook,
)
from authz.decision.reference import Employer, employer_passbook
from authz.decision.refused import AccessGranted, Refused
from authz.issuing.access import hash_of, token_of
from authz.issuing.contacts import user_of
from authz.issuing.issuer import HOME, PAGE_MAX, Issuer, NotThere
from authz.issuing.names import access_id, new_id
from authz.issuing.operations import NEWEST
from authz.issuing.person import Person

ACCEPTED = str(AcceptOffer.__struct_config__.tag)
OFFER_RECORDS_MAX = 8
"""Records in an offer's passbook: it is made, and accepted or withdrawn; and each may be carried."""


class OtherProgramme(Refused):
    """The offer is of another programme than the account."""


class Clients:
    """What clients, their agents and the issuer do with offers and accounts."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._one_change_at_a_time = asyncio.Lock()
        """A change writes who acts for a client as a whole: no two may start from the same."""

    async def offer(
        self,
        programme: str,
        company: str,
        territory: str,
        contact: Person,
        wanted: tuple[Wanted, ...],
        tariff: Tariff,
        until: date,
        by: str,
        key: str,
    ) -> Offer:
        """Offer a company vouchers. It binds to nothing. Raises `NotThere` for a programme, and as `Issuer.do`."""
        self._issuer.programme(programme)
        offer = OfferId(new_id("offer", "", key))
        person = await self._keep(contact)
        await self._issuer.do(MakeOffer(offer, programme, company, territory, person, wanted, tariff, until), key, by)
        return await self.offered(offer)

    async def offered(self, offer: OfferId) -> Offer:
        """Give an offer. Raises `NotThere`."""
        state = await self._issuer.state(offer_passbook(offer))
        if not isinstance(state, Offer):
            raise NotThere
        return state

    async def offers(self, after: str = "", most: int = PAGE_MAX) -> Sequence[Offer]:
        """List offers in the order of their ids, behind one."""
        found = await self._issuer.named(offer_passbook(OfferId("")), offer_passbook(OfferId(after)), most)
        return [state for _, state in found if isinstance(state, Offer)]

    async def withdraw(self, offer: OfferId, by: str, key: str) -> Offer:
        """Take an offer back. Raises `NotThere`, and as `Issuer.do`."""
        await self.offered(offer)
        await self._issuer.do(WithdrawOffer(offer), key, by)
        return await self.offered(offer)

    async def accept(self, offer: OfferId, client: ClientId | None, by: str, key: str) -> Client:
        """Accept an offer for an account that is there, or (None) for a new and separate one: the client's choice.

        Raises `NotThere`, `OtherProgramme`, and as `Issuer.do`.
        """
        made = await self.offered(offer)
        if client is not None and (await self.client(client)).programme != made.programme:
            raise OtherProgramme
        account = client or ClientId(new_id("client", offer, key))
        await self._issuer.do(AcceptOffer(offer, account), f"{key} acceptance", by)
        contracts = await self._contracts(made)
        if client is None:
            await self._open(account, made, contracts, by, key)
        else:
            await self._issuer.do(AddContracts(account, contracts), f"{key} contracts", by)
        return await self.client(account)

    async def client(self, client: ClientId) -> Client:
        """Give a client's account. Raises `NotThere`."""
        state = await self._issuer.state(client_passbook(client))
        if not isinstance(state, Client):
            raise NotThere
        return state

    async def employer(self, client: ClientId) -> Employer:
        """Give what payments read of a client: its decision on Sundays and holidays (R3262-8). Raises `NotThere`."""
        state = await self._issuer.state(employer_passbook(client))
        if not isinstance(state, Employer):
            raise NotThere
        return state

    async def clients(self, after: str = "", most: int = PAGE_MAX) -> Sequence[Client]:
        """List accounts in the order of their ids, behind one."""
        found = await self._issuer.named(client_passbook(ClientId("")), client_passbook(ClientId(after)), most)
        return [state for _, state in found if isinstance(state, Client)]

    async def clients_of(self, agent: AgentId, after: str = "", most: int = PAGE_MAX) -> Sequence[Client]:
        """List the accounts that an agent orders for, in the order of their ids, behind one."""
        found: list[Client] = []
        while page := await self.clients(after):
            found += [one for one in page if agent in one.agents]
            after = page[-1].id
            if len(found) >= most or len(page) < PAGE_MAX:
                break
        return found[:most]

    async def change(
        self,
        client: ClientId,
        by: str,
        key: str,
        *,
        load_alerts: bool | None = None,
        sundays_holidays: bool | None = None,
    ) -> Client:
        """Change whether holders are told of loads, and whether they spend on days off. None: as it was.

        Raises `NotThere`, and as `Issuer.do`.
        """
        account = await self.client(client)
        change = ChangeClient(client, load_alerts=load_alerts, sundays_holidays=sundays_holidays)
        await self._issuer.do(change, key, by)
        if sundays_holidays is not None:
            employer = Employer(client, account.name, account.programme, sundays_holidays)
            await self._issuer.do(RegisterEmployer(employer), f"{key} days off", by)
        return await self.client(client)

    async def add_user(self, client: ClientId, person: Person, by: str, key: str) -> Client:
        """Have one more person act for a client. Raises `NotThere`, and as `Issuer.do`."""
        await self.client(client)
        user = await self._keep(person)
        async with self._one_change_at_a_time:
            account = await self.client(client)
            await self._grant(Role.EMPLOYER, client, user, by, key)
            if user not in account.users:
                await self._issuer.do(ChangeClient(client, users=(*account.users, user)), f"{key} users", by)
        return await self.client(client)

    async def register_agent(self, name: str, person: Person, by: str, key: str) -> Agent:
        """Make somebody known who orders for many clients. Raises as `Issuer.do`."""
        agent = Agent(AgentId(new_id("agent", "", key)), name, await self._keep(person))
        await self._grant(Role.AGENT, agent.id, agent.contact, by, key)
        await self._issuer.do(RegisterAgent(agent), f"{key} agent", by)
        return await self.agent(agent.id)

    async def agent(self, agent: AgentId) -> Agent:
        """Give an agent. Raises `NotThere`."""
        state = await self._issuer.state(agent_passbook(agent))
        if not isinstance(state, Agent):
            raise NotThere
        return state

    async def agents(self, after: str = "", most: int = PAGE_MAX) -> Sequence[Agent]:
        """List agents in the order of their ids, behind one."""
        found = await self._issuer.named(agent_passbook(AgentId("")), agent_passbook(AgentId(after)), most)
        return [state for _, state in found if isinstance(state, Agent)]

    async def appoint(self, client: ClientId, agent: AgentId, by: str, key: str) -> Client:
        """Let an agent order for a client. Raises `NotThere`, and as `Issuer.do`."""
        await self.agent(agent)
        async with self._one_change_at_a_time:
            account = await self.client(client)
            if agent not in account.agents:
                await self._issuer.do(ChangeClient(client, agents=(*account.agents, agent)), key, by)
        return await self.client(client)

    async def dismiss(self, client: ClientId, agent: AgentId, by: str, key: str) -> Client:
        """Let an agent no longer order for a client. Raises `NotThere`, and as `Issuer.do`."""
        async with self._one_change_at_a_time:
            account = await self.client(client)
            if agent in account.agents:
                others = tuple(one for one in account.agents if one != agent)
                await self._issuer.do(ChangeClient(client, agents=others), key, by)
        return await self.client(client)

    async def _open(self, account: ClientId, made: Offer, contracts: tuple[Contract, ...], by: str, key: str) -> None:
        """Open an account last: its welcome letter then finds an employer that payments know, and a good token."""
        employer = Employer(account, made.company, made.programme)
        await self._issuer.do(RegisterEmployer(employer), f"{key} employer", by)
        await self._grant(Role.EMPLOYER, account, made.contact, by, key)
        command = OpenClient(account, made.company, made.programme, made.territory, made.contact, contracts)
        await self._issuer.do(command, f"{key} account", by)

    async def _contracts(self, made: Offer) -> tuple[Contract, ...]:
        """Write the contracts of an offer: from the day on which it was accepted, whenever this is repeated."""
        records = await self._issuer.store.events_about(HOME, offer_passbook(made.id), NEWEST, OFFER_RECORDS_MAX)
        at = next((one.at for one in records if one.kind == ACCEPTED), self._issuer.instant)
        since = local_day(at, self._issuer.programme(made.programme).zone)
        return tuple(Contract(one.product, one.format, made.tariff, made.id, since) for one in made.wanted)

    async def _keep(self, person: Person) -> ContactId:
        user = user_of(self._issuer.security, person.email)
        await self._issuer.contacts.keep({user: person})
        return user

    async def _grant(self, role: Role, subject: ClientId | AgentId, user: ContactId, by: str, key: str) -> None:
        """Let a user in. One who has access has it; one from whom it was taken stays without."""
        token_hash = hash_of(token_of(self._issuer.security, access_id(subject, user)))
        with contextlib.suppress(AccessGranted):
            await self._issuer.do(GrantAccess(token_hash, Access(role, subject)), f"{key} access", by)
