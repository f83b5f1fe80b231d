"""`authz issue client · agent`: accounts, and who acts for them."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import App, Parameter

from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.showing import Facts, show_list, show_one
from authz.issue_cli.told import Before, show_operations
from authz.issuing.bodies.client_holders import EmployersHolderView
from authz.issuing.bodies.clients import AgentRequest, AgentView, ClientChange, ClientSummary, ClientView
from authz.issuing.bodies.fields import Someone
from authz.issuing.bodies.operations import OperationsPage

client = App(name="client", help="Clients' accounts.")
agent = App(name="agent", help="Agents, who order for many clients.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, repr=False)
class Contact:
    """Whom to write to. Its repr shows nothing of them."""

    first_name: str
    """Their first name."""

    last_name: str
    """Their last name."""

    email: str
    """Their e-mail address."""

    language: Literal["fr", "nl", "en"] = "fr"
    """The language of what is written to them."""

    @property
    def someone(self) -> Someone:
        """The same, as the API has it."""
        return Someone(self.first_name, self.last_name, self.email, self.language)


@client.command(name="list")
def list_clients(*, ask: Ask | None = None) -> None:
    """List accounts."""
    with Api(ask or Ask()) as api:
        found = api.all("/clients", ClientSummary)
    columns = {
        "client": lambda one: one.id,
        "name": lambda one: one.name,
        "programme": lambda one: one.programme,
        "territory": lambda one: one.territory,
        "products": lambda one: " ".join(contract.product for contract in one.contracts),
    }
    show_list(ask, "Clients", found, columns)


@client.command(name="show")
def show_client(client: str, *, ask: Ask | None = None) -> None:
    """Show an account."""
    with Api(ask or Ask()) as api:
        show_account(ask, api.read(f"/clients/{client}", ClientView))


@client.command
def change(
    client: str, *, load_alerts: bool | None = None, sundays_holidays: bool | None = None, ask: Write | None = None
) -> None:
    """Change what a client decided for its holders. What isn't said stays as it is.

    Parameters
    ----------
    client
        The account.
    load_alerts
        Holders are told of loads by e-mail.
    sundays_holidays
        Holders who work on Sundays and holidays may pay then.
    ask
        Where the API is.
    """
    changed = ClientChange(load_alerts, sundays_holidays)
    with Api(ask or Write()) as api:
        show_account(ask, api.write("PATCH", f"/clients/{client}", ClientView, changed))


@client.command
def add_user(client: str, *, contact: Contact, ask: Write | None = None) -> None:
    """Have one more person act for an account: they are sent a token by e-mail."""
    with Api(ask or Write()) as api:
        show_account(ask, api.write("POST", f"/clients/{client}/users", ClientView, contact.someone))


@client.command
def appoint(client: str, agent: str, *, ask: Write | None = None) -> None:
    """Let an agent order for an account."""
    with Api(ask or Write()) as api:
        show_account(ask, api.write("PUT", f"/clients/{client}/agents/{agent}", ClientView))


@client.command
def dismiss(client: str, agent: str, *, ask: Write | None = None) -> None:
    """Let an agent order for an account no longer."""
    with Api(ask or Write()) as api:
        show_account(ask, api.write("DELETE", f"/clients/{client}/agents/{agent}", ClientView))


@client.command(name="holder")
def show_holder(client: str, holder: str, *, ask: Ask | None = None) -> None:
    """Show which cards a holder of a client's has, to ask for a new one or for the PIN again."""
    with Api(ask or Ask()) as api:
        shown = api.read(f"/clients/{client}/holders/{holder}", EmployersHolderView)
    columns = {
        "card": lambda one: one.card,
        "number": lambda one: f"…{one.last4}",
        "until": lambda one: f"{one.expiry:%Y-%m}",
        "status": lambda one: one.status,
        "locked": lambda one: one.locked,
    }
    show_list(ask, f"Cards of {holder}", shown.cards, columns)


@client.command
def loads(client: str, holder: str, *, before: Before = None, ask: Ask | None = None) -> None:
    """Show what a client loaded for a holder, newest first."""
    query = "" if before is None else f"?before={before}"
    with Api(ask or Ask()) as api:
        page = api.read(f"/clients/{client}/holders/{holder}/loads{query}", OperationsPage)
    show_operations(ask, page)


@agent.command(name="add")
def add_agent(name: str, *, contact: Contact, ask: Write | None = None) -> None:
    """Make an agent known: they are sent a token by e-mail."""
    with Api(ask or Write()) as api:
        made = api.write("POST", "/agents", AgentView, AgentRequest(name, contact.someone))
    show_one(ask, "Agent", made, {"agent": made.id, "name": made.name, "access": made.access})


@agent.command(name="list")
def list_agents(*, ask: Ask | None = None) -> None:
    """List agents."""
    with Api(ask or Ask()) as api:
        found = api.all("/agents", AgentView)
    columns = {"agent": lambda one: one.id, "name": lambda one: one.name, "access": lambda one: one.access}
    show_list(ask, "Agents", found, columns)


def show_account(ask: Ask | None, account: ClientView) -> None:
    """Print an account."""
    facts: Facts = {
        "client": account.id,
        "name": account.name,
        "programme": account.programme,
        "territory": account.territory,
        "contracts": ", ".join(f"{one.product} {one.format} since {one.since}" for one in account.contracts),
        "users": ", ".join(f"{one.first_name} {one.last_name} <{one.email}> {one.access}" for one in account.users),
        "agents": ", ".join(account.agents),
        "loads are told": account.load_alerts,
        "Sundays and holidays": account.sundays_holidays,
    }
    show_one(ask, "Client", account, facts)
