"""RFC 9457: whatever goes wrong is told in one form, names the field, and shows nothing of the inside."""

import logging
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient
from structlog.testing import capture_logs

from authz.decision.refused import NoContract
from authz.issuing.access import TokenUnknown
from authz.issuing.api.problems import HANDLERS, Forbidden, TooMany
from authz.issuing.drafting import BadRows
from authz.issuing.issuer import KeyReused, NotNow, NotThere
from authz.issuing.sheets.faults import RowError
from authz.issuing.sheets.process import TooManySheets
from authz.security.module import SecurityUnavailable
from ledger.store import Unavailable
from tests.issuing.api.office import Office, lines, offer, person

SECRET = "9250100000000014"


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (NoContract(), 409, None),
        (KeyReused(), 409, None),
        (NotThere(), 404, None),
        (Forbidden(), 403, None),
        (TokenUnknown(), 401, None),
        (TooMany(7), 429, "7"),
        (BadRows([RowError(3, "e-mail", "isn't an e-mail address")]), 422, None),
        (NotNow(), 503, "1"),
        (Unavailable("the database can't be reached"), 503, "1"),
        (SecurityUnavailable("it doesn't answer"), 503, "1"),
        (TooManySheets(), 503, "60"),
    ],
)
def test_what_each_error_is_answered_by(error: Exception, status: int, retry: str | None) -> None:
    reply = _answer(error)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers.get("retry-after") == retry
    assert reply.json()["status"] == status
    assert reply.json()["detail"]


def test_a_defect_is_told_without_its_content() -> None:
    with capture_logs() as told:
        reply = _answer(ValueError(f"card {SECRET}"))
    assert (reply.status_code, reply.json()) == (500, {"title": "Internal Server Error", "status": 500})
    assert "ValueError" in str(told)
    assert SECRET not in str(told)


def test_bad_lines_are_all_listed_and_nothing_is_ordered(office: Office) -> None:
    client = office.new_client()
    rows = lines(person(email="nobody"), person(), person(first_name="=HYPERLINK()"))
    rows["lines"][1]["quantity"] = -1
    reply = office.draft(client, rows)
    assert reply.status_code == 422
    assert [(one["line"], one["column"]) for one in reply.json()["errors"]] == [
        (1, "email"),
        (2, "quantity"),
        (3, "first_name"),
    ]
    assert "HYPERLINK" not in reply.text
    assert office.get(f"/v1/clients/{client}/orders").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"territory": "Paris"}, "territory"),
        ({"until": "soon"}, "until"),
        ({"contact": {**person(), "email": "nobody"}}, "contact.email"),
        ({"wanted": []}, "wanted"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_the_field_that_is_wrong_is_named(office: Office, change: dict[str, Any], field: str) -> None:
    reply = office.post("/v1/offers", offer(**change))
    assert reply.status_code == 400
    [error] = reply.json()["errors"]
    assert field in error["field"] or field in error["what"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"role":"issuer"' + b" " * 10 + b"]"])
def test_a_body_that_isnt_json_is_a_bad_request(office: Office, body: bytes) -> None:
    reply = office.post("/v1/access", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["status"]) == (400, 400)


def test_what_isnt_there_and_what_isnt_done_there(office: Office) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("GET", "/v1/access", 405), ("GET", "/nothing", 404)):
        reply = office.ask(method, path)
        assert (reply.status_code, reply.json()["status"]) == (status, status)


@pytest.mark.parametrize("path", ["/v1/clients/a%3Ab", "/v1/clients/%00", "/v1/clients/é", "/v1/clients/" + "x" * 65])
def test_an_id_that_no_thing_can_have_names_nothing(office: Office, path: str) -> None:
    assert office.get(path).status_code == 404


def test_what_no_longer_makes_sense_is_a_conflict_in_words(office: Office) -> None:
    client = office.new_client()
    order = office.draft(client, lines(person())).json()["id"]
    path = f"/v1/clients/{client}/orders/{order}"
    assert office.ask("DELETE", path).json()["status"] == "cancelled"
    reply = office.post(f"{path}/confirmation", {"revision": 1})
    assert reply.status_code == 409
    assert reply.json()["detail"].endswith(".")


def test_another_ones_email_is_in_no_error(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Two people of one list share an address: said by line, not by address."""
    client, one = office.new_client(), person()
    with caplog.at_level(logging.DEBUG, "authz"):
        reply = office.draft(client, lines(one, {**one, "first_name": "Other"}))
    assert reply.status_code == 422
    assert one["email"] not in reply.text + caplog.text


def _answer(error: Exception) -> Any:
    @get("/", sync_to_thread=False)
    def fails() -> None:
        raise error

    app = Litestar([fails], exception_handlers=HANDLERS, logging_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.get("/")
