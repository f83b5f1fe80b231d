"""A small month with everything wrong that can be, reconciled: all of it is found, and nothing else.

`python -m benchmarks month` shows the same of thirty days and a million requests (docs/reconciliation-proof.md).
"""

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.month import Reconciled, month_of
from benchmarks.month_world import Shape
from ledger.reconciliation.values import Cause, Stage

SMALL = Shape(days=3, records=600, discrepancies=20)
LARGER = Shape(days=10, records=20_000, discrepancies=200)


async def test_all_that_is_wrong_is_found_and_nothing_else(database: Any, tmp_path: Path) -> None:
    month = await month_of(SMALL, database.url, database.superuser_url, tmp_path, killed=True, apart=False)
    require_sound(month, SMALL)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(600)
async def test_so_it_is_in_a_larger_month(database: Any, tmp_path: Path) -> None:
    month = await month_of(LARGER, database.url, database.superuser_url, tmp_path, killed=True)
    require_sound(month, LARGER)


def require_sound(month: Reconciled, shape: Shape) -> None:
    """Each cause was found as often as it was put in; the same came out again, also where a process was killed."""
    assert month.verdict.missed == []
    assert month.verdict.more == []
    assert month.verdict.found == dict.fromkeys(Cause, shape.of_each)
    assert month.same_again
    assert month.killed == month.digest
    assert month.payouts_right
    assert [(day.day, day.difference) for day in month.days] == [(day, 0) for day in shape.all_dates]
    assert set(month.stages) == set(Stage) - {Stage.NET_POSITION, Stage.ADJUSTMENT}, "every stage had something to find"
