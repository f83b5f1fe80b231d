"""What is asked of a proof, and what comes of it: the first bad record, or that there is none."""

from enum import StrEnum

from msgspec import Struct

from ledger.values import Epoch, Partition, Seq


class Flaw(StrEnum):
    """What can be wrong with a record."""

    MISSING = "missing"
    BEYOND_FENCE = "beyond fence"
    EPOCH = "epoch"
    HASH = "hash"
    FENCE = "fence"
    TRANSFER = "transfer"
    IDENTITY = "identity"
    MONEY = "money"
    CLOSING = "closing"
    ANCHOR = "anchor"


class Finding(Struct, frozen=True):
    """The first bad record, and what is wrong with it."""

    partition: Partition
    seq: Seq
    flaw: Flaw
    what: str

    def __str__(self) -> str:
        return f"partition {self.partition}, record {self.seq}: {self.what}"


class Verified(Struct, frozen=True):
    """The records `first` to `head` of one partition, in which nothing is wrong, and what was held against what.

    `hash` is the last one's, in hexadecimal. `resumed` is the record behind which this run began, the ones before it
    having been proved by an earlier one; 0: there was none. Where only the chain was proved, `identities` is None and
    so is `holders`, which counts those whose money was looked at.
    """

    partition: Partition
    epoch: Epoch
    first: Seq
    head: Seq
    hash: str
    transfers: int
    identities: int | None
    holders: int | None
    anchors: int
    resumed: Seq = Seq(0)


class Report(Struct, frozen=True):
    """A ledger, or a part of it, in which nothing is wrong."""

    partitions: tuple[Verified, ...]

    @property
    def records(self) -> int:
        """How many records were found sound."""
        return sum(one.head - one.first + 1 for one in self.partitions)


class Scope(Struct, frozen=True):
    """What is to be proved: of `partition` (None: of each) the records `first` to `last` (None: to the head).

    Before a `first` above 1 everything is believed; without a `last`, the head is held against the fence.
    """

    partition: Partition | None = None
    first: Seq = Seq(1)
    last: Seq | None = None
    chain_only: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether all that can be proved of a partition is."""
        return self.first == 1 and self.last is None and not self.chain_only


EVERYTHING = Scope()
