"""The command `ledger verify`: proves the ledger, or a part of it, and shows how far it is meanwhile."""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter
from cyclopts.validators import Number

from ledger import anchors as anchored
from ledger.anchors import Anchor, Restoration
from ledger.checkpoint import CheckpointFile
from ledger.printing import AsJson, Flag, instant, print_json, print_table, table
from ledger.progress import bars
from ledger.signing import Signer, Verifier
from ledger.source import Source, address
from ledger.store import LedgerError
from ledger.values import Partition, Seq
from ledger.verify import Finding, Report, Scope
from ledger.verify import verify as prove

SOUND, FINDING = 0, 1

First = Annotated[int, Parameter(name="--from", show_default=False)]
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
    chain_only: Flag = False,
    anchors: Anchors = None,
    key: Path | None = None,
    checkpoint: Path | None = None,
    signing_key: Path | None = None,
    rate: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    as_json: AsJson = False,
) -> int:
    """Prove the ledger: its chain, its transfers, its identities, and the money in every holder's position.

    Exit 0 if all of it is sound, 1 if a record isn't: the first one is named, with what is wrong. With anchors, it
    is told too what was declared restored.

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
        A file that keeps how far the ledger was found sound. Where it is there, begin behind that.
    signing_key
        The private key to sign the checkpoint with.
    rate
        Read at most so many records a second: payments on the same machine aren't slowed.
    as_json
        Print the result as JSON.
    """
    if (anchors is None) != (key is None):
        raise KeyNotNamed("--anchor FILE and --key PUBLIC go together: name both")
    if (checkpoint is None) != (signing_key is None):
        raise KeyNotNamed("--checkpoint FILE and --signing-key PRIVATE go together: name both")
    known: Sequence[Anchor] = ()
    restored: Sequence[Restoration] = ()
    if anchors and key:
        known, restored = anchored.read_all(anchors, Verifier.load(key))
    kept = CheckpointFile(checkpoint, Signer.load(signing_key)) if checkpoint and signing_key else None
    scope = Scope(
        partition=None if partition is None else Partition(partition),
        first=Seq(first),
        last=None if last is None else Seq(last),
        chain_only=chain_only,
    )
    with address(source) as url, bars() as progress:
        outcome = _run(prove(url, scope, anchors=known, checkpoint=kept, rate=rate, progress=progress))
    if as_json:
        print_json({"sound": isinstance(outcome, Report), "result": outcome, "restorations": restored})
        return SOUND if isinstance(outcome, Report) else FINDING
    for one in restored:
        sys.stdout.write(f"{_declared(one)}\n")
    if isinstance(outcome, Finding):
        sys.stderr.write(f"ledger: {outcome}; stop paying out and compare with a backup\n")
        return FINDING
    _show(outcome)
    return SOUND


def _run(work: Coroutine[Any, Any, Finding | Report]) -> Finding | Report:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _declared(one: Restoration) -> str:
    """Tell of a restoration: whoever holds the key of the anchors said so."""
    to = one.to
    return (
        f"partition {to.partition} was restored to record {to.seq} on {instant(to.at)}: {one.why}; "
        "what was anchored above it is void"
    )


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
