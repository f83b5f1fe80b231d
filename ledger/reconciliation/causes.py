"""Why what is left of lines and movements didn't agree: of each the first cause that fits.

What may still come is no break: neither a movement nor a line is missing before the acquirer's `days_late` have passed
(docs/reconciliation.md).
"""

from collections.abc import Sequence
from datetime import date

import asyncpg

from ledger.reconciliation.matching import known_since
from ledger.reconciliation.statements import statements
from ledger.reconciliation.values import Cause

_sql = statements("causes")


async def explain(connection: asyncpg.Connection, day: date) -> None:
    """Write into work table `finding` what didn't agree, each item once."""
    inputs: dict[Cause, tuple[object, ...]] = {
        Cause.DUPLICATE: (),
        Cause.UNKNOWN_TERMINAL: (known_since(day),),
        Cause.AMOUNT_DIFFERS: (),
        Cause.ADVICE_SHORTFALL: (),
        Cause.REVERSED_LATE: (),
        Cause.WRONG_DAY: (),
        Cause.MISSING_IN_CLEARING: (),
        Cause.MISSING_IN_LEDGER: (),
    }
    for cause, values in inputs.items():
        await connection.execute(_sql[cause.replace("-", "_")], str(cause), *values)


async def pending(connection: asyncpg.Connection) -> Sequence[date]:
    """Return the business days, ascending, of what is open without being a break of its own."""
    return [row["day"] for row in await connection.fetch(_sql["pending"])]
