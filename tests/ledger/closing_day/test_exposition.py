"""`ledger close --metrics`: what node_exporter's textfile collector reads of a close."""

import asyncio
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ledger.cli import main
from ledger.export.output import OutputUnwritable
from ledger.reconciliation.values import Break, Cause
from ledger.reports.exposition import Exposition, exposed
from tests.ledger.closing_day.morning import TERMS, Morning
from tests.ledger.reconciliation.books import DAY, reconciler


def read(path: Path) -> dict[tuple[str, str], float]:
    """A file's values, by name and cause."""
    families = text_string_to_metric_families(path.read_text())
    return {(one.name, one.labels.get("cause", "")): one.value for family in families for one in family.samples}


def test_breaks_are_counted_by_cause_with_the_age_of_the_oldest(tmp_path: Path) -> None:
    exposition, path = Exposition(), tmp_path / "ledger.prom"
    breaks = [broken(Cause.DUPLICATE, 3), broken(Cause.DUPLICATE, 11), broken(Cause.WRONG_DAY, 0)]
    exposition.tell_breaks(breaks, DAY)
    exposition.write(path)
    values = read(path)
    assert {cause: values["ledger_breaks", cause] for cause in Cause} == dict.fromkeys(Cause, 0) | {
        Cause.DUPLICATE: 2,
        Cause.WRONG_DAY: 1,
    }
    assert values["ledger_break_age_days", Cause.DUPLICATE] == 11
    assert values["ledger_break_age_days", Cause.AMOUNT_DIFFERS] == 0
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.prom"]


def test_a_close_that_fails_says_so_and_nothing_of_breaks(tmp_path: Path) -> None:
    path, begun = tmp_path / "ledger.prom", time.time()
    with pytest.raises(ZeroDivisionError), exposed(path):
        raise ZeroDivisionError
    values = read(path)
    assert values.keys() == {("ledger_close_ok", ""), ("ledger_close_timestamp_seconds", "")}
    assert values["ledger_close_ok", ""] == 0
    assert begun <= values["ledger_close_timestamp_seconds", ""] <= time.time()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match=r"nowhere/ledger\.prom can't be written: No such file or directory"):
        Exposition().write(tmp_path / "nowhere" / "ledger.prom")


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_close_writes_its_outcome(database: Any, tmp_path: Path, lacking: int) -> None:
    """Where a payment isn't in the acquirer's file, a break is open and somebody has to look at it."""
    morning = Morning(1_250, 800)
    asyncio.run(morning.record(database.url))
    morning.send(tmp_path / "inbox", lacking=lacking)
    (tmp_path / "terms.toml").write_text(TERMS)
    options = {"terms": "terms.toml", "inbox": "inbox", "output": "closed", "metrics": "ledger.prom"}
    words = [word for name, file in options.items() for word in (f"--{name}", str(tmp_path / file))]
    code = main(["close", str(DAY), *words, "--database", reconciler(database.url), "--json"])
    values = read(tmp_path / "ledger.prom")
    assert (code, values["ledger_close_ok", ""]) == ((0, 1) if not lacking else (1, 0))
    assert values["ledger_breaks", Cause.MISSING_IN_CLEARING] == lacking


def broken(cause: Cause, days: int) -> Break:
    since: date = DAY - timedelta(days=days)
    return Break(number=1, cause=cause, since=since, source="970001", detail="")
