"""What went wrong, as RFC 9457 has it: one body for every error, in which nothing of the inside shows."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from authz import logs
from authz.decision.refused import Refused
from authz.issuing.access import TokenUnknown
from authz.issuing.api.upload import TooSlow, UnknownMedia
from authz.issuing.bodies.problems import KEY_HEADER, Fault, Problem
from authz.issuing.cardfiles import FileMissing, FolderUnusable
from authz.issuing.drafting import BadRows
from authz.issuing.issuer import KeyReused, NotThere
from authz.issuing.sheets.process import TooManySheets
from authz.security.module import SecurityUnavailable
from ledger.store import LedgerError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
"""When to come again where the ledger can't be reached."""

SHEETS_RETRY_AFTER_S = 60
"""The same where too many lists are being read."""


class Forbidden(Exception):
    """A token of this role isn't for this."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class TooMany(Exception):
    """Too many requests: come again after as many seconds as Retry-After says."""

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s

    def __str__(self) -> str:
        return type(self).__doc__ or ""


AnyRequest = Request[Any, Any, Any]


def answer(
    status: HTTPStatus, detail: str, errors: tuple[Fault, ...] = (), headers: Mapping[str, str] | None = None
) -> Response[Problem]:
    """Make the response."""
    problem = Problem(status.phrase, status, detail, errors)
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _told(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Any:
    """Answer with an exception's own words, which are written for who asks."""

    def handle(_: AnyRequest, error: Exception) -> Response[Problem]:
        return answer(status, str(error), headers=headers)

    return handle


def _too_many(_: AnyRequest, error: TooMany) -> Response[Problem]:
    return answer(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers={"Retry-After": str(error.wait_s)})


def _bad_rows(_: AnyRequest, error: BadRows) -> Response[Problem]:
    faults = tuple(Fault(one.what, line=one.line, column=one.column) for one in error.errors)
    return answer(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), faults)


def _invalid(_: AnyRequest, error: ValidationException) -> Response[Problem]:
    extra = cast("list[dict[str, str]]", error.extra if isinstance(error.extra, list) else [])
    faults = tuple(_fault(one.get("message", ""), one.get("key", "")) for one in extra)
    # Without faults a parameter is missing: the first half of the sentence says which, the second has the address.
    detail = "The request isn't as /schema has it." if faults else error.detail.partition(" for ")[0]
    return answer(HTTPStatus.BAD_REQUEST, detail, faults)


def _fault(what: str, field: str) -> Fault:
    """Name the field as the caller does."""
    if field == "data":
        return Fault("is missing" if what == "'data'" else what, field="body")
    return Fault(what, field=KEY_HEADER if field == "idempotency_key" else field)


def _http(_: AnyRequest, error: HTTPException) -> Response[Problem]:
    return answer(HTTPStatus(error.status_code), "", headers=error.headers)


def _folder_unusable(_: AnyRequest, error: Exception) -> Response[Problem]:
    """Nothing that the caller could change: whoever runs this is told where it is."""
    logs.warning("production folder unusable", why=str(error))
    return answer(HTTPStatus.SERVICE_UNAVAILABLE, "The card files can't be written now: nothing was changed.")


def _unforeseen(request: AnyRequest, error: Exception) -> Response[Problem]:
    """A defect: told without content."""
    logs.warning("request failed", path=request.scope.get("path_template", ""), why=type(error).__name__)
    return answer(HTTPStatus.INTERNAL_SERVER_ERROR, "")


_LATER = _told(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_AFTER_S)})

HANDLERS: ExceptionHandlersMap = {
    Refused: _told(HTTPStatus.CONFLICT),
    KeyReused: _told(HTTPStatus.CONFLICT),
    NotThere: _told(HTTPStatus.NOT_FOUND),
    BadRows: _bad_rows,
    TooSlow: _told(HTTPStatus.REQUEST_TIMEOUT),
    UnknownMedia: _told(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    LedgerError: _LATER,
    SecurityUnavailable: _LATER,
    FileMissing: _told(HTTPStatus.GONE),
    FolderUnusable: _folder_unusable,
    TooManySheets: _told(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(SHEETS_RETRY_AFTER_S)}),
    TokenUnknown: _told(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}),
    Forbidden: _told(HTTPStatus.FORBIDDEN),
    TooMany: _too_many,
    ValidationException: _invalid,
    HTTPException: _http,
    Exception: _unforeseen,
}
"""What each exception is answered by."""


def _described(*statuses: HTTPStatus) -> Mapping[int, ResponseSpec]:
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description=status.description or status.phrase, media_type=MEDIA_TYPE
        )
        for status in statuses
    }


READ = _described(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What a read can be answered beside what was asked for, for the description."""
WRITE = {**READ, **_described(HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)}
"""The same of a write."""
UPLOAD = {
    **WRITE,
    **_described(HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
}
"""The same of a list of beneficiaries."""
