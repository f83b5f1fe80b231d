"""The commands `ledger anchor` and `ledger keypair`: anchors on demand, declared restorations, keys to sign with."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import asyncpg
from cyclopts import Parameter

from ledger.anchors import Anchor, AnchorFile, AnchorsAhead, anchor_of
from ledger.printing import AsJson, print_json
from ledger.reading import reader
from ledger.signing import Signer, public_path
from ledger.source import Source, address
from ledger.store import Fence, Unavailable
from ledger.values import Epoch, Partition, Seq

DONE, FINDING = 0, 1
ACKNOWLEDGE_TIMEOUT_S = 30
"""How long a synchronous standby may take to acknowledge, before nothing is anchored."""

_FENCES = "SELECT partition, epoch, head, hash, beat FROM ledger.fence ORDER BY partition"
_MARK = "SELECT pg_logical_emit_message(true, 'ledger', 'anchor')"


def anchor(
    *,
    source: Source | None = None,
    file: Path,
    key: Path,
    restored: str | None = None,
    as_json: AsJson = False,
) -> int:
    """Anchor the ledger now: sign every partition's head, into a file outside the database.

    Exit 1 if the ledger ends before its newest anchor: then records are lost, or it was restored.

    Parameters
    ----------
    source
        Where the ledger is.
    file
        The file of anchors. It is made if it isn't there; an authorizer that runs may write it too.
    key
        The private key to sign with, as `ledger keypair` makes it.
    restored
        Declare that the ledger was restored to its present head, and why: what was anchored above it is void.
    as_json
        Print what was written as JSON.
    """
    anchors = AnchorFile(file, Signer.load(key), _say)
    with address(source) as url:
        fences = asyncio.run(acknowledged(url))
    at = datetime.now(UTC)
    heads = [anchor_of(partition, fence, at) for partition, fence in fences.items()]
    try:
        if restored is None:
            _tell_anchored(anchors.append(heads), as_json=as_json)
        else:
            _tell_restored(heads, anchors.restore(heads, restored), as_json=as_json)
    except AnchorsAhead as lost:
        _say(f"{lost}; see docs/operations.md")
        return FINDING
    return DONE


def keypair(file: Annotated[Path, Parameter(help="The private key's file; its public half is FILE.pub.")], /) -> int:
    """Make a key to sign anchors with. Keep it away from the database; the public half is for whoever verifies."""
    Signer.make(file)
    sys.stdout.write(f"{file}: the private key, keep it\n{public_path(file)}: the public key, give it away\n")
    return DONE


async def acknowledged(url: str) -> Mapping[Partition, Fence]:
    """Read every partition's head, and return once all that is durable as an answered request is.

    A plain read may see a head that no synchronous standby has. A commit that comes after it, and is acknowledged,
    proves that they have it too. Raises `Unavailable` where that doesn't happen, on a standby for instance, and what
    `ledger.reading.reader` raises.
    """
    async with reader(url) as connection:
        await connection.execute("SET statement_timeout = 0; SET synchronous_commit = 'on'")
        rows = await connection.fetch(_FENCES)
        await _commit_something(connection)
    return {
        Partition(row["partition"]): Fence(Epoch(row["epoch"]), Seq(row["head"]), row["hash"], row["beat"])
        for row in rows
    }


async def _commit_something(connection: asyncpg.Connection) -> None:
    """Wait for the acknowledgement of a commit of one's own, of a message that nothing reads.

    A wait that somebody cancels ends in a warning and not in an error, so a warning counts as one. The session is
    ended, never cancelled, when it takes too long.
    """
    warnings: list[object] = []
    connection.add_log_listener(lambda _, message: warnings.append(message))
    mark = asyncio.ensure_future(connection.execute(_MARK))
    done, _ = await asyncio.wait({mark}, timeout=ACKNOWLEDGE_TIMEOUT_S)
    if not done:
        connection.terminate()
        await asyncio.wait({mark})
        mark.exception()
        raise Unavailable(f"no synchronous standby acknowledged within {ACKNOWLEDGE_TIMEOUT_S} s: nothing is anchored")
    mark.result()
    if warnings:
        raise Unavailable("the wait for a synchronous standby was cancelled: nothing is anchored")


def _tell_anchored(written: Sequence[Anchor], *, as_json: bool) -> None:
    if as_json:
        print_json({"anchored": written})
        return
    for one in written:
        sys.stdout.write(f"partition {one.partition} is anchored at record {one.seq}, {one.hash}\n")
    if not written:
        sys.stdout.write("nothing was recorded since the last anchor\n")


def _tell_restored(heads: Sequence[Anchor], void: Mapping[Partition, Sequence[Anchor]], *, as_json: bool) -> None:
    if as_json:
        print_json({"restored": heads, "void": void})
        return
    for head in heads:
        above = void[head.partition]
        lost = f"what was anchored above it, up to record {above[-1].seq}, is void" if above else "no anchor is void"
        sys.stdout.write(f"partition {head.partition} is declared restored to record {head.seq}: {lost}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"ledger: {text}\n")
