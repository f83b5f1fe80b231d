"""`ledger verify` finds what was changed behind the ledger's back (docs/ledger.md, "What verify can and can't know").

Each test writes a small sound ledger as the authorizer does, then changes it as a superuser who lifts the guards.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from ledger import accounts, fingerprints, frames, schema, verify
from ledger.reading import PartitionUnknown
from ledger.store import LedgerError, Unavailable
from ledger.values import (
    Cents,
    Entry,
    HolderId,
    Partition,
    Purse,
    Transfer,
)
from ledger.verify import Finding, Flaw, Report, Scope
from tests.ledger.story import FLOAT, MAIN, PAYABLE, RECORDS, Tampering, lot_of, story, write


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks: every ledger here is read in several."""
    monkeypatch.setattr(frames, "CHUNK_SEQS", 5)
    monkeypatch.setattr(fingerprints, "CHUNK_RECORDS_MAX", 3)
    monkeypatch.setattr(fingerprints, "CHUNK_IDENTITIES_MAX", 7)


@pytest.fixture
async def tamper(database: Any) -> AsyncIterator[Tampering]:
    await write(database.url, story())
    connection = await asyncpg.connect(database.superuser_url)
    yield Tampering(connection)
    await connection.close()


async def test_a_sound_ledger_is_reported_with_what_was_read(database: Any) -> None:
    await write(database.url, story())
    seen: list[tuple[int, int, int]] = []
    report = await verify.verify(database.finance_url, progress=lambda *at: seen.append(at))
    assert isinstance(report, Report)
    assert report.records == RECORDS
    [main] = report.partitions
    assert (main.head, main.epoch, main.transfers, main.identities) == (RECORDS, 3, 14, 2 * RECORDS)
    assert main.holders == 2, "h3 is unknown, and a merchant's passbook holds no money"
    assert seen == [(0, 5, RECORDS), (0, 10, RECORDS), (0, 12, RECORDS)]


async def test_an_empty_ledger_is_sound(database: Any) -> None:
    report = await verify.verify(database.finance_url)
    assert isinstance(report, Report)
    assert report.records == 0


async def test_the_application_can_verify_too(database: Any) -> None:
    await write(database.url, story())
    assert isinstance(await verify.verify(database.url), Report)


async def test_records_that_are_written_meanwhile_are_left_for_the_next_time(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fence is read first, and the walk goes to that head."""
    await write(database.url, story())
    reading, more = verify._Walk._records, [replace(entry, identities=()) for entry in story()[-2:]]

    async def write_then_read(walk: verify._Walk, head: Any) -> Any:
        await write(database.url, more)
        return await reading(walk, head)

    monkeypatch.setattr(verify._Walk, "_records", write_then_read)
    report = await verify.verify(database.finance_url)
    assert isinstance(report, Report), report
    assert report.records == RECORDS


CHANGES = {
    "an edited amount": (7, Flaw.HASH, "UPDATE ledger.transfer SET amount = amount + 1 WHERE seq = 7 AND line = 1"),
    "another account": (7, Flaw.HASH, "UPDATE ledger.transfer SET credit = 'acquirer:9:payable' WHERE seq = 7"),
    "another currency": (7, Flaw.TRANSFER, "UPDATE ledger.transfer SET currency = 840 WHERE seq = 7 AND line = 1"),
    "an extra transfer": (3, Flaw.HASH, "INSERT INTO ledger.transfer VALUES (0, 3, 1, 'a', 'b', 1)"),
    "a missing transfer": (2, Flaw.HASH, "DELETE FROM ledger.transfer WHERE seq = 2 AND line = 2"),
    "the first of two transfers": (2, Flaw.TRANSFER, "DELETE FROM ledger.transfer WHERE seq = 2 AND line = 1"),
    "a transfer beyond the head": (99, Flaw.TRANSFER, "INSERT INTO ledger.transfer VALUES (0, 99, 1, 'a', 'b', 1)"),
    "a transfer before the first": (0, Flaw.TRANSFER, "INSERT INTO ledger.transfer VALUES (0, 0, 1, 'a', 'b', 1)"),
    "an edited reply": (3, Flaw.HASH, """UPDATE ledger.journal SET reply = '{"reason":"NO_FUNDS"}' WHERE seq = 3"""),
    "a reply of other spacing": (
        3,
        Flaw.HASH,
        """UPDATE ledger.journal SET reply = '{"reason": "APPROVED"}' WHERE seq = 3""",
    ),
    "an edited reason": (11, Flaw.HASH, "UPDATE ledger.journal SET reason = 'PIN_WRONG' WHERE seq = 11"),
    "an edited request": (12, Flaw.HASH, "UPDATE ledger.journal SET request = '{}' WHERE seq = 12"),
    "another kind": (1, Flaw.HASH, "UPDATE ledger.journal SET kind = 'load' WHERE seq = 1"),
    "another holder": (3, Flaw.HASH, "UPDATE ledger.journal SET holder = 'h2' WHERE seq = 3"),
    "another instant": (4, Flaw.HASH, "UPDATE ledger.journal SET at = at + interval '1 microsecond' WHERE seq = 4"),
    "another epoch": (8, Flaw.HASH, "UPDATE ledger.journal SET epoch = 3 WHERE seq = 8"),
    "an older epoch": (8, Flaw.EPOCH, "UPDATE ledger.journal SET epoch = 1 WHERE seq = 8"),
    "another hash": (5, Flaw.HASH, "UPDATE ledger.journal SET hash = sha256('x') WHERE seq = 5"),
    "a position changed by one cent": (
        2,
        Flaw.HASH,
        "UPDATE ledger.journal SET position = replace(position::text, '3000', '3001')::json WHERE seq = 2",
    ),
    "a deleted record": (6, Flaw.MISSING, "DELETE FROM ledger.journal WHERE seq = 6"),
    "the first record deleted": (1, Flaw.MISSING, "DELETE FROM ledger.journal WHERE seq = 1"),
    "the last record deleted": (12, Flaw.MISSING, "DELETE FROM ledger.journal WHERE seq = 12"),
    "all records deleted": (1, Flaw.MISSING, "DELETE FROM ledger.journal"),
    "the fence set back": (12, Flaw.BEYOND_FENCE, "UPDATE ledger.fence SET head = 11"),
    "the fence set forward": (13, Flaw.MISSING, "UPDATE ledger.fence SET head = 13"),
    "another hash in the fence": (12, Flaw.FENCE, "UPDATE ledger.fence SET hash = sha256('x')"),
    "an older epoch in the fence": (12, Flaw.FENCE, "UPDATE ledger.fence SET epoch = 2"),
    "a missing identity": (9, Flaw.IDENTITY, "DELETE FROM ledger.identity WHERE seq = 9 AND stamp = 1"),
    "an identity of another record": (
        8,
        Flaw.IDENTITY,
        "UPDATE ledger.identity SET seq = 9 WHERE seq = 8 AND stamp = 1",
    ),
    "an extra identity": (
        4,
        Flaw.IDENTITY,
        "INSERT INTO ledger.identity VALUES (0, 7, decode(repeat('00', 16), 'hex'), 4)",
    ),
    "an identity without a record": (
        44,
        Flaw.IDENTITY,
        "INSERT INTO ledger.identity VALUES (0, 7, decode(repeat('00', 16), 'hex'), 44)",
    ),
    "identities repacked": (3, Flaw.HASH, "UPDATE ledger.journal SET identities = '' WHERE seq = 3"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_found_and_its_record_named(database: Any, tamper: Tampering, change: str) -> None:
    seq, flaw, statement = CHANGES[change]
    await tamper(statement)
    finding = await verify.verify(database.finance_url)
    assert isinstance(finding, Finding)
    assert (finding.partition, finding.seq, finding.flaw) == (MAIN, seq, flaw)
    assert f"record {seq}:" in str(finding)
    assert "\n" not in str(finding)


async def test_a_swapped_pair_is_found(database: Any, tamper: Tampering) -> None:
    await tamper(
        "UPDATE ledger.journal SET seq = 0 WHERE seq = 2",
        "UPDATE ledger.journal SET seq = 2 WHERE seq = 3",
        "UPDATE ledger.journal SET seq = 3 WHERE seq = 0",
    )
    finding = await verify.verify(database.finance_url)
    assert isinstance(finding, Finding)
    assert (finding.seq, finding.flaw) == (2, Flaw.HASH)


async def test_swapped_transfers_of_a_record_are_found(database: Any, tamper: Tampering) -> None:
    await tamper(
        "UPDATE ledger.transfer SET line = 9 WHERE seq = 2 AND line = 1",
        "UPDATE ledger.transfer SET line = 1 WHERE seq = 2 AND line = 2",
        "UPDATE ledger.transfer SET line = 2 WHERE seq = 2 AND line = 9",
    )
    finding = await verify.verify(database.finance_url)
    assert isinstance(finding, Finding)
    assert (finding.seq, finding.flaw) == (2, Flaw.HASH)


async def test_the_first_of_several_flaws_is_named(database: Any, tamper: Tampering) -> None:
    await tamper(
        "UPDATE ledger.journal SET reason = 'x' WHERE seq = 9",
        "DELETE FROM ledger.identity WHERE seq = 7",
        "DELETE FROM ledger.journal WHERE seq = 10",
    )
    finding = await verify.verify(database.finance_url)
    assert isinstance(finding, Finding)
    assert (finding.seq, finding.flaw) == (7, Flaw.IDENTITY)


def _cent_too_many(entries: list[Entry]) -> str:
    entries[1] = replace(entries[1], position=msgspec.json.encode((Purse((lot_of(3_001),)),)).decode())
    return "its position says 3001 cents in holder:h1:90:2026, the transfers up to it make 3000"


def _lot_forgotten(entries: list[Entry]) -> str:
    entries[1] = replace(entries[1], position=msgspec.json.encode((Purse(),)).decode())
    return "its position says 0 cents in holder:h1:90:2026, the transfers up to it make 3000"


def _hold_forgotten(entries: list[Entry]) -> str:
    entries[3] = replace(entries[3], position=msgspec.json.encode((Purse((lot_of(2_100),)),)).decode())
    return "its position says 0 cents in hold:h1:90:2026, the transfers up to it make 900"


def _expired_forgotten(entries: list[Entry]) -> str:
    entries[4] = replace(entries[4], position=msgspec.json.encode((Purse(),)).decode())
    return "its position says 0 cents in expired:h1:90:2026, the transfers up to it make 2200"


def _expired_spendable(entries: list[Entry]) -> str:
    entries[4] = replace(entries[4], position=msgspec.json.encode((Purse((lot_of(2_200),)),)).decode())
    return "its position says 0 cents in expired:h1:90:2026, the transfers up to it make 2200"


def _expired_claimed(entries: list[Entry]) -> str:
    entries[3] = replace(entries[3], position=msgspec.json.encode((Purse((), (), (lot_of(2_100),)),)).decode())
    return "its position says 2100 cents in expired:h1:90:2026, the transfers up to it make 0"


def _expired_of_another(entries: list[Entry]) -> str:
    expired = accounts.expired(HolderId("h1"), "90", "2026")
    entries[5] = replace(entries[5], transfers=(*entries[5].transfers, Transfer(expired, FLOAT, Cents(1))))
    return "it moves money of holder h1, whose line it isn't"


def _expired_overdrawn(entries: list[Entry]) -> str:
    expired = accounts.expired(HolderId("h1"), "90", "2026")
    entries[1] = replace(entries[1], transfers=(Transfer(expired, FLOAT, Cents(1)),))
    return "it leaves expired:h1:90:2026 at -1 cents, on the wrong side of 0"


def _no_purse(entries: list[Entry]) -> str:
    entries[2] = replace(entries[2], position='{"balance": 1}')
    return "its position doesn't begin with a purse"


def _overdrawn(entries: list[Entry]) -> str:
    lot = accounts.of_holder(HolderId("h1"), "90", "2026")
    entries[2] = replace(entries[2], transfers=(Transfer(lot, PAYABLE, Cents(3_001)),))
    return "it leaves holder:h1:90:2026 at -1 cents, on the wrong side of 0"


def _client_funds_below_zero(entries: list[Entry]) -> str:
    funds = accounts.client_funds("c1", "90")
    entries[0] = replace(entries[0], transfers=(*entries[0].transfers, Transfer(funds, FLOAT, Cents(5))))
    return "it leaves client:c1:funds:90 at -5 cents, on the wrong side of 0"


def _another_holders_money(entries: list[Entry]) -> str:
    lot = accounts.of_holder(HolderId("h1"), "90", "2026")
    entries[5] = replace(entries[5], transfers=(*entries[5].transfers, Transfer(FLOAT, lot, Cents(1))))
    return "it moves money of holder h1, whose line it isn't"


@pytest.mark.parametrize(
    ("spoil", "seq"),
    [
        (_cent_too_many, 2),
        (_lot_forgotten, 2),
        (_hold_forgotten, 4),
        (_expired_forgotten, 5),
        (_expired_spendable, 5),
        (_expired_claimed, 4),
        (_expired_of_another, 6),
        (_expired_overdrawn, 2),
        (_no_purse, 3),
        (_overdrawn, 3),
        (_client_funds_below_zero, 1),
        (_another_holders_money, 6),
    ],
)
async def test_money_that_its_own_writer_got_wrong_is_found_though_the_chain_holds(
    database: Any, spoil: Callable[[list[Entry]], str], seq: int
) -> None:
    entries = story()
    what = spoil(entries)
    await write(database.url, entries)
    assert await verify.verify(database.finance_url) == Finding(MAIN, seq, Flaw.MONEY, what)  # type: ignore[arg-type]


async def test_each_partition_is_proved_on_its_own(cluster: Any, database: Any, tamper: Tampering) -> None:
    await tamper(
        "INSERT INTO ledger.fence (partition) VALUES (7)", "UPDATE ledger.journal SET reason = '' WHERE seq = 4"
    )
    assert isinstance(await verify.verify(database.finance_url, Scope(Partition(7))), Report)
    assert isinstance(await verify.verify(database.finance_url, Scope(MAIN)), Finding)
    assert isinstance(await verify.verify(database.finance_url), Finding)
    with pytest.raises(PartitionUnknown, match="no partition 3: it has 0, 7"):
        await verify.verify(database.finance_url, Scope(Partition(3)))


async def test_a_database_without_a_ledger_is_named_as_such(cluster: Any) -> None:
    with pytest.raises(schema.SchemaTooOld, match="no ledger"):
        await verify.verify(cluster.url("postgres", "postgres"))


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("postgresql://finance@/x?host=/nowhere", Unavailable),
        ("nonsense", schema.AddressInvalid),
        ("postgresql://h:port/x", schema.AddressInvalid),
    ],
)
async def test_a_database_that_cannot_be_reached_is_one_line(url: str, wrong: type[LedgerError]) -> None:
    with pytest.raises(wrong) as caught:
        await verify.verify(url)
    assert "\n" not in str(caught.value)
