"""The command `ledger archive`: an operator's act, as a superuser of the database."""

import asyncio
import sys
from datetime import datetime
from urllib.parse import urlsplit

from ledger.archive import Archived, Outcome
from ledger.archive import archive as move_ranges
from ledger.cluster import SUPERUSER
from ledger.printing import AsJson, print_json
from ledger.report import instant_of
from ledger.source import Source, address


def archive(*, source: Source | None = None, before: str | None = None, as_json: AsJson = False) -> None:
    """Move old ranges of the journal to schema `ledger_archive`, where they can still be read.

    A range is moved when its closing and its manifest are written, nobody's newest line lies in it, and its newest
    record is more than 36 months older than the ledger's: nothing in it can be named any more. With --database, name
    a superuser.

    Parameters
    ----------
    source
        Where the ledger is.
    before
        Only records made before this instant too, such as 2026-01-01T00:00:00+01:00
    as_json
        Print what was moved as JSON.
    """
    instant = None if before is None else instant_of("--before", before)
    with address(source) as url:
        as_superuser = url if source is None or source.data is None else _as_superuser(url)
        outcome = asyncio.run(_move(as_superuser, instant, told=not as_json))
    if as_json:
        print_json(outcome)
    else:
        sys.stdout.write(f"{'' if outcome.moved else 'nothing to archive: '}{outcome.stays}\n")


async def _move(url: str, before: datetime | None, *, told: bool) -> Outcome:
    def tell(one: Archived) -> None:
        if told:
            sys.stdout.write(f"range {one.range}: {one.records:,} records, {one.transfers:,} transfers archived\n")

    return await move_ranges(url, before=before, on_moved=tell)


def _as_superuser(url: str) -> str:
    """Address the embedded server as its superuser, whom it knows by the account that started it."""
    return urlsplit(url)._replace(netloc=f"{SUPERUSER}@").geturl()
