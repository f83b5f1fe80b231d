"""The command line of finance: `ledger`. Exit 0: sound, 1: a finding, 2: wrong use, or the ledger can't be read."""

import asyncio
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from ledger.balances import Balance
from ledger.balances import balances as read_balances
from ledger.embedded import EmbeddedError
from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.report import PeriodInvalid, report
from ledger.source import NoLedgerNamed, Source, address
from ledger.store import LedgerError
from ledger.values import Cents, Partition
from ledger.verify import Finding, Report
from ledger.verify import verify as prove

SOUND, FINDING, WRONG, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="ledger",
    help="Reads an authorizer's ledger for finance. Needs no running authorizer.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)
app.command(report)


@app.command
def verify(*, source: Source | None = None, partition: int | None = None, as_json: AsJson = False) -> int:
    """Prove the ledger: its chain, its transfers, its identities, and the money in every holder's position.

    Exit 0 if all of it is sound, 1 if a record isn't: the first one is named, with what is wrong.

    Parameters
    ----------
    source
        Where the ledger is.
    partition
        Prove this partition only.
    as_json
        Print the result as JSON.
    """
    with address(source) as url:
        outcome = asyncio.run(_prove(url, None if partition is None else Partition(partition)))
    if as_json:
        print_json({"sound": isinstance(outcome, Report), "result": outcome})
    elif isinstance(outcome, Report):
        _show(outcome)
    else:
        sys.stderr.write(f"ledger: {outcome}; stop paying out and compare with a backup\n")
    return SOUND if isinstance(outcome, Report) else FINDING


@app.command
def balances(*, source: Source | None = None, prefix: str = "", as_json: AsJson = False) -> int:
    """Print the balance of every account: credits less debits.

    Parameters
    ----------
    source
        Where the ledger is.
    prefix
        Only accounts whose name begins so, such as `acquirer:` or `holder:h4k2:`
    as_json
        Print them as JSON, in cents.
    """
    with address(source) as url:
        found = asyncio.run(read_balances(url, prefix))
    if as_json:
        print_json(found)
    else:
        _show_balances(found)
    return SOUND


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ledger` and return its exit code."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        return _complain(f"{' '.join(str(wrong).split()).rstrip('.')}; see ledger --help")
    except (NoLedgerNamed, PeriodInvalid, EmbeddedError, LedgerError) as wrong:
        return _complain(str(wrong))
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else SOUND


async def _prove(url: str, partition: Partition | None) -> Finding | Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(partition: Partition, seq: int, head: int) -> None:
            if partition not in tasks:
                tasks[partition] = bar.add_task(f"partition {partition}", total=head)
            bar.update(tasks[partition], completed=seq)

        return await prove(url, partition=partition, progress=show)


def _show(proved: Report) -> None:
    shown = table("Sound: every record, transfer, identity and position", "partition")
    for name in ("records", "transfers", "identities", "open accounts", "epoch"):
        shown.add_column(name, justify="right")
    for one in proved.partitions:
        counts = (one.head, one.transfers, one.identities, one.accounts, one.epoch)
        shown.add_row(str(one.partition), *(f"{count:,}" for count in counts))
    print_table(shown)
    for one in proved.partitions:
        sys.stdout.write(f" partition {one.partition} ends in {one.hash}\n")


def _show_balances(found: Sequence[Balance]) -> None:
    shown = table(f"Balances of {len(found):,} accounts", Column("account", footer="sum", overflow="fold"))
    total = euros(Cents(sum(one.balance for one in found)))
    shown.add_column("balance, €", justify="right", no_wrap=True, footer=total)
    shown.show_footer = True
    for one in found:
        shown.add_row(one.account, euros(one.balance))
    print_table(shown)


def _complain(text: str) -> int:
    sys.stderr.write(f"ledger: {text}\n")
    return WRONG
