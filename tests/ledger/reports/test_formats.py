"""What a report is written as: every format says the same figures, the same figures are the same bytes."""

import csv
import io
import re
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.printing import euros
from ledger.reconciliation.runs import Side, Summary, Sums
from ledger.reconciliation.values import Cause, Stage
from ledger.reports import day, month
from ledger.reports.figures import Clearing, Figure, OpenBreak, Reach, Report, Run, Section, Vouchers, ordered
from ledger.reports.formats import Format, write
from ledger.reports.tables import AGES, OLDER, age
from ledger.values import Cents, Partition, Seq

FIRST, LAST = date(2026, 5, 1), date(2026, 5, 31)
days = st.dates(FIRST, LAST)
cents = st.integers(-(10**12), 10**12)
acquirers, products = st.sampled_from(["970001", "97"]), st.sampled_from(["90", "91"])
counts = st.integers(0, 10**6)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9)

figures = st.one_of(
    st.builds(
        Figure,
        st.just(Section.CLEARING),
        day=days,
        acquirer=st.none() | acquirers,
        product=st.none() | products,
        name=st.sampled_from([*map(str, Clearing), "another"]),
        records=counts,
        cents=cents,
    ),
    st.builds(
        Figure,
        st.just(Section.VOLUME),
        day=days,
        hour=st.integers(0, 23),
        product=products,
        records=counts,
        cents=cents,
    ),
    st.builds(
        Figure, st.just(Section.MESSAGES), day=days, name=st.sampled_from(["APPROVED", "SUNDAY"]), records=counts
    ),
    st.builds(
        Figure,
        st.just(Section.VOUCHERS),
        day=days,
        product=products,
        name=st.sampled_from(list(map(str, Vouchers))),
        records=counts,
        cents=cents,
    ),
    st.builds(Figure, st.just(Section.UNSPENT), product=products, name=st.sampled_from(["2025", "2026"]), cents=cents),
    st.builds(Figure, st.just(Section.TRIAL_BALANCE), name=words, cents=cents),
    st.builds(Figure, st.just(Section.BREAKS), day=days, name=words, records=counts, cents=cents),
)
"""Figures of all sections; names may be anything that a spreadsheet or a page would stumble over."""
sums = st.builds(Sums, counts, cents)
summaries = st.builds(
    Summary,
    matched=st.dictionaries(st.sampled_from(Stage), sums, max_size=3),
    breaks=st.dictionaries(st.sampled_from(Cause), sums, max_size=3),
    acquirers=st.dictionaries(acquirers, st.builds(Side, cents, cents, cents, cents, cents)),
    pending=st.lists(days, max_size=2).map(tuple),
)
runs = st.builds(
    Run,
    key=st.just("ab" * 32),
    day=days,
    summary=summaries,
    breaks_count=counts,
    breaks=st.lists(
        st.builds(
            OpenBreak, counts, words, days, words, words, st.none() | cents, st.none() | cents, st.just("0:7"), words
        ),
        max_size=3,
    ).map(tuple),
)
reports = st.builds(
    Report,
    first=st.just(FIRST),
    last=st.just(LAST),
    zone=st.just("Europe/Paris"),
    reach=st.just((Reach(Partition(0), Seq(3), Seq(9)),)),
    still_open=st.sampled_from([(), ("97",)]),
    names=st.sampled_from([{}, {"97": "Card & Sons <SA>"}]),
    figures=st.lists(figures, max_size=30).map(ordered),
    run=st.none() | runs,
)


def written(report: Report, form: Format) -> bytes:
    sink = io.BytesIO()
    write(report, month.parts(report), form, sink)
    return sink.getvalue()


@given(reports)
def test_json_is_the_whole_report(report: Report) -> None:
    assert msgspec.json.decode(written(report, Format.JSON), type=Report) == report


@given(reports)
def test_csv_reads_back_as_the_same_figures(report: Report) -> None:
    rows = csv.DictReader(io.StringIO(written(report, Format.CSV).decode(), newline=""))
    read = tuple(
        msgspec.convert({key: cell for key, cell in row.items() if cell}, Figure, strict=False) for row in rows
    )
    assert read == report.figures


@given(reports)
def test_parquet_reads_back_as_the_same_figures(report: Report) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(written(report, Format.PARQUET)))
    assert table.column_names == list(Figure.__struct_fields__)
    assert tuple(msgspec.convert(row, Figure) for row in table.to_pylist()) == report.figures


@settings(max_examples=10)
@given(reports)
def test_tables_bear_every_total(report: Report) -> None:
    text = written(report, Format.TABLE).decode()
    owed: Counter[str] = Counter()
    for one in report.of(Section.CLEARING):
        if one.name not in (Clearing.SETTLEMENT, Clearing.HOLD, Clearing.RELEASE, Clearing.SHORTFALL):
            owed[one.acquirer or ""] += one.cents or 0
    lines = [line.split() for line in text.splitlines()]
    for acquirer, amount in owed.items():
        assert not acquirer or any(
            line[0] == acquirer and line[-3:] == ["net", "owed", euros(Cents(amount))] for line in lines if line
        )
    assert (["all", "net", "owed", euros(Cents(owed.total()))] in lines) is bool(report.of(Section.CLEARING))


class Page(HTMLParser):
    """Reads a page: its elements, what they refer to, and the cells of its tables."""

    VOID = frozenset({"meta", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in ("meta",):
            self._open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "td":
            self.cells[-1] += data

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("href", "xlink:href", "src", "action", "data"):
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_the_page_needs_nothing_from_outside_and_says_what_the_tables_say() -> None:
    report = _sample("<script src='//x'>&amp;", "http://x")
    text = written(report, Format.HTML).decode()
    page = Page(text)
    assert not re.search(r"https?:|//|url\((?!#)|@import", re.sub(r"<(td|text)\b.*?</\1>", "", text, flags=re.DOTALL))
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "form"}
    assert all(one.startswith("#") and one[1:] in page.ids for one in page.references)
    assert len(page.ids) == len(set(page.ids))
    cells = [cell for part in month.parts(report) for row in part.sheet.rows for cell in row]
    assert not Counter(cells) - Counter(page.cells)


@pytest.mark.parametrize("form", list(Format))
def test_the_same_figures_are_the_same_bytes(form: Format) -> None:
    report = _sample()
    assert written(report, form) == written(msgspec.json.decode(msgspec.json.encode(report), type=Report), form)


def test_a_day_on_which_nothing_was_is_a_page_too() -> None:
    empty = Report(FIRST, FIRST, "Europe/Paris", (), (), {}, ())
    for form in Format:
        sink = io.BytesIO()
        write(empty, day.parts(empty), form, sink)
        assert sink.getvalue()
    page = io.BytesIO()
    write(empty, day.parts(empty), Format.HTML, page)
    assert page.getvalue().decode().count("<p>Nothing.</p>") == len(day.parts(empty))
    assert b"<svg" not in page.getvalue()


def test_what_was_matched_and_what_is_open_is_told_in_euros_with_its_line() -> None:
    lines = [line.split() for line in written(_sample(), Format.TABLE).decode().splitlines()]
    assert ["matched", "exact", "1,007", "12,345.67"] in lines
    assert ["open", "duplicate", "2", "0.50"] in lines
    assert ["97", "84.00", "84.50", "84.00", "0.00", "0.50"] in lines
    assert ["duplicate", str(FIRST), "97", "may.csv:5", "line", "4", "of", "1"] in lines


def test_what_is_approved_and_what_is_refused_are_shares_of_all_messages() -> None:
    lines = [line.split() for line in written(_sample(), Format.TABLE).decode().splitlines()]
    assert ["SUNDAY", "3", "30.0", "%"] in lines
    assert ["refused", "3", "30.0", "%"] in lines


@given(st.integers(0, 400), st.integers(0, 400))
def test_what_is_open_longer_is_never_in_a_younger_class(one: int, other: int) -> None:
    order = [*(name for name, _ in AGES), OLDER]
    of = [order.index(age(date.fromordinal(LAST.toordinal() - since), LAST)) for since in sorted((one, other))]
    assert of == sorted(of)
    assert all(most < following for (_, most), (_, following) in pairwise(AGES))


def _sample(cause: str = "duplicate", detail: str = "line 4 of 1") -> Report:
    found = [
        Figure(Section.CLEARING, FIRST, None, "97", "90", "payment", 7, Cents(8_400)),
        Figure(Section.VOLUME, FIRST, 12, None, "90", None, 7, Cents(8_400)),
        Figure(Section.MESSAGES, FIRST, name="APPROVED", records=7),
        Figure(Section.MESSAGES, FIRST, name="SUNDAY", records=3),
        Figure(Section.UNSPENT, product="90", name="2026", cents=Cents(1_000)),
        Figure(Section.WAITING, product="90", name="2025", cents=Cents(300)),
        Figure(Section.TRIAL_BALANCE, name="holder:*:90", cents=Cents(1_000)),
        Figure(Section.TRIAL_BALANCE, name="issuer:float:90", cents=Cents(-1_000)),
        Figure(Section.BREAKS, FIRST, name=cause, records=2, cents=Cents(50)),
    ]
    summary = Summary(
        {Stage.EXACT: Sums(1_007, Cents(1_234_567))},
        {Cause.DUPLICATE: Sums(2, Cents(50))},
        {"97": Side(Cents(8_400), Cents(8_450), Cents(8_400), Cents(0), Cents(50))},
        (LAST,),
    )
    run = Run("ab" * 32, LAST, summary, 2, (OpenBreak(1, cause, FIRST, "97", detail, line="may.csv:5"),))
    return Report(FIRST, LAST, "Europe/Paris", (), (), {}, ordered(found), run)
