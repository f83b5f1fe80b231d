"""How much a caller may ask for, and how much they may send at once."""

from collections.abc import Iterator
from http.client import HTTPConnection

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.http import HttpServer, application
from authz.issuing.api.limits import Pace, RequestLimits
from authz.issuing.sheets.media import CONTENT_BYTES_MAX
from tests.issuing.api.conftest import Server
from tests.issuing.api.office import ISSUER_TOKEN, KEY, Office, fresh_key, lines, person

A_SECOND, BURST_S = 4.0, 2.0


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 3, allow_nan=False), max_size=60))
def test_in_any_stretch_of_time_no_more_pass_than_the_pace_and_one_burst(pauses: list[float]) -> None:
    watch, passed = Watch(), []
    pace = Pace(A_SECOND, BURST_S, watch)
    for pause in pauses:
        watch.now += pause
        if pace.wait_s("a") == 0:
            passed.append(watch.now)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert last - first + 1 <= (end - start + BURST_S) * A_SECOND + 1


@given(st.integers(9, 40))
def test_who_waits_as_long_as_they_were_told_passes(asked: int) -> None:
    watch = Watch()
    pace = Pace(A_SECOND, BURST_S, watch)
    waits = [pace.wait_s("a") for _ in range(asked)]
    assert all(wait == 0 for wait in waits[: int(A_SECOND * BURST_S)])
    watch.now += waits[-1]
    assert pace.wait_s("a") == 0


def test_callers_dont_wait_for_each_other_and_only_so_many_are_remembered() -> None:
    pace = Pace(1, 1, Watch(), callers_max=2)
    assert [pace.wait_s("a"), pace.wait_s("a"), pace.wait_s("b")] == [0, 1, 0]
    pace.wait_s("c")
    assert pace.wait_s("a") == 0, "forgotten: it was silent longest"


@pytest.fixture
def hurried(server: Server) -> Iterator[Office]:
    """The same desks behind a narrower door."""
    service = server.service
    app = application(service.engine, service.metrics, service.issuing, RequestLimits(0.1, 1))
    http = HttpServer(app, "127.0.0.1", 0)
    port = server.do(http.start())
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield Office(client, ISSUER_TOKEN)
    server.do(http.stop())


def test_who_asks_too_often_is_told_when_to_come_again(office: Office, hurried: Office) -> None:
    """Each token for itself; and whoever has none by their address, whatever they try."""
    finance = Office(hurried.http, office.with_token("finance").token)
    stranger = Office(hurried.http, None)
    assert [finance.get("/v1/clients").status_code for _ in range(2)] == [200, 429]
    late = finance.get("/v1/clients")
    assert 0 < int(late.headers["retry-after"]) <= 10
    assert hurried.get("/v1/clients").status_code == 200
    tries = [stranger.ask("GET", "/v1/clients", headers={"Authorization": f"Bearer x.{n}"}) for n in range(2)]
    assert [one.status_code for one in tries] == [401, 429]


def test_a_json_body_of_more_than_a_megabyte_isnt_read(office: Office) -> None:
    reply = office.post("/v1/access", {"role": "operator", "subject": "x" * 1_000_000})
    assert (reply.status_code, reply.json()["status"]) == (413, 413)


def test_a_body_that_doesnt_say_how_long_it_is_is_cut_off(office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.token}", KEY: fresh_key()}
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(40):
            sent += 100_000
            yield b" " * 100_000

    reply = office.http.post("/v1/access", content=chunks(), headers=headers)
    assert reply.status_code == 413


def test_a_list_may_be_longer_but_not_endless(office: Office) -> None:
    client = office.new_client()
    big = lines(person())
    big["lines"][0]["number"] = "x" * 1_500_000
    assert office.draft(client, big).status_code == 422, "read, and found wrong"
    connection = HTTPConnection(office.http.base_url.host, office.http.base_url.port)
    connection.putrequest("POST", f"/v1/clients/{client}/orders?product=90&month=2026-05")
    headers = {"Authorization": f"Bearer {office.token}", KEY: fresh_key(), "Content-Type": "text/csv"}
    for name, value in (headers | {"Content-Length": str(CONTENT_BYTES_MAX + 1)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
