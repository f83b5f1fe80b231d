"""How far a command has come, as a bar for each partition on a terminal; elsewhere nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ledger import reading
from ledger.values import Partition, Seq


@contextmanager
def bars() -> Iterator[reading.Progress]:
    """Show on standard error what the function that is given is told, and take it away at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[Partition, TaskID] = {}

        def show(partition: Partition, seq: Seq, last: Seq) -> None:
            if partition not in tasks:
                tasks[partition] = bar.add_task(f"partition {partition}", total=last)
            bar.update(tasks[partition], completed=seq)

        yield show
