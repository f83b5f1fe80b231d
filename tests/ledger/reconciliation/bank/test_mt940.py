"""Bank statements as SWIFT has them: read to the cent, and refused where the library leaves something out."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.reconciliation.bank.statements import Statement, StatementInvalid, read_statement
from tests.ledger.reconciliation.bank.banks import DAY, VOUCHER, Booked, entry, mt940, tomorrow

ENTRIES = st.builds(
    entry,
    st.integers(-(10**11), 10**11).filter(bool),
    st.none()
    | st.from_regex(r"[A-Z][A-Z0-9-]{0,15}", fullmatch=True).filter(lambda one: one not in ("NONREF", "NOTPROVIDED")),
    day=st.integers(0, 2).map(lambda days: DAY + timedelta(days=days)),
)


def read(path: Path, text: str) -> Statement:
    path.write_text(text, encoding="utf-8", newline="")
    return read_statement(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, max_size=6), st.integers(-(10**11), 10**11))
def test_what_a_bank_writes_is_read_to_the_cent(tmp_path: Path, entries: list[Booked], opening: int) -> None:
    last = DAY + timedelta(days=2)
    statement = read(tmp_path / "one.sta", mt940(entries, opening, ends=last))
    assert (statement.format, statement.account, statement.day) == ("mt940", VOUCHER, last)
    assert [(one.cents, one.booked, one.end_to_end, one.reference) for one in statement.entries] == [
        (one.cents, one.day, one.parts[0].end_to_end, f"B{number:05}") for number, one in enumerate(entries, 1)
    ]
    assert statement.balances[0].opening == opening
    assert statement.balances[-1].closing == opening + sum(one.cents for one in entries)


def test_statements_follow_one_another_in_a_file(tmp_path: Path) -> None:
    text = mt940([entry(300, "A")], 100) + mt940(
        [entry(-50, "B", day=tomorrow())], 400, begins=tomorrow(), ends=tomorrow()
    )
    statement = read(tmp_path / "two.sta", text)
    assert [(one.day, one.closing) for one in statement.balances] == [(DAY, 400), (tomorrow(), 350)]


def test_a_reversed_credit_went_out(tmp_path: Path) -> None:
    text = mt940([entry(-300, "A")], 500).replace("0512D3,00", "0512RC3,00")
    assert [one.cents for one in read(tmp_path / "one.sta", text).entries] == [-300]


def test_an_entry_of_last_year(tmp_path: Path) -> None:
    day = date(2026, 12, 31)
    text = mt940([entry(300, "A", day=day)], begins=day, ends=day).replace(":61:2612311231", ":61:2701021231")
    (found,) = read(tmp_path / "one.sta", text).entries
    assert (found.booked, found.valued) == (day, date(2027, 1, 2))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (":62F:C260512EUR4,00", ":62F:C260512EUR4,01", "but it closes with 4.01"),
        (":61:2605120512C3,00", ":61:2605120512X3,00", "field isn't in its form|field 61 isn't in its form"),
        ("EUR", "USD", "field 25: no IBAN|isn't in EUR"),
        (VOUCHER, "12345678/0001", "field 25: no IBAN"),
        (":62F:", ":64:", "field 62: there is no balance"),
        ("C3,00", "C3,005", "isn't an amount|closes with"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = mt940([entry(300, "A")], 100)
    assert before in text
    with pytest.raises(StatementInvalid, match=said) as refused:
        read(tmp_path / "one.sta", text.replace(before, after))
    assert "\n" not in str(refused.value)
