"""The command `ledger balances`: what every account stands at, now or at an instant that is past."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.table import Column

from ledger.balances import Balance
from ledger.balances import balances as read_balances
from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.report import instant_of
from ledger.source import Source, address
from ledger.values import Cents


def balances(
    *,
    source: Source | None = None,
    at: str | None = None,
    prefix: Annotated[str, Parameter(show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
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


def _show(found: Sequence[Balance]) -> None:
    shown = table(f"Balances of {len(found):,} accounts", Column("account", footer="sum", overflow="fold"))
    total = euros(Cents(sum(one.balance for one in found)))
    shown.add_column("balance, €", justify="right", no_wrap=True, footer=total)
    shown.show_footer = True
    for one in found:
        shown.add_row(one.account, euros(one.balance))
    print_table(shown)
