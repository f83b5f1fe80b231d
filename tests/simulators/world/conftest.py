"""One authorizer for the worlds of this folder: a real PostgreSQL, real ports, and a clock that stands in the demo."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from authz.engine import schema
from ledger.embedded import SUPERUSER
from tests.issuing.api.conftest import UNHURRIED, configuration, serving
from tests.issuing.api.office import ISSUER_TOKEN


@pytest.fixture(scope="package")
def ledger_url(cluster):
    """A database of its own, as its superuser reaches it."""
    name = f"world_{uuid4().hex}"

    async def create():
        connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        await schema.create(cluster.url(SUPERUSER, name))

    asyncio.run(create())
    return cluster.url(SUPERUSER, name)


@pytest.fixture(scope="package")
def service(cluster, ledger_url, tmp_path_factory):
    config = configuration(tmp_path_factory.mktemp("world"), UNHURRIED)
    name = ledger_url.partition("/world_")[2].partition("?")[0]
    with serving(config, cluster.url("authz", f"world_{name}")) as server:
        yield server.service


@pytest.fixture
def issuer(service, monkeypatch):
    """What `simulate world` is told of the issuer; the token it finds in its environment."""
    monkeypatch.setenv("AUTHZ_TOKEN", ISSUER_TOKEN)
    return ["--http", f"http://127.0.0.1:{service.http_port}", "--vintage", "2026"]


@pytest.fixture
def in_the_ledger(ledger_url):
    """Counts the holders that a query about the journal finds."""

    def count(query, *arguments):
        async def read():
            connection = await asyncpg.connect(ledger_url)
            try:
                return await connection.fetchval(query, *arguments)
            finally:
                await connection.close()

        return asyncio.run(read())

    return count
