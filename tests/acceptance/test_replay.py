"""Same input, same decision: a journal decided again comes out the same, and what was changed in it doesn't."""

import asyncio
from collections.abc import Iterator
from datetime import date

import asyncpg
import pytest
from msgspec.structs import replace

from authz.replay import Difference, Replayed, Rereading, replay
from authz.wire.message import Message
from ledger.chain import GENESIS, extend
from ledger.memory import MemoryStore
from ledger.reading import chunks, entry_of, heads, reader
from ledger.values import Partition, Seq
from simulators.acquirer.totals import Totals
from simulators.terminal.messages import Terminal
from tests.acceptance.authorizer import Authorizer
from tests.acceptance.counter import Line, card, cvv2, online, purchase, terminal, wrong_pin
from tests.conftest import Database


@pytest.fixture
def journal(authorizer: Authorizer, own_database: Database) -> str:
    """A ledger with a lunch in it that nobody writes any more, as finance reads it."""
    till = terminal()
    stranger = replace(card("0014"), pan="9250100000009999")
    with Line(authorizer.port) as line:
        for request in (
            purchase("0014", 1200),
            purchase("0014", 1200, takes_partial=True),
            purchase("0022", 1000, pin=wrong_pin("0022")),
            purchase("0022", 1000),
            till.authorization(card("0030"), 900),
            till.inquiry(card("0048")),
            till.purchase(stranger, 500),
            online("0097", 900, cvv2("0097")),
            purchase("0063", 500),
            purchase("0010", 800, "BRU00001", product="91"),
            replace(purchase("0014", 100), acquirer="970009"),
            *told(till),
        ):
            line.ask(request)
    authorizer.kill()
    return own_database.finance_url


def told(till: Terminal) -> Iterator[Message]:
    """Holds, completions, offline advices, reversals before, after, twice and in part, a refund, totals, a cutover."""
    chloe, emma = card("0030"), card("0097")
    held, paid, never = till.authorization(chloe, 400), till.purchase(chloe, 300), till.purchase(emma, 200)
    yield from (held, till.completion(chloe, held, 500), paid, till.reversal(paid, stands=100), till.reversal(paid))
    yield from (till.reversal(held, stands=50), till.reversal(never), never, till.reversal(never))
    yield from (till.advice(emma, 4_000_000), till.hold_advice(emma, 100), till.refund(chloe, paid, 100))
    stamped = {"transmitted": "0512103000", "trace": "900001"}
    yield Message(mti="0800", network_code="201", **stamped)
    yield Message(mti="0500", acquirer=paid.acquirer, **stamped, **Totals().fields(date(2026, 5, 12)))


def test_into_an_empty_store_it_is_written_again_bit_for_bit(journal: str) -> None:
    """The chain's last hash covers every request, reply, position, transfer and key: it is the same."""
    written, again = asyncio.run(_written_again(journal))
    assert again == written


async def _written_again(url: str) -> tuple[bytes, bytes]:
    store, partition = MemoryStore(), Partition(0)
    fence = await store.take(partition, await store.fence(partition))
    again, newest = Rereading(store, partition), GENESIS
    async with reader(url) as connection:
        head = (await heads(connection))[partition]
        async for chunk in chunks(connection, partition, head):
            for row, transfers in chunk:
                entry = await again.decide(Seq(row["seq"]), entry_of(row, transfers))
                records = list(extend(partition, fence.epoch, Seq(row["seq"] - 1), newest, [entry]))
                await store.append(partition, fence.epoch, Seq(row["seq"] - 1), newest, records)
                newest = records[-1].hash
        assert fence.epoch == row["epoch"], "one writer wrote it all, in the first epoch"
        return await connection.fetchval("SELECT hash FROM ledger.fence"), newest


def test_every_decision_comes_out_as_it_is_recorded(journal: str, own_database: Database) -> None:
    reached: list[tuple[Partition, Seq, Seq]] = []
    outcome = asyncio.run(replay(journal, lambda *told: reached.append(told)))
    records = asyncio.run(_fetch(own_database, "SELECT count(*) FROM ledger.journal"))
    assert outcome == Replayed(records)
    assert records > 60
    assert reached[-1] == (0, records, records)


@pytest.mark.parametrize(
    ("column", "old", "new", "what"),
    [
        ("request", '"amount":1200', '"amount":600', "reply"),
        ("request", '"pin":"wrong"', '"pin":"right"', "reply"),
        ("request", '"used":[', '"used":[9', "rests on the records"),
        ("reply", '"approval":"', '"approval":"X', "reply"),
        ("reason", "PIN_WRONG", "PIN_MISSING", "reason"),
        ("position", "2027-02-28", "2027-03-28", "position"),
    ],
)
def test_a_record_that_says_otherwise_is_named(
    journal: str, own_database: Database, column: str, old: str, new: str, what: str
) -> None:
    seq = asyncio.run(_tamper(own_database, column, old, new))
    outcome = asyncio.run(replay(journal))
    assert isinstance(outcome, Difference)
    assert outcome.seq == seq
    assert what in str(outcome)


def test_a_transfer_that_the_rules_would_not_make_is_named(journal: str, own_database: Database) -> None:
    seq = asyncio.run(
        _fetch(
            own_database,
            "UPDATE ledger.transfer SET amount = amount - 1 WHERE (partition, seq) ="
            " (SELECT partition, max(seq) FROM ledger.transfer GROUP BY 1) RETURNING seq",
        )
    )
    outcome = asyncio.run(replay(journal))
    assert outcome == Difference(Partition(0), Seq(seq), "its transfers would be another now")


async def _tamper(database: Database, column: str, old: str, new: str) -> int:
    """Change the newest payment that has the text, and return its seq."""
    kind = "text" if column == "reason" else "json"
    return await _fetch(
        database,
        f"UPDATE ledger.journal SET {column} = replace({column}::text, $1, $2)::{kind} WHERE (partition, seq) ="
        f" (SELECT partition, max(seq) FROM ledger.journal WHERE {column}::text LIKE '%' || $1 || '%'"
        "   AND kind IN ('purchase', 'authorization') GROUP BY 1) RETURNING seq",
        old,
        new,
    )


async def _fetch(database: Database, statement: str, *arguments: str) -> int:
    """Run a statement as a superuser who lifts the guards."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ledger.ddl = 'tampering'")
            for table in ("journal", "transfer"):
                await connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
            return int(await connection.fetchval(statement, *arguments))
    finally:
        await connection.close()
