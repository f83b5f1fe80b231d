"""What a terminal and its acquirer's host send beside plain purchases, named as the wire names it."""

from datetime import date
from typing import Any

from msgspec.structs import replace

from authz.decision.commands import Advice, Completion, Entry, Payment, Purchase, Refund, Reversal, Totals
from authz.decision.totals import Sums
from authz.engine.requests import Named, Request, TotalsRequest
from ledger.values import Cents
from tests.engine.world import LINK, World


def partial(request: Request) -> Request:
    """The same purchase at a terminal that takes partial approvals (DE 48 PA)."""
    assert isinstance(request.command, Purchase)
    return replace(request, command=replace(request.command, takes_partial=True))


def advice(world: World, pan: str, amount: int, *, declined: bool = False, **changes: Any) -> Request:
    """0220, paid offline; with `mti="0120"`, set aside offline."""
    request = world.request(pan, amount, **{"mti": "0220", "pin": None} | changes)
    holds = request.command.origin.mti.startswith("01")
    return _saying(request, Advice(request.command.origin, None, "", "00", "90", Cents(amount), 978, holds, declined))


def completion(
    world: World, pan: str, amount: int, of: Request | None = None, *, approval: str | None = None, **changes: Any
) -> Request:
    """0220 that captures the hold of a request (DE 90), or the one with an approval code (DE 38)."""
    request = world.request(pan, amount, **{"mti": "0220", "pin": None} | naming(of) | changes)
    command = Completion(request.command.origin, None, "", "00", "90", Cents(amount), 978, approval=approval)
    return _saying(request, command)


def reversal(world: World, pan: str, of: Request, stands: int = 0, **changes: Any) -> Request:
    """0400: of an earlier request only `stands` cents are to stand (DE 95)."""
    replacement = f"{stands:012}" if stands else None
    defaults = {"mti": "0400", "pin": None, "replacement": replacement}
    amount = int(of.command.origin.amount or 0)
    request = world.request(pan, amount, **defaults | naming(of) | changes)
    return _saying(request, Reversal(request.command.origin, None, "", stands=Cents(stands)))


def refund(world: World, pan: str, amount: int, of: Request | None, **changes: Any) -> Request:
    """0200 with processing code 20: goods returned."""
    defaults = {"processing_code": "209000", "pin": None}
    request = world.request(pan, amount, **defaults | naming(of) | changes)
    return _saying(request, Refund(request.command.origin, None, "", "90", Cents(amount), 978, Entry.CHIP))


def naming(original: Request | None) -> dict[str, Any]:
    """DE 90, as text and as what it says."""
    if original is None:
        return {}
    origin = original.command.origin
    named = Named(origin.mti, origin.trace, origin.transmitted, origin.acquirer.zfill(11))
    text = f"{named.mti}{named.trace}{named.transmitted}{named.acquirer}{'0' * 11}"
    return {"named": named, "original": text}


def totals(
    trace: int, day: date, counted: Sums, *, acquirer: str = LINK, transmitted: str = "20260512103000"
) -> TotalsRequest:
    """0500: what an acquirer's host counted on a business day."""
    command = Totals("0500", acquirer, transmitted, f"{trace:06}", day, counted, counted.net)
    return TotalsRequest(command, acquirer, float("inf"))


def again(request: Request, *, repeat: bool = True, **changes: Any) -> Request:
    """The same request, sent again with these changes to its origin; `repeat` says whether the terminal owns up."""
    origin = replace(request.command.origin, **changes)
    return replace(request, command=replace(request.command, origin=origin), repeat=repeat)


def _saying(request: Request, command: Payment) -> Request:
    return replace(request, command=command)
