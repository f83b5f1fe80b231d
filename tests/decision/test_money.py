"""Properties of money in any life of a holder: nothing is lost, nothing is below zero, no cap is exceeded."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.calendar import local_day
from authz.decision.commands import CardId, Command, Enrol, Entry, IssueCard, Load, Purchase
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence, Facts
from authz.decision.holds import lapse
from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import SPENT_KEPT_DAYS, Position
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant
from ledger.accounts import claimed
from ledger.values import Account, Cents, HolderId, Purse
from tests.decision.world import (
    APETIZ,
    BISTROT,
    CARD,
    HOLDER,
    MARKET,
    PLUXEE,
    REUNION,
    SNACK,
    after,
    inquiry,
    paris,
    purchase,
    refund,
    vintage,
)

EMPLOYER = Employer("E1", "Hotel Bellevue", "apetiz", sundays_holidays=True)
LAW = replace(APETIZ, cap="law")


class Step(NamedTuple):
    """Something that happens to a holder, so many minutes after what came before."""

    command: Command
    minutes: int
    merchant: Merchant
    evidence: Evidence


class Moment(NamedTuple):
    """A decision, with what it was decided from."""

    step: Step
    before: Position
    outcome: Outcome
    day: date


def loads() -> st.SearchStrategy[Load]:
    def credit(year: int, amount: int) -> Load:
        lot = vintage(year, amount)
        return Load(HOLDER, "90", lot.name, lot.valid_from, lot.valid_until, lot.amount)

    return st.builds(credit, st.integers(2021, 2024), st.integers(1, 6000))


def purchases() -> st.SearchStrategy[Purchase]:
    return st.builds(
        purchase,
        amount=st.one_of(st.integers(1, 4500), st.integers(0, 10**12)),
        holds=st.booleans(),
        takes_partial=st.booleans(),
        entry=st.sampled_from(Entry),
        product=st.sampled_from(["90", "90", "90", "00", "91"]),
        expiry=st.just("3912"),
        reference=st.text("0123456789abcdef", min_size=32, max_size=32),
    )


def steps() -> st.SearchStrategy[Step]:
    mostly_right = st.sampled_from([Check.RIGHT] * 8 + [Check.ABSENT, Check.WRONG, Check.GARBLED])
    return st.builds(
        Step,
        st.one_of(loads(), purchases(), purchases(), purchases(), st.just(inquiry()), st.just(refund())),
        st.one_of(st.integers(0, 600), st.integers(0, 60_000)),
        st.sampled_from([BISTROT, REUNION, MARKET]),
        st.builds(Evidence, pin=mostly_right, cvv2=mostly_right),
    )


LIVES = st.lists(steps(), max_size=40)
STARTS = st.sampled_from([paris("2022-09-29T12:00:00"), paris("2022-06-29T23:30:00"), paris("2024-02-28T22:00:00")])
RULES = st.sampled_from([APETIZ, LAW])


def live(life: list[Step], start: datetime, programme: Programme) -> Iterator[Moment]:
    """Enrol a holder, give them a card, and let their life happen."""
    enrolled = after(decide(Enrol(HOLDER, "E1", works_days_off=True), Facts(start, Evidence())))
    at = after(decide(IssueCard(HOLDER, CARD, "apetiz", 2, "3912"), Facts(start, Evidence(), enrolled, HOLDER)))
    instant = start
    for step in life:
        instant += timedelta(minutes=step.minutes)
        known = Facts(instant, step.evidence, at, HOLDER, step.merchant, EMPLOYER, programme)
        outcome = decide(step.command, known)
        assert decide(step.command, known) == outcome
        yield Moment(step, at, outcome, local_day(instant, step.merchant.time_zone))
        at = after(outcome)


def accounts_of(holder: HolderId, outcome: Outcome) -> Counter[Account]:
    """What an outcome's transfers do to a holder's own accounts, in cents."""
    moved: Counter[Account] = Counter()
    for transfer in outcome.transfers:
        moved[transfer.debit] -= transfer.amount
        moved[transfer.credit] += transfer.amount
    own = (f"holder:{holder}:", f"hold:{holder}:", f"expired:{holder}:")
    return Counter({account: cents for account, cents in moved.items() if account.startswith(own) and cents})


def taken(outcome: Outcome) -> list[Cents]:
    """What a purchase took of each lot; the lapse of holds that it posts isn't of its own."""
    spends = ("acquirer:", "hold:")
    return [transfer.amount for transfer in outcome.transfers if transfer.credit.startswith(spends)]


def current(at: Position, day: date) -> Position:
    """A position in which the holds that are past their days have lapsed."""
    return lapse(HOLDER, at, day)[0]


@given(LIVES, STARTS, RULES)
def test_what_a_purse_gains_or_loses_is_what_the_transfers_move(
    life: list[Step], start: datetime, programme: Programme
) -> None:
    for moment in live(life, start, programme):
        change: Counter[Account] = Counter(claimed(HOLDER, after(moment.outcome).purse))
        change.subtract(claimed(HOLDER, moment.before.purse))
        assert {account: cents for account, cents in change.items() if cents} == accounts_of(HOLDER, moment.outcome)
        assert all(transfer.amount > 0 for transfer in moment.outcome.transfers)
        assert moment.outcome.transfers == () or moment.outcome.reply.reason.approves


@given(LIVES, STARTS, RULES)
def test_no_lot_is_empty_or_below_zero_and_the_oldest_stands_first(
    life: list[Step], start: datetime, programme: Programme
) -> None:
    for moment in live(life, start, programme):
        purse = after(moment.outcome).purse
        assert all(lot.amount > 0 for lot in purse.lots)
        assert all(part.amount > 0 for hold in purse.holds for part in hold.parts)
        assert [lot.valid_until for lot in purse.lots] == sorted(lot.valid_until for lot in purse.lots)


@given(LIVES, STARTS, RULES)
def test_no_days_purchases_and_holds_exceed_the_cap_in_force_when_the_last_was_made(
    life: list[Step], start: datetime, programme: Programme
) -> None:
    days: Counter[date] = Counter()
    for moment in live(life, start, programme):
        if not isinstance(moment.step.command, Purchase) or not moment.outcome.transfers:
            continue
        days[moment.day] += sum(taken(moment.outcome))
        assert days[moment.day] <= programme.cap_on(moment.day, moment.step.merchant.mcc)
        position = after(moment.outcome)
        assert position.spent_on(moment.day, "90") == days[moment.day]
        assert len(position.spent) <= SPENT_KEPT_DAYS + 2


@given(LIVES, STARTS, RULES)
def test_nothing_of_a_vintage_is_spent_while_an_older_one_is_valid_and_not_used_up_r3262_5(
    life: list[Step], start: datetime, programme: Programme
) -> None:
    for moment in live(life, start, programme):
        if not isinstance(moment.step.command, Purchase):
            continue
        kept = {lot.name: lot.amount for lot in current(after(moment.outcome), moment.day).purse.lots}
        before = current(moment.before, moment.day).purse
        valid = [lot for lot in before.lots if lot.valid_from <= moment.day <= lot.valid_until]
        touched = [lot.name for lot in before.lots if kept.get(lot.name, 0) != lot.amount]
        assert touched == [lot.name for lot in valid[: len(touched)]]
        assert all(name not in kept for name in touched[:-1])
        assert len(taken(moment.outcome)) == len(touched)


@given(LIVES, STARTS, RULES)
def test_a_reply_tells_what_the_position_after_it_says(life: list[Step], start: datetime, programme: Programme) -> None:
    for moment in live(life, start, programme):
        reply, position = moment.outcome.reply, current(after(moment.outcome), moment.day)
        for balance in reply.balances:
            valid = (lot for lot in position.purse.lots if lot.valid_from <= moment.day <= lot.valid_until)
            assert balance.available == sum(lot.amount for lot in valid)
            cap = programme.cap_on(moment.day, moment.step.merchant.mcc)
            assert balance.cap_left == max(0, cap - position.spent_on(moment.day, "90"))
        if isinstance(moment.step.command, Purchase):
            moved = sum(taken(moment.outcome))
            granted = reply.amount if reply.amount is not None else moment.step.command.amount
            assert moved == (granted if reply.reason.approves else 0)
            assert (reply.approval is not None) == reply.reason.approves
            if reply.reason is Reason.PARTIAL:
                assert moment.step.command.takes_partial
                assert 1 <= moved < moment.step.command.amount


@given(LIVES, STARTS, RULES)
@settings(max_examples=30)
def test_a_position_comes_back_from_the_journal_unchanged(
    life: list[Step], start: datetime, programme: Programme
) -> None:
    for moment in live(life, start, programme):
        assert msgspec.json.decode(msgspec.json.encode(moment.outcome.state), type=Position) == moment.outcome.state


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans(), st.dates(date(2026, 5, 12), date(2028, 5, 12)))))
def test_products_are_never_mixed(lots: list[tuple[int, bool, date]]) -> None:
    at = Position(Purse(), employer="E1")
    known = Facts(paris("2026-05-12T12:30:00"), Evidence(pin=Check.RIGHT), at, HOLDER, SNACK, EMPLOYER, PLUXEE)
    at = after(decide(IssueCard(HOLDER, CardId("c1"), "pluxee-be", 2, "2905"), known))
    for number, (amount, lunch, until) in enumerate(lots):
        load = Load(HOLDER, "91" if lunch else "92", str(number), date(2026, 5, 12), until, Cents(amount))
        at = after(decide(load, replace(known, position=at)))
    lunches = sum(amount for amount, lunch, _ in lots if lunch)
    outcome = decide(purchase(lunches + 1, product="91", takes_partial=True), replace(known, position=at))
    assert outcome.reply.reason is (Reason.PARTIAL if lunches else Reason.PRODUCT_NOT_HELD)
    assert [lot for lot in after(outcome).purse.lots if lot.product == "92"] == [
        lot for lot in at.purse.lots if lot.product == "92"
    ]
