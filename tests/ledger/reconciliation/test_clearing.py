"""The format `clearing` (docs/clearing.md) as finance reads it: what the simulators write, and nothing else."""

import io
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.reconciliation.clearing import CREDITS, KINDS, acquirer_of, message_class, read
from ledger.reconciliation.files import FileRefused, Lines, Stated, Sums, checked
from ledger.reconciliation.values import ClearingLine
from simulators import clearing
from simulators.clearing import CENTS_MAX, Clearing, Detail, Kind

PAGE = Path(__file__).parents[3] / "docs" / "clearing.md"
[EXAMPLE] = re.findall(r"^```csv\n(H,.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
REVERSALS = (Kind.REVERSAL, Kind.REFUND_REVERSAL)


def taken(text):
    """All that a file says."""
    return list(checked(read(Lines(io.BytesIO(text.encode()), ended=True), "970001")))


def ans(most):
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=most)
    return printable.filter(lambda text: text == text.strip())


def digits(length):
    return st.text("0123456789", min_size=length, max_size=length)


@st.composite
def details(draw):
    kind = draw(st.sampled_from(Kind))
    return Detail(
        kind=kind,
        mti=draw(st.sampled_from(["0200", "0220", "0120", "0400", "0420"])),
        terminal=draw(ans(8)),
        merchant=draw(ans(15)),
        trace=draw(digits(6)),
        transmitted=draw(digits(10)),
        retrieval=draw(st.none() | ans(12)),
        approval=draw(st.none() | ans(6)),
        card=clearing.masked(draw(st.text("0123456789", min_size=12, max_size=19))),
        product=draw(digits(2)),
        cents=draw(st.integers(1, CENTS_MAX)),
        day=draw(st.dates()),
        at=draw(st.times().map(lambda moment: moment.replace(microsecond=0))),
        original=draw(digits(20) if kind in REVERSALS else st.none() | digits(20)),
    )


written = st.builds(
    Clearing,
    acquirer=st.just("970001"),
    day=st.dates(),
    created=st.datetimes(datetime(1000, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    file_id=st.text("abcXYZ019.-", min_size=1, max_size=64),
    details=st.lists(details(), max_size=6).map(tuple),
)


def as_finance_has_it(file, number, detail):
    """A simulator's line as finance's own type."""
    return ClearingLine(
        line=number + 1,
        acquirer=file.acquirer,
        day=file.day,
        kind=str(detail.kind),
        merchant=detail.merchant,
        cents=detail.cents if detail.kind.debits else -detail.cents,
        class_=message_class(detail.mti),
        terminal=detail.terminal,
        trace=detail.trace,
        transmitted=detail.transmitted,
        local=datetime.combine(detail.day, detail.at),
        retrieval=detail.retrieval,
        approval=detail.approval,
        card=detail.card,
        product=detail.product,
        original=detail.original,
    )


@given(written)
def test_what_a_simulator_writes_is_read_equal(file):
    *lines, stated = taken(clearing.write(file))
    assert lines == [as_finance_has_it(file, number, detail) for number, detail in enumerate(file.details, 1)]
    totals = {name: getattr(file.totals, name) for name in (*clearing.Totals.__struct_fields__, "net")}
    trailer = dict.fromkeys(totals, len(file.details) + 2)
    assert stated == Stated(file.day, totals, file.file_id, trailer)


@given(written, st.data())
def test_a_file_with_one_character_changed_is_refused_or_says_something_that_it_may_say(file, data):
    """Both readers, which know nothing of each other, agree on what is a file."""
    text = clearing.write(file)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.sampled_from(',"0179-T\r\n A')) + text[at + 1 :]
    try:
        theirs = clearing.read(changed)
    except clearing.ClearingInvalid:
        theirs = None
    try:
        ours = taken(changed)
    except FileRefused:
        ours = None
    if theirs is None or theirs.acquirer != "970001" or any(one.currency != "978" for one in theirs.details):
        assert ours is None
    else:
        assert ours is not None
        assert len(ours) == len(theirs.details) + 1


@given(written, st.data())
def test_a_file_that_is_cut_short_anywhere_is_refused(file, data):
    text = clearing.write(file)
    with pytest.raises(FileRefused):
        taken(text[: data.draw(st.integers(0, len(text) - 1))])


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_line(content):
    with pytest.raises(FileRefused) as refused:
        list(read(Lines(io.BytesIO(content), ended=True), "970001"))
    assert "\n" not in str(refused.value)


def test_the_example_of_the_page():
    sale, reversal, stated = taken(EXAMPLE)
    assert (sale.line, sale.cents, sale.class_, sale.local) == (2, 1_250, "020", datetime(2026, 5, 12, 12, 30))  # noqa: DTZ001
    assert (reversal.cents, reversal.class_, reversal.original) == (-250, "040", "02000000420512103000")
    assert stated.day == date(2026, 5, 12)
    assert stated.totals["net"] == 1_000


TOTALS_DIFFER = "its control totals aren't those of the file's lines: it says"


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("D,2,reversal", "D,3,reversal", "line 3: its number isn't 2"),
        ("T,2,1,1250,1,250,1000", "T,2,1,1250,1,250,1001", f"line 4: {TOTALS_DIFFER} net 1001, not 1000"),
        ("T,2,1,1250,1,250,1000", "T,3,1,1250,1,250,1000", f"line 4: {TOTALS_DIFFER} lines 3, not 2"),
        ("1250,978", "1251,978", f"line 4: {TOTALS_DIFFER} debits_cents 1250, not 1251"),
        ("250,978", "250,840", "line 2: its currency isn't 978"),
        ("970001", "970002", "line 1: the file is acquirer 970002's, not 970001's"),
        ("2026-05-12,12:31:12", "2026-02-30,12:31:12", "line 3: day is no date"),
        ("T,2,1,1250,1,250,1000\n", "", "line 3: the file is cut short: it has no trailer"),
        (",1000\n", ",1000", "line 4: the file is cut short here"),
        (",1000\n", ",1000\n\n", "line 5: it goes on behind its trailer"),
        ("PAR00001,FR", '"PAR00001",FR', "line 2: not written as the format has it"),
        ("925010******0014", "9250100000000014", "line 2: card is ill-formed"),
        (",02000000420512103000", ",", "line 3: a reversal names its original"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_without_its_content(wrong, right, said):
    assert wrong in EXAMPLE
    with pytest.raises(FileRefused) as refused:
        taken(EXAMPLE.replace(wrong, right, 1))
    assert said in str(refused.value)
    assert "9250" not in str(refused.value)


def test_it_tells_whose_file_it_is():
    assert acquirer_of(EXAMPLE.encode().split(b"\n")[0]) == "970001"
    assert acquirer_of(b"Date;Heure;Montant") is None


def test_the_kinds_are_those_that_are_written_and_go_the_same_way():
    assert set(map(str, Kind)) == KINDS
    assert {str(kind) for kind in Kind if not kind.debits} == CREDITS


def test_an_example_with_no_lines_is_a_day_without_business():
    text = clearing.write(
        Clearing(acquirer="970001", day=date(2026, 5, 10), created=datetime(2026, 5, 10, tzinfo=UTC), file_id="E1")
    )
    [stated] = taken(text)
    assert stated.totals == dict.fromkeys(("lines", "debits", "debits_cents", "credits", "credits_cents", "net"), 0)
    assert set(stated.totals) <= set(Sums.NAMES)
