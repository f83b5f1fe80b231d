"""Databases and authorizers of the acceptance tests: a real PostgreSQL, a real process, real TCP."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from authz.engine import schema
from ledger.embedded import SUPERUSER, EmbeddedServer
from tests.acceptance.authorizer import TUESDAY, Authorizer, running
from tests.acceptance.shop import Shop, stock
from tests.conftest import Database

Start = Callable[..., Authorizer]


@pytest.fixture(scope="session")
def make_database(cluster: EmbeddedServer) -> Callable[..., Database]:
    """Makes databases with the authorizer's schemas, or as another one is. They go with the run's server."""
    template = f"acceptance_{uuid4().hex}"

    def create(name: str, options: str = "") -> None:
        async def run() -> None:
            connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
            try:
                await connection.execute(f"CREATE DATABASE {name} {options}")
            finally:
                await connection.close()

        asyncio.run(run())

    def make(like: str = template) -> Database:
        name = f"acceptance_{uuid4().hex}"
        create(name, f"TEMPLATE {like}")
        return Database(name, cluster.url(SUPERUSER, name), cluster.url("authz", name), cluster.url("finance", name))

    create(template)
    asyncio.run(schema.create(cluster.url(SUPERUSER, template)))
    return make


@pytest.fixture(scope="session")
def make_stocked(make_database: Callable[..., Database]) -> Callable[[], Database]:
    """Makes databases with the demo's data and every customer of a `Shop` in their ledger."""
    stocked = make_database()
    stock(stocked.url)
    return lambda: make_database(stocked.name)


@pytest.fixture(scope="session")
def shops(
    make_stocked: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Shop]]:
    """`shops(dialect)`: one shop for all tests in that dialect, on Tuesday 12 May 2026 at 12:30."""
    with ExitStack() as stack:

        @cache
        def in_dialect(dialect: str) -> Shop:
            return stack.enter_context(Shop(tmp_path_factory.mktemp(dialect), make_stocked(), dialect)).open()

        yield in_dialect


@pytest.fixture
def shop(shops: Callable[[str], Shop]) -> Shop:
    """The shop in dialect iso87ascii that tests share; customers they don't."""
    return shops("iso87ascii")


@pytest.fixture
def own_shop(make_stocked: Callable[[], Database], tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """`own_shop(**terms)`: a shop of the test's own, on a link with these terms. It isn't open yet."""
    with ExitStack() as stack:
        yield lambda **terms: stack.enter_context(Shop(tmp_path, make_stocked(), **terms))


@pytest.fixture
def own_database(make_database: Callable[..., Database]) -> Database:
    """A database with the authorizer's schemas, for this test alone."""
    return make_database()


@pytest.fixture
def start(own_database: Database, tmp_path: Path) -> Iterator[Start]:
    """`start()`: an authorizer on the test's own database, on Tuesday 12 May 2026 at 12:30 unless told otherwise.

    Each is killed when the test ends. `ready=False` doesn't wait for it.
    """
    started: list[Authorizer] = []

    def run(*options: str, clock: str = TUESDAY, ready: bool = True) -> Authorizer:
        one = Authorizer(tmp_path, "--database", own_database.url, "--clock", clock, *options)
        started.append(one)
        return one.ready() if ready else one

    yield run
    for one in started:
        one.kill()


@pytest.fixture
def authorizer(start: Start) -> Authorizer:
    """An authorizer of the test's own, on Tuesday 12 May 2026 at 12:30."""
    return start()


@pytest.fixture(scope="session")
def shared(
    make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Authorizer]]:
    """`shared(clock)`: one authorizer for all tests that need that clock and share no card."""
    folder = tmp_path_factory.mktemp("shared")
    by_clock: dict[str, Authorizer] = {}
    with ExitStack() as stack:

        def at(clock: str = TUESDAY) -> Authorizer:
            if clock not in by_clock:
                database = make_database()
                by_clock[clock] = stack.enter_context(running(folder, "--database", database.url, "--clock", clock))
            return by_clock[clock]

        yield at


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder whose cluster is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="authz-tests-"))
    yield folder
    if (folder / "postgresql").exists():
        EmbeddedServer.start(folder).remove()
    shutil.rmtree(folder, ignore_errors=True)
