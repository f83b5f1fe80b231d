"""Idempotency keys: the same write again is answered again, and nothing more is done (docs/issuing.md)."""

from collections.abc import Callable

import httpx
import pytest

from tests.issuing.api.office import KEY, Office, fresh_key, lines, offer, person

Write = Callable[[str, bool], httpx.Response]
"""Sends a write under a key; `True`: with another body."""


def _offer(office: Office) -> Write:
    body = offer()
    return lambda key, other: office.post("/v1/offers", {**body, "company": "B" if other else "A"}, key=key)


def _acceptance(office: Office) -> Write:
    client, made = office.new_client(), office.made("/v1/offers", offer())
    path = f"/v1/offers/{made['id']}/acceptance"
    return lambda key, other: office.post(path, {"client": client} if other else {}, key=key)


def _agent(office: Office) -> Write:
    contact = person()
    return lambda key, other: office.post(
        "/v1/agents", {"name": "Deux" if other else "Un", "contact": contact}, key=key
    )


def _order(office: Office) -> Write:
    client, first, second = office.new_client(), person(), person()
    return lambda key, other: office.draft(client, lines(second, quantity=9) if other else lines(first), key=key)


def _confirmation(office: Office) -> Write:
    client = office.new_client()
    path = f"/v1/clients/{client}/orders/{office.draft(client, lines(person())).json()['id']}/confirmation"
    return lambda key, other: office.post(path, {"revision": 2 if other else 1}, key=key)


def _payment(office: Office) -> Write:
    client = office.new_client()
    order = office.draft(client, lines(person())).json()
    path = f"/v1/clients/{client}/orders/{order['id']}"
    office.made(f"{path}/confirmation", {"revision": 1})
    return lambda key, other: office.post(
        f"{path}/payment", {"reference": "RF2" if other else "RF1", "amount": order["total"]}, key=key
    )


def _merchant(office: Office) -> Write:
    body = {
        "id": "API0001",
        "name": "Chez Ana",
        "territory": "FR-75",
        "time_zone": "Europe/Paris",
        "accepts": ["90"],
    }
    return lambda key, other: office.post("/v1/merchants", {**body, "mcc": "5811" if other else "5812"}, key=key)


def _access(office: Office) -> Write:
    return lambda key, other: office.post("/v1/access", {"role": "finance" if other else "operator"}, key=key)


def _adjustment(office: Office) -> Write:
    finance, body = office.with_token("finance"), {"kind": "settlement", "acquirer": "970001", "reason": "paid"}
    return lambda key, other: finance.post("/v1/adjustments", {**body, "cents": 2 if other else 1}, key=key)


WRITES = (_offer, _acceptance, _agent, _order, _confirmation, _payment, _merchant, _access, _adjustment)


@pytest.mark.parametrize("prepare", WRITES)
def test_the_same_key_again_is_answered_again(office: Office, prepare: Callable[[Office], Write]) -> None:
    write, key = prepare(office), fresh_key()
    first, again = write(key, False), write(key, False)
    assert first.is_success, first.text
    assert (again.status_code, again.json()) == (first.status_code, first.json())


@pytest.mark.parametrize("prepare", WRITES)
def test_the_same_key_with_another_body_is_refused(office: Office, prepare: Callable[[Office], Write]) -> None:
    write, key = prepare(office), fresh_key()
    assert write(key, False).is_success
    refused = write(key, True)
    assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")


def test_what_is_done_again_under_its_key_is_done_once(office: Office) -> None:
    client, key, body = office.new_client(), fresh_key(), lines(person())
    for _ in range(3):
        assert office.draft(client, body, key=key).status_code == 201
    assert len(office.get(f"/v1/clients/{client}/orders").json()["items"]) == 1


def test_two_callers_keys_are_their_own(office: Office) -> None:
    key, bodies = fresh_key(), (lines(person()), lines(person()))
    orders = []
    for body in bodies:
        client = office.new_client()
        employer = office.with_token("employer", client)
        reply = employer.draft(client, body, key=key)
        assert reply.status_code == 201, reply.text
        orders.append(reply.json()["id"])
    assert len(set(orders)) == 2


def test_a_key_is_for_one_route(office: Office) -> None:
    client, key = office.new_client(), fresh_key()
    for order in [office.draft(client, lines(person())).json()["id"] for _ in range(2)]:
        path = f"/v1/clients/{client}/orders/{order}/confirmation"
        assert office.post(path, {"revision": 1}, key=key).json()["status"] == "confirmed"


@pytest.mark.parametrize("key", [None, "", "x" * 129])
def test_a_write_needs_a_key_of_1_to_128_characters(office: Office, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {office.token}", **({} if key is None else {KEY: key})}
    reply = office.http.post("/v1/access", json={"role": "operator"}, headers=headers)
    assert reply.status_code == 400
    assert KEY in reply.text
