"""The description: complete, and true of what is served. Every route is tried with what it says can be sent."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from authz.decision.issuing.states import Role
from authz.issuing.api.auth import RULES, UPLOADS
from tests.issuing.api.office import ISSUER_TOKEN, Office, fresh_key

EXAMPLES = 6
"""Requests a route: enough for what is missing, ill-formed, and well-formed."""


@pytest.fixture(scope="session")
def description(office: Office) -> Any:
    schema = schemathesis.openapi.from_dict(office.http.get("/schema").json())
    schema.config.update(base_url=str(office.http.base_url))
    return schema


@pytest.mark.parametrize("route", sorted(RULES), ids=" ".join)
def test_every_answer_is_as_described(description: Any, office: Office, route: tuple[str, str]) -> None:
    """No 5xx, no status or body that the description doesn't have, nothing let in that it forbids."""
    method, path = route
    token = ISSUER_TOKEN if Role.ISSUER in RULES[route] else office.with_token("finance").token

    @given(case=description[path][method].as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def answers(case: schemathesis.Case) -> None:
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = fresh_key()
        excluded = [positive_data_acceptance] if route in UPLOADS else []  # no schema says what a CSV file is
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=excluded)

    answers()


def test_every_route_says_who_is_let_in_and_what_can_go_wrong(office: Office) -> None:
    described = office.http.get("/schema").json()
    assert described["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    for method, path in RULES:
        operation = described["paths"][path][method.lower()]
        assert operation["security"] == [{"token": []}], path
        problems = {"400", "401", "403", "404", "429", "503"} | ({"409", "413"} if method != "GET" else set())
        assert problems <= set(operation["responses"]), path
        for status in problems:
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}, path
        keys = [one["required"] for one in operation["parameters"] if one["name"] == "Idempotency-Key"]
        assert keys == ([] if method == "GET" else [True]), path


def test_no_name_tells_where_something_is_written(office: Office) -> None:
    names = office.http.get("/schema").json()["components"]["schemas"]
    assert "Page_OrderView_" in names
    assert [name for name in names if "." in name] == []
