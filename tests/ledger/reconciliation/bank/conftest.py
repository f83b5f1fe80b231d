"""A ledger whose bank says something of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import asyncpg
import msgspec
import pytest
from msgspec.structs import astuple

from ledger import accounts
from ledger.reading import heads
from ledger.reconciliation.bank.matching import Considered, bank_matches
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Accounts, AcquirerTerms, Tariff, Terms
from ledger.reconciliation.values import BankBalance, BankEntry, ClearingLine, Stage
from ledger.values import Cents, Entry, HolderId, Partition, Seq, Transfer
from tests.conftest import Database
from tests.ledger.reconciliation.bank.banks import ACQUIRER, DAY, OPERATING, VOUCHER
from tests.ledger.reconciliation.books import write

FIRST, SECOND = "970001", "970002"
TERMS = Terms(
    Accounts(VOUCHER, OPERATING, "Émetteur de titres"),
    (
        AcquirerTerms(FIRST, "Banque & Fils", ACQUIRER, tariff=(Tariff(date(2026, 1, 1), 100, 5),)),
        AcquirerTerms(SECOND, "Second", "BE71096123456769", settled_days=3),
    ),
)


class Books:
    """A ledger, what its acquirers and its bank say, and runs that are published over it."""

    def __init__(self, database: Database, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.url = database.url.replace("//authz@", "//reconciler@")
        self.finance_url = database.finance_url
        self._application_url = database.url
        self._files = 0
        self._entries = 0
        self._unwritten: list[Entry] = []
        self._before: tuple[date, Mapping[Partition, Seq], int, set[int]] | None = None

    def pay(self, reference: str, face: int, fees: int = 0, *, client: str = "c1", day: date = DAY) -> int:
        """Record that a client paid an order; return the record's seq."""
        self._entries += 1
        command = {"type": "payment", "client": client, "order": f"o{self._entries}", "reference": reference}
        request = msgspec.json.encode({"command": command | {"amount": face + fees, "partition": 0}}).decode()
        moved = [
            Transfer(accounts.issuer_float("90"), accounts.client_funds("c1", "90"), Cents(face)),
            Transfer(accounts.operating(), accounts.commission(), Cents(fees)),
        ]
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC) + timedelta(seconds=self._entries)
        transfers = tuple(one for one in moved if one.amount)
        order = HolderId(f"order:{client}:o{self._entries}")
        self._unwritten.append(Entry(at, "payment", order, request, "{}", "APPROVED", "{}", transfers))
        return self._entries

    def adjust(self, kind: str, cents: int, file: int, entry: int, *, day: date = DAY) -> int:
        """Record that an adjustment was approved which names an entry; return the record's seq."""
        self._entries += 1
        line = {"file": sha256(str(file).encode()).hexdigest(), "line": entry}
        proposal = {"kind": kind, "acquirer": FIRST, "cents": cents, "line": line}
        request = msgspec.json.encode({"command": {"type": "adjustment", "proposal": proposal}}).decode()
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC) + timedelta(seconds=self._entries)
        holder = HolderId(f"adjustment:{self._entries:016x}")
        self._unwritten.append(Entry(at, "adjustment", holder, request, "{}", "APPROVED", "{}"))
        return self._entries

    async def book(self, *entries: tuple[int, str | None], day: date = DAY, account: str = VOUCHER, **more: str) -> int:
        """Take in a statement of a day: amounts, each with its end-to-end reference; return the file's id."""
        booked = [
            BankEntry(
                entry=number, account=account, booked=day, valued=day, cents=Cents(cents), end_to_end=named, **more
            )
            for number, (cents, named) in enumerate(entries, 1)
        ]
        closing = Cents(sum(one.cents for one in booked))
        file = await self._file("statement", account, day)
        await self._copy("bank_balance", [(file, *astuple(BankBalance(account, day, Cents(0), closing)))])
        await self._copy("bank_entry", [(file, *astuple(one)) for one in booked])
        return file

    async def matched(
        self, day: date, *lines: tuple[str, str, int], product: str = "90", stage: Stage = Stage.EXACT
    ) -> int:
        """Publish a run that matched lines: acquirer, merchant, cents; return its id."""
        file = await self._file("clearing", FIRST, day)
        made = [
            ClearingLine(
                line=number,
                acquirer=acquirer,
                day=day,
                kind="sale",
                merchant=merchant,
                cents=Cents(cents),
                product=product,
            )
            for number, (acquirer, merchant, cents) in enumerate(lines, 1)
        ]
        await self._copy("clearing_line", [(file, *astuple(one)) for one in made], ClearingLine)
        connection = self._connection
        run = await self._published(connection, day)
        for one in made:
            await connection.execute(
                "INSERT INTO reconciliation.matched_line VALUES ($1, $2, $3, $2, $4)", file, one.line, run, stage
            )
        return run

    async def reconcile(self, day: date = DAY, terms: Terms = TERMS) -> "Found":
        """Run the bank's stages for a day and publish them; return what they found."""
        connection = self._connection
        await connection.execute("DISCARD TEMP; SET client_min_messages = 'warning'")
        await connection.execute(";".join(statements("work").values()))
        if self._unwritten:
            await write(self._application_url, self._unwritten)
            self._unwritten = []
        before, head, last, known = self._before or (None, {}, None, set())
        if last is not None:
            await connection.execute(statements("runs")["carry"], last)
        rows = await connection.fetch(
            "SELECT id FROM reconciliation.file WHERE kind = 'statement' AND day <= $1 ORDER BY id", day
        )
        files = [row["id"] for row in rows]
        through = await heads(connection)
        await bank_matches(
            connection,
            Considered(
                day=day,
                files=files,
                new=[one for one in files if one not in known],
                heads=through,
                day_before=before,
                heads_before=head,
            ),
            terms,
        )
        found = Found(
            [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT stage, max(cents) AS cents,"
                    " array_remove(array_agg(DISTINCT file || ':' || entry), NULL) AS entries,"
                    " array_remove(array_agg(DISTINCT seq), NULL) AS seqs"
                    " FROM joined GROUP BY step, stage, lead_file, lead_line ORDER BY step, lead_file, lead_line"
                )
            ],
            [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT cause, source, expected, found, seq, file || ':' || entry FROM finding"
                    " ORDER BY cause, file, entry, seq, source"
                )
            ],
        )
        async with connection.transaction():
            run = await self._published(connection, day)
            await connection.execute(statements("runs")["publish_matches"], run)
            await connection.execute(
                "INSERT INTO reconciliation.break (run, number, cause, since, source, expected, found, partition,"
                " seq, file, entry, detail)"
                " SELECT $1, row_number() OVER (), cause, $2, source, expected, found, partition, seq, file, entry,"
                " detail FROM finding",
                run,
                day,
            )
        self._before = (day, through, run, set(files))
        return found

    async def _published(self, connection: asyncpg.Connection, day: date) -> int:
        count = await connection.fetchval("SELECT count(*) FROM reconciliation.run")
        key = sha256(f"run {count}".encode()).digest()
        return int(
            await connection.fetchval(
                "INSERT INTO reconciliation.run (key, day, heads, inputs, summary)"
                " VALUES ($1, $2, '{}', '{}', '{}') RETURNING id",
                key,
                day,
            )
        )

    async def _file(self, kind: str, source: str, day: date) -> int:
        self._files += 1
        return int(
            await self._connection.fetchval(
                "INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)"
                " VALUES ($1, $2, 'any', $3, $4, $5, 0, 0, '{}') RETURNING id",
                sha256(str(self._files).encode()).digest(),
                kind,
                f"file {self._files}",
                source,
                day,
            )
        )

    async def _copy(self, table: str, rows: Sequence[tuple[object, ...]], of: type | None = None) -> None:
        columns = None if of is None else ["file", *(one.rstrip("_") for one in of.__struct_fields__)]  # type: ignore[attr-defined]
        await self._connection.copy_records_to_table(table, schema_name="reconciliation", records=rows, columns=columns)


class Found(msgspec.Struct, frozen=True):
    """Matches: stage, cents, entries, records. Breaks: cause, source, expected, found, record, entry."""

    matches: list[tuple[object, ...]]
    breaks: list[tuple[object, ...]]


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    connection = await asyncpg.connect(database.url.replace("//authz@", "//reconciler@"))
    yield Books(database, connection)
    await connection.close()
