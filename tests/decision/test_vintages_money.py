"""Properties of a holder's money through its whole life, at any dates, at merchants in three zones and two countries.

`History` holds the purse against the transfers after every decision: no cent is lost, found, or below 0 where it may
not be.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision import holds, vintages
from authz.decision.calendar import local_day
from authz.decision.commands import (
    Administration,
    ExchangeLot,
    ExpireLots,
    ForfeitLots,
    LapseHolds,
    Load,
    ReactivateLot,
)
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.programme import Programme
from authz.decision.reference import Merchant
from authz.decision.refused import NothingDue, Refused
from authz.decision.standing import Effect
from ledger import accounts
from ledger.values import Cents, Lot, Purse
from tests.decision.history import REFUNDING, History
from tests.decision.world import (
    BISTROT,
    GUADELOUPE,
    HOLDER,
    PLUXEE,
    REUNION,
    SNACK,
    advice,
    completion,
    locally,
    paris,
    purchase,
    refund,
    reversal,
    vintage,
)

START = paris("2027-02-26T20:00:00")
"""Two days and four hours before the vintage of 2026 ends."""


class Country(NamedTuple):
    """Where a holder lives: by which rules, at which merchants, with which lots."""

    programme: Programme
    merchants: tuple[Merchant, ...]
    lots: tuple[Lot, ...]

    @property
    def product(self) -> str:
        return self.lots[0].product


def _lunch(until: date) -> Lot:
    return Lot("91", f"{until}", date(2026, 3, 1), until, Cents(1))


FRANCE = Country(
    replace(REFUNDING, days_off=()),
    (BISTROT, REUNION, GUADELOUPE),
    (vintage(2026, 1), vintage(2027, 1), vintage(2028, 1)),
)
BELGIUM = Country(
    replace(PLUXEE, refunds=REFUNDING.refunds),
    (SNACK, replace(SNACK, time_zone="Indian/Reunion"), replace(SNACK, time_zone="America/Guadeloupe")),
    tuple(map(_lunch, (date(2027, 2, 28), date(2027, 3, 5), date(2027, 6, 30)))),
)


class Wait(NamedTuple):
    hours: int


class Credit(NamedTuple):
    which: int
    amount: int


class Pay(NamedTuple):
    amount: int
    where: int
    holds: bool


class Tell(NamedTuple):
    """Advise what was paid, or set aside, offline so many days ago."""

    amount: int
    where: int
    days_ago: int
    holds: bool


class Complete(NamedTuple):
    which: int
    amount: int
    where: int


class Undo(NamedTuple):
    """Reverse a request: so much of it stands."""

    which: int
    stands: int
    where: int


class GiveBack(NamedTuple):
    which: int
    amount: int


Kind = type[ExpireLots] | type[ForfeitLots] | type[LapseHolds]


class Age(NamedTuple):
    """The walk comes by."""

    command: Kind


class Ask(NamedTuple):
    """The holder asks for an exchange, or for a reactivation, of a lot."""

    which: int


Happening = Wait | Credit | Pay | Tell | Complete | Undo | GiveBack | Age | Ask
amounts, any_of, wheres = st.integers(1, 1500), st.integers(0, 5), st.integers(0, 2)
paying: st.SearchStrategy[Happening] = st.one_of(
    st.builds(Wait, st.sampled_from([1, 3, 5, 12, 24, 60])),
    st.builds(Wait, st.sampled_from([1, 3, 5, 12, 24, 60, 24 * 12, 24 * 17, 24 * 80, 24 * 366])),
    st.builds(Credit, wheres, amounts),
    st.builds(Pay, amounts, wheres, st.booleans()),
    st.builds(Pay, amounts, wheres, st.booleans()),
    st.builds(Tell, amounts, wheres, st.integers(0, 4), st.booleans()),
    st.builds(Complete, any_of, st.integers(0, 1500), wheres),
    st.builds(Undo, any_of, st.integers(0, 800), wheres),
    st.builds(GiveBack, any_of, amounts),
)
asking: st.SearchStrategy[Happening] = st.builds(Ask, any_of)
sweeping: st.SearchStrategy[Happening] = st.builds(Age, st.sampled_from([ExpireLots, ForfeitLots, LapseHolds]))
lives = st.lists(st.one_of(paying, paying, asking, sweeping), max_size=30)
unswept_lives = st.lists(st.one_of(paying, paying, asking), max_size=30)
countries = st.sampled_from([FRANCE, BELGIUM])


class Life:
    """A holder to whom things happen."""

    def __init__(self, country: Country) -> None:
        self.country = country
        loaded = (replace(country.lots[0], amount=Cents(2000)), replace(country.lots[1], amount=Cents(1000)))
        self.history = History(*loaded, at=START, programme=country.programme)
        self.requests: list[str] = []
        self.walked = self.today
        """The day of the newest walk that let lots fall."""

    @property
    def today(self) -> date:
        return local_day(self.history.instant, self.country.programme.zone)

    def happen(self, what: Happening) -> Outcome | None:
        """Let it happen. None: nothing can."""
        match what:
            case Wait(hours):
                self.history.later(hours=hours)
            case Credit(which, amount):
                lot = self.country.lots[which]
                return self.do(Load(HOLDER, lot.product, lot.name, lot.valid_from, lot.valid_until, Cents(amount)))
            case Pay(amount, where, holds):
                command = purchase(amount, product=self.country.product, reference=self._next(), holds=holds)
                return self.history.do(command, merchant=self.country.merchants[where])
            case Tell(amount, where, days_ago, holds):
                merchant = self.country.merchants[where]
                own = local_day(self.history.instant, merchant.time_zone) - timedelta(days=days_ago)
                told = advice(
                    amount,
                    product=self.country.product,
                    reference=self._next(),
                    holds=holds,
                    origin=locally(f"{own}T12:00:00"),
                )
                return self.history.do(told, merchant=merchant)
            case Complete(which, amount, where) if self.requests:
                named, merchant = self._which(which), self.country.merchants[where]
                today = local_day(self.history.instant, merchant.time_zone)
                return self.history.do(
                    completion(
                        amount,
                        named,
                        product=self.country.product,
                        reference=self._next(),
                        origin=locally(f"{today}T12:00:00"),
                    ),
                    merchant=merchant,
                )
            case Undo(which, stands, where) if self.requests:
                undone = reversal(self._which(which), stands=stands)
                return self.history.do(undone, merchant=self.country.merchants[where])
            case GiveBack(which, amount) if self.requests:
                named = self._which(which)
                back = refund(amount, named, product=self.country.product, reference=self._next())
                return self.history.do(back, merchant=self.country.merchants[0])
            case Age(command):
                return self.sweep(command)
            case Ask(which):
                asks = ExchangeLot if self.country is FRANCE else ReactivateLot
                return self.do(asks(HOLDER, self.country.product, self.country.lots[which % 3].name))
        return None

    def do(self, command: Administration) -> Outcome | None:
        """Carry out what may make no sense by now: then nothing happens."""
        try:
            return self.history.do(command)
        except Refused:
            return None

    def sweep(self, kind: Kind) -> Outcome | None:
        """Do what is due of a kind."""
        if issubclass(kind, ForfeitLots):
            since, self.walked = self.walked, self.today
            return self.do(kind(HOLDER, since))
        return self.do(kind(HOLDER))

    def _next(self) -> str:
        self.requests.append(f"request {len(self.requests)}")
        return self.requests[-1]

    def _which(self, which: int) -> str:
        return self.requests[which % len(self.requests)]


@given(countries, lives)
def test_no_cent_is_lost_or_found_whatever_happens_at_any_dates(country: Country, life: Sequence[Happening]) -> None:
    living = Life(country)
    for what in life:
        before = living.history.position
        living.happen(what)
        purse = living.history.position.purse
        for some in (purse.lots, purse.expired):
            assert all(lot.amount > 0 for lot in some)
            assert [lot.valid_until for lot in some] == sorted(lot.valid_until for lot in some)
            assert len({(lot.product, lot.name) for lot in some}) == len(some)
        assert living.history.position.reactivations - before.reactivations in (0, 1)
    assert living.history.balance("issuer:pool") >= 0
    assert living.history.balance("issuer:fees") >= 0


@given(countries, lives)
def test_nothing_is_spent_but_on_days_on_which_it_is_valid_where_it_is_spent(
    country: Country, life: Sequence[Happening]
) -> None:
    living = Life(country)
    for what in life:
        outcome = living.happen(what)
        if not isinstance(what, Pay | Tell) or outcome is None or not outcome.reply.standings:
            continue
        [standing] = outcome.reply.standings
        place = country.merchants[what.where]
        today = local_day(living.history.instant, place.time_zone)
        assert standing.effect in (Effect.DEBIT, Effect.HOLD)
        assert standing.day == today or isinstance(what, Tell)
        assert timedelta(0) <= today - standing.day <= timedelta(days=3)
        assert all(part.valid_from <= standing.day <= part.valid_until for part in standing.parts)


@given(countries, lives)
def test_what_was_done_by_the_date_is_not_due_again_and_nothing_is_left_undone(
    country: Country, life: Sequence[Happening]
) -> None:
    living = Life(country)
    for what in life:
        living.happen(what)
    since = living.walked
    for kind in (ExpireLots, ForfeitLots):
        living.sweep(kind)
    for command in (ExpireLots(HOLDER), ForfeitLots(HOLDER, since), ForfeitLots(HOLDER, living.walked)):
        with pytest.raises(NothingDue):
            living.history.do(command)
    assert vintages.due(living.history.position, since, living.today, country.programme.products) == ()


@given(countries, lives)
def test_what_is_said_to_be_due_is(country: Country, life: Sequence[Happening]) -> None:
    living = Life(country)
    for what in life:
        living.happen(what)
        due = vintages.due(living.history.position, living.walked, living.today, country.programme.products)
        for kind in due:
            assert living.sweep(kind) is not None


def _seen(living: Life) -> Purse:
    """The purse as the next decision sees it: without lapsed holds that are too old to be named, empty as they are."""
    today = holds.over_everywhere(living.history.instant)
    return holds.lapse(HOLDER, living.history.position, today)[0].purse


@given(countries, unswept_lives, st.data())
@settings(max_examples=150)
def test_whether_the_sweep_came_by_changes_no_answer_and_no_money(
    country: Country, life: Sequence[Happening], data: st.DataObject
) -> None:
    swept, alone = Life(country), Life(country)
    for what in life:
        if data.draw(st.booleans()):
            swept.sweep(ExpireLots)
        if data.draw(st.booleans()):
            swept.sweep(LapseHolds)
        assert _answer(swept.happen(what)) == _answer(alone.happen(what))
    for living in (swept, alone):
        living.sweep(LapseHolds)
        living.sweep(ExpireLots)
    assert +swept.history.balances == +alone.history.balances
    assert _seen(swept) == _seen(alone)
    assert swept.history.position.reactivations == alone.history.position.reactivations


@given(countries, unswept_lives, st.permutations([ExpireLots, ForfeitLots, LapseHolds]))
def test_what_is_due_may_be_done_in_any_order(
    country: Country,
    life: Sequence[Happening],
    order: list[Kind],
) -> None:
    one, other = Life(country), Life(country)
    for what in life:
        one.happen(what)
        other.happen(what)
    for living, kinds in ((one, (LapseHolds, ExpireLots, ForfeitLots)), (other, (*order, *order))):
        for kind in kinds:
            living.sweep(kind)
    assert _seen(one) == _seen(other)
    assert +one.history.balances == +other.history.balances


@given(countries, unswept_lives, st.data())
@settings(max_examples=150)
def test_when_a_walk_lets_lots_fall_changes_what_nobody_can_have_any_more_and_nothing_else(
    country: Country, life: Sequence[Happening], data: st.DataObject
) -> None:
    """Walks at any times against a single one at the end: the same approvals of the same money.

    A refusal may say that there is nothing, instead of that it expired. And what came back to a lot between its day
    and a late walk falls with it: that walk lets fall no less, and what it has more still waits where walks were early.
    """
    walked, late = Life(country), Life(country)
    for what in life:
        if data.draw(st.booleans()):
            walked.sweep(ForfeitLots)
        assert _but_for_what_fell(walked.happen(what)) == _but_for_what_fell(late.happen(what))
    for living in (walked, late):
        for kind in (LapseHolds, ExpireLots, ForfeitLots):
            living.sweep(kind)
    pool = accounts.pool(country.product)
    assert walked.history.balances[pool] <= late.history.balances[pool]
    for kept in ("holder:", "hold:", "acquirer:", "issuer:f"):
        assert walked.history.balance(kept) == late.history.balance(kept)
    assert walked.history.position.purse.lots == late.history.position.purse.lots
    assert set(late.history.position.purse.expired) <= set(walked.history.position.purse.expired)


@given(countries, unswept_lives)
def test_a_walk_lets_fall_all_that_waits_of_a_lot_that_had_its_day_and_nothing_else_does(
    country: Country, life: Sequence[Happening]
) -> None:
    living = Life(country)
    product = country.programme.product(country.product)
    assert product is not None
    [row] = product.forfeits
    for what in life:
        pool = living.history.balance("issuer:pool")
        living.happen(what)
        living.sweep(ExpireLots)
        assert living.history.balance("issuer:pool") == pool
        since, waits = living.walked, living.history.position.purse.expired
        living.sweep(ForfeitLots)
        stays = tuple(lot for lot in waits if not row.falls_within(lot.valid_until, since, living.today))
        assert living.history.position.purse.expired == stays
        assert living.history.balance("issuer:pool") - pool == sum(lot.amount for lot in waits if lot not in stays)


def _answer(outcome: Outcome | None) -> Reply | None:
    return None if outcome is None else outcome.reply


def _but_for_what_fell(outcome: Outcome | None) -> Reply | None:
    """The answer, whichever of the two it says of money that isn't there."""
    reply = _answer(outcome)
    if reply is None or reply.reason is not Reason.VINTAGE_EXPIRED:
        return reply
    return replace(reply, reason=Reason.NO_FUNDS)
