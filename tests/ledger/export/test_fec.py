"""The French file of accounting entries (Livre des procédures fiscales, article A47 A-1; BOI-CF-IOR-60-40-20)."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.export.chart import Chart
from ledger.export.fec import FIELDS, SirenInvalid, file_name, year_begin
from ledger.export.formats import Format
from ledger.shortfalls import EVER, Period

THE_ARTICLES_FIELDS = [
    "JournalCode",
    "JournalLib",
    "EcritureNum",
    "EcritureDate",
    "CompteNum",
    "CompteLib",
    "CompAuxNum",
    "CompAuxLib",
    "PieceRef",
    "PieceDate",
    "EcritureLib",
    "Debit",
    "Credit",
    "EcritureLet",
    "DateLet",
    "ValidDate",
    "Montantdevise",
    "Idevise",
]
Row = Mapping[str, str]


def _rows(exported: bytes) -> Sequence[Row]:
    lines = exported.decode("iso8859-15").split("\r\n")
    assert lines.pop() == ""
    assert not any("\n" in line or "\r" in line for line in lines)
    head, *rows = [line.split("\t") for line in lines]
    assert head == THE_ARTICLES_FIELDS
    assert all(len(row) == 18 for row in rows)
    return [dict(zip(head, row, strict=True)) for row in rows]


def _cents(amount: str) -> int:
    """Read an amount: a comma before the cents, nothing before thousands (VI, 3°)."""
    assert re.fullmatch(r"\d+,\d\d", amount), amount
    return int(amount.replace(",", ""))


@pytest.fixture(params=[True, False], ids=["all", "second year"])
def period(request: pytest.FixtureRequest, second_year: Period) -> Period:
    return EVER if request.param else second_year


@pytest.fixture
async def rows(exported: Any, period: Period) -> Sequence[Row]:
    return _rows(await exported(Format.FEC, period))


def test_the_fields_are_the_articles_18_in_its_order() -> None:
    assert list(FIELDS) == THE_ARTICLES_FIELDS


async def test_entries_are_numbered_without_a_gap_and_each_is_balanced(rows: Sequence[Row]) -> None:
    """VII: "le numéro sur une séquence continue de l'écriture comptable"."""
    entries = [(number, list(lines)) for number, lines in groupby(rows, key=lambda row: row["EcritureNum"])]
    assert [number for number, _ in entries] == [str(number) for number in range(1, len(entries) + 1)]
    for _, lines in entries:
        assert sum(_cents(line["Debit"]) - _cents(line["Credit"]) for line in lines) == 0
        shared = {(line["JournalCode"], line["EcritureDate"], line["PieceRef"], line["EcritureLib"]) for line in lines}
        assert len(shared) == 1


async def test_entries_stand_in_the_order_of_their_validation(rows: Sequence[Row]) -> None:
    days = [row["ValidDate"] for row in rows]
    assert days == sorted(days)
    assert all(re.fullmatch(r"20\d{6}", day) for day in days)
    assert all(row["EcritureDate"] == row["PieceDate"] == row["ValidDate"] for row in rows)


async def test_what_must_be_filled_in_is(rows: Sequence[Row]) -> None:
    """VII: currency, matching and auxiliary account are "à blanc si non utilisé"; nothing else may be blank."""
    may_be_blank = {"CompAuxNum", "CompAuxLib", "EcritureLet", "DateLet", "Montantdevise", "Idevise"}
    for row in rows:
        assert all(row[field].strip() for field in FIELDS if field not in may_be_blank)
        assert (_cents(row["Debit"]) > 0) != (_cents(row["Credit"]) > 0)
        assert re.match(r"\d{3}", row["CompteNum"])
        assert bool(row["CompAuxNum"]) == bool(row["CompAuxLib"]) == row["CompteNum"].startswith(("4671", "4672"))


async def test_accounts_end_at_the_ledgers_balances(rows: Sequence[Row], balance: Any) -> None:
    """By account and auxiliary account: a holder's lots are one in the file."""
    left: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        left[row["CompteNum"], row["CompAuxNum"]] += _cents(row["Credit"]) - _cents(row["Debit"])
    chart = Chart.read()
    for account, cents in (await balance()).items():
        place = chart.place(account)
        left[place.number, place.auxiliary] -= cents
    assert left
    assert not any(left.values())


async def test_every_transfer_of_the_year_is_there_with_the_record_that_it_is_of(exported: Any, story: Any) -> None:
    rows = _rows(await exported(Format.FEC))
    assert [(row["PieceRef"], row["EcritureLib"]) for row in rows] == [
        (f"0:{seq}", f"{entry.kind} {entry.reason}") for seq, entry in story for _ in range(2 * len(entry.transfers))
    ]
    amounts = [_cents(row["Debit"]) + _cents(row["Credit"]) for row in rows]
    assert amounts == [moved.amount for _, entry in story for moved in entry.transfers for _ in range(2)]


async def test_the_first_entry_of_a_year_is_what_was_carried_over(exported: Any, second_year: Period) -> None:
    """VII: "les premières écritures … correspondent aux écritures de reprise des soldes de l'exercice antérieur"."""
    rows = _rows(await exported(Format.FEC, second_year))
    opening = [row for row in rows if row["JournalCode"] == "AN"]
    assert opening == rows[: len(opening)]
    assert {(row["EcritureNum"], row["EcritureDate"], row["PieceRef"]) for row in opening} == {
        ("1", "20260101", "AN20260101")
    }
    assert {row["CompteNum"]: (row["Debit"], row["Credit"]) for row in opening if row["CompteNum"] != "46711"} == {
        "46721": ("0,00", "18,50"),
        "512190": ("50,00", "0,00"),
        "512191": ("1000,00", "0,00"),
    }


async def test_what_the_character_set_lacks_is_written_as_its_number(told: Any, exported: Any, entries: Any) -> None:
    await told.append(entries.payment("łódź"))
    last = _rows(await exported(Format.FEC))[-2]
    assert last["CompAuxNum"] == r"\u0142ód\u017a"


# The file's name (article A47 A-1, X)


def test_the_file_is_named_by_siren_and_closing_date() -> None:
    assert file_name("732829320", date(2026, 12, 31)) == "732829320FEC20261231.txt"
    assert file_name("732 829 320", date(2026, 6, 30)) == "732829320FEC20260630.txt"


@pytest.mark.parametrize("siren", ["", "73282932", "7328293200", "732829321", "73282932X", "٧٣٢٨٢٩٣٢٠", "-32829320"])
def test_what_is_no_siren_is_refused(siren: str) -> None:
    with pytest.raises(SirenInvalid, match="nine digits"):
        file_name(siren, date(2026, 12, 31))


@given(st.integers(0, 8), st.integers(1, 9))
def test_a_siren_with_one_wrong_digit_is_refused(place: int, added: int) -> None:
    digits = [int(digit) for digit in "732829320"]
    digits[place] = (digits[place] + added) % 10
    with pytest.raises(SirenInvalid):
        file_name("".join(map(str, digits)), date(2026, 12, 31))


@given(st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_a_year_begins_twelve_months_before_the_day_behind_its_last(closing: date) -> None:
    begin, after = year_begin(closing), closing + timedelta(days=1)
    assert begin.year == after.year - 1
    assert (begin.month, begin.day) == ((3, 1) if (after.month, after.day) == (2, 29) else (after.month, after.day))
