"""One authorizer for all tests of the API: a real PostgreSQL, a real HTTP port, and a clock that stands in the demo."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import httpx
import pytest
import uvloop
from msgspec import Struct, structs
from pyrage import x25519

from authz.clock import SimulatedClock
from authz.config.configuration import ApiSettings, Config, ProductionSettings
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.issuing.access import hash_of
from authz.issuing.cardfiles import CardRecipients
from authz.service import Service, running
from ledger.embedded import SUPERUSER, EmbeddedServer
from tests.issuing.api.office import ISSUER_TOKEN, Office

T = TypeVar("T")
TUESDAY_NOON = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
UNHURRIED = ApiSettings(hash_of(ISSUER_TOKEN), requests_a_second=100_000, orders_a_minute=100_000)


def configuration(folder: Path, api: ApiSettings) -> Config:
    """The demo's, on ports of its own, with a folder for new cards."""
    config = demo_data.read().config()
    recipients = CardRecipients(*(str(x25519.Identity.generate().to_public()) for _ in range(2)))
    return structs.replace(
        config,
        links=tuple(structs.replace(link, port=0) for link in config.links),
        http_port=0,
        api=api,
        production=ProductionSettings(folder / "production", recipients),
    )


class Server(Struct):
    """An authorizer on a loop of its own."""

    service: Service
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something where the authorizer runs, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


@contextmanager
def serving(config: Config, url: str) -> Iterator[Server]:
    """Run an authorizer on a loop of its own until the block ends: tests of any kind are its clients."""
    ready: Future[Service] = Future()
    loop = uvloop.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        try:
            async with running(config, url, SimulatedClock(TUESDAY_NOON), demo=True) as service:
                ready.set_result(service)
                await stop.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        yield Server(ready.result(), loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def make_url(cluster: EmbeddedServer) -> Callable[[], str]:
    """Makes databases with the authorizer's schemas."""

    async def create(name: str) -> None:
        connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        await schema.create(cluster.url(SUPERUSER, name))

    def make() -> str:
        name = f"api_{uuid4().hex}"
        asyncio.run(create(name))
        return cluster.url("authz", name)

    return make


@pytest.fixture(scope="session")
def server(make_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The authorizer that tests share; clients, orders and cards they don't."""
    with serving(configuration(tmp_path_factory.mktemp("issuing"), UNHURRIED), make_url()) as one:
        yield one


@pytest.fixture(scope="session")
def service(server: Server) -> Service:
    """The same, without its loop."""
    return server.service


@pytest.fixture(scope="session")
def office(service: Service) -> Iterator[Office]:
    """The issuer's own people at their desk."""
    with httpx.Client(base_url=f"http://127.0.0.1:{service.http_port}", timeout=30) as http:
        yield Office(http, ISSUER_TOKEN)
