"""docs/interface.md, "HTTP": health, readiness, metrics and the description, beside the payments."""

import json

from tests.acceptance.authorizer import Authorizer, rows
from tests.acceptance.counter import CODEC, Line, purchase, wrong_pin


def test_alive_and_ready(authorizer: Authorizer) -> None:
    status, body = authorizer.get("/healthz")
    assert (status, json.loads(body)) == (200, {"status": "alive"})
    status, body = authorizer.get("/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})


def test_the_counters_are_the_number_of_decisions(authorizer: Authorizer) -> None:
    with Line(authorizer.port) as line:
        for _ in range(7):
            line.ask(purchase("0014", 100))
        repeated = CODEC.encode(purchase("0014", 100))
        assert line.ask_bytes(repeated) == line.ask_bytes(repeated)
        line.ask(purchase("0014", 5000))
        line.ask(purchase("0014", 100, pin=wrong_pin("0014")))
        line.ask(purchase("0063", 100))
    query = "SELECT kind, reason, count(*) FROM ledger.journal GROUP BY kind, reason"
    for kind, reason, count in rows(authorizer.database, query):
        assert authorizer.counted("authz_decisions_total", message=kind, reason=reason) == count
    assert authorizer.counted("authz_decisions_total", message="purchase") == 11
    assert authorizer.counted("authz_decisions_total", message="purchase", reason="APPROVED") == 8
    assert authorizer.counted("authz_repeats_total") == 1
    [[total]] = rows(authorizer.database, "SELECT count(*) FROM ledger.journal")
    assert authorizer.counted("authz_decisions_total") == total


def test_the_description_is_openapi(authorizer: Authorizer) -> None:
    status, body = authorizer.get("/schema")
    assert status == 200
    assert {"/healthz", "/readyz"} <= set(json.loads(body)["paths"])


def test_an_unknown_page_is_not_there(authorizer: Authorizer) -> None:
    status, _ = authorizer.get("/nothing")
    assert status == 404
