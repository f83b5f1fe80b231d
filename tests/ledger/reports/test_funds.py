"""The funds statement: what the bank says is on the voucher account is what the ledger says it is for."""

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from ledger.accounts import client_funds, issuer_float
from ledger.cli import main
from ledger.postgres import PostgresStore
from ledger.reconciliation.terms import Accounts, Terms
from ledger.reports.funds import Claim, Funds, Vintage, funds
from ledger.values import Cents, Entry, HolderId, Partition, Transfer
from tests.ledger.reports.money_stories import BEGIN, FIRST, Story
from tests.ledger.small import small_ledger, write

VOUCHER, OPERATING = "FR1420041010050500013M02606", "FR7630006000011234567890189"
TERMS = Terms(Accounts(VOUCHER, OPERATING, "Issuer SA"), ())
TERMS_TOML = f'acquirer = []\n[accounts]\nvoucher = "{VOUCHER}"\noperating = "{OPERATING}"\nholder = "Issuer SA"\n'
A = HolderId("a")
DAY = timedelta(days=1)


class Bank:
    """Writes statements as the reconciler does, and matches of their entries."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.files = 0

    async def state(
        self, day: date, opening: int, *cents: int, account: str = VOUCHER, counterparty: str | None = None
    ) -> int:
        """Take in the statement of a day: what it opens with, and its entries."""
        self.files += 1
        file: int = await self.connection.fetchval(
            "INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)"
            " VALUES ($1, 'statement', 'camt.053', 'made', $2, $3, 0, 0, '{}') RETURNING id",
            self.files.to_bytes(32),
            account,
            day,
        )
        balance = (file, account, day, opening, opening + sum(cents))
        await self.connection.execute("INSERT INTO reconciliation.bank_balance VALUES ($1, $2, $3, $4, $5)", *balance)
        await self.connection.executemany(
            "INSERT INTO reconciliation.bank_entry (file, entry, account, booked, valued, cents, counterparty)"
            " VALUES ($1, $2, $3, $4, $4, $5, $6)",
            [(file, number, account, day, one, counterparty) for number, one in enumerate(cents, 1)],
        )
        return file

    async def match(self, stage: str, file: int, entry: int, seq: int | None = None) -> None:
        """Publish a run that found an entry to be something."""
        self.files += 1
        run = await self.connection.fetchval(
            "INSERT INTO reconciliation.run (key, day, heads, inputs, summary)"
            " VALUES ($1, $2, '{}', '{}', '{}') RETURNING id",
            self.files.to_bytes(32),
            FIRST,
        )
        await self.connection.execute(
            "INSERT INTO reconciliation.matched_entry VALUES ($1, $2, $3, 1, $4)", file, entry, run, stage
        )
        if seq is not None:
            await self.connection.execute(
                "INSERT INTO reconciliation.matched_movement VALUES (0, $1, $2, 1, $3)", seq, run, stage
            )


def reconciler_of(database: Any) -> str:
    """The address of a database as the role that reconciles."""
    return str(database.finance_url).replace("//finance@", "//reconciler@")


@pytest.fixture
async def bank(database: Any) -> Any:
    connection = await asyncpg.connect(reconciler_of(database))
    yield Bank(connection)
    await connection.close()


async def _write(database: Any, *told: tuple[str, str, int], before: tuple[Entry, ...] = ()) -> None:
    story = Story()
    for what, lot, cents in told:
        story.happen(what, A, lot, cents)
    assert all(one.transfers for one in story.entries)
    store = PostgresStore(database.url)
    await write(store, [*before, *story.entries])
    await store.close()


async def _stated(database: Any, day: date = FIRST) -> Funds:
    return await funds(database.finance_url, day, TERMS)


EVERYTHING = (
    ("load", "2026", 1_000),
    ("order", "2027-05-12", 500),
    ("line", "2027-05-12", 200),
    ("hold", "2026", 90),
    ("pay", "2026", 110),
)
"""All within 11 May: 1,500 were paid in."""


async def test_every_cent_on_the_account_is_somebodys(database: Any, bank: Any) -> None:
    await _write(database, *EVERYTHING)
    await bank.state(FIRST, 0, 1_500)
    found = await _stated(database)
    assert {line.claim: line.cents for line in found.lines if line.cents} == {
        Claim.SPENDABLE: 1_000,
        Claim.HELD: 90,
        Claim.CLIENTS: 300,
        Claim.PAYABLE: 110,
    }
    assert (found.expected, found.bank, found.difference, found.agrees) == (1_500, 1_500, 0, True)
    assert found.vintages == (
        Vintage("90", "2026", Cents(800), Cents(90), Cents(0)),
        Vintage("91", "2027-05-12", Cents(200), Cents(0), Cents(0)),
    )
    assert [line.claim for line in found.lines] == list(Claim)


@pytest.mark.parametrize("cents", [-1, 1])
async def test_a_cent_is_a_finding_and_the_entry_that_explains_it_is_named(
    database: Any, bank: Any, cents: int
) -> None:
    await _write(database, *EVERYTHING)
    file = await bank.state(FIRST, 1_000, 500, cents)
    await bank.match("funding", file, 1, seq=2)
    found = await _stated(database)
    assert (found.of(Claim.RECEIVED), found.difference, found.agrees) == (0, cents, False)
    assert found.unmatched_cents == cents
    assert [one.cents for one in found.unmatched] == [cents]


async def test_a_payout_that_the_bank_made_and_nobody_recorded_yet_is_a_line_of_its_own(
    database: Any, bank: Any
) -> None:
    await _write(database, *EVERYTHING)
    file = await bank.state(FIRST, 0, 1_500, -100)
    await bank.match("payout", file, 2)
    found = await _stated(database)
    assert (found.of(Claim.PAYABLE), found.of(Claim.PAID), found.difference) == (110, -100, 0)


async def test_a_recorded_settlement_takes_the_lines_place(database: Any, bank: Any) -> None:
    """Recorded first, the money is still on the account; once the bank has paid, nothing stands between the two."""
    await _write(database, ("load", "2026", 1_000), ("pay", "2026", 110), ("settle", "2026", 110))
    await bank.state(FIRST, 0, 1_000)
    early = await _stated(database)
    assert (early.settled, early.of(Claim.PAYABLE), early.of(Claim.PAID), early.difference) == (110, 0, 110, 0)
    file = await bank.state(FIRST + DAY, 1_000, -110)
    await bank.match("net-position", file, 1)
    late = await _stated(database, FIRST + DAY)
    assert (late.of(Claim.PAID), late.bank, late.difference) == (0, 890, 0)


async def test_what_a_client_paid_on_the_evening_before_it_was_recorded(database: Any, bank: Any) -> None:
    """At the bank on 11 May, in the ledger on 12 May."""
    await _write(database, *([("load", "2026", 1_000)] + [("pay", "2026", 10)] * 5 + [("order", "2026", 500)]))
    file = await bank.state(FIRST, 0, 1_000, 500)
    assert (await _stated(database)).difference == 500
    await bank.match("funding", file, 2, seq=7)
    evening = await _stated(database)
    assert (evening.of(Claim.RECEIVED), evening.difference) == (500, 0)
    await bank.state(FIRST + DAY, 1_500)
    morning = await _stated(database, FIRST + DAY)
    assert (morning.of(Claim.RECEIVED), morning.of(Claim.CLIENTS), morning.difference) == (0, 500, 0)


async def test_an_orders_payment_is_all_that_every_partition_has_of_it(cluster: Any) -> None:
    """One entry at the bank; in the ledger a record in each partition that has holders of the order's."""
    async with small_ledger(cluster, partitions=2) as small:
        store = PostgresStore(small.url)
        for number, cents in enumerate((300, 200)):
            moved = Transfer(issuer_float("90"), client_funds("c1", "90"), Cents(cents))
            paid = Entry(BEGIN, "payment", HolderId("order:o1"), "{}", "{}", "DONE", "{}", (moved,))
            await write(store, [paid], Partition(number))
        await store.close()
        connection = await asyncpg.connect(small.superuser_url)
        bank = Bank(connection)
        await bank.match("funding", await bank.state(FIRST, 0, 500), 1, seq=1)
        await connection.close()
        found = await funds(small.finance_url, FIRST, TERMS)
    assert (found.of(Claim.CLIENTS), found.of(Claim.RECEIVED), found.difference) == (500, 0, 0)


async def test_what_the_issuer_took_to_its_own_account_is_no_difference(database: Any, bank: Any) -> None:
    await _write(database, ("load", "2025", 100), ("expire", "2025", 100), ("pool", "2025", 100))
    await bank.state(FIRST, 0, 100)
    await bank.state(FIRST + DAY, 100, -60, counterparty=f"{OPERATING} Issuer SA")
    found = await _stated(database, FIRST + DAY)
    assert (found.of(Claim.POOL), found.of(Claim.PAID), found.difference, len(found.unmatched)) == (100, -60, 0, 1)


async def test_without_a_statement_of_the_day_nothing_agrees(database: Any, bank: Any) -> None:
    """A balance holds on over a weekend, and where the next statement opens with it."""
    await _write(database, ("load", "2026", 1_000))
    assert (await _stated(database)).bank is None
    friday = date(2026, 5, 15)
    await bank.state(friday, 0, 1_000)
    assert (await _stated(database, friday + 2 * DAY)).agrees
    monday, tuesday = friday + 3 * DAY, friday + 4 * DAY
    assert (await _stated(database, monday)).difference is None
    await bank.state(tuesday, 1_000)
    found = await _stated(database, monday)
    assert (found.stated, found.difference) == (friday, 0)
    assert (await _stated(database, tuesday)).stated == tuesday


async def test_other_accounts_statements_arent_the_voucher_accounts(database: Any, bank: Any) -> None:
    await _write(database, ("load", "2026", 1_000))
    await bank.state(FIRST, 5, account=OPERATING)
    assert (await _stated(database)).bank is None


def test_the_command_exits_1_where_the_bank_says_otherwise(
    database: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def happen(cents: int, day: date, opening: int) -> None:
        connection = await asyncpg.connect(reconciler_of(database))
        bank = Bank(connection)
        bank.files = opening
        await bank.state(day, opening, cents)
        await connection.close()

    asyncio.run(_write(database, *EVERYTHING))
    terms = tmp_path / "terms.toml"
    terms.write_text(TERMS_TOML)
    options = ["--terms", str(terms), "--database", database.finance_url]
    asyncio.run(happen(1_500, FIRST, 0))
    assert main(["report", "funds", str(FIRST), *options]) == 0
    shown = capsys.readouterr().out
    assert "vouchers outstanding" in shown
    assert "10.00" in shown
    asyncio.run(happen(-7, FIRST + DAY, 1_500))
    assert main(["report", "funds", str(FIRST + DAY), *options, "--json"]) == 1
    assert msgspec.json.decode(capsys.readouterr().out)["difference"] == -7
    assert main(["report", "funds", str(FIRST + DAY), *options]) == 1
    assert capsys.readouterr().out.split()[-1] == "14.93"
    file = tmp_path / "funds.csv"
    assert main(["report", "funds", str(FIRST), *options, "--format", "csv", "--output", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert lines[0] == "part,name,product,lot,cents"
    assert "claim,vouchers outstanding,,,1000" in lines
    assert "difference,,,,0" in lines


@pytest.mark.parametrize(
    "arguments",
    [
        ["funds"],
        ["funds", "2026-05-11"],
        ["funds", "yesterday", "--terms", "t", "--data", "d"],
        ["funds", "2026-05-11", "--terms", "/nowhere", "--data", "d"],
        ["forecast", "--zone", "Paris", "--data", "d"],
        ["trial-balance", "2026-05-11", "--at", "2026-05-11T00:00:00Z", "--data", "d"],
        ["trial-balance", "--format", "xlsx", "--data", "d"],
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


def test_trial_balance_and_forecast_are_written_for_people_and_programs(
    database: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_write(database, *EVERYTHING))
    options = ["--database", str(database.finance_url)]
    assert main(["report", "trial-balance", str(FIRST), *options, "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "account,debit,credit",
        "acquirer:970001:payable,0,110",
        "client:*:funds:91,0,300",
        "hold:*:90,0,90",
        "holder:*:90,0,800",
        "holder:*:91,0,200",
        "issuer:float:90,1000,0",
        "issuer:float:91,500,0",
    ]
    assert main(["report", "trial-balance", *options]) == 0
    assert capsys.readouterr().out.split()[-3:] == ["sum", "15.00", "15.00"]
    assert main(["report", "forecast", *options, "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2027-02-28,90,2026,800,90,0,1,,",
        "2027-05-12,91,2027-05-12,200,0,0,1,,",
    ]
    assert main(["report", "forecast", *options, "--history"]) == 0
    assert "2027-02-28" in capsys.readouterr().out


def test_every_line_of_the_statement_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "finance.md").read_text()
    assert [claim for claim in Claim if f"\n| {claim} |" not in page] == []
