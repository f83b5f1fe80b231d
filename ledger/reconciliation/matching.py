"""Which movements and which lines are the same: stage by stage, one with one before one with several.

Each item is matched at most once. What fits more than one stays unmatched rather than guessed.
"""

from datetime import date, timedelta

import asyncpg

from ledger.reconciliation.statements import statements
from ledger.reconciliation.values import Stage

ALIKE_DAYS = 35
"""How far back a line is known that another repeats, and a terminal that had one."""
SCOPES = ("day", "side", "class")
"""Which payments of a day a line may sum up: all, those on its own side, those of its own message type."""

PAIRS = (Stage.EXACT, Stage.TOLERATED, Stage.RETRIEVAL, Stage.WINDOW)
"""Stages that match one movement with one line."""

_sql = statements("matching")


async def match(connection: asyncpg.Connection, day: date) -> None:
    """Match the lines and the movements in the work tables, as far as one can be sure of it.

    What this leaves to the causes: lines `again`, those `differing`, and what lines `summed` up.
    """
    await connection.execute(_sql["candidates"])
    for stage in (Stage.EXACT, Stage.TOLERATED, Stage.RETRIEVAL):
        await connection.execute(_sql[stage])
        await _adopt(connection, stage)
    await connection.execute(_sql["repeated"], known_since(day))
    await connection.execute(_sql["differ"])
    await connection.execute(_sql["window"])
    await _adopt(connection, Stage.WINDOW)
    for of_terminal in (True, False):
        for scope in SCOPES:
            await connection.execute(_sql["several_payments"], of_terminal, scope)
            await _adopt(connection, Stage.SEVERAL_PAYMENTS)
    await connection.execute(_sql["several_lines"])
    await _adopt(connection, Stage.SEVERAL_LINES)
    await connection.execute(_sql["sum_up"])
    await connection.execute(_sql["adjusted"])
    await _adopt(connection, Stage.ADJUSTMENT)


def known_since(day: date) -> date:
    """Tell from which business day on earlier lines are looked at."""
    return day - timedelta(days=ALIKE_DAYS)


async def _adopt(connection: asyncpg.Connection, stage: Stage) -> None:
    """Make matches of what the stage claimed."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM claim)"):
        await connection.execute(_sql["adopt_pairs" if stage in PAIRS else "adopt"], stage)
        await connection.execute(_sql["next"])
