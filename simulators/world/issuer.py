"""The issuer's API as a world uses it: writes that may be sent again, at the pace that the API asks for."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self, TypeVar

import httpx
import msgspec
from msgspec import Struct

from simulators.mistakes import Mistake

T = TypeVar("T")

ANSWER_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
TRIES_MAX = 60
"""How often a write is sent again where the API says that it is to come later."""
WAIT_MAX_S = 10
"""The longest wait that the API is obeyed in."""
LATER = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
UNKNOWN = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


class NoIssuer(Mistake):
    """Nobody answers at the issuer's address, or not in time."""


class TokenRefused(Mistake):
    """The token isn't the issuer's."""


class IssuerRefused(Mistake):
    """The issuer refused something without which there is no world."""


class Problem(Struct, frozen=True):
    """What an API says that went wrong (RFC 9457)."""

    title: str = ""
    detail: str = ""


class Issuer:
    """An issuer's API at an address (`http://127.0.0.1:8080`), asked with a token. Its repr shows no token."""

    def __init__(self, address: str, token: str, connections_max: int) -> None:
        self._address = address
        try:
            self._http = httpx.AsyncClient(
                base_url=address,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                limits=httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max),
                trust_env=False,
            )
        except (httpx.InvalidURL, UnicodeError):
            raise NoIssuer("--http: the address of the issuer's API, such as http://127.0.0.1:8080") from None

    def __repr__(self) -> str:
        return f"Issuer({self._address})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def write(self, path: str, body: bytes, key: str, answer: type[T]) -> T:
        """Write something under an idempotency key, as often as it takes.

        Raises `NoIssuer`, `TokenRefused`, and `IssuerRefused` with the API's own words.
        """
        for _ in range(TRIES_MAX):
            reply = await self._send(path, body, {"Idempotency-Key": key})
            if reply.is_success:
                return self._read(reply, answer)
            if reply.status_code in UNKNOWN:
                raise TokenRefused("the token isn't the issuer's: give it by AUTHZ_TOKEN or --token")
            if reply.status_code not in LATER:
                raise IssuerRefused(f"POST {path}: {_words(reply)}")
            await asyncio.sleep(_wait_s(reply.headers))
        raise NoIssuer(f"the issuer at {self._address} has no time for it: run the same again, it goes on from there")

    async def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        try:
            return await self._http.post(path, content=body, headers=headers)
        except httpx.InvalidURL:
            raise NoIssuer("--http: the address of the issuer's API, such as http://127.0.0.1:8080") from None
        except httpx.HTTPError as failed:
            kind = type(failed).__name__
            raise NoIssuer(
                f"nobody answers at {self._address} ({kind}): give the http of the ready line; the same again goes on"
            ) from None

    def _read(self, reply: httpx.Response, answer: type[T]) -> T:
        try:
            return msgspec.json.decode(reply.content, type=answer)
        except msgspec.DecodeError:
            raise NoIssuer(f"what answers at {self._address} isn't the issuer's API") from None


def _words(reply: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(reply.content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem()
    return problem.detail or problem.title or f"status {reply.status_code}"


def _wait_s(headers: Mapping[str, Any]) -> int:
    told = str(headers.get("retry-after", ""))
    return min(int(told), WAIT_MAX_S) if told.isascii() and told.isdigit() else 1
