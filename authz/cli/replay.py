"""The command `authz replay`."""

import asyncio
import sys

from authz.collector import spare_the_collector
from authz.replay import Difference
from authz.replay import replay as decide_again
from ledger.source import Source, address

DONE, FINDING = 0, 1


def replay(*, source: Source | None = None) -> int:
    """Decide every record of a ledger again, and compare: replies, transfers and positions must come out the same.

    Exit 0 if they all do, 1 if one doesn't: the first is named, with what comes out otherwise.

    Parameters
    ----------
    source
        Where the ledger is.
    """
    spare_the_collector()
    with address(source) as url:
        outcome = asyncio.run(decide_again(url))
    if isinstance(outcome, Difference):
        sys.stderr.write(f"authz: {outcome}\n")
        return FINDING
    sys.stdout.write(f"{outcome.records:,} records decided again: each came out as it is recorded\n")
    return DONE
