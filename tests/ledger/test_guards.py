"""No role that the product uses can change, empty, detach or drop what was written."""

from collections.abc import Iterator

import asyncpg
import pytest

from ledger.postgres import PostgresStore
from tests.ledger.attacks import DENIED, GUARDED, NOTHING_GRANTED, attacked

PARENTS = ["journal", "transfer", "identity", "closing", "closed"]
RANGES = [f"{parent}_00000{number}" for parent in ("journal", "transfer") for number in range(3)]
TABLES = [*PARENTS, "fence", *RANGES]
WRITTEN = [*PARENTS, "fence", "journal_000000", "transfer_000000"]
"""Those that have a row in the tests here."""
COLUMN = {
    "journal": "reason",
    "transfer": "credit",
    "identity": "digest",
    "closing": "balance",
    "closed": "accounts",
    "fence": "head",
}
KEY = {"journal": "partition, seq", "transfer": "partition, seq, line", "identity": "partition, stamp, digest"}
KEY |= {"closing": "partition, range, account, currency", "closed": "partition, range, slice", "fence": "partition"}

IMPOSSIBLE = {"42809", "42P16", "2BP01"}
"""No role could: not to a partition, not to a partitioned table, or not while something else requires it."""
NOTHING_REVOKED = "01006"
"""A warning: the role has nothing to revoke, so nothing was."""
REFUSED = {DENIED, GUARDED, NOTHING_GRANTED, NOTHING_REVOKED, *IMPOSSIBLE}


def _attacks(table: str) -> Iterator[str]:
    """Every way to change or destroy what one table says, or to make that possible."""
    kind = table.split("_")[0]
    column, name = COLUMN[kind], f"ledger.{table}"
    yield f"UPDATE {name} SET {column} = {column}"
    yield f"DELETE FROM {name}"
    yield f"TRUNCATE {name} CASCADE"
    yield f"MERGE INTO {name} AS t USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE"
    yield f"MERGE INTO {name} AS t USING (SELECT 1) AS one ON true WHEN MATCHED THEN UPDATE SET {column} = t.{column}"
    yield (
        f"INSERT INTO {name} SELECT * FROM {name} ON CONFLICT ({KEY[kind]}) DO UPDATE SET {column} = excluded.{column}"
    )
    yield f"DROP TABLE {name} CASCADE"
    yield f"ALTER TABLE {name} DISABLE TRIGGER ALL"
    yield f"ALTER TABLE {name} DISABLE TRIGGER USER"
    yield f"ALTER TABLE {name} ENABLE REPLICA TRIGGER {'forward_only' if kind == 'fence' else 'append_only'}"
    yield f"DROP TRIGGER {'forward_only' if kind == 'fence' else 'append_only'} ON {name}"
    yield f"CREATE TRIGGER other BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse()"
    yield f"CREATE RULE other AS ON INSERT TO {name} DO INSTEAD NOTHING"
    yield f"CREATE POLICY other ON {name}"
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {name} ADD COLUMN other int"
    yield f"ALTER TABLE {name} DROP COLUMN {column} CASCADE"
    yield f"ALTER TABLE {name} RENAME TO other"
    yield f"ALTER TABLE {name} SET SCHEMA public"
    yield f"ALTER TABLE {name} SET UNLOGGED"
    yield f"ALTER TABLE {name} OWNER TO authz"
    yield f"COMMENT ON TABLE {name} IS 'other'"
    yield f"GRANT ALL ON {name} TO ledger_owner"
    if "_" in table:
        yield f"ALTER TABLE ledger.{kind} DETACH PARTITION {name}"
        yield f"ALTER TABLE ledger.{kind} DETACH PARTITION {name} CONCURRENTLY"


ATTACKS = [attack for table in TABLES for attack in _attacks(table)] + [
    "DROP SCHEMA ledger CASCADE",
    "DROP SCHEMA ledger_guard CASCADE",
    "DROP VIEW ledger.balance",
    "DROP VIEW ledger.whole_journal",
    "CREATE OR REPLACE VIEW ledger.whole_journal AS SELECT * FROM ledger.journal",
    "DROP SCHEMA ledger_archive CASCADE",
    "CREATE TABLE ledger_archive.other (partition int)",
    "ALTER TABLE ledger_archive.journal OWNER TO authz",
    "DROP FUNCTION ledger.beat",
    "DROP FUNCTION ledger_guard.refuse CASCADE",
    "DROP FUNCTION ledger_guard.hold_definition CASCADE",
    "DROP EVENT TRIGGER ledger_definition",
    "ALTER EVENT TRIGGER ledger_definition DISABLE",
    "CREATE OR REPLACE FUNCTION ledger_guard.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE OR REPLACE FUNCTION ledger_guard.hold_definition() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE OR REPLACE FUNCTION ledger.beat(partition int, epoch bigint) RETURNS void LANGUAGE sql AS 'SELECT'",
    "ALTER FUNCTION ledger.beat SECURITY INVOKER",
    "ALTER FUNCTION ledger.append RESET search_path",
    "CREATE FUNCTION ledger.other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE ledger.other (partition int)",
    "CREATE TABLE ledger.journal_000009 PARTITION OF ledger.journal FOR VALUES FROM (90000000) TO (91000000)",
    "CREATE INDEX other ON ledger.identity (seq)",
    "CREATE UNIQUE INDEX CONCURRENTLY other ON ledger.journal_000000 (kind)",
    "DROP INDEX ledger.journal_passbook",
    "ALTER INDEX ledger.journal_passbook RENAME TO other",
    "GRANT EXECUTE ON FUNCTION ledger.append TO PUBLIC",
    "GRANT CREATE ON SCHEMA ledger TO PUBLIC",
    "REVOKE ALL ON SCHEMA ledger FROM authz",
    "GRANT ledger_owner TO authz",
    "ALTER DEFAULT PRIVILEGES FOR ROLE ledger_owner GRANT ALL ON TABLES TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA ledger GRANT ALL ON TABLES TO PUBLIC",
    "DROP OWNED BY ledger_owner CASCADE",
    "REASSIGN OWNED BY ledger_owner TO authz",
    "UPDATE ledger.setting SET range_size = 1",
    "DELETE FROM ledger.migration",
    "UPDATE ledger_guard.seal SET digest = ''",
    "SELECT ledger_guard.reseal()",
    "SET session_replication_role = replica",
    "SET event_triggers = off",
    "DO $$BEGIN EXECUTE 'ALTER TABLE ledger.journal DISABLE TRIGGER ALL'; DELETE FROM ledger.journal; END$$",
]


@pytest.fixture
async def guarded(superuser, database, begin, entries, identities):
    """A ledger with a record in it, and a closing."""
    store = PostgresStore(database.url)
    await (await begin(store)).append(entries.payment("h1", next(identities)), entries.refusal(next(identities)))
    await store.close()
    await superuser.execute("INSERT INTO ledger.closing VALUES (0, 0, 'holder:h1:90:2026', 978, 1250)")
    await superuser.execute("INSERT INTO ledger.closed VALUES (0, 0, 0, 1, 1250)")
    return superuser


async def _everything(superuser: asyncpg.Connection) -> list[object]:
    """All rows and definitions, as they are. Rows are read through each range too."""
    rows = [await superuser.fetch(f"SELECT * FROM ledger.{table} ORDER BY 1, 2, 3") for table in TABLES]
    return [*rows, await superuser.fetchval("SELECT ledger_guard.definition()")]


@pytest.mark.parametrize("role", ["authz", "ledger_owner", "finance"])
async def test_nothing_that_was_written_can_be_changed(guarded, role):
    """Every attack is refused to the role, on parents and on every partition, and leaves everything as it was."""
    before = await _everything(guarded)
    missed = []
    async for attack, answers in attacked(guarded, role, ATTACKS):
        if not REFUSED & answers:
            missed.append((attack, *answers))
        assert await guarded.fetchval("SELECT ledger_guard.definition() = digest FROM ledger_guard.seal"), attack
    assert missed == []
    assert await _everything(guarded) == before


@pytest.mark.parametrize(
    ("statement", "table"),
    [(one, table) for one in ("UPDATE", "DELETE") for table in WRITTEN] + [("TRUNCATE", table) for table in TABLES],
)
async def test_triggers_refuse_even_who_has_every_right(guarded, table, statement):
    """The second line of defence: a superuser, who needs no right, and in a replica's session, is refused too."""
    column = COLUMN[table.split("_")[0]]
    attack = {
        "UPDATE": f"UPDATE ledger.{table} SET {column} = {column}",
        "DELETE": f"DELETE FROM ledger.{table}",
        "TRUNCATE": f"TRUNCATE ledger.{table}",
    }[statement]
    before = await _everything(guarded)
    for mode in ("origin", "replica"):
        await guarded.execute(f"SET session_replication_role = {mode}")
        with pytest.raises(asyncpg.PostgresError, match="append-only") as refused:
            await guarded.execute(attack)
        assert refused.value.sqlstate == GUARDED
    assert await _everything(guarded) == before


@pytest.mark.parametrize(
    "back", ["epoch = epoch - 1", "head = head - 1", "hash = sha256(hash)", "beat = beat - 1", "partition = 1"]
)
async def test_the_fence_only_moves_forward(guarded, back):
    """Even for a superuser, and even where the beat moves forward with it."""
    forward = "" if back.startswith("beat") else ", beat = beat + 1"
    with pytest.raises(asyncpg.PostgresError) as refused:
        await guarded.execute(f"UPDATE ledger.fence SET {back}{forward}")
    assert refused.value.sqlstate == GUARDED


async def test_every_guard_fires_always(guarded):
    triggers = await guarded.fetch(
        "SELECT c.relname, array_agg(t.tgname::text ORDER BY t.tgname) AS names, bool_and(t.tgenabled = 'A') AS always"
        " FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
        " WHERE c.relnamespace = 'ledger'::regnamespace GROUP BY c.relname"
    )
    assert {row["relname"] for row in triggers} == set(TABLES)
    assert all(row["always"] for row in triggers)
    fence = ["forward_only", "forward_only_delete", "forward_only_truncate"]
    for row in triggers:
        assert row["names"] == (fence if row["relname"] == "fence" else ["append_only", "append_only_truncate"])
    events = await guarded.fetch("SELECT evtenabled FROM pg_event_trigger WHERE evtname LIKE 'ledger%'")
    assert [row["evtenabled"] for row in events] == [b"A", b"A"]


async def test_a_new_range_is_as_guarded_as_the_first(guarded):
    """Ranges are made only by `add_range`: same owner, same rights, same triggers, same indexes."""
    shape = (
        "SELECT c.relowner, c.relacl, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes,"
        " (SELECT array_agg(tgname || tgenabled::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS guards"
        " FROM pg_class AS c WHERE c.relname LIKE '{parent}\\_0%' AND relkind = 'r' ORDER BY relname"
    )
    for parent in ("journal", "transfer"):
        first, *others = await guarded.fetch(shape.format(parent=parent))
        assert len(others) == 2
        assert all(tuple(other) == tuple(first) for other in others)


async def test_a_superuser_is_stopped_too_unless_they_say_that_they_mean_it(guarded):
    with pytest.raises(asyncpg.PostgresError, match="sealed") as refused:
        await guarded.execute("ALTER TABLE ledger.journal DISABLE TRIGGER ALL")
    assert refused.value.sqlstate == GUARDED
    async with guarded.transaction():
        await guarded.execute("SET LOCAL ledger.ddl = 'on purpose'; COMMENT ON TABLE ledger.fence IS 'on purpose'")
        await guarded.execute("SELECT ledger_guard.reseal()")


async def test_ddl_that_does_not_touch_the_ledger_passes(guarded):
    await guarded.execute(
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.one (id int); GRANT ALL ON elsewhere.one TO authz;"
        "CREATE VIEW elsewhere.two AS SELECT * FROM ledger.balance; DROP SCHEMA elsewhere CASCADE"
    )
    await guarded.execute("REINDEX TABLE ledger.identity")
    await guarded.execute("REINDEX TABLE CONCURRENTLY ledger.identity")


async def test_the_application_can_read_append_take_beat_and_add_ranges_and_nothing_else(guarded):
    """SELECT, and EXECUTE on what writes. Nobody but it has either, except finance, who reads."""
    tables = ["balance", "closed", "closing", "fence", "identity", "journal", "migration", "setting", "transfer"]
    tables += ["whole_journal", "whole_transfer"]
    functions = ["add_range", "append", "beat", "close_range", "retake", "take"]
    for role, may_execute in (("authz", functions), ("finance", [])):
        selectable = await guarded.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v')"
            " AND has_table_privilege($1, oid, 'SELECT') ORDER BY 1",
            role,
        )
        writable = await guarded.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace IN ('ledger'::regnamespace, 'ledger_guard'::regnamespace)"
            " AND relkind IN ('r', 'p', 'v') AND has_table_privilege("
            "$1, oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN')",
            role,
        )
        executable = await guarded.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
            " AND has_function_privilege($1, oid, 'EXECUTE') ORDER BY 1",
            role,
        )
        assert [row[0] for row in selectable] == tables
        assert writable == []
        assert [row[0] for row in executable] == may_execute


async def test_functions_that_write_are_the_owners_with_a_pinned_search_path(guarded):
    functions = await guarded.fetch(
        "SELECT proname, prosecdef, proconfig, rolname, rolsuper, rolcanlogin FROM pg_proc"
        " JOIN pg_roles AS r ON r.oid = proowner WHERE pronamespace = 'ledger'::regnamespace"
    )
    assert len(functions) == 6
    for row in functions:
        assert row["prosecdef"]
        assert "search_path=pg_catalog, pg_temp" in row["proconfig"]
        if row["proname"] != "add_range":
            assert (row["rolname"], row["rolsuper"], row["rolcanlogin"]) == ("ledger_owner", False, False)


async def test_finance_holds_no_snapshot_for_longer_than_5_s(database):
    """An old snapshot makes every append slower."""
    finance = await asyncpg.connect(database.finance_url)
    assert await finance.fetchval("SHOW transaction_timeout") == "5s"
    assert await finance.fetchval("SELECT coalesce(sum(balance), 0) FROM ledger.balance") == 0
    await finance.close()


@pytest.mark.parametrize("table", ["ledger.journal", "reconciliation.run"])
async def test_a_temporary_table_passes_at_once_and_cannot_join_the_ledger(database, table):
    """What leaves the definition as it is needs no digest: and whoever could change it by one isn't let through."""
    connection = await asyncpg.connect(database.finance_url.replace("finance@", "reconciler@"))
    try:
        await connection.execute("CREATE TEMP TABLE work (number int PRIMARY KEY)")
        for statement in (f"CREATE TEMP TABLE heir () INHERITS ({table})", f"ALTER TABLE work INHERIT {table}"):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.WrongObjectTypeError)):
                await connection.execute(statement)
    finally:
        await connection.close()
