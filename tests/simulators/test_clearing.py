"""The clearing file (docs/clearing.md): what was written is read, and nothing else is."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import clearing
from simulators.clearing import (
    CENTS_MAX,
    Clearing,
    ClearingInvalid,
    Detail,
    Kind,
    Totals,
    load,
    masked,
    read,
    save,
    write,
)

PAGE = Path(__file__).parents[2] / "docs" / "clearing.md"
REVERSALS = (Kind.REVERSAL, Kind.REFUND_REVERSAL)


def ans(most):
    return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=most).filter(
        lambda text: text == text.strip()
    )


def number(length):
    return st.text("0123456789", min_size=length, max_size=length)


@st.composite
def details(draw):
    kind = draw(st.sampled_from(Kind))
    return Detail(
        kind=kind,
        mti=draw(st.sampled_from(["0200", "0220", "0120", "0400", "0420"])),
        terminal=draw(ans(8)),
        merchant=draw(ans(15)),
        trace=draw(number(6)),
        transmitted=draw(number(10)),
        retrieval=draw(st.none() | ans(12)),
        approval=draw(st.none() | ans(6)),
        card=masked(draw(st.text("0123456789", min_size=12, max_size=19))),
        product=draw(number(2)),
        cents=draw(st.integers(1, CENTS_MAX)),
        day=draw(st.dates()),
        at=draw(st.times().map(lambda moment: moment.replace(microsecond=0))),
        original=draw(number(20) if kind in REVERSALS else st.none() | number(20)),
    )


files = st.builds(
    Clearing,
    acquirer=st.text("0123456789", min_size=1, max_size=11),
    day=st.dates(),
    created=st.datetimes(datetime(1000, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    file_id=st.text("abcXYZ019.-", min_size=1, max_size=64),
    details=st.lists(details(), max_size=6).map(tuple),
)
EXAMPLE = Clearing(
    acquirer="970001",
    day=date(2026, 5, 12),
    created=datetime(2026, 5, 12, 21, 30, tzinfo=UTC),
    file_id="PAR00001-000001",
    details=(
        Detail(
            kind=Kind.SALE,
            mti="0200",
            terminal="PAR00001",
            merchant="FR0000000000001",
            trace="000042",
            transmitted="0512103000",
            approval="A1B2C3",
            card=masked("9250100000000014"),
            product="90",
            cents=1250,
            day=date(2026, 5, 12),
            at=time(12, 30),
        ),
        Detail(
            kind=Kind.REVERSAL,
            mti="0400",
            terminal="PAR00001",
            merchant="FR0000000000001",
            trace="000043",
            transmitted="0512103112",
            card=masked("9250100000000014"),
            product="90",
            cents=250,
            day=date(2026, 5, 12),
            at=time(12, 31, 12),
            original="02000000420512103000",
        ),
    ),
)


@given(files)
def test_what_was_written_is_read(file):
    assert read(write(file)) == file


@given(files.filter(lambda file: file.details), st.data())
def test_a_file_with_any_character_changed_is_refused_or_says_something_else(file, data):
    """What two files say differs: there is one way to write anything."""
    text = write(file)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=0x0A, max_codepoint=0x7E).filter(text[place].__ne__))
    changed = text[:place] + other + text[place + 1 :]
    try:
        assert read(changed) != file
    except ClearingInvalid:
        return
    assert write(read(changed)) == changed


@given(files, st.data())
def test_a_file_that_was_cut_short_is_refused(file, data):
    text = write(file)
    with pytest.raises(ClearingInvalid, match=r"^line \d+: "):
        read(text[: data.draw(st.integers(0, len(text) - 1))])


@given(files)
def test_the_control_totals_are_those_of_the_lines(file):
    totals = file.totals
    assert totals.lines == totals.debits + totals.credits == len(file.details)
    signed = [detail.cents if detail.kind.debits else -detail.cents for detail in file.details]
    assert totals.net == totals.debits_cents - totals.credits_cents == sum(signed)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("T,2,1,1250", "T,2,1,1251", "line 4: the control totals are not those of the lines, which come to 2,1,1250"),
        (",1250,", ",1251,", "line 4: the control totals"),
        ("D,2,", "D,3,", "line 3: not written as the format has it"),
        (",1250,", ",01250,", "line 2: not written as the format has it"),
        (",000042,", ",42,", "line 2: trace is six digits"),
        (",978,2026-05-12,12:30:00", ",978,2026-02-30,12:30:00", "line 2: day is ill-formed"),
        ("sale", "gift", "line 2: kind is ill-formed"),
        ("925010******0014", "9250100000000014", "line 2: card is six digits, asterisks, four digits"),
        (",1250,", ",,", "line 2: cents is ill-formed"),
        (",PAR00001,FR", ",,FR", "line 2: terminal is missing"),
        (",02000000420512103000", ",", "line 3: a reversal names its original"),
        ("CLEARING,1", "CLEARING,2", "line 1: not the header of AUTHZ-CLEARING version 1"),
        ("T21:30:00Z", "T21:30:00", "line 1: created is ill-formed"),
        ("A1B2C3", '"A1B2C3"', "line 2: not written as the format has it"),
        ("A1B2C3", '"A1B2C3', "line 2: not CSV"),
        ("A1B2C3", "A" * 400, "line 2: longer than 400 characters"),
        ("D,1,", "X,1,", "line 2: not a detail line"),
        ("T,2", "U,2", "line 4: the control totals"),
    ],
)
def test_what_is_not_as_specified_is_refused_in_a_line_that_names_the_line(before, after, said):
    text = write(EXAMPLE)
    assert before in text
    with pytest.raises(ClearingInvalid) as refused:
        read(text.replace(before, after, 1))
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("cents", [0, -1, CENTS_MAX + 1])
def test_a_line_moves_money_one_way(cents):
    with pytest.raises(ClearingInvalid, match="cents"):
        msgspec.structs.replace(EXAMPLE.details[0], cents=cents)


def test_a_file_is_saved_whole_and_read_back(tmp_path):
    path = tmp_path / "one.csv"
    save(EXAMPLE, path)
    assert load(path) == EXAMPLE
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.csv"]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"H,1\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "one.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClearingInvalid, match=r"one\.csv: "):
        load(path)


def test_the_page_shows_a_file_and_every_field():
    """docs/clearing.md is what finance builds on."""
    page = PAGE.read_text()
    shown = page.split("```csv\n")[1].split("```")[0]
    assert shown == write(EXAMPLE)
    for name in (*Detail.__struct_fields__, *Totals.__struct_fields__, *Clearing.__struct_fields__[:-1]):
        assert f"| {name} |" in page, name
    for kind in Kind:
        assert f"`{kind}`" in page
    for limit in ("LINES_MAX", "LINE_CHARACTERS_MAX", "CENTS_MAX"):
        assert f"{getattr(clearing, limit):,}" in page
