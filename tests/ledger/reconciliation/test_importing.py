"""Files are taken in once, and whole or not at all (docs/imports.md)."""

import asyncio
import hashlib
from datetime import UTC, date, datetime, time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from ledger.reconciliation import importing
from ledger.reconciliation.files import FileRefused
from ledger.reconciliation.importing import FileUnreadable, SourceUnknown, import_file, layout_of
from ledger.reconciliation.register import MayNotImport
from ledger.reconciliation.terms import Accounts, AcquirerTerms, Terms
from ledger.schema import RECONCILER_ROLE
from ledger.store import Unavailable
from simulators.clearing import Clearing, Detail, write
from simulators.clearing import Kind as What

ACQUIRERS = Path(__file__).parent / "acquirers"
VOUCHER, OPERATING = "FR7630006000011234567890189", "FR7610107001011234567890129"
TERMS = Terms(
    accounts=Accounts(voucher=VOUCHER, operating=OPERATING, holder="Vouchers"),
    acquirer=(
        AcquirerTerms(id="970001", name="Paris", iban="FR1420041010050500013M02606"),
        AcquirerTerms(id="970002", name="Cartavia", iban="FR1420041010050500013M02606", format="cartavia.toml"),
    ),
)
TITLES = "Date;Heure;Commerçant;TPE;N° trace;Référence;Autorisation;Carte;Nature;Sens;Montant;Devise;Nombre"
SALE = "12/05/2026;12:30:00;FR0000000000001;PAR00001;42;;A1B2C3;9250 1000 0000 0014;Vente;D;1 012,50;EUR;1"
REFUND = "12/05/2026;12:31:00;FR0000000000001;PAR00001;43;R1;;XXXXXXXXXXXX0014;Avoir;C;2,50;EUR;1"
NO_DAY = "99/05/2026;12:32:00;FR0000000000001;PAR00001;44;;;XXXXXXXXXXXX0014;Vente;D;4,00;EUR;1"


def detail(number, cents=1_250, kind=What.SALE):
    return Detail(
        kind=kind,
        mti="0200",
        terminal="PAR00001",
        merchant="FR0000000000001",
        trace=f"{number % 1_000_000:06}",
        transmitted="0512103000",
        card="925010******0014",
        product="90",
        cents=cents,
        day=date(2026, 5, 12),
        at=time(12, 30),
    )


def native(*details, file_id="PAR00001-000001", acquirer="970001"):
    at = datetime(2026, 5, 12, 21, 30, tzinfo=UTC)
    return write(Clearing(acquirer=acquirer, day=date(2026, 5, 12), created=at, file_id=file_id, details=details))


def cartavia(*lines, trailer):
    return "\r\n".join((TITLES, *lines, trailer, "")).encode("iso8859-15")


@pytest.fixture
def url(database):
    """The ledger's address, for who may write the reconciliation."""
    return urlsplit(database.finance_url)._replace(netloc=f"{RECONCILER_ROLE}@").geturl()


@pytest.fixture
def put(tmp_path):
    """Write a file, and say where."""

    def write_(content, name="clearing.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_


async def rows(url, query):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def counted(url):
    """How many files, lines and lines left out count."""
    [row] = await rows(
        url,
        "SELECT (SELECT count(*) FROM reconciliation.file),"
        " (SELECT count(*) FROM reconciliation.clearing_line AS l JOIN reconciliation.file AS f ON f.id = l.file),"
        " (SELECT count(*) FROM reconciliation.quarantined)",
    )
    return row


async def test_a_file_is_in_with_its_lines_and_its_hash(url, put):
    path = put(native(detail(1), detail(2, 250, What.REFUND)))
    imported = await import_file(url, path, TERMS)
    assert imported.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (imported.name, imported.source, imported.day) == ("PAR00001-000001", "970001", date(2026, 5, 12))
    assert (imported.lines, imported.debits, imported.credits, imported.already) == (2, 1_250, 250, False)
    assert await rows(
        url, "SELECT line, cents, class, local, card FROM reconciliation.clearing_line ORDER BY line"
    ) == [
        (2, 1_250, "020", datetime(2026, 5, 12, 12, 30), "925010******0014"),  # noqa: DTZ001
        (3, -250, "020", datetime(2026, 5, 12, 12, 30), "925010******0014"),  # noqa: DTZ001
    ]


async def test_two_imports_of_a_file_at_once_are_one(url, put):
    path = put(native(*map(detail, range(500))))
    both = await asyncio.gather(*(import_file(url, path, TERMS) for _ in range(4)))
    assert sorted(one.already for one in both) == [False, True, True, True]
    assert await counted(url) == (1, 500, 0)


async def test_the_same_bytes_again_have_no_effect_and_other_bytes_of_that_name_are_refused(url, put):
    first = await import_file(url, put(native(detail(1))), TERMS)
    again = await import_file(url, put(native(detail(1)), "another-name.csv"), TERMS)
    assert (first.already, again.already) == (False, True)
    assert again.name == first.name
    with pytest.raises(FileRefused, match="PAR00001-000001 is in already, with other content"):
        await import_file(url, put(native(detail(1), detail(2))), TERMS)
    with pytest.raises(FileRefused, match="in already, as the clearing of 970001"):
        await import_file(url, put(native(detail(1))), TERMS, "970002")
    assert await counted(url) == (1, 1, 0)


async def test_a_third_acquirer_is_a_mapping_and_no_code(url, put):
    layout = layout_of("cartavia.toml", ACQUIRERS)
    path = put(cartavia(SALE, REFUND, trailer="TOTAL;2;1 012,50;2,50"), "CARTAVIA_20260513.csv")
    imported = await import_file(url, path, TERMS, "970002", layout=layout)
    assert (imported.format, imported.name, imported.day) == (
        "Cartavia 2026",
        "CARTAVIA_20260513.csv",
        date(2026, 5, 13),
    )
    columns = "kind, class, cents, trace, retrieval, approval, card, product, local"
    assert await rows(url, f"SELECT {columns} FROM reconciliation.clearing_line ORDER BY line") == [
        ("sale", "020", 101_250, "000042", None, "A1B2C3", "925010******0014", "90", datetime(2026, 5, 12, 12, 30)),  # noqa: DTZ001
        ("refund", "020", -250, "000043", "R1", None, "************0014", "90", datetime(2026, 5, 12, 12, 31)),  # noqa: DTZ001
    ]


async def test_a_bad_line_is_left_out_with_its_reason_where_the_totals_agree(url, put):
    path = put(cartavia(SALE, NO_DAY, trailer="TOTAL;2;1 016,50;0,00"), "CARTAVIA_20260513.csv")
    imported = await import_file(url, path, TERMS, "970002", layout=layout_of("cartavia.toml", ACQUIRERS))
    assert imported.lines == 1
    [bad] = imported.quarantined
    assert (bad.line, bad.reason) == (3, "date isn't written as the mapping has it")
    assert await counted(url) == (1, 1, 1)


async def test_a_file_that_disagrees_with_itself_is_refused_and_nothing_of_it_is_in(url, put):
    layout = layout_of("cartavia.toml", ACQUIRERS)
    for lines, trailer, said in (
        (
            [SALE, REFUND],
            "TOTAL;3;1 012,50;2,50",
            "line 4: its control totals aren't those of the file's lines: it says lines 3, not 2",
        ),
        ([SALE, REFUND], "TOTAL;2;1 012,51;2,50", "debits_cents 101251, not 101250"),
        ([SALE, NO_DAY], "TOTAL;2;1 012,50;0,00", "line 3: date isn't written as the mapping has it"),
        ([NO_DAY], "TOTAL;1;4,00;0,00", "no line of it can be read"),
        ([SALE.replace("EUR", "USD")], "TOTAL;1;1 012,50;0,00", "line 2: its currency isn't the euro"),
        ([SALE], REFUND, "line 3: its trailer: lines isn't a number"),
    ):
        path = put(cartavia(*lines, trailer=trailer), "CARTAVIA_20260513.csv")
        with pytest.raises(FileRefused) as refused:
            await import_file(url, path, TERMS, "970002", layout=layout)
        assert str(refused.value).startswith(f"{path}: ")
        assert said in str(refused.value)
    assert await counted(url) == (0, 0, 0)


async def test_a_whole_card_number_is_nowhere(url, put):
    path = put(cartavia(SALE, NO_DAY.replace("XXXXXXXXXXXX0014", "9250100000000014x"), trailer="TOTAL;2;1 016,50;0,00"))
    layout = layout_of("cartavia.toml", ACQUIRERS)
    with pytest.raises(FileRefused) as refused:
        await import_file(url, path, TERMS, "970002", layout=layout)
    assert "92501000" not in repr(refused.value)
    named = path.rename(path.with_name("CARTAVIA_20260513.csv"))
    imported = await import_file(url, named, TERMS, "970002", layout=layout)
    assert "92501000" not in repr(imported)
    tables = ("file", "clearing_line", "quarantined")
    stored = [await rows(url, f"SELECT t::text FROM reconciliation.{table} AS t") for table in tables]
    assert "925010******0014" in repr(stored)
    assert "92501000" not in repr(stored)


async def test_a_long_file_goes_in_by_windows(url, put, monkeypatch):
    monkeypatch.setattr(importing, "WINDOW_LINES", 7)
    monkeypatch.setattr(importing, "CHUNK_LINES", 5)
    imported = await import_file(url, put(native(*map(detail, range(1, 31)))), TERMS)
    assert imported.lines == 30
    assert await counted(url) == (1, 30, 0)
    assert await rows(url, "SELECT min(line), max(line), count(*) FROM reconciliation.clearing_line") == [(2, 31, 30)]


async def test_an_import_that_is_stopped_between_any_two_statements_leaves_all_that_counts_or_nothing(
    url, put, monkeypatch
):
    """And run again, it leaves what one that wasn't stopped does."""
    monkeypatch.setattr(importing, "WINDOW_LINES", 16)
    path = put(native(*map(detail, range(1, 31))))
    for allowed in range(100):
        with monkeypatch.context() as patch:
            _stop_after(patch, allowed)
            try:
                imported = await import_file(url, path, TERMS)
                break
            except (_Stopped, Unavailable):
                pass
        assert await counted(url) in ((0, 0, 0), (1, 30, 0))
    assert allowed > 10
    assert imported.lines == 30
    assert await counted(url) == (1, 30, 0)


class _Stopped(Exception):
    """The process is gone."""


def _stop_after(patch, allowed):
    """Let so many statements through, and end the session at the next as if its process were killed."""
    left = allowed

    def stopping(method):
        async def stopped(self, *arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                self.terminate()
                raise _Stopped
            return await method(self, *arguments, **options)

        return stopped

    for name in ("execute", "fetch", "fetchrow", "fetchval", "copy_records_to_table"):
        patch.setattr(asyncpg.Connection, name, stopping(getattr(asyncpg.Connection, name)))


async def test_who_and_whose_must_be_known(database, url, put, tmp_path):
    for address, path, source, wrong, said in (
        (database.finance_url, put(native(detail(1)), "1.csv"), None, MayNotImport, "connect as role reconciler"),
        (url, put(native(detail(1), acquirer="970009"), "2.csv"), None, SourceUnknown, "no acquirer 970009"),
        (url, put("Date;Heure\n", "3.csv"), None, FileRefused, "name the acquirer"),
        (url, put(native(detail(1)), "4.csv"), "970002", FileRefused, "970001's, not 970002's"),
        (url, tmp_path, None, FileUnreadable, "not a file"),
        (url, tmp_path / "none", None, FileUnreadable, "No such file"),
    ):
        with pytest.raises(wrong, match=said):
            await import_file(address, path, TERMS, source)
    assert await counted(url) == (0, 0, 0)
