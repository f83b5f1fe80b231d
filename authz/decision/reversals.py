"""Reversals: of an earlier request, only what one says is to stand stands from now on (docs/reversals.md).

Nothing but an acquirer that isn't this link's can refuse one. What stands goes only down, and what is undone goes back
to the very lots that it came from, and off the cap of its day.
"""

from msgspec import Struct
from msgspec.structs import replace

from authz.decision import holds, lots
from authz.decision.admission import balance
from authz.decision.commands import Reversal
from authz.decision.evidence import Facts
from authz.decision.holds import LIFE, Act, Event, State
from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.posting import paid, uncovered
from authz.decision.standing import Effect, Standing
from ledger import accounts
from ledger.values import Cents, HolderId, Transfer


class _Undone(Struct, frozen=True):
    """The position after something was undone, the transfers that undo it, and what stands now."""

    position: Position
    transfers: tuple[Transfer, ...] = ()
    standings: tuple[Standing, ...] = ()


def reverse(command: Reversal, facts: Facts) -> Outcome:
    """Decide a reversal."""
    holder, position, original = facts.holder, facts.position, facts.original
    if not facts.evidence.ours:
        return Outcome(Reply(Reason.ACQUIRER_UNKNOWN), holder, position)
    if original is None:
        named = command.originals[0] if command.originals else None
        return Outcome(Reply(Reason.NO_ORIGINAL), holder, position, never_came=named)
    if original.never_came:
        return Outcome(Reply(Reason.NO_ORIGINAL), holder, position)
    if holder is None or position is None or original.standing is None:
        return Outcome(Reply(Reason.APPROVED), holder, position)
    current, due = holds.settle(holder, position, facts.over_before, facts.over_before)
    undone = _undo(command, facts, holder, current, original.standing)
    reply = Reply(
        Reason.APPROVED,
        approval=original.standing.approval,
        balances=_balances(facts, current if undone is None else undone.position, original.standing),
        standings=() if undone is None else undone.standings,
    )
    if undone is None:
        return Outcome(reply, holder, position)
    return Outcome(reply, holder, undone.position, (*due, *undone.transfers))


def _undo(command: Reversal, facts: Facts, holder: HolderId, position: Position, standing: Standing) -> _Undone | None:
    """Undo what no longer stands. None: what stands is no more than is to stand."""
    if standing.effect is Effect.HOLD:
        return _reverse_hold(command, facts, holder, position, standing)
    if standing.amount <= command.stands:
        return None
    if standing.effect is Effect.DEBIT:
        return _reverse_debit(command, facts, holder, position, standing)
    return _reverse_refund(command, facts, holder, position, standing)


def _reverse_hold(
    command: Reversal, facts: Facts, holder: HolderId, position: Position, standing: Standing
) -> _Undone | None:
    """Release what is set aside and no longer stands, as the life of a hold has it."""
    named = holds.find(position.purse, lambda hold: hold.id == standing.original)
    act, state = LIFE[named.state][Event.PARTIAL_REVERSAL if command.stands else Event.REVERSAL]
    hold = named.hold
    if hold is None:
        return None
    if act is Act.NOTHING:  # it has lapsed: at most, no completion is to find it any more
        forgotten = replace(position, purse=holds.without(position.purse, hold))
        return _Undone(forgotten) if state is State.RELEASED else None
    before = holds.standing(hold)
    if act is Act.REDUCE and before.amount <= command.stands:
        return None
    after, undone = before.lowered(command.stands)
    left = (replace(hold, parts=after.parts, step=after.step),) if act is Act.REDUCE else ()
    others = holds.without(position.purse, hold)
    purse, transfers = lots.give_back(
        holder, replace(others, holds=(*others.holds, *left)), hold.product, undone.parts, facts.over_before
    )
    position = replace(position, purse=purse)
    return _Undone(_off_the_cap(position, undone, facts), transfers, (after,))


def _reverse_debit(
    command: Reversal, facts: Facts, holder: HolderId, position: Position, standing: Standing
) -> _Undone:
    """Take back from the acquirer what no longer stands, and give it to the lots it came from."""
    acquirer = command.origin.acquirer
    after, undone = standing.lowered(command.stands)
    purse, transfers = lots.give_back(
        holder, position.purse, standing.product, undone.parts, facts.over_before, accounts.payable(acquirer)
    )
    position = replace(position, purse=purse)
    return _Undone(
        _off_the_cap(position, undone, facts), (*transfers, *uncovered(acquirer, -undone.shortfall)), (after,)
    )


def _reverse_refund(
    command: Reversal, facts: Facts, holder: HolderId, position: Position, standing: Standing
) -> _Undone:
    """Debit again what a refund gave: from what can be spent now, the rest is a shortfall. The payment stands again."""
    acquirer, product = command.origin.acquirer, standing.product
    after, undone = standing.lowered(command.stands)
    covered = Cents(min(undone.vouchers, lots.available(position.purse, product, facts.today)))
    purse, parts, back = lots.take(holder, position.purse, product, facts.today, covered)
    shortfall = Cents(undone.amount - covered)
    payment = facts.original.purchase if facts.original is not None else None
    standings = (after,) if payment is None else (after, payment.raised(parts, shortfall))
    transfers = (*back, *paid(holder, product, parts, acquirer), *uncovered(acquirer, shortfall))
    return _Undone(replace(position, purse=purse), transfers, standings)


def _off_the_cap(position: Position, undone: Standing, facts: Facts) -> Position:
    return position.with_spent(undone.day, undone.product, Cents(-undone.vouchers), facts.today)


def _balances(facts: Facts, position: Position, standing: Standing) -> tuple[Balance, ...]:
    product = None if facts.programme is None else facts.programme.product(standing.product)
    if facts.programme is None or product is None:
        return ()
    return (balance(position, product, facts.programme, facts.merchant, facts.today),)
