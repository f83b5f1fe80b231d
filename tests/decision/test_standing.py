"""What stands of a request: less of it, more of it, and never a cent that is in neither."""

from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from authz.decision.standing import Effect, Standing, amount_of, joined, split
from ledger.values import Cents, Part
from tests.decision.world import vintage

amounts = st.integers(1, 3000)


def part(year: int, amount: int) -> Part:
    lot = vintage(year, amount)
    return Part(lot.name, lot.valid_from, lot.valid_until, lot.amount)


@st.composite
def parts(draw: st.DrawFn) -> tuple[Part, ...]:
    """Parts of different lots, as a request takes them."""
    years = draw(st.lists(st.integers(2020, 2026), unique=True, max_size=4))
    return tuple(part(year, draw(amounts)) for year in sorted(years))


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    shortfall = Cents(draw(st.integers(0, 2000)))
    return Standing("lunch", 3, Effect.DEBIT, "90", date(2026, 5, 12), "ABC123", draw(parts()), shortfall)


def by_lot(*several: tuple[Part, ...]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for one in several:
        for some in one:
            sums[some.lot] += some.amount
    return sums


@given(parts(), st.integers(0, 15_000))
def test_parts_are_divided_without_loss_the_first_ones_first(whole: tuple[Part, ...], amount: int) -> None:
    first, rest = split(whole, Cents(amount))
    assert amount_of(first) == min(amount, amount_of(whole))
    assert by_lot(first, rest) == by_lot(whole)
    assert all(one.amount > 0 for one in (*first, *rest))
    assert [one.lot for one in first] == [one.lot for one in whole[: len(first)]]
    assert joined(first, rest) == whole


@given(standings(), st.data())
def test_what_stands_is_what_a_request_for_as_much_would_have_taken(before: Standing, data: st.DataObject) -> None:
    to = Cents(data.draw(st.integers(0, before.amount)))
    lower, undone = before.lowered(to)
    assert (lower.step, lower.amount, undone.amount) == (before.step + 1, to, before.amount - to)
    assert lower.parts == split(before.parts, to)[0]
    assert lower.shortfall == max(0, to - before.vouchers)
    assert by_lot(lower.parts, undone.parts) == by_lot(before.parts)
    assert (undone.original, undone.day, undone.product) == (before.original, before.day, before.product)


@given(standings(), st.data())
def test_to_come_down_in_two_steps_is_to_come_down_in_one(before: Standing, data: st.DataObject) -> None:
    to = Cents(data.draw(st.integers(0, before.amount)))
    over = Cents(data.draw(st.integers(to, before.amount)))
    once, twice = before.lowered(to)[0], before.lowered(over)[0].lowered(to)[0]
    assert (once.parts, once.shortfall) == (twice.parts, twice.shortfall)
    assert twice.step == once.step + 1


@given(standings(), st.data())
def test_what_comes_to_stand_again_is_what_stood(before: Standing, data: st.DataObject) -> None:
    lower, undone = before.lowered(Cents(data.draw(st.integers(0, before.amount))))
    again = lower.raised(undone.parts, undone.shortfall)
    assert (again.parts, again.shortfall, again.step) == (before.parts, before.shortfall, before.step + 2)


@given(parts(), parts())
def test_parts_of_one_lot_are_put_together(some: tuple[Part, ...], more: tuple[Part, ...]) -> None:
    together = joined(some, more)
    assert by_lot(together) == by_lot(some, more)
    assert len({one.lot for one in together}) == len(together)
    assert [one.lot for one in together[: len(some)]] == [one.lot for one in some]
