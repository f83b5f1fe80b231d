"""The generated month itself: what it says is wrong is wrong, the rest is right, and the judge would notice."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.month import copied
from benchmarks.month_build import build
from benchmarks.month_claims import Injected
from benchmarks.month_files import MAPPING_FILE
from benchmarks.month_found import Listed, judged
from benchmarks.month_run import as_role
from benchmarks.month_world import CAUSES, MAPPED, NATIVE, Shape
from ledger.postgres import PostgresStore
from ledger.reconciliation import clearing, mapped, mapping
from ledger.reconciliation.files import Lines, Stated, checked
from ledger.reconciliation.values import Cause, ClearingLine
from ledger.values import Partition, Seq
from ledger.verify import Report, verify

SHAPE = Shape(days=3, records=600, discrepancies=20)
DAY = date(2026, 6, 1)


async def test_the_same_sizes_make_the_same_ledger_and_the_same_files(database: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with copied(database.superuser_url) as other:
        built, again = await build(database.url, first, SHAPE), await build(as_role(other, "authz"), second, SHAPE)
        assert await _head(database.url) == await _head(as_role(other, "authz"))

    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }
    assert (again.records, again.lines) == (built.records, built.lines)
    told = await verify(database.finance_url)
    assert isinstance(told, Report)
    assert told.records == built.records


async def test_each_clearing_discrepancy_stands_where_it_is_said_to(database: Any, tmp_path: Path) -> None:
    month = await build(database.url, tmp_path, SHAPE)
    lines = {(path.name, one.line): one for paths in month.clearing.values() for path in paths for one in _read(path)}
    known = {one.terminal for one in month.journal.shops}
    named = Counter((one.merchant, one.trace or str(one.line), one.class_) for one in lines.values())

    assert Counter(one.cause for one in month.injected) == {
        cause: SHAPE.of_each for cause in Cause if cause not in (Cause.MISSING_IN_BANK, Cause.UNEXPLAINED_ENTRY)
    }
    for one in month.injected:
        line = None if one.file is None or one.line is None else lines[one.file, one.line]
        match one.cause:
            case Cause.UNKNOWN_TERMINAL:
                assert line is not None
                assert line.terminal not in known
            case Cause.DUPLICATE:
                assert line is not None
                assert named[line.merchant, line.trace or "", line.class_] == 2
            case Cause.WRONG_DAY:
                assert line is not None
                assert line.day > one.day
            case Cause.MISSING_IN_CLEARING:
                assert line is None
                assert one.seq is not None
            case Cause.REVERSED_LATE:
                assert (one.seq is None) is (line is not None and line.kind == "reversal")
            case Cause.MISSING_IN_LEDGER:
                assert line is not None
                assert line.terminal in known
                assert one.seq is None
            case _:
                assert line is not None
                assert one.seq is not None


async def test_there_are_as_many_of_each_cause(database: Any, tmp_path: Path) -> None:
    shape = Shape(days=2, records=400, discrepancies=40)
    month = await build(database.url, tmp_path, shape)
    for day in shape.dates:
        month.bank.book(day, [one for one in month.journal.paid if one.day == day], [], f"{day}.xml")

    assert Counter(one.cause for one in month.injected) == dict.fromkeys(Cause, 40 // CAUSES)
    assert month.bank.balance - month.bank.opening == sum(one.cents for one in month.journal.paid)


FOUND = Listed(DAY, Cause.AMOUNT_DIFFERS, 7, "a.csv", 3, None, "")
PUT_IN = Injected(cause=Cause.AMOUNT_DIFFERS, source="970001", day=DAY, seq=Seq(7), file="a.csv", line=3)


def test_a_break_is_found_by_its_record_or_its_line() -> None:
    for found in (FOUND, _but(FOUND, seq=None), _but(FOUND, file=None, line=None)):
        assert judged([found], [PUT_IN]).exact


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [FOUND, FOUND],
        [Listed(DAY, Cause.MISSING_IN_LEDGER, 7, "a.csv", 3, None, "")],
        [Listed(DAY, Cause.AMOUNT_DIFFERS, 8, "a.csv", 3, None, "")],
        [Listed(DAY, Cause.AMOUNT_DIFFERS, 7, "a.csv", 4, None, "")],
        [Listed(DAY, Cause.AMOUNT_DIFFERS, None, None, None, None, "")],
        [FOUND, Listed(DAY, Cause.DUPLICATE, 9, None, None, None, "")],
    ],
    ids=["not found", "twice", "another cause", "another record", "another line", "of nothing", "one more"],
)
def test_what_is_not_exact_is_noticed(listed: list[Listed]) -> None:
    assert not judged(listed, [PUT_IN]).exact


def _but(one: Listed, **changed: Any) -> Listed:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    return Listed(**{**values, **changed})


def _read(path: Path) -> list[ClearingLine]:
    """Read a month's clearing file; all of it must be as its format says."""
    with path.open("rb") as file:
        if path.name.startswith(NATIVE.id):
            items = list(checked(clearing.read(Lines(file, ended=True), NATIVE.id)))
        else:
            layout = mapping.load(path.parent / MAPPING_FILE)
            items = list(checked(mapped.read(Lines(file, crlf=True), layout, MAPPED.id, path.name)))
    lines = [one for one in items if isinstance(one, ClearingLine)]
    assert len(lines) + 1 == len(items)
    assert isinstance(items[-1], Stated)
    return lines


async def _head(url: str) -> tuple[int, bytes]:
    store = PostgresStore(url)
    try:
        fence = await store.fence(Partition(0))
        return fence.head, fence.hash
    finally:
        await store.close()
