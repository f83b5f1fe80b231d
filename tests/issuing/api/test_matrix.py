"""Every route, every role, one's own things and another's: read from the application, so that none is forgotten.

A role that a route isn't for gets 403; what isn't one's own isn't there, 404; and who may, gets what they asked for.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from authz.decision.issuing.states import Role
from authz.issuing.api.auth import RULES, plain
from authz.service import Service
from tests.issuing.api.office import KEY, Office, lines, person

NOTHING = "nobodys"
"""An id that names nothing."""
SOMEBODYS = (Role.EMPLOYER, Role.AGENT, Role.HOLDER)


def routes(service: Service) -> Iterator[tuple[str, str]]:
    app: Any = service.http.config.app
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/v1"):
            for method in route.methods - {"OPTIONS"}:
                yield method, plain(route.path_format)


def may(role: Role, method: str, path: str) -> bool:
    """What a role is for, in the words of docs/issuing.md."""
    orders = "/orders" in path or path.endswith("/beneficiaries")
    payment = path.endswith("/payment")
    adjustments = path.startswith("/v1/adjustments")
    match role:
        case Role.ISSUER:
            return method == "GET" or not adjustments
        case Role.FINANCE:
            if adjustments:
                return True
            reads = method == "GET" and path.startswith("/v1/clients")
            return payment or (reads and "/holders/" not in path and not path.endswith(("/requests", "/beneficiaries")))
        case Role.EMPLOYER:
            return path.startswith("/v1/clients/") and not payment
        case Role.AGENT:
            return (path.startswith("/v1/clients/") and orders and not payment) or (method, path) == (
                "GET",
                "/v1/clients",
            )
        case Role.HOLDER:
            return path.startswith("/v1/holders/") and not path.endswith("/online-unlock")
        case Role.OPERATOR:
            return path.startswith("/v1/holders/") and (method == "GET" or path.endswith("/opposition"))


class World:
    """A client with an agent, an order, a request and a holder, another with the same, and a token for each role."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.own, self.foreign = self._things(), self._things()
        subjects = {
            Role.EMPLOYER: self.own["client"],
            Role.AGENT: self.own["agent"],
            Role.HOLDER: self.own["holder"],
        }
        self.callers = {role: office.with_token(role, subjects.get(role, "")) for role in Role}
        office.post("/v1/runs")
        adjustment = {"kind": "settlement", "acquirer": "970001", "cents": 1, "reason": "paid"}
        proposed = self.callers[Role.FINANCE].made("/v1/adjustments", adjustment)["id"]
        self.own["adjustment"] = self.foreign["adjustment"] = proposed

    def _things(self) -> dict[str, str]:
        office = self.office
        client = office.new_client()
        agent = office.made("/v1/agents", {"name": "Agence", "contact": person()})["id"]
        assert office.ask("PUT", f"/v1/clients/{client}/agents/{agent}").status_code == 200
        order = office.draft(client, lines(person())).json()
        office.made(f"/v1/clients/{client}/orders/{order['id']}/confirmation", {"revision": 1})
        payment = {"reference": "RF18", "amount": order["total"]}
        office.made(f"/v1/clients/{client}/orders/{order['id']}/payment", payment)
        [line] = office.get(f"/v1/clients/{client}/orders/{order['id']}/lines").json()["items"]
        card = office.card_of(line["holder"])
        asked = office.made(f"/v1/holders/{line['holder']}/cards/{card}/requests", {"kind": "remake", "client": client})
        return {
            "offer": office.get(f"/v1/clients/{client}").json()["contracts"][0]["offer"],
            "client": client,
            "agent": agent,
            "order": order["id"],
            "holder": line["holder"],
            "card": card,
            "asked": asked["id"],
            "number": "1",
            "access": NOTHING,
        }


@pytest.fixture(scope="session")
def world(office: Office) -> World:
    return World(office)


def test_every_route_has_a_rule_and_every_rule_a_route(service: Service) -> None:
    assert set(routes(service)) == set(RULES)


@pytest.mark.parametrize("role", Role)
def test_who_may_what(service: Service, world: World, role: Role) -> None:
    """Writes come without their key: who is let in is told so (400), and nothing changes."""
    wrong = []
    for method, path in routes(service):
        for things, is_own in ((world.own, True), (world.foreign, False)):
            reply = world.callers[role].ask(method, _at(path, things), headers={KEY: ""}, params={"product": "90"})
            foreign = not is_own and role in SOMEBODYS and ("{client}" in path or "{holder}" in path)
            if not may(role, method, path):
                expected = {403}
            elif foreign:
                expected = {404}
            elif path.endswith("/pins") and method == "GET":
                expected = {404}  # the run's PIN letters aren't made
            else:
                expected = {200} if method == "GET" else {400}
            if reply.status_code not in expected:
                wrong.append((method, path, is_own, reply.status_code, reply.text))
    assert wrong == []


@pytest.mark.parametrize("role", SOMEBODYS)
def test_what_hangs_on_ones_own_must_be_ones_own_too(service: Service, world: World, role: Role) -> None:
    """Another client's order isn't there under one's own account; nor another holder's card."""
    account = {"client": world.own["client"], "holder": world.own["holder"]}
    mixed = world.foreign | account
    body = {"holder": world.foreign["holder"], "card": world.foreign["card"], "kind": "pin"}
    bodies: dict[str, Any] = {
        "confirmation": {"revision": 1},
        "opposition": {"because": "lost"},
        "requests": body if role is Role.EMPLOYER else {"kind": "pin", "client": world.own["client"]},
    }
    tried = 0
    for method, path in routes(service):
        names = set(re.findall(r"{(\w+)}", path))
        hangs = names & {"order", "asked", "card"} or path == "/v1/clients/{client}/requests"
        if method == "GET" and path.endswith("/requests"):
            continue
        if may(role, method, path) and hangs:
            sent = bodies.get(path.rsplit("/", 1)[-1]) or (lines(person()) if method == "PUT" else None)
            parameters = {"product": "90", "month": "2026-05"}
            reply = world.callers[role].ask(method, _at(path, mixed), params=parameters, json=sent or None)
            assert reply.status_code == 404, (method, path, reply.text)
            tried += 1
    assert tried >= 3


@pytest.mark.parametrize("what", ["", "/loads"])
def test_an_employer_sees_its_own_holders_alone(world: World, what: str) -> None:
    employer, client = world.callers[Role.EMPLOYER], world.own["client"]
    own, foreign = (f"/v1/clients/{client}/holders/{things['holder']}{what}" for things in (world.own, world.foreign))
    assert (employer.get(own).status_code, employer.get(foreign).status_code) == (200, 404)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer nobody's.token"}])
def test_without_a_good_token_nothing_opens(service: Service, world: World, headers: dict[str, str]) -> None:
    stranger = Office(world.office.http, None)
    for method, path in routes(service):
        reply = stranger.ask(method, _at(path, world.own), headers=headers)
        assert reply.status_code == 401, (method, path)
        assert reply.headers["www-authenticate"] == "Bearer"


def _at(path: str, things: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: things[found[1]], path)
