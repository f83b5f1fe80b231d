"""The demo's accounts: its employers as clients who can order, an agent who orders for them, and a token for each role.

They are entered by the same journaled commands as any others, once; afterwards the same keys find them done.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from msgspec import Struct

from authz.decision.commands import Administration
from authz.decision.issuing.commands import (
    AcceptOffer,
    ChangeClient,
    GrantAccess,
    MakeOffer,
    OpenClient,
    RegisterAgent,
)
from authz.decision.issuing.states import (
    Access,
    Agent,
    AgentId,
    ClientId,
    Contract,
    Format,
    OfferId,
    Role,
    Tariff,
    Wanted,
)
from authz.decision.reference import Employer
from authz.issuing.access import hash_of, token_of
from authz.issuing.contacts import user_of
from authz.issuing.issuer import Issuer
from authz.issuing.names import access_id
from authz.issuing.person import Person
from authz.programmes import shipped
from ledger.values import Cents, HolderId

TARIFF = Tariff(commission=250, card=Cents(300), vat=2_000)
"""2.5 % of the face value, 3 € for a new card, and 20 % VAT on both."""
OFFERED_HOLDERS, OFFERED_EACH = 100, Cents(20_000)
OFFERED_UNTIL = date(9999, 12, 31)
"""Whenever the accounts are opened: a ledger may be years old by then."""
TERRITORIES = {"apetiz": "FR-75", "pluxee-be": "BE"}
AGENT = AgentId("A1")
AGENCY = "Secretariat social de la Seine"
AGENT_PERSON = Person("Sophie", "Lambert", "sophie.lambert@example.org")
BY = "demo"


class DemoAccounts(Struct, frozen=True):
    """Opens the demo's accounts in a ledger whose first day is `first_day`."""

    issuer: Issuer
    first_day: date

    async def open(self, employers: Sequence[Employer]) -> None:
        """Open an account for each employer, and let the agent order for all. Raises as `Issuer.do`."""
        contact = user_of(self.issuer.security, AGENT_PERSON.email)
        await self.issuer.contacts.keep({contact: AGENT_PERSON})
        await self._do(RegisterAgent(Agent(AGENT, AGENCY, contact)), f"demo agent {AGENT}")
        for employer in employers:
            await self._open(employer)

    async def grant(self, client: ClientId, holder: HolderId) -> Mapping[Role, str]:
        """Grant a token for each role, and return them: the same ones each time. Raises as `Issuer.do`."""
        subjects = dict.fromkeys(Role, "") | {Role.EMPLOYER: client, Role.AGENT: AGENT, Role.HOLDER: holder}
        tokens = {}
        for role, subject in subjects.items():
            access = f"demo-{role}-{subject}".rstrip("-")
            tokens[role] = token_of(self.issuer.security, access)
            await self._do(GrantAccess(hash_of(tokens[role]), Access(role, subject)), f"demo {access}")
        return tokens

    async def _open(self, employer: Employer) -> None:
        """Open an employer's account, with contracts for all that its programme has."""
        client, offer = ClientId(employer.id), OfferId(f"demo-{employer.id}")
        person = Person("Bureau", employer.name, f"office.{employer.id.lower()}@example.org")
        user = user_of(self.issuer.security, person.email)
        await self.issuer.contacts.keep({user: person})
        products = [product.code for product in shipped(employer.programme).products]
        wanted = tuple(Wanted(code, Format.ELECTRONIC, OFFERED_HOLDERS, OFFERED_EACH) for code in products)
        contracts = tuple(Contract(code, Format.ELECTRONIC, TARIFF, offer, self.first_day) for code in products)
        territory = TERRITORIES[employer.programme]
        token = token_of(self.issuer.security, access_id(client, user))
        commands: Mapping[str, Administration] = {
            "offer": MakeOffer(
                offer, employer.programme, employer.name, territory, user, wanted, TARIFF, OFFERED_UNTIL
            ),
            "acceptance": AcceptOffer(offer, client),
            "access": GrantAccess(hash_of(token), Access(Role.EMPLOYER, client)),
            "account": OpenClient(client, employer.name, employer.programme, territory, user, contracts),
            "agent": ChangeClient(client, agents=(AGENT,)),
        }
        for name, command in commands.items():
            await self._do(command, f"demo {name} {client}")

    async def _do(self, command: Administration, key: str) -> None:
        await self.issuer.do(command, key, BY)
