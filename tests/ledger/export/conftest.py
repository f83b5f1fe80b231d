"""A ledger in which every kind of movement happens once, and what comes out of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest

from ledger.balances import balances
from ledger.export.chart import Chart
from ledger.export.formats import Format, export, writer_of
from ledger.shortfalls import EVER, Period
from ledger.values import Account, Cents, Entry, HolderId, Partition, Transfer

PARIS = ZoneInfo("Europe/Paris")

FLOAT, POOL, FEES = Account("issuer:float:90"), Account("issuer:pool:90"), Account("issuer:fees:91")
PAYABLE, EXCEPTIONS = Account("acquirer:970001:payable"), Account("acquirer:970001:exceptions")
OLD, NEW = Account("holder:h4k2:90:2025"), Account("holder:h4k2:90:2026")
OLD_HELD, OLD_EXPIRED = Account("hold:h4k2:90:2025"), Account("expired:h4k2:90:2025")
LUNCH, LUNCH_EXPIRED = Account("holder:0Ab-é:91:2025-05-12"), Account("expired:0Ab-é:91:2025-05-12")
LUNCH_AGAIN = Account("holder:0Ab-é:91:2026-06-30")


def _entry(at: str, kind: str, *moved: tuple[Account, Account, int], reason: str = "APPROVED") -> Entry:
    transfers = tuple(Transfer(debit, credit, Cents(cents)) for debit, credit, cents in moved)
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return Entry(instant, kind, HolderId("h4k2"), "{}", "{}", reason, "[[]]", transfers)


STORY: Sequence[Entry] = (
    _entry("2025-05-12T08:00:00", "load", (Account("issuer:float:91"), LUNCH, 100_000)),
    _entry("2025-12-01T09:00:00", "load", (FLOAT, OLD, 5_000)),
    _entry("2025-12-02T11:30:00", "authorization", (OLD, OLD_HELD, 1_900)),
    _entry("2025-12-02T11:31:00", "purchase", reason="NO_FUNDS"),
    _entry("2025-12-03T07:00:00", "completion", (OLD_HELD, PAYABLE, 1_850), (OLD_HELD, OLD, 50)),
    _entry("2025-12-31T23:30:00", "load", (FLOAT, NEW, 12_000)),
    _entry("2026-02-10T11:15:00.123456", "purchase", (OLD, PAYABLE, 1_100), (NEW, PAYABLE, 5)),
    _entry("2026-02-10T11:20:00", "advice", (NEW, PAYABLE, 95), (EXCEPTIONS, PAYABLE, 250)),
    _entry("2026-02-10T11:25:00", "reversal", (PAYABLE, EXCEPTIONS, 50), (PAYABLE, NEW, 5)),
    _entry("2026-03-01T00:10:00", "expiry", (OLD, OLD_EXPIRED, 2_050)),
    _entry("2026-03-01T00:10:00", "expiry", (LUNCH, LUNCH_EXPIRED, 100_000)),
    _entry("2026-03-10T10:00:00", "exchange", (OLD_EXPIRED, NEW, 2_000)),
    _entry("2026-03-30T10:00:00", "reactivation", (LUNCH_EXPIRED, LUNCH_AGAIN, 100_000), (LUNCH_AGAIN, FEES, 500)),
    _entry("2026-03-31T22:10:00", "forfeit", (OLD_EXPIRED, POOL, 50)),
)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=PARIS)
MOVED = tuple((seq, entry) for seq, entry in enumerate(STORY, 1) if entry.transfers)


@pytest.fixture
async def told(postgres: Any, database: Any, begin: Callable[[Any], Awaitable[Any]]) -> Any:
    """The writer of a ledger in which the whole story is written."""
    writer = await begin(postgres)
    await writer.append(*STORY)
    return writer


class Exported(Protocol):
    def __call__(
        self, asked: Format, period: Period = EVER, *, chart: Chart | None = None, only: Partition | None = None
    ) -> Awaitable[bytes]:
        """Export the ledger of the test."""


@pytest.fixture
def exported(database: Any, told: Any) -> Exported:
    async def run(
        asked: Format, period: Period = EVER, *, chart: Chart | None = None, only: Partition | None = None
    ) -> bytes:
        sink = BytesIO()
        write = writer_of(asked, chart or Chart.read())
        await export(database.finance_url, write, sink, PARIS, period, only=only)
        return sink.getvalue()

    return run


@pytest.fixture
def balance(database: Any, told: Any) -> Callable[[], Awaitable[Mapping[str, int]]]:
    """What the ledger says of every account that isn't at 0, in cents."""

    async def read() -> Mapping[str, int]:
        return {one.account: one.balance for one in await balances(database.finance_url) if one.balance}

    return read


@pytest.fixture
def story() -> Sequence[tuple[int, Entry]]:
    """The records that moved money, by their seqs."""
    return MOVED


@pytest.fixture
def second_year() -> Period:
    return Period(NEW_YEAR, None)


@pytest.fixture
def export_empty(database: Any) -> Callable[[Format], Awaitable[bytes]]:
    """Export a ledger without a record."""

    async def run(asked: Format) -> bytes:
        sink = BytesIO()
        await export(database.finance_url, writer_of(asked, Chart.read()), sink, PARIS)
        return sink.getvalue()

    return run
