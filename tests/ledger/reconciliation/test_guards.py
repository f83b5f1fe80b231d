"""What finance took in and what it published is added to by role reconciler, and changed by nobody."""

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import pytest

from ledger.reconciliation.reconciling import reconcile
from ledger.values import Cents
from tests.ledger.attacks import DENIED, GUARDED, NOTHING_GRANTED, attacked
from tests.ledger.reconciliation.books import (
    DAY,
    Book,
    acquirer_terms,
    line_of,
    lines_of,
    reconciler,
    take_in,
    terms_of,
    write,
)

FILLED = {
    "file": "name",
    "clearing_line": "cents",
    "run": "day",
    "matched_movement": "stage",
    "matched_line": "stage",
    "break": "cause",
    "waiting": "seq",
}
"""Tables that have a row in the tests here, with a column of theirs."""


@pytest.fixture
async def published(database: Any, superuser: asyncpg.Connection) -> asyncpg.Connection:
    """A day that was reconciled: a match, a break, and a payment whose line may still come."""
    book, role = Book(), reconciler(database.url)
    paid = [book.pay(1_000 + number) for number in range(3)]
    await write(database.url, book.entries)
    await take_in(role, [*lines_of(paid[:1]), line_of(paid[1], 2, cents=Cents(1))])
    await reconcile(role, DAY, terms_of(acquirer_terms(days_late=1)))
    assert [table for table in FILLED if not await superuser.fetch(f"SELECT FROM reconciliation.{table}")] == []
    return superuser


async def _tables(superuser: asyncpg.Connection) -> Sequence[str]:
    rows = await superuser.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'reconciliation'::regnamespace AND relkind = 'r' ORDER BY 1"
    )
    return [row["relname"] for row in rows]


async def _everything(superuser: asyncpg.Connection) -> list[object]:
    """All rows and definitions, as they are."""
    rows = [await superuser.fetch(f"TABLE reconciliation.{table}") for table in await _tables(superuser)]
    return [*rows, await superuser.fetchval("SELECT ledger_guard.definition()")]


def _attacks(table: str) -> Iterator[str]:
    """Ways to change or destroy what a table says, or to make that possible."""
    name = f"reconciliation.{table}"
    if table in FILLED:
        yield f"UPDATE {name} SET {FILLED[table]} = {FILLED[table]}"
    yield f"DELETE FROM {name}"
    yield f"TRUNCATE {name}"
    yield f"DROP TABLE {name} CASCADE"
    yield f"ALTER TABLE {name} DISABLE TRIGGER ALL"
    yield f"DROP TRIGGER append_only ON {name}"
    yield f"ALTER TABLE {name} OWNER TO reconciler"
    yield f"GRANT ALL ON {name} TO reconciler, ledger_owner"


@pytest.mark.parametrize("role", ["reconciler", "ledger_owner", "finance"])
async def test_nothing_of_it_can_be_changed(published: asyncpg.Connection, role: str) -> None:
    before = await _everything(published)
    attacks = [attack for table in await _tables(published) for attack in _attacks(table)]
    missed = []
    async for attack, answers in attacked(published, role, attacks):
        if not {DENIED, GUARDED, NOTHING_GRANTED} & answers:
            missed.append((attack, *answers))
    assert missed == []
    assert await _everything(published) == before


@pytest.mark.parametrize("mode", ["origin", "replica"])
async def test_triggers_refuse_even_who_has_every_right(published: asyncpg.Connection, mode: str) -> None:
    before = await _everything(published)
    await published.execute(f"SET session_replication_role = {mode}")
    statements = [f"TRUNCATE reconciliation.{table}" for table in await _tables(published)]
    for table, column in FILLED.items():
        statements += [f"UPDATE reconciliation.{table} SET {column} = {column}", f"DELETE FROM reconciliation.{table}"]
    for statement in statements:
        with pytest.raises(asyncpg.PostgresError, match=r"reconciliation\..* is append-only") as refused:
            await published.execute(statement)
        assert refused.value.sqlstate == GUARDED
    assert await _everything(published) == before


async def test_every_table_has_its_owner_its_readers_and_its_guards(published: asyncpg.Connection) -> None:
    tables = await published.fetch(
        "SELECT relname, relowner::regrole::text AS owner, relacl::text AS rights,"
        " (SELECT array_agg(tgname || tgenabled::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS guards"
        " FROM pg_class AS c WHERE relnamespace = 'reconciliation'::regnamespace AND relkind = 'r'"
    )
    assert {row["relname"] for row in tables} >= FILLED.keys()
    for row in tables:
        assert row["owner"] == "ledger_owner"
        readers = ("ledger_owner=r", "finance=r", "reconciler=ar")
        assert row["rights"] == f"{{{','.join(f'{reader}/ledger_owner' for reader in readers)}}}"
        assert row["guards"] == ["append_onlyA", "append_only_truncateA"]


@pytest.mark.parametrize(("role", "can"), [("reconciler", False), ("authz", True)])
async def test_the_reconciler_writes_to_no_ledger(superuser: asyncpg.Connection, role: str, can: bool) -> None:
    """Neither role has a right to change its tables; the authorizer's alone has one to functions that write."""
    tables = await superuser.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind IN ('r', 'p', 'v') AND relnamespace::regnamespace::text LIKE 'ledger%'"
        " AND has_table_privilege($1, oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
        role,
    )
    functions = await superuser.fetch(
        "SELECT oid::regprocedure::text AS name FROM pg_proc"
        " WHERE pronamespace = 'ledger'::regnamespace AND prosecdef AND has_function_privilege($1, oid, 'EXECUTE')",
        role,
    )
    assert tables == []
    assert bool(functions) == can
