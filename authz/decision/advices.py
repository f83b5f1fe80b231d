"""What a terminal tells of: completions of holds, and what happened offline (docs/interface.md, "Holds", "Advices").

It has happened: no rule on the card, the calendar, the cap or the merchant refuses it, and what the balance can't cover
goes to the acquirer's exceptions, for finance.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from authz.decision import holds, lots
from authz.decision.admission import Admitted, admit, balance, choose
from authz.decision.commands import Advice, Completion
from authz.decision.evidence import Facts
from authz.decision.holds import LIFE, Act, Event
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.posting import approval_code, captured, paid, set_aside, uncovered
from authz.decision.programme import Product
from authz.decision.standing import Effect, Standing, amount_of, split
from ledger.values import Cents, Hold, Transfer

OFFLINE_DAYS_MAX = 3
"""How many days back an offline advice is judged on its own day."""


class _Told(Struct, frozen=True):
    """What is told of a known card: the facts, the product, and the position after what is due by the date."""

    facts: Facts
    known: Admitted
    product: Product
    current: Position
    due: tuple[Transfer, ...]

    def take_note(
        self, standing: Standing, position: Position, transfers: tuple[Transfer, ...], *, redated: bool = False
    ) -> Outcome:
        """Record what now stands, and answer with the balance after it."""
        left = balance(position, self.product, self.known.programme, self.facts.merchant, self.facts.today)
        reply = Reply(
            Reason.APPROVED, approval=standing.approval, balances=(left,), standings=(standing,), redated=redated
        )
        return Outcome(reply, self.known.holder, position, (*self.due, *transfers))


def advise(command: Advice | Completion, facts: Facts) -> Outcome:
    """Decide what a terminal tells of."""
    known = admit(command, facts)
    if isinstance(known, Outcome):
        return known
    chosen = choose(command, known.position, known.programme)
    if isinstance(chosen, Reason):
        return Outcome(Reply(chosen), known.holder, known.position)
    if command.declined:
        return Outcome(Reply(Reason.APPROVED), known.holder, known.position)
    current, due = holds.lapse(known.holder, known.position, facts.over_before)
    told = _Told(facts, known, chosen[0], current, due)
    if isinstance(command, Completion):
        return _complete(told, command)
    offline = Standing(
        command.reference,
        0,
        Effect.HOLD if command.holds else Effect.DEBIT,
        told.product.code,
        facts.today,
        approval_code(command.reference),
    )
    return _post_offline(told, command, offline)


def _complete(told: _Told, command: Completion) -> Outcome:
    """Capture the hold that is named, as its life has it (`authz.decision.holds`)."""
    named = holds.find(told.current.purse, _named_by(command, told.product.code))
    event = Event.COMPLETION if command.amount else Event.COMPLETION_OF_ZERO
    act, _ = LIFE[named.state][event]
    if act is Act.NO_ORIGINAL or named.hold is None:
        return Outcome(Reply(Reason.NO_ORIGINAL), told.known.holder, told.known.position)
    hold = named.hold
    ended = replace(holds.standing(hold), step=hold.step + 1, parts=())
    position = replace(told.current, purse=holds.without(told.current.purse, hold))
    match act:
        case Act.ADVISE:
            told = replace(told, current=position)
            return _post_offline(told, command, replace(ended, effect=Effect.DEBIT))
        case Act.CAPTURE | Act.RELEASE:
            return _capture(told, command, hold, ended, position)
        case _:  # it has lapsed, and nothing of it is wanted any more
            return told.take_note(ended, position, ())


def _named_by(command: Completion, product: str) -> Callable[[Hold], bool]:
    """Tell the hold that is named: by its original, or by its approval code at the same acquirer."""

    def matches(hold: Hold) -> bool:
        if command.originals:
            return hold.product == product and hold.id in command.originals
        return (hold.product, hold.approval, hold.acquirer) == (product, command.approval, command.origin.acquirer)

    return matches


def _capture(told: _Told, command: Completion, hold: Hold, ended: Standing, position: Position) -> Outcome:
    """Pay what is captured, release the rest; above the hold is a shortfall."""
    holder, acquirer, today = told.known.holder, command.origin.acquirer, told.facts.today
    taken, released = split(hold.parts, command.amount)
    shortfall = Cents(command.amount - amount_of(taken))
    purse, returned = lots.give_back(holder, position.purse, hold.product, released, told.facts.over_before)
    position = replace(position, purse=purse).with_spent(hold.day, hold.product, Cents(-amount_of(released)), today)
    if command.amount:
        ended = replace(ended, effect=Effect.DEBIT, parts=taken, shortfall=shortfall)
    return told.take_note(
        ended, position, (*captured(holder, hold.product, taken, acquirer), *uncovered(acquirer, shortfall), *returned)
    )


def _post_offline(told: _Told, command: Advice | Completion, offline: Standing) -> Outcome:
    """Post what was paid, or set aside, offline: judged on its own day, if that isn't long ago."""
    holder, acquirer, product = told.known.holder, command.origin.acquirer, told.product.code
    today, own = told.facts.today, datetime.strptime(command.origin.local[:8], "%Y%m%d").date()  # noqa: DTZ007
    redated = not today - timedelta(days=OFFLINE_DAYS_MAX) <= own <= today
    day = today if redated else own
    covered = Cents(min(command.amount, lots.available(told.current.purse, product, day)))
    left, parts = lots.take(told.current.purse, product, day, covered)
    purse = replace(told.current.purse, lots=left)
    offline = replace(offline, day=day, parts=parts)
    if offline.effect is Effect.HOLD:  # what it lacks is a shortfall when it is captured
        until = day + timedelta(days=told.known.programme.holds.days)
        hold = Hold(offline.original, product, day, offline.approval, acquirer, parts, until)
        purse = replace(purse, holds=(*purse.holds, hold))
        moved = set_aside(holder, product, parts)
    else:
        offline = replace(offline, shortfall=Cents(command.amount - covered))
        moved = (*paid(holder, product, parts, acquirer), *uncovered(acquirer, offline.shortfall))
    position = replace(told.current, purse=purse).with_spent(day, product, covered, today)
    return told.take_note(offline, position, moved, redated=redated)
