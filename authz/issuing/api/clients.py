"""/v1/clients and /v1/agents: accounts, who acts for them, and what they decided for their holders."""

from typing import Any

from litestar import Request, delete, get, patch, post, put
from litestar.params import JSONBody

from authz.decision.issuing.states import Agent, AgentId, Client, ClientId, ContactId, Role
from authz.issuing.access import Caller
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import AgentInPath, ClientInPath
from authz.issuing.api.pages import After, Limit, page
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.bodies.clients import AgentRequest, AgentView, ClientChange, ClientSummary, ClientView, UserView
from authz.issuing.bodies.fields import Someone
from authz.issuing.bodies.pages import PAGE, Page
from authz.issuing.desks import Issuing
from authz.issuing.names import access_id
from authz.issuing.person import Person


async def client_view(desks: Issuing, client: Client) -> ClientView:
    """Show an account to who may see it."""
    people = await desks.issuer.contacts.find(client.users)
    employer = await desks.clients.employer(client.id)
    return ClientView(
        client.id,
        client.name,
        client.programme,
        client.territory,
        client.contracts,
        [_user_view(client.id, user, people.get(user)) for user in client.users],
        client.agents,
        client.load_alerts,
        employer.sundays_holidays,
    )


def _user_view(client: ClientId, user: ContactId, person: Person | None) -> UserView:
    access = access_id(client, user)
    if person is None:
        return UserView(user, access)
    return UserView(user, access, person.first_name, person.last_name, person.email)


def _agent_view(agent: Agent) -> AgentView:
    return AgentView(agent.id, agent.name, agent.contact, access_id(agent.id, agent.contact))


@get("/clients", responses=READ)
async def list_clients(
    request: Request[Caller, Any, Any], desks: Desks, after: After = "", limit: Limit = PAGE
) -> Page[ClientSummary]:
    """List accounts: an agent's are those that it orders for."""

    def view(one: Client) -> ClientSummary:
        return ClientSummary(one.id, one.name, one.programme, one.territory, one.contracts)

    if request.user.role is Role.AGENT:
        found = await desks.clients.clients_of(AgentId(request.user.subject), after, limit + 1)
    else:
        found = await desks.clients.clients(after, limit + 1)
    return page(found, limit, view, lambda one: one.id)


@get("/clients/{client:str}", responses=READ)
async def read_client(client: ClientInPath, desks: Desks) -> ClientView:
    """Read an account."""
    return await client_view(desks, await desks.clients.client(client))


@patch("/clients/{client:str}", responses=WRITE)
async def change_client(client: ClientInPath, data: JSONBody[ClientChange], desks: Desks, write: Writing) -> ClientView:
    """Change what a client decided for its holders."""
    changed = await desks.clients.change(
        client, write.by, write.key, load_alerts=data.load_alerts, sundays_holidays=data.sundays_holidays
    )
    return await client_view(desks, changed)


@post("/clients/{client:str}/users", responses=WRITE)
async def add_user(client: ClientInPath, data: JSONBody[Someone], desks: Desks, write: Writing) -> ClientView:
    """Have one more person act for an account. They are sent a token by e-mail."""
    return await client_view(desks, await desks.clients.add_user(client, data.person, write.by, write.key))


@put("/clients/{client:str}/agents/{agent:str}", responses=WRITE)
async def appoint_agent(client: ClientInPath, agent: AgentInPath, desks: Desks, write: Writing) -> ClientView:
    """Let an agent order for an account."""
    return await client_view(desks, await desks.clients.appoint(client, agent, write.by, write.key))


@delete("/clients/{client:str}/agents/{agent:str}", status_code=200, responses=WRITE)
async def dismiss_agent(client: ClientInPath, agent: AgentInPath, desks: Desks, write: Writing) -> ClientView:
    """Let an agent order for an account no longer."""
    return await client_view(desks, await desks.clients.dismiss(client, agent, write.by, write.key))


@post("/agents", responses=WRITE)
async def register_agent(data: JSONBody[AgentRequest], desks: Desks, write: Writing) -> AgentView:
    """Make an agent known. They are sent a token by e-mail."""
    return _agent_view(await desks.clients.register_agent(data.name, data.contact.person, write.by, write.key))


@get("/agents", responses=READ)
async def list_agents(desks: Desks, after: After = "", limit: Limit = PAGE) -> Page[AgentView]:
    """List agents."""
    return page(await desks.clients.agents(after, limit + 1), limit, _agent_view, lambda one: one.id)
