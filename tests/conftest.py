"""One embedded PostgreSQL for a whole test run, also across the workers of pytest-xdist; a database for each test."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings
from msgspec import Struct

from authz import logs
from ledger import schema
from ledger.embedded import SUPERUSER, EmbeddedServer

CLUSTER_FOLDER = "TESTS_CLUSTER"
"""Names the run's data folder to the workers; the first fixture that needs it starts the server."""

logs.configure(as_json=False)  # to standard error, as programs do, whatever runs in a test's process
FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "200"}
"""Tests end servers and engines, never the machine."""

TEMPLATE = "ledger_template"


class Database(Struct, frozen=True):
    """A test's own database with an empty ledger of one partition."""

    name: str
    superuser_url: str
    url: str
    """As the role of the application, `authz`."""
    finance_url: str


# How long an example takes is the machine's affair; how many there are is ours: `make test` has ten minutes.
settings.register_profile("short", deadline=None, max_examples=30)
settings.register_profile("long", deadline=None, max_examples=200)
settings.load_profile("long" if os.environ.get("SOAK") else "short")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[CLUSTER_FOLDER] = tempfile.mkdtemp(prefix="authz-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        data = Path(os.environ.pop(CLUSTER_FOLDER))
        if (data / "postgresql").exists():
            EmbeddedServer.start(data, settings=FAST).remove()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> EmbeddedServer:
    """The run's server: `.url(role, database)`."""
    return EmbeddedServer.start(Path(os.environ[CLUSTER_FOLDER]), settings=FAST)


@pytest.fixture(scope="session")
def _template(cluster: EmbeddedServer) -> str:
    _finish(_create_template(cluster))
    return TEMPLATE


@pytest.fixture
def database(cluster: EmbeddedServer, _template: str) -> Iterator[Database]:
    """A fresh database with the ledger's schema, for this test alone."""
    name = f"test_{uuid4().hex}"
    _finish(_execute(cluster, f"CREATE DATABASE {name} TEMPLATE {_template}"))
    yield Database(name, cluster.url(SUPERUSER, name), cluster.url("authz", name), cluster.url("finance", name))
    _finish(_execute(cluster, f"DROP DATABASE {name} WITH (FORCE)"))


async def _create_template(cluster: EmbeddedServer) -> None:
    """Create the schema once for all workers. The template bears its name only once it is whole."""
    connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
    try:
        await connection.execute("SELECT pg_advisory_lock(1)")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", TEMPLATE):
            await connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}_new WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {TEMPLATE}_new")
            await schema.create(cluster.url(SUPERUSER, f"{TEMPLATE}_new"))
            await connection.execute(f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")
            await connection.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
    finally:
        await connection.close()


async def _execute(cluster: EmbeddedServer, statement: str) -> None:
    connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop of its own: sync and async tests, of any loop, share the fixtures."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
