"""The commands `ledger report …` (docs/interface.md, "Commands": exit codes, one line on standard error, `--json`)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ledger import accounts
from ledger.chain import extend
from ledger.cli import main
from ledger.postgres import PostgresStore
from ledger.report import PeriodInvalid, period_of
from ledger.shortfalls import Period
from ledger.values import Cents, Entry, HolderId, Partition, Transfer

NOON = datetime(2026, 5, 12, 10, 30, 0, 123456, tzinfo=UTC)


async def _advise(url: str, *cents: int) -> None:
    """Advise what no balance covers, an hour after the other; below 0, give it back."""
    payable, exceptions = accounts.payable("970001"), accounts.exceptions("970001")
    entries = []
    for number, amount in enumerate(cents):
        kind, debit, credit = ("advice", exceptions, payable) if amount > 0 else ("reversal", payable, exceptions)
        moved = (Transfer(debit, credit, Cents(abs(amount))),)
        at, holder = NOON + timedelta(hours=number), HolderId("h1")
        entries.append(Entry(at, kind, holder, "{}", "{}", "APPROVED", "[[]]", moved))
    store = PostgresStore(url)
    fence = await store.take(Partition(0), await store.fence(Partition(0)))
    records = list(extend(Partition(0), fence.epoch, fence.head, fence.hash, entries))
    await store.append(Partition(0), fence.epoch, fence.head, fence.hash, records)
    await store.close()


@pytest.fixture
def url(database: Any) -> str:
    """The address of a ledger with 1,250.50 € advised and 1,250.00 € given back."""
    asyncio.run(_advise(database.url, 125_000, 50, -125_000))
    return str(database.finance_url)


def test_shortfalls_are_tables_in_euros_that_end_in_their_totals(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "shortfalls", "--database", url]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    assert shown.err == ""
    assert ["2026-05-12T10:30:00Z", "0:1", "advice", "h1", "970001", "1,250.00"] in rows
    assert ["2026-05-12T12:30:00Z", "0:3", "reversal", "h1", "970001", "-1,250.00"] in rows
    assert ["sum", "0.50"] in rows
    assert ["970001", "3", "1,250.50", "1,250.00", "0.50"] in rows
    assert [row for row in rows if row][-1] == ["total", "3", "1,250.50", "1,250.00", "0.50"]


def test_shortfalls_as_json_are_cents_and_instants_with_their_zone(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    period = ["--from", "2026-05-12T13:30:00.123456+02:00", "--to", "2026-05-12T12:30:00Z"]
    assert main(["report", "shortfalls", "--database", url, *period, "--json"]) == 0
    totals = {"movements": 1, "advised": 50, "given_back": 0, "outstanding": 50}
    assert msgspec.json.decode(capsys.readouterr().out) == {
        "movements": [
            {
                "partition": 0,
                "seq": 2,
                "at": "2026-05-12T11:30:00.123456Z",
                "kind": "advice",
                "holder": "h1",
                "acquirer": "970001",
                "cents": 50,
            }
        ],
        "acquirers": {"970001": totals},
        "total": totals,
    }


def test_shortfalls_of_an_acquirer_who_has_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "shortfalls", "--database", url, "--acquirer", "1", "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (found["movements"], found["acquirers"], found["total"]["outstanding"]) == ([], {}, 0)
    assert main(["report", "shortfalls", "--database", url, "--acquirer", "1"]) == 0
    assert capsys.readouterr().out.split()[-5:] == ["total", "0", "0.00", "0.00", "0.00"]


def test_a_period_is_named_by_instants_with_their_zone() -> None:
    assert period_of(None, None) == Period()
    assert period_of("2026-05-12T12:30:00.123456+02:00", None) == Period(NOON, None)


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        ("yesterday", None, "--from 'yesterday' is no instant: write it as 2026-05-12T00:00:00[+]02:00"),
        (None, "2026-05-12T10:00:00", "--to 2026-05-12T10:00:00 has no zone: write it as 2026-05-12T10:00:00[+]02:00"),
        ("2026-05-12", None, "--from 2026-05-12 has no zone: write it as 2026-05-12T00:00:00[+]02:00"),
        ("2026-05-12T12:00:00+02:00", "2026-05-12T10:00:00Z", "isn't before --to"),
    ],
)
def test_what_names_no_period_is_refused_with_what_to_write(begin: str | None, end: str | None, said: str) -> None:
    with pytest.raises(PeriodInvalid, match=said):
        period_of(begin, end)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["shortfalls"],
        ["shortfalls", "surplus"],
        ["shortfalls", "--from"],
        ["shortfalls", "--from", "noon", "--data", "here"],
        ["shortfalls", "--to", "2026-05-12", "--data", "here"],
        ["shortfalls", "--data", "/nowhere"],
        ["shortfalls", "--database", "nonsense"],
        ["shortfalls", "--database", "postgresql://finance@/x?host=/nowhere"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_on_standard_error_and_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("ledger: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["shortfalls", "--help"]], ids=" ".join)
def test_every_report_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *arguments]) == 0
    assert "Usage: ledger report" in capsys.readouterr().out
