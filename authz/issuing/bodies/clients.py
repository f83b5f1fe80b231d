"""Accounts and agents, as they are changed and shown."""

from msgspec import Struct

from authz.decision.issuing.states import Contract
from authz.issuing.bodies.fields import Sent, Someone, Words


class ClientChange(Sent, frozen=True):
    """What a client decides for its holders. What isn't there stays as it is.

    `load_alerts`: they are told of loads by e-mail. `sundays_holidays`: who works such days may spend then (R3262-8).
    """

    load_alerts: bool | None = None
    sundays_holidays: bool | None = None


class AgentRequest(Sent, frozen=True):
    """Somebody who orders for many clients, and whom to write to there."""

    name: Words
    contact: Someone


class ClientSummary(Struct, frozen=True):
    """An account in a list."""

    id: str
    name: str
    programme: str
    territory: str
    contracts: tuple[Contract, ...]


class UserView(Struct, frozen=True):
    """Who acts for an account. Who was erased has no name. `access` is the id of their token, to take it back by."""

    id: str
    access: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""


class ClientView(Struct, frozen=True):
    """An account."""

    id: str
    name: str
    programme: str
    territory: str
    contracts: tuple[Contract, ...]
    users: list[UserView]
    agents: tuple[str, ...]
    load_alerts: bool
    sundays_holidays: bool


class AgentView(Struct, frozen=True):
    """An agent. `access` is the id of their token, to take it back by."""

    id: str
    name: str
    contact: str
    access: str
