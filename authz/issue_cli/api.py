"""The way from the command line to the API: where it is, whose token is shown, and what comes back.

A token never is an argument, which other accounts could read: it comes from AUTHZ_TOKEN or from a file (0600).
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast
from uuid import uuid4

import httpx
import msgspec
from cyclopts import Parameter

from authz.decision.issuing.states import LINES_MAX
from authz.issue_cli import NotAsked, NotDone
from authz.issuing.bodies.pages import PAGE_MAX, Page
from authz.issuing.bodies.problems import KEY_HEADER, Problem
from authz.security.keys import masked
from authz.security.master import read_private
from authz.security.module import SecurityError
from ledger.printing import AsJson

URL = "http://127.0.0.1:8080"
URL_VARIABLE = "AUTHZ_URL"
TOKEN_VARIABLE = "AUTHZ_TOKEN"  # noqa: S105, a name
TOKEN_BYTES_MAX = 1_024
ANSWER_MAX_S = 120
"""A list of 100,000 beneficiaries is read in half a minute."""
WAITS_MAX, WAIT_MAX_S = 5, 60
"""How often, and how long, it is waited where the API says that requests come too fast."""
PAGES_MAX = LINES_MAX // PAGE_MAX
"""Pages of a list: no list is longer than an order's lines."""

T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Ask:
    """Where the API is, and who asks. The token comes from AUTHZ_TOKEN, unless a file is named."""

    url: Annotated[str | None, Parameter(show_default=False)] = None
    """The address of the authorizer's HTTP side. Default: AUTHZ_URL, or else http://127.0.0.1:8080"""

    token_file: Path | None = None
    """The file with the token; its owner's alone to read."""

    as_json: AsJson = False
    """Print the answer as JSON, in cents."""

    @property
    def address(self) -> str:
        """Where the API is."""
        return self.url or os.environ.get(URL_VARIABLE) or URL

    @property
    def token(self) -> str:
        """Whose token it is. Raises `NotAsked`."""
        if self.token_file is not None:
            return _read_token(self.token_file)
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise NotAsked(f"no token: put it into {TOKEN_VARIABLE}, or say --token-file FILE")
        return token


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Write(Ask):
    """The same for what changes something."""

    key: Annotated[str | None, Parameter(show_default=False)] = None
    """The idempotency key. With the key of a command before, nothing is done twice; without it, it is a new one."""


class Api:
    """The API, as one caller sees it."""

    def __init__(self, ask: Ask) -> None:
        _require_private(ask.address)
        # The environment's proxies and .netrc aren't asked: the token goes to this address and nowhere else.
        self._http = httpx.Client(base_url=f"{ask.address.rstrip('/')}/v1", timeout=ANSWER_MAX_S, trust_env=False)
        self._headers = {"Authorization": _bearer(ask.token)}
        self._as_json = ask.as_json
        self._key = (ask.key if isinstance(ask, Write) else None) or str(uuid4())

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def read(self, path: str, kind: type[T]) -> T:
        """Read one thing. Raises `NotAsked` and `NotDone`."""
        return _decoded(self._send("GET", path), kind)

    def pages(self, path: str, kind: type[T], **query: str) -> Iterator[list[T]]:
        """Read a list, page by page. Raises `NotAsked` and `NotDone`."""
        asked = {**query, "limit": str(PAGE_MAX)}
        for _ in range(PAGES_MAX):
            page: Page[T] = _decoded(self._send("GET", path, params=asked), cast("Any", Page)[kind])
            yield page.items
            if page.next is None:
                return
            asked["after"] = page.next

    def all(self, path: str, kind: type[T], **query: str) -> list[T]:
        """Read a list whole. Raises `NotAsked` and `NotDone`."""
        return [one for page in self.pages(path, kind, **query) for one in page]

    def file(self, path: str) -> bytes:
        """Fetch a file. Raises `NotAsked` and `NotDone`."""
        return self._send("GET", path).content

    def write(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        """Change something; `body` is a struct. Raises `NotAsked` and `NotDone`."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        return _decoded(self._change(method, path, headers, content=content), kind)

    def upload(self, method: str, path: str, kind: type[T], content: bytes, media: str, **query: str) -> T:
        """Send a file. Raises `NotAsked` and `NotDone`."""
        return _decoded(self._change(method, path, {"Content-Type": media}, content=content, params=query), kind)

    def _change(self, method: str, path: str, headers: Mapping[str, str], **request: Any) -> httpx.Response:
        try:
            return self._send(method, path, headers={**headers, KEY_HEADER: self._key}, **request)
        except NotAsked as wrong:
            raise NotAsked(f"{wrong}; nothing is done twice with --key {self._key}") from None

    def _send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **request: Any) -> httpx.Response:
        for _ in range(WAITS_MAX):
            try:
                reply = self._http.request(method, path, headers={**self._headers, **(headers or {})}, **request)
            except httpx.TimeoutException:
                raise NotAsked(f"{self._http.base_url.host} didn't answer within {ANSWER_MAX_S} s") from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                said = masked(str(error)) or type(error).__name__
                raise NotAsked(f"no API is reached at {self._http.base_url.host}: {said}; name it by --url") from None
            if reply.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            asked = reply.headers.get("Retry-After", "")
            time.sleep(min(int(asked) if asked.isdecimal() else 1, WAIT_MAX_S))
        if reply.is_success:
            return reply
        raise _refusal(reply, as_json=self._as_json)


def _refusal(reply: httpx.Response, *, as_json: bool) -> Exception:
    """Tell what an answer that isn't a success says."""
    try:
        problem = msgspec.json.decode(reply.content, type=Problem)
    except msgspec.DecodeError:
        return NotAsked(f"what answers isn't the API ({reply.status_code}): name it by --url")
    said = problem.detail or problem.title
    fields = [one for one in problem.errors if one.field]
    if fields:
        said += "".join(f" {one.field}: {one.what}." for one in fields)
    if reply.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST):
        return NotAsked(said)
    return NotDone(said, tuple(one for one in problem.errors if not one.field), as_json=as_json)


def _decoded(reply: httpx.Response, kind: type[T]) -> T:
    if kind is type(None):
        return None
    try:
        return msgspec.json.decode(reply.content, type=kind)
    except msgspec.DecodeError:
        raise NotAsked("what answers isn't this version's API: name another by --url") from None


def _read_token(file: Path) -> str:
    try:
        return read_private(file, TOKEN_BYTES_MAX).decode().strip()
    except UnicodeDecodeError:
        raise NotAsked(f"{file}: it isn't UTF-8") from None
    except OSError as error:
        raise NotAsked(f"{file}: {error.strerror}") from None
    except SecurityError as error:
        raise NotAsked(str(error)) from None


def _bearer(token: str) -> str:
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise NotAsked("the token isn't one: it is a single word")
    return f"Bearer {token}"


def _require_private(url: str) -> None:
    """Raise `NotAsked` where a token would cross a network in the clear."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise NotAsked(f"--url {url!r} is no address: write it as {URL}") from None
    if parsed.scheme == "https" or (parsed.scheme == "http" and _is_here(parsed.host)):
        return
    raise NotAsked(f"--url {url!r}: a token goes by https, or by http to this machine")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
