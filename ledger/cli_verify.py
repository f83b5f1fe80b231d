"""The command `ledger verify`: proves the ledger, or a part of it, and shows how far it is meanwhile."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ledger import anchors as anchored
from ledger.checkpoint import CheckpointFile
from ledger.printing import AsJson, print_json, print_table, table
from ledger.signing import Signer, Verifier
from ledger.source import Source, address
from ledger.store import LedgerError
from ledger.values import Partition, Seq
from ledger.verify import Finding, Report, Scope
from ledger.verify import verify as prove

SOUND, FINDING = 0, 1

First = Annotated[int, Parameter(name="--from")]
Last = Annotated[int | None, Parameter(name="--to")]
Anchors = Annotated[Path | None, Parameter(name="--anchor")]


class KeyNotNamed(LedgerError):
    """A file is only worth the key that it is held against: name both."""


def verify(
    *,
    source: Source | None = None,
    partition: int | None = None,
    first: First = 1,
    last: Last = None,
    chain_only: bool = False,
    anchors: Anchors = None,
    key: Path | None = None,
    checkpoint: Path | None = None,
    signing_key: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Prove the ledger: its chain, its transfers, its identities, and the money in every holder's position.

    Exit 0 if all of it is sound, 1 if a record isn't: the first one is named, with what is wrong.

    Parameters
    ----------
    source
        Where the ledger is.
    partition
        Prove this partition only.
    first
        Prove from this record on, and believe what is before it.
    last
        Prove up to this record, and don't look whether the ledger ends where it should.
    chain_only
        Prove only that no record was changed, added or taken away; not that money and identities are right.
    anchors
        The file of anchors, which tells a ledger that was written anew, or cut off, from the real one.
    key
        The public key that the anchors are signed for, as `ledger keypair` makes it.
    checkpoint
        A file to keep in it how far the ledger is sound. Where it is there, begin behind what it says.
    signing_key
        The private key to sign the checkpoint with.
    as_json
        Print the result as JSON.
    """
    if (anchors is None) != (key is None):
        raise KeyNotNamed("--anchor FILE and --key PUBLIC go together: name both")
    if (checkpoint is None) != (signing_key is None):
        raise KeyNotNamed("--checkpoint FILE and --signing-key PRIVATE go together: name both")
    known = anchored.read(anchors, Verifier.load(key)) if anchors and key else ()
    kept = CheckpointFile(checkpoint, Signer.load(signing_key)) if checkpoint and signing_key else None
    scope = Scope(
        partition=None if partition is None else Partition(partition),
        first=Seq(first),
        last=None if last is None else Seq(last),
        chain_only=chain_only,
    )
    with address(source) as url, _Bar() as bar:
        outcome = _run(prove(url, scope, anchors=known, checkpoint=kept, progress=bar.show))
    if as_json:
        print_json({"sound": isinstance(outcome, Report), "result": outcome})
    elif isinstance(outcome, Report):
        _show(outcome)
    else:
        sys.stderr.write(f"ledger: {outcome}; stop paying out and compare with a backup\n")
    return SOUND if isinstance(outcome, Report) else FINDING


def _run(work: Coroutine[Any, Any, Finding | Report]) -> Finding | Report:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class _Bar:
    """How far each partition is, on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[Partition, TaskID] = {}

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, partition: Partition, seq: Seq, last: Seq) -> None:
        if partition not in self._tasks:
            self._tasks[partition] = self._progress.add_task(f"partition {partition}", total=last)
        self._progress.update(self._tasks[partition], completed=seq)


def _show(proved: Report) -> None:
    whole = all(one.identities is not None for one in proved.partitions)
    shown = table("Sound: every record, transfer, identity and position" if whole else "Sound: the chain", "partition")
    for name in ("records", "transfers", "identities", "holders", "anchors", "epoch"):
        shown.add_column(name, justify="right")
    for one in proved.partitions:
        counts = (one.head - one.first + 1, one.transfers, one.identities, one.holders, one.anchors, one.epoch)
        shown.add_row(str(one.partition), *("–" if count is None else f"{count:,}" for count in counts))
    print_table(shown)
    for one in proved.partitions:
        behind = f", begun behind record {one.resumed}" if one.resumed else ""
        sys.stdout.write(f" partition {one.partition} ends in record {one.head}, {one.hash}{behind}\n")
