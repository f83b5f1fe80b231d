"""A mapping says how an acquirer's files are read (docs/imports.md); what it leaves open is an error at once."""

import io
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.reconciliation import mapped, mapping
from ledger.reconciliation.fields import CENTS_MAX, amounts, card
from ledger.reconciliation.files import (
    BAD_LINES_MAX,
    LINE_BYTES_MAX,
    Bad,
    FileRefused,
    Lines,
    Malformed,
    Stated,
    checked,
)
from ledger.reconciliation.mapping import Amounts, Layout, MappingInvalid
from ledger.reconciliation.values import ClearingLine

ACQUIRERS = Path(__file__).parent / "acquirers"
CARTAVIA = mapping.load(ACQUIRERS / "cartavia.toml")
RHONEPAY = mapping.load(ACQUIRERS / "rhonepay.toml")
PLAIN = """
name = "Plain"
layout = "csv"
delimiter = ","
controls = "none"
[file_name]
pattern = '([0-9]{8})'
form = "%Y%m%d"
[fields]
merchant = 1
cents = 2
kind = { constant = "sale" }
payments = 3
retrieval = 4
"""


def layout(text):
    return msgspec.toml.decode(text, type=Layout)


def taken(content, how, name="20260513.csv", acquirer="970003"):
    lines = Lines(io.BytesIO(content if isinstance(content, bytes) else content.encode()), crlf=True)
    return list(checked(mapped.read(lines, how, acquirer, name)))


merchants = st.text("ABCXYZ0189-", min_size=1, max_size=15)
cents = st.integers(1, CENTS_MAX)


@given(st.lists(st.tuples(merchants, cents, st.integers(1, 1_000_000), st.text("ABC019", max_size=12))))
def test_what_is_written_as_a_csv_mapping_has_it_is_read_equal(rows):
    text = "".join(f"{merchant},{amount},{count},{retrieval}\n" for merchant, amount, count, retrieval in rows)
    *lines, stated = taken(text, layout(PLAIN))
    assert [(one.merchant, one.cents, one.payments, one.retrieval) for one in lines] == [
        (merchant, amount, count, retrieval or None) for merchant, amount, count, retrieval in rows
    ]
    assert [one.line for one in lines] == list(range(1, len(rows) + 1))
    assert stated == Stated(date(2026, 5, 13), {})


details = st.lists(st.tuples(merchants, st.integers(-CENTS_MAX, CENTS_MAX).filter(bool), st.datetimes()))


@given(details)
def test_what_is_written_as_a_fixed_mapping_has_it_is_read_equal(rows):
    text = "10RHONEPAY   20260513978\n"
    for merchant, amount, at in rows:
        side = "D" if amount > 0 else "C"
        when = f"{at.year:04}{at:%m%d%H%M%S}"
        text += f"20{merchant:<15}PAR00001{when}000042{'9250100000000014':<19}{side}{abs(amount):012}\n15a note\n"
    text += f"90{len(rows):08}{sum(amount for _, amount, _ in rows):015}\n"
    *lines, stated = taken(text, RHONEPAY)
    assert [(one.merchant, one.cents, one.local) for one in lines] == [
        (merchant, amount, at.replace(microsecond=0)) for merchant, amount, at in rows
    ]
    assert {one.card for one in lines} <= {"925010******0014"}
    assert stated.day == date(2026, 5, 13)


@given(st.integers(-CENTS_MAX, CENTS_MAX), st.sampled_from([",", "."]), st.sampled_from([None, " ", "'"]))
def test_an_amount_is_read_as_it_is_written(amount, decimal, thousands):
    euros, part = divmod(abs(amount), 100)
    whole = f"{euros:,}".replace(",", thousands) if thousands else str(euros)
    text = f"{'-' if amount < 0 else ''}{whole}{decimal}{part:02}"
    assert amounts(Amounts(decimal=decimal, thousands=thousands))("cents", text) == amount


@pytest.mark.parametrize("text", ["", "12,345", "1 23,45", "12.50", "1e3", "--1", "0x10", "12,5,0", "٣", "1" * 16])
def test_an_amount_that_could_mean_two_things_is_none(text):
    with pytest.raises(Malformed, match="cents isn't an amount"):
        amounts(Amounts(decimal=",", thousands=" "))("cents", text)


@given(st.text("0123456789", min_size=12, max_size=19))
def test_of_a_card_no_more_than_ten_digits_are_kept(pan):
    kept = card(" ".join(pan))
    assert (kept[:6], kept[-4:], len(kept)) == (pan[:6], pan[-4:], len(pan))
    assert set(kept[6:-4]) == {"*"}
    assert card(kept) == kept


noise = st.binary(max_size=300) | st.text(';,"\n\r0123456789DC TOTAL/:EURVenteAvoirx', max_size=300).map(str.encode)


@given(noise, st.sampled_from([CARTAVIA, RHONEPAY, layout(PLAIN)]))
def test_any_bytes_are_read_or_refused(content, how):
    try:
        items = taken(content, how, "CARTAVIA_20260513.csv")
    except FileRefused:
        return
    assert isinstance(items[-1], Stated)
    assert all(isinstance(one, ClearingLine | Bad) for one in items[:-1])


def test_a_bad_line_counts_in_the_totals_with_what_of_it_can_be_read():
    content = "F1,100,1,A\nF1,250,0,B\nF1,x,1,C\n"
    first, no_payments, no_amount, _ = taken(content, layout(PLAIN))
    assert first.cents == 100
    assert no_payments == Bad(2, "payments is 0, or above 1,000,000", 250)
    assert no_amount == Bad(3, "cents isn't an amount as the mapping has it")


def test_totals_that_differ_are_named_with_the_line_that_states_them():
    above = PLAIN.replace('controls = "none"', "header = { lines = 1, net = 2 }\ntrailer = { debits = 1 }")
    for header, trailer, line in (("2,200", "1", 1), ("1,100", "2", 3)):
        with pytest.raises(FileRefused, match=f"^line {line}: its control totals"):
            taken(f"{header}\nF1,100,1,A\n{trailer}\n", layout(above))


def test_a_reason_shows_nothing_of_the_line():
    for content in ("9250100000000014,100,1,A\n", "F1,9250100000000014,1,A\n", "F1,100,1,9250100000000014\n"):
        good = "F1,100,1,A\n"
        bad, _, _ = taken(content + good, layout(PLAIN))
        assert "9250" not in bad.reason


def test_a_file_of_which_too_much_is_bad_is_of_another_format():
    with pytest.raises(FileRefused, match=r"line 2: .*another format"):
        taken("F1,100,1,A\n" + "x\n" * (BAD_LINES_MAX + 1), layout(PLAIN))


def test_a_line_has_a_limit():
    with pytest.raises(FileRefused, match="line 2: longer than"):
        taken("F1,100,1,A\n" + "x" * (LINE_BYTES_MAX + 1), layout(PLAIN))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["10RHONEPAY   20260513978", "9000000000" + "0" * 15], None),
        (["10RHONEPAY   20260513978"], "line 1: the file is cut short: it has no trailer"),
        (["10OTHER      20260513978", "9000000000" + "0" * 15], "its header: acquirer is none of the texts"),
        (["10RHONEPAY   20260513840", "9000000000" + "0" * 15], "its header: its currency isn't the euro"),
        (["10RHONEPAY   20261513978", "9000000000" + "0" * 15], "its header: day isn't written"),
        (["9000000000" + "0" * 15], "line 1: its header: another type of line"),
        ([], "the file is cut short: it has no header"),
        (["10RHONEPAY   20260513978", "9000000000" + "0" * 15, "15"], "line 2: its trailer isn't its last line"),
        (
            ["10RHONEPAY   20260513978", "77", "9000000001" + "0" * 15],
            "line 2: its type is none that the mapping knows",
        ),
    ],
)
def test_the_outline_of_a_file_is_held_to_its_mapping(lines, said):
    content = "".join(f"{line}\r\n" for line in lines)
    if said is None:
        [stated] = taken(content, RHONEPAY)
        assert stated.totals == {"lines": 0, "net": 0}
    else:
        with pytest.raises(FileRefused) as refused:
            taken(content, RHONEPAY)
        assert said in str(refused.value)


def test_titles_are_found_by_name_and_missing_ones_are_said():
    with pytest.raises(FileRefused, match="it has no column 'Commerçant'"):
        taken("Date;Heure\nTOTAL;0;0,00;0,00\n", CARTAVIA, "CARTAVIA_20260513.csv")
    with pytest.raises(FileRefused, match="the same title"):
        taken("Date;Date\n", CARTAVIA, "CARTAVIA_20260513.csv")


def test_a_name_without_the_day_is_refused():
    with pytest.raises(FileRefused, match="its name doesn't bear the business day"):
        taken("F1,100,1,A\n", layout(PLAIN), "clearing.csv")


def test_the_newest_day_of_its_lines_is_the_files_where_they_say_it():
    how = layout(
        PLAIN.replace("[file_name]\npattern = '([0-9]{8})'\nform = \"%Y%m%d\"\n", "")
        + 'day = { at = 5, form = "%d%m%Y" }'
    )
    *lines, stated = taken("F1,1,1,A,12052026\nF1,1,1,B,14052026\nF1,1,1,C,13052026\n", how)
    assert [one.day.day for one in lines] == [12, 14, 13]
    assert stated.day == date(2026, 5, 14)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ('controls = "none"', "", 'say `controls = "none"`'),
        ('controls = "none"', 'controls = "none"\ntrailer = { lines = 1 }', "and yet there are some"),
        ("merchant = 1", 'merchant = "Shop"', "columns have numbers"),
        ("merchant = 1", "merchant = { from = 1, to = 9 }", "a csv line's `at` a column"),
        ("merchant = 1", 'merchant = { at = 1, constant = "X" }', "one of these"),
        ("merchant = 1", "merchant = { from = 1 }", "`from` and `to` go together"),
        ("merchant = 1", "", "missing required field `merchant`"),
        ("merchant = 1", "merchant = 1\nshop = 2", "unknown field `shop`"),
        ('constant = "sale"', 'constant = "sold"', "`kind` needs `values`"),
        ("payments = 3", 'day = { at = 3, form = "%d/%m" }', "gives a date with its year"),
        ("payments = 3", 'local = { at = 3, form = "%d/%m/%Y" }', "a date with its year and a time"),
        ("payments = 3", 'local = { at = 3, form = "%Y%m%d%H%M%z" }', "without a zone"),
        ("payments = 3", 'day = { at = 3, form = "%d/%m/%Y" }', "the business day stands in one place"),
        ("payments = 3", 'time = { at = 3, form = "%H:%M" }', "or both `date` and `time`"),
        ("([0-9]{8})", "[0-9]{8}", "`pattern` has one group"),
        ("([0-9]{8})", "([0-9]{8}", "no regular expression"),
        ('name = "Plain"', "name = ", "not TOML"),
        ('layout = "csv"', 'layout = "fixed"', "a fixed line's values stand"),
    ],
)
def test_what_a_mapping_leaves_open_or_says_twice_is_an_error(tmp_path, wrong, right, said):
    assert wrong in PLAIN
    path = tmp_path / "plain.toml"
    path.write_text(PLAIN.replace(wrong, right, 1))
    with pytest.raises(MappingInvalid) as invalid:
        mapping.load(path)
    assert str(invalid.value).startswith(f"{path}: ")
    assert said in str(invalid.value)


def test_a_mapping_that_isnt_there_is_said(tmp_path):
    with pytest.raises(MappingInvalid, match="No such file"):
        mapping.load(tmp_path / "none.toml")
