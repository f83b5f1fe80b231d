"""A desk for each page."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from authz.engine import schema
from ledger.embedded import SUPERUSER, EmbeddedServer
from tests.docs.desk import Desk


@pytest.fixture
def desk(cluster: EmbeddedServer, tmp_path: Path) -> Iterator[Desk]:
    """A desk with an empty ledger."""
    name = f"docs_{uuid4().hex}"

    async def make() -> None:
        connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        await schema.create(cluster.url(SUPERUSER, name))

    asyncio.run(make())
    desk = Desk(tmp_path, cluster, name)
    yield desk
    desk.leave()
