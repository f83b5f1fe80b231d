"""Lists of beneficiaries as bodies of requests: a CSV file, a workbook, or JSON."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from authz.issuing.bodies.upload import JSON, MEDIA
from authz.issuing.drafting import BadRows
from authz.issuing.sheets.process import read_sheet
from authz.issuing.sheets.rows import Lines, Row

LISTS_AT_ONCE_MAX = 8
"""Lists in memory."""
CONTENT_TIMEOUT_S = 120
"""How long one may take to come."""


class UnknownMedia(Exception):
    """Send a list of beneficiaries as text/csv, as a workbook (.xlsx), or as application/json."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class TooSlow(Exception):
    """The list took too long to come: send it again."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Uploads:
    """Takes lists in, a few at a time: who waits has sent nothing yet that memory must hold."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LISTS_AT_ONCE_MAX)

    async def rows(self, request: Request[Any, Any, Any]) -> Sequence[Row]:
        """Read the list that a request brings. Raises `UnknownMedia`, `TooSlow`, `BadRows`, `TooManySheets`."""
        media = MEDIA.get(request.content_type[0])
        if media is None:
            raise UnknownMedia
        async with self._places:
            sheet = await read_sheet(await _content(request), media)
        if sheet.errors:
            raise BadRows(sheet.errors)
        return sheet.rows


async def _content(request: Request[Any, Any, Any]) -> bytes:
    try:
        async with asyncio.timeout(CONTENT_TIMEOUT_S):
            return await request.body()
    except TimeoutError:
        raise TooSlow from None


def _schema() -> dict[str, Any]:
    """Describe a list in JSON, with everything that it consists of in its place."""
    (described,), parts = msgspec.json.schema_components((Lines,), ref_template="{name}")

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(one) for one in node]
        if not isinstance(node, dict):
            return node
        name = node.get("$ref")
        return whole(parts[name]) if name else {key: whole(value) for key, value in node.items()}

    found: dict[str, Any] = whole(described)
    return found


class _Described(Schema):
    """A schema that is written already."""

    def __init__(self, written: dict[str, Any]) -> None:
        super().__init__()
        self._written = written

    def to_schema(self) -> dict[str, Any]:
        """Give what was written."""
        return self._written


@dataclass
class ListOperation(Operation):
    """The description of a request that brings a list."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream"))
        content = {media: file for media in MEDIA if media != JSON}
        self.request_body = RequestBody(
            content={**content, JSON: OpenAPIMediaType(schema=_Described(_schema()))}, required=True
        )
