"""The main job in one go: an authorizer over a real database, a lunch of payments over TCP, and then the books.

Everything is decided by a fixed seed but how long things take. It ends well only if all of it held: every request
answered, the books balanced, the chain unbroken, and every terminal's money equal to the ledger's.
"""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from msgspec import structs
from rich.console import Console

from authz.clock import SimulatedClock
from authz.database import Embedded
from authz.demo.lunch import SEED, cards_in_hand, eat, progress_of
from authz.demo.report import audit, show
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoCard, DemoData, DemoLoader, DemoLot
from authz.issuing.cardmaking import with_check_digit
from authz.service import Service, running

PAYMENTS = 5_000
HOLDERS = 3_000
TUESDAY_NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
"""12:30 in Paris."""
HOLDERS_PER_CHUNK = 250


async def run(payments: int, holders: int, data: Path | None) -> int:
    """Run the demo and return its exit code. The database is kept only where `data` names its folder."""
    console = Console()
    with _folder(data) as folder:
        console.print("[bold]Starting[/] an embedded PostgreSQL and an authorizer on it …")
        embedded = await Embedded.start(folder)
        try:
            clock = SimulatedClock(TUESDAY_NOON)
            demo = demo_data.read()
            config = demo.config()
            ports = (structs.replace(link, port=0) for link in config.links)
            config = structs.replace(config, links=tuple(ports), http_port=0)
            async with running(config, embedded.url, clock, demo=True) as service:
                crowd = generated_cards(holders)
                await _enter(console, service, crowd, demo)
                known = await cards_in_hand(service, demo.card, TUESDAY_NOON.year)
                guests = await cards_in_hand(service, crowd, TUESDAY_NOON.year)
                lunch = await eat(console, service.links[0].port, clock, demo.merchant, known, guests, payments)
                books = await audit(embedded.superuser_url, console)
        finally:
            await embedded.stop()
    return 0 if show(console, lunch, books) else 1


def generated_cards(holders: int) -> list[DemoCard]:
    """Cards of holders who don't exist: the same ones every time."""
    chance = random.Random(SEED)  # noqa: S311  a reproducible crowd, not a secret
    return [
        DemoCard(
            pan=with_check_digit(f"92502000{number:07}"),
            holder=f"Holder {number}",
            employer=chance.choice(("E1", "E1", "E2")),
            generation=chance.choice((1, 2, 2)),
            expiry=f"N+{chance.randint(1, 4)}-{chance.randint(1, 12):02}",
            pin=f"{chance.randint(0, 9999):04}",
            lots=(DemoLot("90", "N", Decimal(chance.randint(300, 22_000)) / 100),),
        )
        for number in range(holders)
    ]


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that goes when the demo ends."""
    if data is not None:
        yield data
        return
    folder = Path(tempfile.mkdtemp(prefix="authz-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _enter(console: Console, service: Service, crowd: list[DemoCard], demo: DemoData) -> None:
    """Enrol the generated holders, by journaled commands, with progress."""
    first_day = (await service.first_instant()).date()
    loader = DemoLoader(service.engine, service.cards, service.security, first_day, service.contacts)
    with progress_of(console) as progress:
        task = progress.add_task("holders enrolled, carded and loaded", total=len(crowd))
        for start in range(0, len(crowd), HOLDERS_PER_CHUNK):
            chunk = crowd[start : start + HOLDERS_PER_CHUNK]
            await loader.load_cards(chunk, demo.programmes)
            progress.advance(task, len(chunk))
