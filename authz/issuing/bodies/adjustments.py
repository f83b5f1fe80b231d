"""Adjustments, as they are proposed and shown."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from authz.decision.issuing.adjustments import REASON_MAX
from authz.decision.issuing.states import AdjustmentKind, AdjustmentStatus, LineNamed, Proposal, RecordNamed
from authz.issuing.bodies.fields import END, Sent
from ledger.values import Cents, Partition, Seq

CENTS_MAX = SEQ_MAX = 10**15
NUMBER_MAX = 2**31 - 1


class RecordRequest(Sent, frozen=True):
    """A payment's record: what exports and reports write as 0:17 is partition 0, record 17."""

    partition: Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]


class LineRequest(Sent, frozen=True):
    """A line of a clearing file, or an entry of a statement, by the file's SHA-256 in hexadecimal."""

    file: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{END}")]
    line: Annotated[int, Meta(ge=1, le=NUMBER_MAX)]


class ProposalRequest(Sent, frozen=True):
    """What is to be adjusted, by how many cents, and why. Below 0 it is the other way round; 0 is refused.

    `record` and `line` name the break that it resolves. The reason may bear no card's number.
    """

    kind: AdjustmentKind
    acquirer: Annotated[str, Meta(pattern=rf"^[0-9]{{1,11}}{END}")]
    cents: Annotated[int, Meta(ge=-CENTS_MAX, le=CENTS_MAX)]
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=rf"^[^\x00-\x1f\x7f]*{END}")]
    record: RecordRequest | None = None
    line: LineRequest | None = None

    @property
    def proposal(self) -> Proposal:
        """The same, as the core has it."""
        return Proposal(
            self.kind,
            self.acquirer,
            Cents(self.cents),
            self.reason,
            None if self.record is None else RecordNamed(Partition(self.record.partition), Seq(self.record.seq)),
            None if self.line is None else LineNamed(self.line.file, self.line.line),
        )


class AdjustmentView(Struct, frozen=True):
    """An adjustment. People are a role and an access's id; `partition` is where it is posted."""

    id: str
    kind: AdjustmentKind
    acquirer: str
    cents: int
    reason: str
    record: RecordNamed | None
    line: LineNamed | None
    partition: int
    status: AdjustmentStatus
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
