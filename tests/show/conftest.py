"""One ledger for all tests of the room, with a day in it that nobody writes any more."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from cyclopts import App
from msgspec import Struct

from authz.engine import schema
from authz.show.command import show
from ledger.embedded import SUPERUSER, EmbeddedServer
from tests.show.counter import opened
from tests.show.day import Day


class Ledger(Struct, frozen=True):
    """The ledger, as finance reads it, and the references of what was asked."""

    url: str
    superuser_url: str
    asked: Mapping[str, str]


class Shown(Struct, frozen=True):
    """What a command came to."""

    code: int
    output: str
    errors: str

    @property
    def story(self) -> dict[str, Any]:
        return dict(msgspec.json.decode(self.output))


@pytest.fixture(scope="session")
def ledger(cluster: EmbeddedServer) -> Iterator[Ledger]:
    name = f"show_{uuid4().hex}"
    _execute(cluster, f"CREATE DATABASE {name}")
    _finish(schema.create(cluster.url(SUPERUSER, name)))
    with opened(cluster.url("authz", name)) as counter:
        day = Day(counter)
        day.live()
    yield Ledger(cluster.url("finance", name), cluster.url(SUPERUSER, name), day.asked)
    _execute(cluster, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shown(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    """`shown(*words)`: the command on that ledger."""
    app = App(print_error=False, exit_on_error=False, result_action="return_value")
    app.command(show)

    def run(*words: str) -> Shown:
        code = app(["show", *words, "--database", ledger.url])
        told = capsys.readouterr()
        return Shown(code, told.out, told.err)

    return run


def _finish(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _execute(cluster: EmbeddedServer, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _finish(run())
