"""The command `ledger balances`: what every account stands at, now or at an instant that is past."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from rich.table import Column

from ledger.balances import Balance
from ledger.balances import balances as read_balances
from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.source import Source, address
from ledger.store import LedgerError
from ledger.values import Cents


class InstantInvalid(LedgerError):
    """The option names no instant: write it as 2026-05-12T00:00:00+02:00."""


def balances(*, source: Source | None = None, at: str | None = None, prefix: str = "", as_json: AsJson = False) -> None:
    """Print the balance of every account: credits less debits.

    Parameters
    ----------
    source
        Where the ledger is.
    at
        As they stood at this instant, such as 2026-05-12T00:00:00+02:00; without it, as they stand now.
    prefix
        Only accounts whose name begins so, such as `acquirer:` or `holder:h4k2:`
    as_json
        Print them as JSON, in cents.
    """
    instant = None if at is None else instant_of("--at", at)
    with address(source) as url:
        found = asyncio.run(read_balances(url, prefix, instant))
    if as_json:
        print_json(found)
    else:
        _show(found)


def instant_of(option: str, text: str) -> datetime:
    """Read the instant that an option names. Raises `InstantInvalid`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InstantInvalid(f"{option} {text!r} is no instant: write it as 2026-05-12T00:00:00+02:00") from None
    if at.tzinfo is None:
        raise InstantInvalid(f"{option} {text} has no zone: write it as {at.isoformat()}+02:00, or with Z for UTC")
    return at


def _show(found: Sequence[Balance]) -> None:
    shown = table(f"Balances of {len(found):,} accounts", Column("account", footer="sum", overflow="fold"))
    total = euros(Cents(sum(one.balance for one in found)))
    shown.add_column("balance, €", justify="right", no_wrap=True, footer=total)
    shown.show_footer = True
    for one in found:
        shown.add_row(one.account, euros(one.balance))
    print_table(shown)
