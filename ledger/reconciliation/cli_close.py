"""The command `ledger close`: a day, from what lies in the inbox to what is kept of it."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter

from ledger import anchors as anchored
from ledger.anchors import Anchor
from ledger.checkpoint import CheckpointFile
from ledger.cli_verify import Anchors, KeyNotNamed
from ledger.closing_day.close import Close, Closing, Done, Order, Prove
from ledger.findings import EVERYTHING, Finding
from ledger.printing import AsJson, print_json
from ledger.progress import bars
from ledger.reading import Progress
from ledger.reconciliation.terms import read as read_terms
from ledger.reports.exposition import breaks_of, exposed
from ledger.schema import RECONCILER_ROLE
from ledger.signing import Signer, Verifier
from ledger.source import Source, address
from ledger.verify import verify

CLEAN, FINDING = 0, 1
FINDINGS_SHOWN_MAX = 20
"""Lines of the short list; `--json` and `close.json` have all of them."""
STEP_COLUMNS = 10


def close(
    day: date,
    /,
    *,
    terms: Path,
    source: Source | None = None,
    inbox: Path | None = None,
    destination: Annotated[Path, Parameter(name="--output", show_default=False)] = Path("closed"),
    checkpoint: Path | None = None,
    signing_key: Path | None = None,
    anchors: Anchors = None,
    key: Path | None = None,
    metrics: Path | None = None,
    as_json: AsJson = False,
) -> int:
    """Close a day: import, verify, reconcile, pay out, state the funds, report. It may be run again at any time.

    Exit 0 where everything agrees; 1 with a short list on standard error where somebody has to look at something.

    Parameters
    ----------
    day
        The day, such as 2026-05-12.
    terms
        What was agreed with acquirers and banks.
    source
        Where the ledger is; as role `reconciler`.
    inbox
        The folder in which files arrive: a folder for each acquirer, named by its id, and `bank`. Files stay there.
    destination
        The folder that gets one for the day; without it, ./closed
    checkpoint
        A file that keeps how far the ledger was found sound: all is proved from there on. Without it, only the chain.
    signing_key
        The private key to sign the checkpoint with.
    anchors
        The file of anchors to hold the ledger against.
    key
        The public key that the anchors are signed for.
    metrics
        A file for node_exporter's textfile collector, such as /var/lib/prometheus/node-exporter/ledger.prom
    as_json
        Print what came of each step as JSON.
    """
    agreed = read_terms(terms)
    order = Order(
        day=day,
        terms=agreed,
        beside=terms.parent,
        folder=destination / day.isoformat(),
        inbox=inbox,
        prove=_proof(checkpoint, signing_key, anchors, key),
    )
    told = _silent if as_json else _say
    with (
        exposed(metrics) as exposition,
        address(source, RECONCILER_ROLE) as url,
        bars() as progress,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        closing = runner.run(Close(url, order, told, progress).run())
        exposition.tell_breaks(runner.run(breaks_of(url, day)), day)
        exposition.is_clean = not closing.findings
    if as_json:
        print_json(closing)
    else:
        _complain(closing)
    return FINDING if closing.findings else CLEAN


def _proof(checkpoint: Path | None, signing_key: Path | None, anchors: Path | None, key: Path | None) -> Prove | None:
    """Choose how the ledger is proved: all of it where a checkpoint or anchors are named. Raises `KeyNotNamed`."""
    if (anchors is None) != (key is None):
        raise KeyNotNamed("--anchor FILE and --key PUBLIC go together: name both")
    if (checkpoint is None) != (signing_key is None):
        raise KeyNotNamed("--checkpoint FILE and --signing-key PRIVATE go together: name both")
    if checkpoint is None and anchors is None:
        return None
    kept = CheckpointFile(checkpoint, Signer.load(signing_key)) if checkpoint and signing_key else None
    known: Sequence[Anchor] = anchored.read_all(anchors, Verifier.load(key))[0] if anchors and key else ()
    return partial(_prove, kept, known)


async def _prove(
    kept: CheckpointFile | None, known: Sequence[Anchor], url: str, progress: Progress | None
) -> Finding | int:
    proved = await verify(url, EVERYTHING, anchors=known, checkpoint=kept, progress=progress)
    if isinstance(proved, Finding):
        return proved
    return sum(one.head - max(one.resumed, one.first - 1) for one in proved.partitions)


def _say(done: Done) -> None:
    sys.stdout.write(f"{done.step:<{STEP_COLUMNS}} {done.said}\n")
    sys.stdout.flush()


def _silent(done: Done) -> None:
    """All of it is printed at the end."""


def _complain(closing: Closing) -> None:
    """List what somebody has to look at, a line each."""
    for finding in closing.findings[:FINDINGS_SHOWN_MAX]:
        sys.stderr.write(f"ledger: {finding}\n")
    if (more := len(closing.findings) - FINDINGS_SHOWN_MAX) > 0:
        sys.stderr.write(f"ledger: and {more:,} more: close.json has all of them\n")
