"""A site for each test: it is audited when the test is over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from authz.engine import schema
from tests.faults.proxy import Proxy
from tests.faults.sites import Site


@pytest.fixture
async def site(database: Any, tmp_path: Path) -> AsyncIterator[Site]:
    await schema.create(database.superuser_url)
    proxy = Proxy(database.url, tmp_path)
    await proxy.start()
    direct = await asyncpg.connect(database.superuser_url)
    site = Site(proxy, direct)
    yield site
    await site.close()
    await site.audit()
    await proxy.end()
    await direct.close()
