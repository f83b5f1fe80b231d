"""`ledger archive`: an old range moves whole, under the same guards, and is read as before (docs/growth.md)."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from ledger import archive as archive_module
from ledger.archive import Archived, ManifestDiffers, NotSuperuser, RangeBusy, archive
from ledger.balances import balances
from ledger.cli_archive import archive as command
from ledger.postgres import PostgresStore
from ledger.source import Source
from ledger.values import Account, Cents, HolderId, Identity, Seq, Transfer
from ledger.verify import Report, verify
from tests.ledger.small import ACCOUNTS, LONG_AGO, MAIN, entry, small_ledger, write

YEARS_LATER = datetime(2024, 1, 1, tzinfo=UTC)
FUNDED = Transfer(Account("issuer:float:90"), Account("issuer:pool:90"), Cents(5))
PAID = Transfer(ACCOUNTS[0], ACCOUNTS[1], Cents(5))
KEY = Identity(200101000000, bytes(16))
GUARDED = "LF002"


@pytest.fixture
async def small(cluster):
    async with small_ledger(cluster) as made:
        yield made


@pytest.fixture
async def store(small):
    opened = PostgresStore(small.url)
    yield opened
    await opened.close()


@pytest.fixture
async def superuser(small):
    connection = await asyncpg.connect(small.superuser_url)
    yield connection
    await connection.close()


async def grow(store, *, but=""):
    """Fill two ranges years ago, and make them ready for the archive; leave one thing out."""
    at = LONG_AGO if but != "old" else YEARS_LATER
    old = [entry(f"h{number}", PAID, at=at + timedelta(days=number)) for number in range(7)]
    await write(store, [replace(old[0], identities=(KEY,)), *old[1:]])
    if but != "closed":
        while await store.close_range(MAIN) is not None:
            pass
    carried = [replace(one, at=YEARS_LATER, transfers=(), position='["carried"]') for one in old]
    manifests = [
        entry(f"range:{one:06}", at=YEARS_LATER, position=_json(await store.manifest(MAIN, one))) for one in (0, 1)
    ]
    await write(store, (carried if but != "carried" else carried[1:]) + (manifests if but != "manifest" else []))


def _json(manifest):
    return msgspec.json.encode(manifest).decode()


async def test_what_moved_is_read_as_before(small, store, superuser):
    """Reversals, repeats and finance find archived records; what looks for the newest finds the carried ones."""
    await grow(store)
    before = await _all_that_can_be_asked(store, small)
    outcome = await archive(small.superuser_url)
    assert outcome.moved == (Archived(0, 3, 3), Archived(1, 4, 4))
    assert (
        outcome.stays == "range 2 stays: in partition 0 its newest record, of 2024-01-01, isn't older than 2021-01-01"
    )
    assert await _all_that_can_be_asked(store, small) == before
    assert await superuser.fetchval("SELECT min(seq) FROM ledger.journal") == 8
    assert [one.archived for one in await store.full_ranges(MAIN)] == [True, True, False, False]
    assert (await archive(small.superuser_url)).moved == ()


async def _all_that_can_be_asked(store, small):
    holders = [HolderId(f"h{number}") for number in range(7)]
    found = await store.find(MAIN, [KEY])
    ranges = [(one.number, one.newest, one.closed) for one in await store.full_ranges(MAIN)]
    return (
        found[KEY].seq,
        ranges,
        [await store.hash_at(MAIN, Seq(seq)) for seq in range(1, 20)],
        [await store.instant_of(MAIN, Seq(seq)) for seq in range(1, 20)],
        [await store.history(MAIN, holder, 10) for holder in holders],
        await store.newest(MAIN, holders),
        await store.passbooks(MAIN, "", 100),
        await store.turnover(MAIN, ACCOUNTS[1], Seq(0), Seq(100)),
        await store.holders_of(MAIN, ["purchase"], Seq(0), Seq(100)),
        [await store.manifest(MAIN, number) for number in (0, 1, 2)],
        await balances(small.finance_url),
        await balances(small.finance_url, at=LONG_AGO + timedelta(days=4)),
    )


async def test_a_ledger_with_an_archive_is_as_sound_as_before(small, store):
    """The chain goes through the archive."""
    await write(store, [entry(None, FUNDED, at=LONG_AGO)] * 3)
    await store.close_range(MAIN)
    manifest = _json(await store.manifest(MAIN, 0))
    await write(store, [entry("range:000000", FUNDED, at=YEARS_LATER, position=manifest)] * 3)
    before = await verify(small.finance_url)
    assert isinstance(before, Report)
    assert len((await archive(small.superuser_url)).moved) == 1
    assert await verify(small.finance_url) == before


async def test_the_ledger_grows_on_where_old_ranges_have_left(small, store, superuser):
    """The next range follows the newest one by its number, however many there are."""
    await grow(store)
    await archive(small.superuser_url)
    await write(store, [entry(at=YEARS_LATER)] * 20)
    assert await store.add_range() == 2
    head = (await store.fence(MAIN)).head
    assert await superuser.fetchval("SELECT count(*) FROM ledger.whole_journal") == head
    numbers = (
        "SELECT array_agg(right(inhrelid::regclass::text, 6)::int ORDER BY inhrelid::regclass::text)"
        " FROM pg_inherits WHERE inhparent = $1::text::regclass"
    )
    assert await superuser.fetchval(numbers, "ledger.journal") == list(range(2, head // 4 + 3))
    assert await superuser.fetchval(numbers, "ledger_archive.transfer") == [0, 1]


@pytest.mark.parametrize(
    ("missing", "because"),
    [
        ("old", "range 0 stays: in partition 0 its newest record, of 2024-01-03, isn't older than"),
        ("closed", "range 0 stays: in partition 0 it isn't closed"),
        ("carried", "range 0 stays: in partition 0 passbook h0 was last written in it"),
        ("manifest", "range 0 stays: in partition 0 its manifest isn't recorded"),
    ],
)
async def test_a_range_that_is_not_ready_stays(small, store, superuser, missing, because):
    await grow(store, but=missing)
    outcome = await archive(small.superuser_url)
    assert outcome.moved == ()
    assert outcome.stays.startswith(because)
    assert not await superuser.fetchval("SELECT count(*) FROM ledger_archive.journal")


async def test_what_is_kept_can_be_more_than_36_months_never_less(small, store):
    """Every identity, hold and lot that can still be named is younger."""
    await grow(store)
    for before, moved in ((LONG_AGO + timedelta(days=2), 0), (LONG_AGO + timedelta(days=3), 1), (YEARS_LATER, 1)):
        outcome = await archive(small.superuser_url, before=before)
        assert len(outcome.moved) == moved, before
    assert (await archive(small.superuser_url, before=YEARS_LATER)).moved == ()


async def test_a_range_that_fills_stays(small, store):
    await write(store, [entry(at=LONG_AGO), entry(at=YEARS_LATER)])
    assert (await archive(small.superuser_url)).stays == "range 0 stays: in partition 0 it isn't full"


async def test_every_partition_must_be_ready(cluster):
    async with small_ledger(cluster, partitions=2) as two:
        store = PostgresStore(two.url)
        await grow(store)
        assert (await archive(two.superuser_url)).stays == "range 0 stays: in partition 1 it isn't full"
        await store.close()


async def test_a_range_that_is_not_what_its_manifest_says_stays(small, store, superuser):
    await grow(store)
    await superuser.execute("SET ledger.ddl = 'tampering'; ALTER TABLE ledger.transfer DISABLE TRIGGER ALL")
    await superuser.execute("DELETE FROM ledger.transfer WHERE seq = 2")
    with pytest.raises(ManifestDiffers, match="range 0 of partition 0 isn't as its manifest says: run ledger verify"):
        await archive(small.superuser_url)
    assert not await superuser.fetchval("SELECT count(*) FROM ledger_archive.journal")


@pytest.mark.parametrize("role", ["url", "finance_url"])
async def test_only_a_superuser_can_move_a_range(small, store, role):
    await grow(store)
    with pytest.raises(NotSuperuser):
        await archive(getattr(small, role))


@pytest.mark.parametrize("step", range(1, 6))
async def test_stopped_after_any_step_it_is_run_again_and_finishes(small, store, superuser, monkeypatch, step):
    """In between nothing is missing, and the seal is whole: DDL that has nothing to do with the ledger passes."""
    await grow(store)
    before = await _all_that_can_be_asked(store, small)
    steps, carry_out = [], archive_module._patiently

    async def die(*arguments):
        steps.append(arguments)
        if len(steps) == step:
            raise KeyboardInterrupt
        await carry_out(*arguments)

    monkeypatch.setattr(archive_module, "_patiently", die)
    with pytest.raises(KeyboardInterrupt):
        await archive(small.superuser_url)
    monkeypatch.undo()
    await superuser.execute("CREATE TABLE public.other (id int)")
    assert await _all_that_can_be_asked(store, small) == before
    assert len((await archive(small.superuser_url)).moved) == 2
    assert await _all_that_can_be_asked(store, small) == before


async def test_a_reader_who_does_not_end_holds_up_the_archive_and_not_the_appends(small, store, superuser, monkeypatch):
    """The swap waits `LOCK_PATIENCE_MS` for a reader, and lets the appends behind it pass before it tries again."""
    monkeypatch.setattr(archive_module, "LOCK_ATTEMPTS_MAX", 4)
    monkeypatch.setattr(archive_module, "LOCK_PAUSE_MS", 20)
    await grow(store)
    async with superuser.transaction():
        await superuser.execute("SELECT count(*) FROM ledger.whole_journal")
        trying = asyncio.create_task(archive(small.superuser_url))
        appended = 0
        while not trying.done():
            await write(store, [entry(at=YEARS_LATER)])
            appended += 1
        with pytest.raises(RangeBusy, match="range 0 was not moved"):
            await trying
        assert appended > 1
    assert len((await archive(small.superuser_url)).moved) == 2


async def test_nothing_is_read_under_the_lock(small, store, superuser):
    """A constraint says already what lies in the tables, so that ATTACH believes it."""
    await grow(store)
    heard: list[str] = []
    superuser.add_log_listener(lambda _, message: heard.append(message.message))
    await superuser.execute("SET ledger.ddl = 'archive'; SET client_min_messages = debug1")
    await archive_module._move(superuser, 0)
    for table in ("journal_000000", "transfer_000000"):
        assert f'partition constraint for table "{table}" is implied by existing constraints' in heard


# Guards

ATTACKS = [
    statement
    for table, column in (("journal", "reason"), ("transfer", "credit"))
    for name in (f"ledger_archive.{table}", f"ledger_archive.{table}_000000")
    for statement in (
        f"UPDATE {name} SET {column} = {column}",
        f"DELETE FROM {name}",
        f"TRUNCATE {name}",
        f"INSERT INTO {name} SELECT * FROM {name}",
        f"DROP TABLE {name} CASCADE",
        f"ALTER TABLE {name} DISABLE TRIGGER ALL",
        f"ALTER TABLE {name} ADD COLUMN other int",
        f"ALTER TABLE {name} SET SCHEMA ledger",
        f"GRANT ALL ON {name} TO ledger_owner",
        f"ALTER TABLE {name} OWNER TO authz",
        f"COMMENT ON TABLE {name} IS 'other'",
        f"ALTER TABLE ledger_archive.{table} DETACH PARTITION ledger_archive.{table}_000000",
        f"ALTER TABLE ledger_archive.{table} DETACH PARTITION ledger_archive.{table}_000000 CONCURRENTLY",
    )
] + [
    "DROP SCHEMA ledger_archive CASCADE",
    "CREATE TABLE ledger_archive.other (id int)",
    "GRANT CREATE ON SCHEMA ledger_archive TO PUBLIC",
    "DROP VIEW ledger.whole_journal",
]


@pytest.mark.parametrize("role", ["ledger_owner", "authz", "finance"])
async def test_no_role_can_change_the_archive(small, store, superuser, role):
    await grow(store)
    await archive(small.superuser_url)
    missed = []
    for attack in ATTACKS:
        await superuser.execute(f"SET ROLE {role}; SET ledger.ddl = 'migration'")
        try:
            await superuser.execute(attack)
            missed.append(attack)
        except asyncpg.PostgresError as refused:
            if refused.sqlstate not in {"42501", GUARDED, "42P16", "42809", "2BP01"}:
                missed.append((attack, refused.sqlstate))
        await superuser.execute("RESET ROLE; RESET ledger.ddl")
    granted = [one for one in missed if isinstance(one, str) and one.startswith("GRANT")]  # warned: nothing to grant
    assert [one for one in missed if one not in granted] == []
    assert await superuser.fetchval("SELECT ledger_guard.definition() = digest FROM ledger_guard.seal")
    assert await superuser.fetchval("SELECT count(*) FROM ledger_archive.journal") == 7


@pytest.mark.parametrize("table", ["journal", "transfer", "journal_000001", "transfer_000000"])
async def test_triggers_refuse_a_superuser_too(small, store, superuser, table):
    await grow(store)
    await archive(small.superuser_url)
    column = "reason" if table.startswith("journal") else "credit"
    for mode in ("origin", "replica"):
        await superuser.execute(f"SET session_replication_role = {mode}")
        for attack in (
            f"UPDATE ledger_archive.{table} SET {column} = {column}",
            f"DELETE FROM ledger_archive.{table}",
            f"TRUNCATE ledger_archive.{table}",
        ):
            with pytest.raises(asyncpg.PostgresError, match=r"ledger_archive\..* is append-only") as refused:
                await superuser.execute(attack)
            assert refused.value.sqlstate == GUARDED


async def test_an_archived_range_has_its_owner_its_readers_and_its_guards(small, store, superuser):
    await grow(store)
    await archive(small.superuser_url)
    tables = await superuser.fetch(
        "SELECT relname, relowner::regrole::text AS owner, relacl::text AS rights,"
        " (SELECT array_agg(tgname || tgenabled::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS guards"
        " FROM pg_class AS c WHERE relnamespace = 'ledger_archive'::regnamespace AND relkind = 'r' ORDER BY 1"
    )
    assert [row["relname"] for row in tables] == [f"{of}_00000{n}" for of in ("journal", "transfer") for n in (0, 1)]
    for row in tables:
        assert row["owner"] == "ledger_owner"
        assert row["rights"] == "{ledger_owner=r/ledger_owner}"
        assert row["guards"] == ["append_onlyA", "append_only_truncateA"]


# The command


async def test_the_command_says_what_it_moved_and_why_the_next_range_stays(small, store, capsys):
    await grow(store)
    source = Source(database=small.superuser_url)
    await asyncio.to_thread(command, source=source, before="2020-01-04T00:00:00Z")
    assert capsys.readouterr().out.splitlines() == [
        "range 0: 3 records, 3 transfers archived",
        "range 1 stays: in partition 0 its newest record, of 2020-01-07, isn't older than 2020-01-04",
    ]
    await asyncio.to_thread(command, source=source, as_json=True)
    assert msgspec.json.decode(capsys.readouterr().out)["moved"] == [{"range": 1, "records": 4, "transfers": 4}]
    await asyncio.to_thread(command, source=source)
    assert capsys.readouterr().out.startswith("nothing to archive: range 2 stays: ")
