"""Somebody with a token who uses the API, and the things that tests need there."""

import time
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
from msgspec import Struct

ISSUER_TOKEN = "the-issuer's-first-token"
KEY = "Idempotency-Key"
POLL_S, POLLS = 0.02, 500
_numbers = count(1)


def fresh_key() -> str:
    return str(uuid4())


def person(**fields: str) -> dict[str, str]:
    """Somebody nobody else is."""
    number = next(_numbers)
    known = {"first_name": f"Ana{number}", "last_name": "Roux", "email": f"ana.{uuid4().hex}@acme.example"}
    return {**known, **fields}


def offer(**fields: Any) -> dict[str, Any]:
    return {
        "programme": "apetiz",
        "company": "Acme",
        "territory": "FR-75",
        "contact": person(),
        "wanted": [{"product": "90", "format": "electronic", "holders": 10, "amount": 17_000}],
        "tariff": {"commission": 250, "card": 300, "vat": 2_000},
        "until": "2026-06-30",
        **fields,
    }


def lines(*people: Mapping[str, str], quantity: int = 10, face: int = 900) -> dict[str, Any]:
    """A list of beneficiaries."""
    return {
        "lines": [
            {"number": str(number), "person": dict(one), "quantity": quantity, "face": face}
            for number, one in enumerate(people, 1)
        ]
    }


class Office(Struct):
    """A caller."""

    http: httpx.Client
    token: str | None

    def ask(self, method: str, path: str, *, key: str | None = None, **request: Any) -> httpx.Response:
        """Send a request; a write has a fresh key unless one is given."""
        headers = dict(request.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if method != "GET":
            headers.setdefault(KEY, key or fresh_key())
        return self.http.request(method, path, headers=headers, **request)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.ask("GET", path, params=parameters)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **request: Any) -> httpx.Response:
        return self.ask("POST", path, key=key, **({} if body is None else {"json": body}), **request)

    def made(self, path: str, body: Any = None, **request: Any) -> Any:
        """Do it, and give what came of it."""
        reply = self.post(path, body, **request)
        assert reply.is_success, reply.text
        return reply.json()

    def with_token(self, role: str, subject: str = "") -> "Office":
        """Somebody with a new token."""
        return Office(self.http, self.made("/v1/access", {"role": role, "subject": subject})["token"])

    def new_client(self, **fields: Any) -> str:
        """Open an account."""
        made = self.made("/v1/offers", offer(**fields))
        return str(self.made(f"/v1/offers/{made['id']}/acceptance", {})["id"])

    def card_of(self, holder: str) -> str:
        """Wait until a paid order has made a holder's card."""
        for _ in range(POLLS):
            reply = self.get(f"/v1/holders/{holder}")
            if reply.status_code == 200:
                return str(reply.json()["cards"][-1]["card"])
            time.sleep(POLL_S)
        raise AssertionError("the order isn't carried out")

    def draft(self, client: str, body: Any, *, key: str | None = None, **request: Any) -> httpx.Response:
        """Draft an order for May."""
        parameters = {"product": "90", "month": "2026-05"}
        return self.post(f"/v1/clients/{client}/orders", body, key=key, params=parameters, **request)
