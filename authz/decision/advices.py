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
from authz.decision.posting import approval_code, paid, spend, uncovered
from authz.decision.programme import Product
from authz.decision.standing import Effect, Standing, amount_of, split
from ledger import accounts
from ledger.values import Cents, Hold, Transfer

OFFLINE_DAYS_MAX = 3
"""How many days back an offline advice is judged on its own day."""


class _Notice(Struct, frozen=True):
    """What is told of a known card: the facts, the product, and the position after what is due by the date."""

    facts: Facts
    known: Admitted
    product: Product
    current: Position
    due: tuple[Transfer, ...]

    def close(
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
    notice = _Notice(facts, known, chosen[0], current, due)
    if isinstance(command, Completion):
        return _complete(notice, command)
    offline = Standing(
        command.reference,
        0,
        Effect.HOLD if command.holds else Effect.DEBIT,
        notice.product.code,
        facts.today,
        approval_code(command.reference),
    )
    return _post_offline(notice, command, offline)


def _complete(notice: _Notice, command: Completion) -> Outcome:
    """Capture the hold that is named, as its life has it (`authz.decision.holds`)."""
    named = holds.find(notice.current.purse, _named_by(command, notice.product.code))
    event = Event.COMPLETION if command.amount else Event.COMPLETION_OF_ZERO
    act, _ = LIFE[named.state][event]
    if act is Act.NO_ORIGINAL or named.hold is None:
        return Outcome(Reply(Reason.NO_ORIGINAL), notice.known.holder, notice.known.position)
    hold = named.hold
    ended = replace(holds.standing(hold), step=hold.step + 1, parts=())
    position = replace(notice.current, purse=holds.without(notice.current.purse, hold))
    match act:
        case Act.ADVISE:
            notice = replace(notice, current=position)
            return _post_offline(notice, command, replace(ended, effect=Effect.DEBIT))
        case Act.CAPTURE | Act.RELEASE:
            return _capture(notice, command, hold, ended, position)
        case _:  # it has lapsed, and nothing of it is wanted any more
            return notice.close(ended, position, ())


def _named_by(command: Completion, product: str) -> Callable[[Hold], bool]:
    """Tell the hold that is named: by its original, or by its approval code at the same acquirer."""

    def matches(hold: Hold) -> bool:
        if command.originals:
            return hold.product == product and hold.id in command.originals
        return (hold.product, hold.approval, hold.acquirer) == (product, command.approval, command.origin.acquirer)

    return matches


def _capture(notice: _Notice, command: Completion, hold: Hold, ended: Standing, position: Position) -> Outcome:
    """Pay what is captured, release the rest; above the hold is a shortfall."""
    holder, acquirer, today = notice.known.holder, command.origin.acquirer, notice.facts.today
    taken, released = split(hold.parts, command.amount)
    shortfall = Cents(command.amount - amount_of(taken))
    purse, returned = lots.give_back(holder, position.purse, hold.product, released, notice.facts.over_before)
    position = replace(position, purse=purse).with_spent(hold.day, hold.product, Cents(-amount_of(released)), today)
    if command.amount:
        ended = replace(ended, effect=Effect.DEBIT, parts=taken, shortfall=shortfall)
    return notice.close(
        ended,
        position,
        (*paid(holder, hold.product, taken, acquirer, accounts.of_hold), *uncovered(acquirer, shortfall), *returned),
    )


def _post_offline(notice: _Notice, command: Advice | Completion, offline: Standing) -> Outcome:
    """Post what was paid, or set aside, offline: judged on its own day, if that isn't long ago."""
    holder, acquirer, product = notice.known.holder, command.origin.acquirer, notice.product.code
    today, own = notice.facts.today, datetime.strptime(command.origin.local[:8], "%Y%m%d").date()  # noqa: DTZ007
    redated = not today - timedelta(days=OFFLINE_DAYS_MAX) <= own <= today
    day = today if redated else own
    covered = Cents(min(command.amount, lots.available(notice.current.purse, product, day)))
    asked, days = replace(offline, day=day), notice.known.programme.holds.days
    position, stands, moved = spend(holder, notice.current, asked, covered, acquirer, days, today)
    if stands.effect is Effect.DEBIT:  # what a hold lacks is a shortfall when it is captured
        stands = replace(stands, shortfall=Cents(command.amount - covered))
    return notice.close(stands, position, (*moved, *uncovered(acquirer, stands.shortfall)), redated=redated)
