"""Tokens: what they open, from the first one in the configuration to the moment one is taken back."""

import pytest

from authz.decision.issuing.states import Role, access_passbook
from authz.issuing.access import hash_of, token_of
from authz.issuing.issuer import HOME
from authz.issuing.operations import NEWEST
from authz.service import Service
from tests.issuing.api.conftest import Server
from tests.issuing.api.office import Office, fresh_key, person


def test_a_token_taken_back_opens_nothing_from_the_next_request_on(office: Office) -> None:
    made = office.made("/v1/access", {"role": "finance"})
    finance = Office(office.http, made["token"])
    assert finance.get("/v1/clients").status_code == 200
    assert office.ask("DELETE", f"/v1/access/{made['id']}").status_code == 204
    assert finance.get("/v1/clients").status_code == 401
    assert office.ask("DELETE", f"/v1/access/{made['id']}").status_code == 409, "it is taken back already"


def test_the_same_key_gives_the_same_token_and_another_body_is_refused(office: Office) -> None:
    key = fresh_key()
    first = office.post("/v1/access", {"role": "operator"}, key=key)
    again = office.post("/v1/access", {"role": "operator"}, key=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert office.post("/v1/access", {"role": "finance"}, key=key).status_code == 409


@pytest.mark.parametrize("role", ["employer", "agent", "holder"])
def test_what_a_token_is_to_open_must_be_there(office: Office, role: str) -> None:
    assert office.post("/v1/access", {"role": role, "subject": "nobody"}).status_code == 404


def test_the_issuers_people_have_no_subject(office: Office) -> None:
    assert office.post("/v1/access", {"role": "issuer", "subject": office.new_client()}).status_code == 404


def test_the_token_in_a_welcome_letter_is_the_users(office: Office, service: Service) -> None:
    """It is made again from the access's id: no record has it, and no list shows it."""
    client = office.new_client()
    [user] = office.get(f"/v1/clients/{client}").json()["users"]
    employer = Office(office.http, token_of(service.security, user["access"]))
    assert employer.get(f"/v1/clients/{client}").status_code == 200
    assert office.ask("DELETE", f"/v1/access/{user['access']}").status_code == 204
    assert employer.get(f"/v1/clients/{client}").status_code == 401


def test_one_of_several_users_can_lose_access_alone(office: Office, service: Service) -> None:
    client = office.new_client()
    users = office.made(f"/v1/clients/{client}/users", person())["users"]
    first, second = (Office(office.http, token_of(service.security, user["access"])) for user in users)
    office.ask("DELETE", f"/v1/access/{users[0]['access']}")
    assert [one.get(f"/v1/clients/{client}").status_code for one in (first, second)] == [401, 200]


def test_an_agent_lists_the_clients_that_it_orders_for(office: Office) -> None:
    mine, other = office.new_client(), office.new_client()
    agent = office.made("/v1/agents", {"name": "Agence", "contact": person()})["id"]
    caller = office.with_token("agent", agent)
    assert caller.get("/v1/clients").json()["items"] == []
    assert office.ask("PUT", f"/v1/clients/{mine}/agents/{agent}").status_code == 200
    assert [one["id"] for one in caller.get("/v1/clients").json()["items"]] == [mine]
    assert caller.get(f"/v1/clients/{other}/orders").status_code == 404


def test_an_agent_who_is_dismissed_sees_the_client_no_longer(office: Office) -> None:
    client = office.new_client()
    agent = office.made("/v1/agents", {"name": "Agence", "contact": person()})["id"]
    caller = office.with_token("agent", agent)
    seen = []
    for method in ("GET", "PUT", "DELETE"):
        office.ask(method, f"/v1/clients/{client}/agents/{agent}")
        seen.append(caller.get(f"/v1/clients/{client}/orders").status_code)
    assert seen == [404, 200, 404]


def test_every_role_has_a_token_in_the_demo_and_always_the_same(office: Office, server: Server) -> None:
    tokens = server.service.demo_tokens
    assert set(tokens) == set(Role)
    server.do(server.service.load_demo())
    assert server.service.demo_tokens == tokens
    assert Office(office.http, tokens[Role.FINANCE]).get("/v1/clients").status_code == 200
    assert Office(office.http, tokens[Role.OPERATOR]).get("/v1/clients").status_code == 403


def test_no_record_has_a_token(office: Office, server: Server) -> None:
    token = office.made("/v1/access", {"role": "finance"})["token"]
    store, passbook = server.service.store, access_passbook(hash_of(token))
    [event] = server.do(store.events_about(HOME, passbook, NEWEST, 2))
    assert hash_of(token) in event.request
    assert token.rpartition(".")[2] not in event.request + event.reply


@pytest.mark.parametrize("token", [".", "configured.x", "a:b.c", "\xe9.x", "x" * 600, "access.A=="])
def test_what_was_never_granted_opens_nothing(office: Office, token: str) -> None:
    header = f"Bearer {token}".encode("latin-1")
    assert office.http.get("/v1/clients", headers={b"Authorization": header}).status_code == 401
