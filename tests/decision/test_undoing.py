"""Any sequence of reversals and refunds of one payment, and of reversals of those refunds: no cent moves twice."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import SPENT_KEPT_DAYS
from authz.decision.standing import Effect
from tests.decision.history import History, moved
from tests.decision.world import advice, completion, paris, purchase, refund, reversal, vintage

START = paris("2026-02-26T12:30:00")
"""Two days before the vintage of 2025 ends."""


class Reverse(NamedTuple):
    """Let so much of the payment stand."""

    stands: int


class GiveBack(NamedTuple):
    """Refund so much of it."""

    amount: int


class Undo(NamedTuple):
    """Reverse one of the refunds, to so much."""

    which: int
    stands: int


class Spend(NamedTuple):
    """Pay for something else."""

    amount: int


class Wait(NamedTuple):
    """Let so many days pass."""

    days: int


Happening = Reverse | GiveBack | Undo | Spend | Wait
amounts = st.integers(0, 1600)
happenings = st.lists(
    st.one_of(
        st.builds(Reverse, amounts),
        st.builds(GiveBack, st.integers(1, 800)),
        st.builds(GiveBack, st.integers(1, 800)),
        st.builds(Undo, st.integers(0, 3), amounts),
        st.builds(Spend, st.integers(1, 1900)),
        st.builds(Wait, st.integers(0, 4)),
    ),
    max_size=12,
)
ways = st.sampled_from(["at once", "offline", "by a completion"])
lots = st.lists(st.integers(1, 1200), min_size=2, max_size=2)


def paid(way: str, amount: int, loaded: list[int]) -> History:
    """A payment, `lunch`, by some way, out of two vintages; what they lack is a shortfall."""
    history = History(vintage(2025, loaded[0]), vintage(2026, loaded[1]), at=START)
    if way == "at once":
        history.do(purchase(min(amount, sum(loaded)), reference="lunch"))
    elif way == "offline":
        history.do(advice(amount, reference="lunch"))
    else:
        history.do(purchase(min(amount, sum(loaded)), reference="lunch", holds=True))
        history.do(completion(amount, "lunch", reference="bill"))
    return history


class Life:
    """What happens to a payment."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.refunds: list[str] = []
        self.others = 0

    def happen(self, what: Happening) -> Outcome | None:
        """Let it happen. None: nothing can."""
        match what:
            case Reverse(stands):
                return self.history.do(reversal("lunch", stands=stands))
            case GiveBack(amount):
                reference = f"refund {self._next()}"
                outcome = self.history.do(refund(amount, "lunch", reference=reference))
                if outcome.reply.reason is Reason.APPROVED:
                    self.refunds.append(reference)
                return outcome
            case Undo(which, stands) if self.refunds:
                return self.history.do(reversal(self.refunds[which % len(self.refunds)], stands=stands))
            case Spend(amount):
                return self.history.do(purchase(amount, reference=f"another {self._next()}"))
            case Wait(days):
                self.history.later(days=days)
        return None

    def _next(self) -> int:
        self.others += 1
        return self.others

    def stands(self) -> int:
        return self.history.stands("lunch").amount

    def given(self) -> int:
        """What stands of the refunds."""
        return sum(self.history.stands(one).amount for one in self.refunds)


@given(ways, st.integers(1, 1600), lots, happenings)
def test_what_stands_goes_only_down_but_by_undoing_a_refund(
    way: str, amount: int, loaded: list[int], life: list[Happening]
) -> None:
    living = Life(paid(way, amount, loaded))
    whole = living.stands()
    for what in life:
        before, given = living.stands(), living.given()
        living.happen(what)
        if isinstance(what, Undo):
            assert living.stands() - before == given - living.given() >= 0
        else:
            assert living.stands() <= before
        if isinstance(what, Reverse):
            assert living.stands() == min(before, what.stands)
        assert living.stands() + living.given() <= whole


@given(ways, st.integers(1, 1600), lots, happenings)
def test_an_acquirer_is_owed_what_stands_and_finance_sees_every_shortfall(
    way: str, amount: int, loaded: list[int], life: list[Happening]
) -> None:
    history = paid(way, amount, loaded)
    living = Life(history)
    spent_elsewhere = 0
    for what in life:
        outcome = living.happen(what)
        if isinstance(what, Spend) and outcome is not None and outcome.reply.reason is Reason.APPROVED:
            spent_elsewhere += what.amount
        lunch = history.stands("lunch")
        assert lunch.effect is Effect.DEBIT
        assert history.balance("acquirer:970001:payable") == lunch.amount + spent_elsewhere
        assert -history.balance("acquirer:970001:exceptions") == lunch.shortfall
        own = sum(history.balance(kind) for kind in ("holder:", "hold:", "expired:"))
        assert own == sum(loaded) - lunch.vouchers - spent_elsewhere


@given(ways, st.integers(1, 1600), lots, happenings)
def test_its_day_counts_the_vouchers_that_stand_and_those_that_refunds_gave_back(
    way: str, amount: int, loaded: list[int], life: list[Happening]
) -> None:
    history = paid(way, amount, loaded)
    living, day = Life(history), history.stands("lunch").day
    others = given = 0
    for what in life:
        outcome = living.happen(what)
        if (history.instant - START).days > SPENT_KEPT_DAYS:
            return
        if outcome is not None:
            moves = moved(outcome)
            if isinstance(what, GiveBack):
                given += moves.get("payable to holder", 0)
            elif isinstance(what, Undo):
                given -= moves.get("holder to payable", 0)
            elif isinstance(what, Spend) and history.instant == START:
                others += moves.get("holder to payable", 0)
        assert history.position.spent_on(day, "90") == history.stands("lunch").vouchers + given + others
