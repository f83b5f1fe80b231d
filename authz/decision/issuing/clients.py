"""Clients' accounts: their contracts, one a product and format, and who may act for them; and agents."""

from collections.abc import Sequence

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import AddContracts, ChangeClient, OpenClient
from authz.decision.issuing.states import AGENTS_MAX, USERS_MAX, Client, Contract
from authz.decision.programme import PRODUCT_CODES
from authz.decision.refused import (
    ClientOpen,
    ClientUnknown,
    NamedTwice,
    ProductUnknown,
    Refused,
    TooManyAgents,
    TooManyUsers,
)


def client(command: OpenClient | AddContracts | ChangeClient, facts: Facts) -> Client:
    """Open an account, add contracts to it, or change who acts for it."""
    if isinstance(command, OpenClient):
        return _opened(command, facts)
    known = facts.own
    if not isinstance(known, Client):
        raise ClientUnknown
    match command:
        case AddContracts(contracts=contracts):
            return _checked(replace(known, contracts=_joined(known.contracts, contracts)))
        case ChangeClient():
            changed = {name: getattr(command, name) for name in ("users", "agents", "load_alerts")}
            return _checked(replace(known, **{name: value for name, value in changed.items() if value is not None}))


def _opened(command: OpenClient, facts: Facts) -> Client:
    if facts.own is not None:
        raise ClientOpen
    return _checked(
        Client(
            id=command.client,
            name=command.name,
            programme=command.programme,
            territory=command.territory,
            contracts=_joined((), command.contracts),
            users=(command.user,),
        )
    )


def _joined(before: tuple[Contract, ...], added: tuple[Contract, ...]) -> tuple[Contract, ...]:
    """Put contracts in the place of those for the same product and format, or behind all."""
    new = {(one.product, one.format): one for one in added}
    if len(new) < len(added):
        raise NamedTwice
    if any(one.product not in PRODUCT_CODES for one in added):
        raise ProductUnknown
    return tuple(({(one.product, one.format): one for one in before} | new).values())


def _checked(client: Client) -> Client:
    _few(client.users, USERS_MAX, TooManyUsers)
    _few(client.agents, AGENTS_MAX, TooManyAgents)
    return client


def _few(some: Sequence[object], most: int, refusal: type[Refused]) -> None:
    if len(some) > most:
        raise refusal
    if len(set(some)) < len(some):
        raise NamedTwice
