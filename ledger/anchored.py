"""The anchors of one partition, held against the records that a walk over it comes to."""

from collections import deque
from collections.abc import Sequence, Set
from datetime import UTC

from ledger.anchors import Anchor
from ledger.values import Partition, Seq


class Anchored:
    """`agreed` counts the anchors that the ledger agrees with."""

    def __init__(self, anchors: Sequence[Anchor], partition: Partition) -> None:
        mine = (anchor for anchor in anchors if anchor.partition == partition)
        self._left = deque(sorted(mine, key=lambda anchor: anchor.seq))
        self._behind = ""
        self.agreed = 0

    @property
    def seqs(self) -> Set[Seq]:
        """The records that anchors which are left are of."""
        return {anchor.seq for anchor in self._left}

    @property
    def next(self) -> Seq | None:
        """The record that the next anchor is of; None: no anchor is left."""
        return self._left[0].seq if self._left else None

    def wrong(self, seq: Seq, found: bytes | None) -> str | None:
        """Hold the hash of the record at `seq`, which the next anchors are of, against them: None agrees with all.

        `found` is None where there is no such record.
        """
        while self.next == seq:
            anchor = self._left.popleft()
            if found is None or found.hex() != anchor.hash:
                at = _at(anchor)
                return f"it isn't what was anchored at {at}: the ledger was rewritten at or before it{self._behind}"
            self._behind = f", behind record {seq}"
            self.agreed += 1
        return None

    def cut_off(self) -> str | None:
        """Say what is missing behind the last record; None: nothing that is anchored."""
        if not self._left:
            return None
        newest = self._left[-1]
        return f"it is missing: an anchor of {_at(newest)} has record {newest.seq}"


def _at(anchor: Anchor) -> str:
    return f"{anchor.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
