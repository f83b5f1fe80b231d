"""Which movements and which lines are the same: stage by stage, one with one before one with several.

Each item is matched at most once. What fits more than one stays unmatched rather than guessed.
"""

from datetime import date, timedelta

import asyncpg

from ledger.reconciliation.movements import planned
from ledger.reconciliation.statements import statements
from ledger.reconciliation.values import Stage

ALIKE_DAYS = 35
"""How far back a line is known that another repeats, and a terminal that had one."""
SCOPES = ("day", "side", "class")
"""Which payments of a day a line may sum up: all, those on its own side, those of its own message type."""

PAIRS = (Stage.EXACT, Stage.TOLERATED, Stage.RETRIEVAL, Stage.WINDOW)
"""Stages that match one movement with one line."""

NOTHING = "INSERT 0 0"
"""What PostgreSQL says of a statement that wrote no row."""

_sql = statements("matching")


async def match_exactly(connection: asyncpg.Connection, day: date) -> None:
    """Match what is the same in the movements and lines that were read, and set apart what is left of them."""
    async with planned(connection):
        await connection.execute(_sql["exact"], Stage.EXACT)
        for name in ("open_movements", "open_lines", "short"):
            await connection.execute(_sql[name])
        await connection.execute(_sql["sides"], day)


async def match(connection: asyncpg.Connection, day: date) -> None:
    """Match what is left of lines and movements, as far as one can be sure of it.

    What this leaves to the causes: lines `again`, those `differing`, and what lines `summed` up.
    """
    await connection.execute(_sql["measure"])
    for stage in (Stage.TOLERATED, Stage.RETRIEVAL):
        await _adopt(connection, stage, await connection.execute(_sql[stage]))
    await connection.execute(_sql["repeated"], known_since(day))
    await connection.execute(_sql["differ"])
    await _adopt(connection, Stage.WINDOW, await connection.execute(_sql["window"]))
    for of_terminal in (True, False):
        for scope in SCOPES:
            claimed = await connection.execute(_sql["several_payments"], of_terminal, scope)
            await _adopt(connection, Stage.SEVERAL_PAYMENTS, claimed)
    await _adopt(connection, Stage.SEVERAL_LINES, await connection.execute(_sql["several_lines"]))
    await connection.execute(_sql["sum_up"])
    await _adopt(connection, Stage.ADJUSTMENT, await connection.execute(_sql["adjusted"]))


def known_since(day: date) -> date:
    """Tell from which business day on earlier lines are looked at."""
    return day - timedelta(days=ALIKE_DAYS)


async def _adopt(connection: asyncpg.Connection, stage: Stage, claimed: str) -> None:
    """Make matches of what the stage claimed, if it did."""
    if claimed != NOTHING:
        await connection.execute(_sql["adopt"], stage, stage in PAIRS)
