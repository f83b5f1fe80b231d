"""What a superuser does to a ledger with the guards lifted, `ledger verify` finds (docs/proofs.md has the table).

Every case exits 1 and names the place. Where the table says that an anchor is needed, nothing else finds it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from ledger import accounts, schema
from ledger.anchors import AnchorFile, anchor_of
from ledger.cli import main
from ledger.embedded import SUPERUSER, EmbeddedServer
from ledger.signing import Signer, public_path
from ledger.store import Fence
from ledger.values import Cents, Entry, Epoch, Hold, HolderId, Part, Purse, Seq, Transfer
from tests.ledger.story import MAIN, Tampering, days, entry_at, lot_of, reference_at, story, write

PAGE = Path("docs/proofs.md")
RANGE_SEQS = 4
ANCHORED = (2, 10)


class Ledger(Struct):
    """A ledger in ranges of four seqs, its superuser, and what was anchored of it before."""

    url: str
    superuser_url: str
    anchors: Sequence[str]


@pytest.fixture(scope="module")
def template(cluster: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sequence[str]]]:
    """A database to copy, and the options that name its anchors."""
    name, folder = f"tampering_{uuid4().hex}", tmp_path_factory.mktemp("anchors")
    asyncio.run(_execute(cluster, f"CREATE DATABASE {name}"))
    asyncio.run(_fill(cluster, name, folder))
    yield name, ("--anchor", str(folder / "anchors"), "--key", str(public_path(folder / "key")))
    asyncio.run(_execute(cluster, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def ledger(cluster: EmbeddedServer, template: tuple[str, Sequence[str]]) -> Iterator[Ledger]:
    name = f"tampered_{uuid4().hex}"
    asyncio.run(_execute(cluster, f"CREATE DATABASE {name} TEMPLATE {template[0]}"))
    yield Ledger(cluster.url("finance", name), cluster.url(SUPERUSER, name), template[1])
    asyncio.run(_execute(cluster, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(cluster: EmbeddedServer, statement: str) -> None:
    connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
    await connection.execute(statement)
    await connection.close()


async def _fill(cluster: EmbeddedServer, name: str, folder: Path) -> None:
    await schema.create(cluster.url(SUPERUSER, name), range_size=RANGE_SEQS)
    anchors = AnchorFile(folder / "anchors", Signer.make(folder / "key"), print)
    entries = story()
    connection = await asyncpg.connect(cluster.url(SUPERUSER, name))
    for begin, end in zip((0, *ANCHORED), (*ANCHORED, len(entries)), strict=True):
        await connection.execute("SELECT ledger.add_range()")
        await write(cluster.url("authz", name), entries[begin:end], batch=RANGE_SEQS)
        if end in ANCHORED:
            fence = await connection.fetchrow("SELECT epoch, head, hash, beat FROM ledger.fence")
            at = datetime(2026, 5, 12, 10, 31, end, tzinfo=UTC)
            assert fence is not None
            anchors.append([anchor_of(MAIN, Fence(Epoch(fence[0]), Seq(fence[1]), fence[2], fence[3]), at)])
    for _ in range(len(entries) // RANGE_SEQS):
        await connection.execute("SELECT ledger.close_range(0)")
    await connection.close()


Change = Callable[[Tampering, Ledger], Awaitable[None]]


def _sql(*statements: str) -> Change:
    async def change(tamper: Tampering, _: Ledger) -> None:
        await tamper(*statements)

    return change


def _rewritten(seq: int, edit: Callable[[Entry], Entry]) -> Change:
    async def change(tamper: Tampering, _: Ledger) -> None:
        await tamper.rewrite({seq: edit})

    return change


async def _forge(tamper: Tampering, _: Ledger) -> None:
    """A record is changed, and its own hash with it; what stands behind it stays."""
    rows = "SELECT seq, hash FROM ledger.journal WHERE seq > 7"
    kept = await tamper.connection.fetch(rows)
    fence = await tamper.connection.fetchval("SELECT hash FROM ledger.fence")
    await tamper.rewrite({7: lambda entry: replace(entry, reply='{"reason":"NO_FUNDS"}')})
    await tamper(
        *(f"UPDATE ledger.journal SET hash = '\\x{row['hash'].hex()}' WHERE seq = {row['seq']}" for row in kept),
        f"UPDATE ledger.fence SET hash = '\\x{fence.hex()}'",
    )


async def _cut_off(tamper: Tampering, _: Ledger) -> None:
    """The newest records go, with all that belongs to them, and the fence goes back."""
    tables = ("journal", "transfer", "identity")
    await tamper(
        *(f"DELETE FROM ledger.{table} WHERE seq > 9" for table in tables),
        "UPDATE ledger.fence SET (head, epoch, hash) = (SELECT seq, epoch, hash FROM ledger.journal WHERE seq = 9)",
    )


async def _resolve_twice(_: Tampering, ledger: Ledger) -> None:
    """A hold of record 4 that record 5 captured is there again, and its money with it: the sums are right."""
    holder = HolderId("h1")
    hold, expired = accounts.of_hold(holder, "90", "2026"), accounts.expired(holder, "90", "2026")
    held = Hold(reference_at(4), "90", days()[0], "000001", "970001", (Part("2026", *days(), Cents(900)),), days()[1])
    again = entry_at(13, holder, Purse((), (held,), (lot_of(1_300),)), Transfer(expired, hold, Cents(900)))
    await write(ledger.superuser_url, [again])


async def _move_to_another(tamper: Tampering, _: Ledger) -> None:
    """What h2 was loaded with is taken out of h1's lot instead of the float."""
    lot = accounts.of_holder(HolderId("h1"), "90", "2026")

    def edit(entry: Entry) -> Entry:
        return replace(entry, transfers=tuple(replace(one, debit=lot) for one in entry.transfers))

    await tamper.rewrite({6: edit})


def _cent_more(entry: Entry) -> Entry:
    return replace(entry, position=msgspec.json.encode((Purse((lot_of(3_001),)), [["card"]], "rest")).decode())


def _other_reply(entry: Entry) -> Entry:
    return replace(entry, reply='{"reason":"NO_FUNDS"}')


class Case(Struct):
    """What is done, which record is named, and what is said of it. `anchored`: only an anchor finds it."""

    change: Change
    seq: int
    says: str
    anchored: bool = False


HASH = "its hash doesn't cover its content"
LACKS, HAS_NOT = "an identity of it is missing or names another record", "an identity names it that it doesn't have"

CASES = {
    "an edited amount": Case(_sql("UPDATE ledger.transfer SET amount = 1 WHERE seq = 7 AND line = 1"), 7, HASH),
    "an edited reply": Case(_sql("UPDATE ledger.journal SET reply = '{}' WHERE seq = 3"), 3, HASH),
    "a deleted record": Case(_sql("DELETE FROM ledger.journal WHERE seq = 6"), 6, "it is missing, the next is 7"),
    "a swapped pair": Case(
        _sql(
            "UPDATE ledger.journal SET seq = 0 WHERE seq = 2",
            "UPDATE ledger.journal SET seq = 2 WHERE seq = 3",
            "UPDATE ledger.journal SET seq = 3 WHERE seq = 0",
        ),
        2,
        HASH,
    ),
    "a removed tail": Case(_cut_off, 10, "an anchor of 2026-05-12T10:31:10Z has record 10", anchored=True),
    "a removed range": Case(
        _sql("DROP TABLE ledger.journal_000001", "DROP TABLE ledger.transfer_000001"), 4, "it is missing, the next is 8"
    ),
    "a forged record": Case(_forge, 8, HASH),
    "a chain written anew": Case(
        _rewritten(3, _other_reply),
        10,
        "it isn't what was anchored at 2026-05-12T10:31:10Z: the ledger was rewritten at or before it, behind record 2",
        anchored=True,
    ),
    "a position of one cent more": Case(
        _rewritten(2, _cent_more),
        2,
        "its position says 3001 cents in holder:h1:90:2026, the transfers up to it make 3000",
    ),
    "an amount moved between holders": Case(_move_to_another, 6, "it moves money of holder h1, whose line it isn't"),
    "a hold resolved twice": Case(_resolve_twice, 13, f"its position has the open hold {reference_at(4)}"),
    "a closing balance changed": Case(
        _sql("UPDATE ledger.closing SET balance = 1 WHERE range = 1 AND account = 'holder:h2:90:2026'"),
        7,
        "the closing balances after it say 1 cents in holder:h2:90:2026, the records up to it make 3000",
    ),
    "a closing balance removed": Case(
        _sql("DELETE FROM ledger.closing WHERE range = 1 AND account = 'expired:h1:90:2026'"),
        7,
        "the closing balances after it say 0 cents in expired:h1:90:2026, the records up to it make 2200",
    ),
    "a closing balance of an acquirer changed": Case(
        _sql("UPDATE ledger.closing SET balance = balance + 5 WHERE range = 0 AND account LIKE 'acquirer:%'"),
        3,
        "the closing balances after it say 2005 cents in acquirer:970001:payable, the records up to it make 2000",
    ),
    "an identity removed": Case(_sql("DELETE FROM ledger.identity WHERE seq = 9 AND stamp = 1"), 9, LACKS),
    "an identity added": Case(_sql("INSERT INTO ledger.identity VALUES (0, 7, '\\x" + "00" * 16 + "', 4)"), 4, HAS_NOT),
    "an identity redirected": Case(_sql("UPDATE ledger.identity SET seq = 9 WHERE seq = 8 AND stamp = 1"), 8, LACKS),
}


def _tamper(ledger: Ledger, change: Change) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(ledger.superuser_url)
        await change(Tampering(connection), ledger)
        await connection.close()

    asyncio.run(work())


@pytest.mark.parametrize("name", CASES)
def test_it_exits_1_and_names_the_record(ledger: Ledger, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    _tamper(ledger, case.change)
    anchors = ledger.anchors if case.anchored else ()
    assert main(["verify", "--database", ledger.url, *anchors]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"ledger: partition 0, record {case.seq}: ")
    assert case.says in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.anchored])
def test_without_an_anchor_it_is_not_found(ledger: Ledger, name: str) -> None:
    """What the page says that verify can't know, it doesn't."""
    _tamper(ledger, CASES[name].change)
    assert main(["verify", "--database", ledger.url]) == 0


def test_an_untouched_ledger_is_sound_and_agrees_with_its_anchors(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--database", ledger.url, *ledger.anchors, "--json"]) == 0
    [partition] = msgspec.json.decode(capsys.readouterr().out)["result"]["partitions"]
    assert (partition["head"], partition["anchors"]) == (12, len(ANCHORED))


def test_the_page_has_a_row_for_each_case_and_says_which_need_an_anchor() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| (yes|no) \| `(.+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {test: (what, needed == "yes") for what, needed, test in rows}
    assert told.keys() == CASES.keys()
    assert {name: case.anchored for name, case in CASES.items()} == {name: needed for name, (_, needed) in told.items()}
