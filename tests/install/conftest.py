"""A database with both schemas, and authorizers that end with their test."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from authz.engine import schema
from tests.acceptance.authorizer import TUESDAY, Authorizer
from tests.acceptance.conftest import Start
from tests.conftest import Database


@pytest.fixture
def ledgers(database: Database) -> Database:
    """The test's database, with schema `authz` beside the ledger."""
    asyncio.run(schema.create(database.superuser_url))
    return database


@pytest.fixture
def start(ledgers: Database, tmp_path: Path) -> Iterator[Start]:
    """`start()`: an authorizer of this version on the test's database, on Tuesday 12 May 2026 at 12:30."""
    started: list[Authorizer] = []

    def run(*, ready: bool = True) -> Authorizer:
        one = Authorizer(tmp_path, "--database", ledgers.url, "--clock", TUESDAY)
        started.append(one)
        return one.ready() if ready else one

    yield run
    for one in started:
        one.kill()
