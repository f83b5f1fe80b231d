"""A vintage grows old: spent in December, over from 1 March, falling on 31 March to the issuer (R3262-5, R3262-13).

What is due by the date is posted before the authorizer says that it is ready.
"""

from collections.abc import Callable
from pathlib import Path

from simulators.terminal.card import Card
from tests.acceptance.authorizer import TUESDAY
from tests.acceptance.counter import card
from tests.acceptance.shop import CAP, STOCK, Shop, said, told
from tests.conftest import Database
from tests.programs import Program, run

DECEMBER = "2026-12-10T12:30:00+01:00"
LAST_MINUTE = "2027-02-28T23:59:00+01:00"
MARCH = "2027-03-01T00:00:30+01:00"
LAST_EVE, END_OF_MARCH = "2027-03-30T23:59:00+02:00", "2027-03-31T12:30:00+02:00"
A_YEAR_LATER = "2028-03-31T12:30:00+02:00"
SPENT = 1_000

_WHERE = """
SELECT split_part(account, ':', 1) AS place, split_part(account, ':', 4) AS lot, balance FROM ledger.balance
 WHERE balance <> 0 AND split_part(account, ':', 2) IN (SELECT holder FROM authz.vault WHERE (first6, last4) = ($1, $2))
 ORDER BY account
"""
_FALLEN = """
SELECT split_part(debit, ':', 4) AS lot, amount FROM ledger.transfer
 WHERE credit = 'issuer:pool:90'
   AND split_part(debit, ':', 2) IN (SELECT holder FROM authz.vault WHERE (first6, last4) = ($1, $2))
 ORDER BY seq, line
"""


def later(shop: Shop, at: str) -> None:
    """Start the authorizer again, on another day, on the same database."""
    shop.authorizer.kill()
    shop.open(at)


def where(shop: Shop, one: Card) -> list[tuple[str, str, int]]:
    """A holder's money: which kind of account, which vintage, how much."""
    return [tuple(row) for row in shop.rows(_WHERE, one.pan[:6], one.pan[-4:])]


def fallen(shop: Shop, one: Card) -> list[tuple[str, int]]:
    """What of a holder's fell to the issuer's pool: which vintage, how much."""
    return [tuple(row) for row in shop.rows(_FALLEN, one.pan[:6], one.pan[-4:])]


def balance(shop: Shop, pattern: str) -> int:
    query = "SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE $1"
    [[cents]] = shop.rows(query, pattern)
    return int(cents)


def records(shop: Shop, kind: str) -> int:
    [[number]] = shop.rows("SELECT count(*) FROM ledger.journal WHERE kind = $1", kind)
    return int(number)


def sound(shop: Shop) -> None:
    """The chain, the positions, every decision and the trial balance."""
    commands: tuple[tuple[Program, str], ...] = (("ledger", "verify"), ("authz", "replay"))
    for program, command in commands:
        done = run(program, command, "--database", shop.database.finance_url)
        assert done.returncode == 0, done.stderr
    assert balance(shop, "%") == 0


def test_its_life_from_december_to_the_pool(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop().open(DECEMBER)
    spends, idles = shop.customer(), shop.customer()
    assert told(shop.ask(shop.till.purchase(spends, SPENT))) == (STOCK - SPENT, CAP - SPENT)

    later(shop, LAST_MINUTE)
    assert where(shop, spends) == [("holder", "2026", STOCK - SPENT)], "in its last minute it is the holder's"
    issued = balance(shop, "holder:%:90:2026")

    later(shop, MARCH)
    assert where(shop, spends) == [("expired", "2026", STOCK - SPENT)]
    assert where(shop, idles) == [("expired", "2026", STOCK)]
    assert (balance(shop, "holder:%:90:2026"), balance(shop, "expired:%:90:2026")) == (0, issued)
    assert said(shop.ask(shop.till.purchase(spends, SPENT))) == ("51", "VINTAGE_EXPIRED")
    expiries = records(shop, "expiry")
    sound(shop)

    later(shop, MARCH)
    assert records(shop, "expiry") == expiries, "the same day again"

    later(shop, END_OF_MARCH)
    assert where(shop, spends) == where(shop, idles) == []
    assert balance(shop, "expired:%:90:2026") == 0
    assert balance(shop, "issuer:pool:90") >= issued
    assert said(shop.ask(shop.till.purchase(idles, SPENT))) == ("51", "NO_FUNDS")
    sound(shop)


def test_a_purchase_that_is_reversed_after_its_vintage_is_over_gives_back_what_waits(
    own_shop: Callable[..., Shop],
) -> None:
    """Back to the lots it came from, whatever the time since (docs/interface.md)."""
    shop = own_shop().open(DECEMBER)
    one = shop.customer()
    paid = shop.till.purchase(one, SPENT)
    shop.ask(paid)
    later(shop, MARCH)
    assert said(shop.ask(shop.till.reversal(paid))) == ("00", "APPROVED")
    assert where(shop, one) == [("expired", "2026", STOCK)]
    sound(shop)


def test_what_comes_back_after_the_fall_waits_for_the_next_one(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop().open(DECEMBER)
    one = shop.customer()
    paid = shop.till.purchase(one, SPENT)
    shop.ask(paid)
    later(shop, END_OF_MARCH)
    assert fallen(shop, one) == [("2026", STOCK - SPENT)]
    assert said(shop.ask(shop.till.reversal(paid))) == ("00", "APPROVED")
    later(shop, "2027-04-01T12:30:00+02:00")
    assert where(shop, one) == [("expired", "2026", SPENT)]
    assert said(shop.ask(shop.till.purchase(one, SPENT))) == ("51", "VINTAGE_EXPIRED")
    later(shop, A_YEAR_LATER)
    assert fallen(shop, one) == [("2026", STOCK - SPENT), ("2026", SPENT)]
    sound(shop)


def test_a_demo_that_begins_in_may_tells_card_0121_that_its_vouchers_expired(
    make_database: Callable[[], Database], tmp_path: Path
) -> None:
    """Card 0121 has 30.00 of last year's alone: there to be told of until 31 March of the next year."""
    with Shop(tmp_path, make_database()) as shop:
        shop.open(TUESDAY)
        late = card("0121")
        assert said(shop.ask(shop.till.purchase(late, SPENT))) == ("51", "VINTAGE_EXPIRED")
        assert where(shop, late) == [("expired", "2025", 3_000)]
        later(shop, LAST_EVE)
        assert where(shop, late) == [("expired", "2025", 3_000)]
        assert said(shop.ask(shop.till.purchase(late, SPENT))) == ("51", "VINTAGE_EXPIRED")
        later(shop, END_OF_MARCH)
        assert (where(shop, late), fallen(shop, late)) == ([], [("2025", 3_000)])
        assert said(shop.ask(shop.till.purchase(late, SPENT))) == ("51", "NO_FUNDS")
        sound(shop)


def test_of_two_vintages_only_the_old_one_goes(own_shop: Callable[..., Shop]) -> None:
    """Card 0022 has 7.50 of 2025 and 100.00 of 2026."""
    shop = own_shop().open("2026-02-25T12:30:00+01:00")
    later(shop, "2026-03-01T12:30:00+01:00")
    assert where(shop, card("0022")) == [("expired", "2025", 750), ("holder", "2026", 10_000)]
    later(shop, "2026-04-01T12:30:00+02:00")
    assert where(shop, card("0022")) == [("holder", "2026", 10_000)]
    sound(shop)
