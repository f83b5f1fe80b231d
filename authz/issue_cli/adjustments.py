"""`authz issue adjustment …`: what finance posts to resolve breaks, proposed by one person and approved by another."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter, Token

from authz.decision.issuing.states import AdjustmentKind, AdjustmentStatus
from authz.issue_cli.amounts import hundredths
from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.showing import Facts, show_list, show_one
from authz.issuing.bodies.adjustments import AdjustmentView, LineRequest, ProposalRequest, RecordRequest
from ledger.printing import instant

adjustment = App(name="adjustment", help="Adjustments: what finance posts to resolve breaks. They take two people.")

_RECORD = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_LINE = re.compile(r"([0-9a-f]{64}):(\d{1,9})", re.ASCII)


def _signed(_: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    return -hundredths(text[1:]) if text.startswith("-") else hundredths(text)


def _record(_: Any, tokens: Sequence[Token]) -> RecordRequest:
    found = _RECORD.fullmatch(tokens[0].value)
    if found is None:
        raise ValueError("a record is written partition:number, such as 0:17")
    return RecordRequest(int(found[1]), int(found[2]))


def _line(_: Any, tokens: Sequence[Token]) -> LineRequest:
    found = _LINE.fullmatch(tokens[0].value)
    if found is None:
        raise ValueError("a line is written SHA-256:number, the file's in 64 hexadecimal digits")
    return LineRequest(found[1], int(found[2]))


SignedEuros = Annotated[int, Parameter(converter=_signed, allow_leading_hyphen=True)]
"""An amount, in cents; written in euros, with a minus in front where it is below 0."""
Record = Annotated[RecordRequest | None, Parameter(converter=_record, n_tokens=1, accepts_keys=False)]
Line = Annotated[LineRequest | None, Parameter(converter=_line, n_tokens=1, accepts_keys=False)]


@adjustment.command
def propose(
    kind: AdjustmentKind,
    *,
    acquirer: str,
    amount: SignedEuros,
    reason: str,
    record: Record = None,
    line: Line = None,
    ask: Write | None = None,
) -> None:
    """Propose an adjustment: nothing is posted until somebody else approves it.

    Parameters
    ----------
    kind
        The acquirer was paid, the issuer took its fee, a shortfall is given up, or what is payable is put right.
    acquirer
        Whose account it is, such as 970001.
    amount
        In euros. Below 0 it is the other way round: the acquirer paid, a fee is given back, less is payable.
    reason
        Why, for who approves it and for audits. No card's number: at most 11 digits in a row.
    record
        The ledger's record whose break it resolves: partition:number, such as 0:17.
    line
        The clearing line, or the statement's entry: the file's SHA-256:number.
    ask
        Where the API is.
    """
    body = ProposalRequest(kind, acquirer, amount, reason, record, line)
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", "/adjustments", AdjustmentView, body))


@adjustment.command
def approve(adjustment: str, *, ask: Write | None = None) -> None:
    """Approve what somebody else proposed: it is posted."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/adjustments/{adjustment}/approval", AdjustmentView))


@adjustment.command
def refuse(adjustment: str, *, ask: Write | None = None) -> None:
    """Refuse what somebody proposed, or take back one's own proposal: nothing is posted."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/adjustments/{adjustment}/refusal", AdjustmentView))


@adjustment.command(name="list")
def list_adjustments(*, status: AdjustmentStatus | None = None, ask: Ask | None = None) -> None:
    """List adjustments.

    Parameters
    ----------
    status
        Only those that are there in their life.
    ask
        Where the API is.
    """
    with Api(ask or Ask()) as api:
        asked = {} if status is None else {"status": str(status)}
        found = api.all("/adjustments", AdjustmentView, **asked)
    columns = {
        "adjustment": lambda one: one.id,
        "kind": lambda one: one.kind,
        "acquirer": lambda one: one.acquirer,
        "amount, €": lambda one: one.cents,
        "record": lambda one: _record_of(one),
        "status": lambda one: one.status,
        "reason": lambda one: one.reason,
    }
    show_list(ask, "Adjustments", found, columns)


@adjustment.command(name="show")
def show_adjustment(adjustment: str, *, ask: Ask | None = None) -> None:
    """Show an adjustment."""
    with Api(ask or Ask()) as api:
        _show(ask, api.read(f"/adjustments/{adjustment}", AdjustmentView))


def _record_of(one: AdjustmentView) -> str | None:
    return None if one.record is None else f"{one.record.partition}:{one.record.seq}"


def _show(ask: Ask | None, one: AdjustmentView) -> None:
    facts: Facts = {
        "adjustment": one.id,
        "kind": one.kind,
        "acquirer": one.acquirer,
        "amount, €": one.cents,
        "reason": one.reason,
        "record": _record_of(one),
        "line": None if one.line is None else f"{one.line.file}:{one.line.line}",
        "status": one.status,
        "proposed by": one.proposed_by,
        "proposed at": instant(one.proposed_at),
        "decided by": one.decided_by,
        "decided at": None if one.decided_at is None else instant(one.decided_at),
    }
    show_one(ask, "Adjustment", one, facts)
