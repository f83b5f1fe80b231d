"""A link server on a real loopback socket for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.links.lines import Line, line_of


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with line_of() as line:
        yield line
