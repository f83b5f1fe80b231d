"""Holds that nobody completes: they lapse by the date, and the sweep puts the books right behind it.

The demo's programmes hold for 7 days. A hold of Tuesday 12 May 2026 is open until Tuesday 19 May, and over from the
20th on. The sweep comes when that day is over everywhere on earth, with a margin.
"""

from collections.abc import Callable

import pytest

from tests.acceptance.authorizer import eventually
from tests.acceptance.counter import card
from tests.acceptance.shop import CAP, STOCK, Money, Shop, said, told
from tests.programs import Program, run

APPROVED = ("00", "APPROVED")
NO_ORIGINAL = ("25", "NO_ORIGINAL")
LAST_DAY, OVER, SWEPT = (f"2026-05-{day}T12:30:00+02:00" for day in (19, 20, 22))
LAST_WEEK_OF_FEBRUARY, IN_MARCH = "2026-02-25T12:30:00+01:00", "2026-03-02T12:30:00+01:00"
HELD = 1_500


def later(shop: Shop, at: str) -> None:
    """Start the authorizer again, days later, on the same database."""
    shop.authorizer.kill()
    shop.open(at)


def sound(shop: Shop) -> None:
    """The chain, the positions, every decision and the trial balance."""
    commands: tuple[tuple[Program, str], ...] = (("ledger", "verify"), ("authz", "replay"))
    for program, command in commands:
        done = run(program, command, "--database", shop.database.finance_url)
        assert done.returncode == 0, done.stderr
    [[total]] = shop.rows("SELECT sum(balance)::bigint FROM ledger.balance")
    assert total == 0


def test_on_its_last_day_it_is_captured_and_counts_on_its_own_day(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop().open()
    one = shop.customer()
    hold = shop.till.authorization(one, HELD)
    shop.ask(hold)
    later(shop, LAST_DAY)
    assert told(shop.ask(shop.till.inquiry(one))) == (STOCK - HELD, CAP)
    assert told(shop.ask(shop.till.completion(one, hold, HELD))) == (STOCK - HELD, CAP)
    assert shop.money(one) == Money(STOCK - HELD, payable=HELD)


def test_once_it_is_over_its_money_is_back_before_the_sweep_comes(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop().open()
    asks, pays, captures = shop.customer(), shop.customer(), shop.customer()
    holds = {one.pan: shop.till.authorization(one, HELD) for one in (asks, pays, captures)}
    approval = [shop.ask(hold).approval for hold in holds.values()][-1]
    later(shop, OVER)
    assert told(shop.ask(shop.till.inquiry(asks))) == (STOCK, CAP)
    assert shop.money(asks) == Money(STOCK - HELD, hold=HELD), "an inquiry moves nothing"
    assert told(shop.ask(shop.till.purchase(pays, CAP))) == (STOCK - CAP, 0)
    assert shop.money(pays) == Money(STOCK - CAP, payable=CAP)
    completion = shop.till.completion(captures, holds[captures.pan], HELD, approval=approval)
    assert told(shop.ask(completion)) == (STOCK - HELD, CAP - HELD), "an offline advice of this day"
    assert shop.money(captures) == Money(STOCK - HELD, payable=HELD)
    assert said(shop.ask(shop.till.completion(captures, holds[captures.pan], HELD))) == NO_ORIGINAL
    assert said(shop.ask(shop.till.reversal(holds[captures.pan]))) == APPROVED
    assert shop.money(captures) == Money(STOCK), "what was captured goes back"
    sound(shop)


def test_the_sweep_empties_its_account_and_a_late_completion_still_finds_it(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop().open()
    ones = idle, captures, above, releases, reverses, completed = [shop.customer() for _ in range(6)]
    holds = {one.pan: shop.till.authorization(one, HELD) for one in ones}
    for hold in holds.values():
        shop.ask(hold)
    shop.ask(shop.till.completion(completed, holds[completed.pan], 1_000))
    later(shop, SWEPT)
    eventually(lambda: all(shop.money(one).hold == 0 for one in ones))
    assert [shop.money(one) for one in ones] == [Money(STOCK)] * 5 + [Money(STOCK - 1_000, payable=1_000)]
    assert told(shop.ask(shop.till.inquiry(idle))) == (STOCK, CAP)

    reply = shop.ask(shop.till.completion(captures, holds[captures.pan], 700))
    assert (*said(reply), told(reply)) == (*APPROVED, (STOCK - 700, CAP - 700))
    assert shop.money(captures) == Money(STOCK - 700, payable=700)
    assert said(shop.ask(shop.till.completion(captures, holds[captures.pan], 700))) == NO_ORIGINAL

    assert said(shop.ask(shop.till.completion(above, holds[above.pan], STOCK + 300))) == APPROVED
    assert shop.money(above) == Money(0, payable=STOCK + 300, exceptions=-300)

    assert said(shop.ask(shop.till.completion(releases, holds[releases.pan], 0))) == APPROVED
    assert said(shop.ask(shop.till.completion(releases, holds[releases.pan], 700))) == NO_ORIGINAL
    assert said(shop.ask(shop.till.reversal(holds[reverses.pan]))) == APPROVED
    assert said(shop.ask(shop.till.completion(reverses, holds[reverses.pan], 700))) == NO_ORIGINAL
    assert [shop.money(one) for one in (releases, reverses)] == [Money(STOCK)] * 2
    sound(shop)


@pytest.mark.parametrize(
    ("captured", "left"),
    [
        pytest.param(1_000, {"holder:90:2026": 9_750}, id="all of it: the vintage stays capturable"),
        pytest.param(500, {"expired:90:2025": 250, "holder:90:2026": 10_000}, id="half: the rest has expired"),
    ],
)
def test_lots_that_expired_since(own_shop: Callable[..., Shop], captured: int, left: dict[str, int]) -> None:
    """Card 0022 has 7.50 of N-1, which ends with February, and 100.00 of N."""
    shop, one = own_shop().open(LAST_WEEK_OF_FEBRUARY), card("0022")
    hold = shop.till.authorization(one, 1_000)
    shop.ask(hold)
    later(shop, IN_MARCH)
    assert said(shop.ask(shop.till.completion(one, hold, captured))) == APPROVED
    found = shop.rows(
        "SELECT account, balance FROM ledger.balance JOIN authz.vault ON split_part(account, ':', 2) = holder"
        " WHERE (first6, last4) = ('925010', '0022') AND balance <> 0"
    )
    accounts = {f"{account.split(':')[0]}:{account.split(':', 2)[2]}": balance for account, balance in found}
    assert accounts == left
    assert shop.money(one).payable == captured
