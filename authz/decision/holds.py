"""The life of a hold: one table, from which the code, the drawing in docs/holds.md and the tests come.

While a hold is in a holder's purse, the purse says all about it. One that has lapsed stays there for a while without
money, so that a completion that comes too late is known from one that names nothing. So does one made offline for which
there was no money: its completion takes what there is by then.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from authz.decision import lots
from authz.decision.position import Position
from authz.decision.standing import Effect, Standing, amount_of
from ledger.values import Cents, Hold, HolderId, Purse, Transfer

LAPSED_KEPT_DAYS = 60
"""How long after its last day a completion still finds a hold that has lapsed."""
LAPSED_KEPT_MAX = 32
"""How many lapsed holds are kept of one holder: the newest."""
ALL_OVER = timedelta(hours=12)
"""A date is over everywhere when it is over at UTC-12."""


class State(StrEnum):
    """Where a hold is in its life."""

    OPEN = "open"
    CAPTURED = "captured"
    RELEASED = "released"
    LAPSED = "lapsed"


class Event(StrEnum):
    """What can happen to a hold."""

    COMPLETION = "completion"
    COMPLETION_OF_ZERO = "completion of 0"
    REVERSAL = "reversal"
    PARTIAL_REVERSAL = "partial reversal"
    DAYS_OVER = "its days are over"


class Act(StrEnum):
    """What is then done."""

    CAPTURE = "capture up to the hold, release the rest, what is above it is a shortfall"
    RELEASE = "release"
    REDUCE = "release what no longer stands"
    ADVISE = "post as an offline advice"
    GIVE_BACK = "give back what was captured and no longer stands"
    NOTHING = "nothing"
    NO_ORIGINAL = "answer 25"


LIFE: Mapping[State, Mapping[Event, tuple[Act, State]]] = {
    State.OPEN: {
        Event.COMPLETION: (Act.CAPTURE, State.CAPTURED),
        Event.COMPLETION_OF_ZERO: (Act.RELEASE, State.RELEASED),
        Event.REVERSAL: (Act.RELEASE, State.RELEASED),
        Event.PARTIAL_REVERSAL: (Act.REDUCE, State.OPEN),
        Event.DAYS_OVER: (Act.RELEASE, State.LAPSED),
    },
    State.CAPTURED: {
        Event.COMPLETION: (Act.NO_ORIGINAL, State.CAPTURED),
        Event.COMPLETION_OF_ZERO: (Act.NO_ORIGINAL, State.CAPTURED),
        Event.REVERSAL: (Act.GIVE_BACK, State.CAPTURED),
        Event.PARTIAL_REVERSAL: (Act.GIVE_BACK, State.CAPTURED),
        Event.DAYS_OVER: (Act.NOTHING, State.CAPTURED),
    },
    State.RELEASED: {
        Event.COMPLETION: (Act.NO_ORIGINAL, State.RELEASED),
        Event.COMPLETION_OF_ZERO: (Act.NO_ORIGINAL, State.RELEASED),
        Event.REVERSAL: (Act.NOTHING, State.RELEASED),
        Event.PARTIAL_REVERSAL: (Act.NOTHING, State.RELEASED),
        Event.DAYS_OVER: (Act.NOTHING, State.RELEASED),
    },
    State.LAPSED: {
        Event.COMPLETION: (Act.ADVISE, State.CAPTURED),
        Event.COMPLETION_OF_ZERO: (Act.NOTHING, State.RELEASED),
        Event.REVERSAL: (Act.NOTHING, State.RELEASED),
        Event.PARTIAL_REVERSAL: (Act.NOTHING, State.LAPSED),
        Event.DAYS_OVER: (Act.NOTHING, State.LAPSED),
    },
}
"""What is done with a hold in each state when something happens to it, and the state that follows."""


class Named(Struct, frozen=True, gc=False):
    """A hold that a request names: its state, and it, as long as it is in the purse."""

    state: State
    hold: Hold | None = None


def find(purse: Purse, matches: Callable[[Hold], bool], newest: Standing | None = None) -> Named:
    """Find a hold in a purse whose holds have lapsed as far as they are due.

    `newest` is what is known of one that isn't there.
    """
    hold = next((one for one in purse.holds if matches(one)), None)
    if hold is not None:
        return Named(State.OPEN if hold.parts else State.LAPSED, hold)
    return Named(State.CAPTURED if newest is not None and newest.effect is Effect.DEBIT else State.RELEASED)


def standing(hold: Hold) -> Standing:
    """Say what stands of a hold that is in the purse."""
    return Standing(hold.id, hold.step, Effect.HOLD, hold.product, hold.day, hold.approval, hold.parts)


def without(purse: Purse, hold: Hold) -> Purse:
    """Take a hold out of the purse."""
    return replace(purse, holds=tuple(one for one in purse.holds if one.id != hold.id))


def lapse(holder: HolderId, position: Position, today: date) -> tuple[Position, tuple[Transfer, ...]]:
    """Release every hold whose last day is before `today`: they keep their name, and lose their money."""
    held = position.purse.holds
    if all(hold.parts and hold.until >= today for hold in held):
        return position, ()
    due = [hold for hold in held if hold.parts and hold.until < today]
    transfers: tuple[Transfer, ...] = ()
    for hold in due:
        purse, released = lots.give_back(holder, position.purse, hold.product, hold.parts, today)
        position = replace(position, purse=purse).with_spent(
            hold.day, hold.product, Cents(-amount_of(hold.parts)), today
        )
        transfers += released
    kept = _kept(tuple(replace(one, parts=()) if one in due else one for one in held), today)
    return position if kept == held else replace(position, purse=replace(position.purse, holds=kept)), transfers


def settle(
    holder: HolderId, position: Position, holds_before: date, lots_before: date
) -> tuple[Position, tuple[Transfer, ...]]:
    """Post what is due by the date: release the holds that ended before a day, then expire the lots that did."""
    position, released = lapse(holder, position, holds_before)
    purse, expiry = lots.expire(holder, position.purse, lots_before)
    return (replace(position, purse=purse), (*released, *expiry)) if expiry else (position, released)


def over_everywhere(instant: datetime) -> date:
    """Give the date that has begun everywhere on earth: days before it are over, whatever the merchant's zone."""
    return (instant - ALL_OVER).date()


def _kept(holds: tuple[Hold, ...], today: date) -> tuple[Hold, ...]:
    """Forget lapsed holds that are too old or too many."""
    oldest = today - timedelta(days=LAPSED_KEPT_DAYS)
    lapsed = [hold for hold in holds if not hold.parts and hold.until >= oldest][-LAPSED_KEPT_MAX:]
    return tuple(hold for hold in holds if hold.parts or hold in lapsed)
