"""Lists: beneficiaries that come as files, and pages that go out."""

import io
from typing import Any

import pytest
from openpyxl import Workbook

from tests.issuing.api.office import Office, lines, person

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS = ("number", "last_name", "first_name", "email", "quantity", "face")


def rows(number: int) -> list[tuple[Any, ...]]:
    people = (person() for _ in range(number))
    return [(n, one["last_name"], one["first_name"], one["email"], 20, 9) for n, one in enumerate(people, 1)]


def csv(table: list[tuple[Any, ...]]) -> bytes:
    return "\n".join(";".join(map(str, row)) for row in [COLUMNS, *table]).encode()


def workbook(table: list[tuple[Any, ...]]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in [COLUMNS, *table]:
        book.worksheets[0].append(row)
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(("media", "write"), [("text/csv", csv), ("text/csv; charset=utf-8", csv), (XLSX, workbook)])
def test_a_list_comes_as_a_file(office: Office, media: str, write: Any) -> None:
    client = office.new_client()
    reply = office.draft(client, None, content=write(rows(3)), headers={"Content-Type": media})
    assert reply.status_code == 201, reply.text
    assert (reply.json()["lines"], reply.json()["costs"]["face"]) == (3, 3 * 20 * 900)


@pytest.mark.parametrize("media", [None, "application/pdf", "multipart/form-data; boundary=x"])
def test_another_media_type_is_refused(office: Office, media: str | None) -> None:
    headers = {} if media is None else {"Content-Type": media}
    reply = office.draft(office.new_client(), None, content=b"x", headers=headers)
    assert reply.status_code == 415
    assert "text/csv" in reply.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"\x00" * 1000, b"PK\x03\x04 garbage", "nom;é\n1".encode("latin-1")])
def test_garbage_is_told_and_nothing_is_ordered(office: Office, content: bytes) -> None:
    client = office.new_client()
    for media in ("text/csv", XLSX, "application/json"):
        reply = office.draft(client, None, content=content, headers={"Content-Type": media})
        assert reply.status_code == 422
        assert reply.json()["errors"]
    assert office.get(f"/v1/clients/{client}/orders").json()["items"] == []


def test_an_order_that_isnt_paid_is_drafted_anew(office: Office) -> None:
    client, first, second = office.new_client(), person(), person()
    order = office.draft(client, lines(first)).json()
    path = f"/v1/clients/{client}/orders/{order['id']}"
    parameters = {"product": "90", "month": "2026-05"}
    redrafted = office.ask("PUT", path, json=lines(first, second), params=parameters).json()
    assert (redrafted["id"], redrafted["revision"], redrafted["lines"]) == (order["id"], 2, 2)
    assert office.ask("PUT", f"{path}x", json=lines(first), params=parameters).status_code == 404
    assert office.post(f"{path}/confirmation", {"revision": 1}).status_code == 409, "another recap than it has"


def test_pages_of_lines_have_each_once(office: Office) -> None:
    client, people = office.new_client(), [person() for _ in range(5)]
    order = office.draft(client, lines(*people)).json()["id"]
    found, after = [], "0"
    while after is not None:
        page = office.get(f"/v1/clients/{client}/orders/{order}/lines", after=after, limit=2).json()
        assert len(page["items"]) <= 2
        found += [one["email"] for one in page["items"]]
        after = page["next"]
    assert sorted(found) == sorted(one["email"] for one in people)


@pytest.mark.parametrize("path", ["/v1/clients", "/v1/agents", "/v1/offers"])
def test_pages_have_each_thing_once(office: Office, path: str) -> None:
    for _ in range(2):
        office.new_client()
        office.made("/v1/agents", {"name": "Agence", "contact": person()})
    whole = [one["id"] for one in office.get(path, limit=100).json()["items"]]
    found, after = [], ""
    while after is not None:
        page = office.get(path, after=after, limit=1).json()
        found += [one["id"] for one in page["items"]]
        after = page["next"]
    assert found[: len(whole)] == whole
    assert len(set(found)) == len(found) >= 2


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
def test_a_page_has_its_limits(office: Office, limit: str) -> None:
    reply = office.get("/v1/clients", limit=limit)
    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (400, "limit")


def test_the_beneficiaries_are_those_of_the_last_order_that_stands(office: Office) -> None:
    client, one, other = office.new_client(), person(), person()
    path = f"/v1/clients/{client}/beneficiaries"
    assert office.get(path, product="90").json()["items"] == []
    standing = office.draft(client, lines(one)).json()["id"]
    office.made(f"/v1/clients/{client}/orders/{standing}/confirmation", {"revision": 1})
    office.draft(client, lines(other))
    assert [line["email"] for line in office.get(path, product="90").json()["items"]] == [one["email"]]
