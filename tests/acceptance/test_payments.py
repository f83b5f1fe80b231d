"""Every card, terminal and date of the demo, over TCP, in a ledger that is read afterwards."""

from collections.abc import Callable

import msgspec
import pytest

from authz.wire.amounts import AdditionalAmount, parse_amounts
from authz.wire.message import Message
from tests.acceptance.authorizer import TUESDAY, Authorizer, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import Line, ask, cvv2, online, purchase, wrong_pin

Shared = Callable[[str], Authorizer]
SUNDAY = "2026-05-17T12:30:00+02:00"
GOOD_FRIDAY = "2026-04-03T12:30:00+02:00"
SATURDAY_NIGHT = "2026-05-16T22:30:00+02:00"
"""In Réunion, two hours ahead of Paris in summer, it is Sunday already."""


def said(reply: Message) -> tuple[str | None, str | None]:
    """DE 39 and DE 44."""
    return reply.response_code, reply.reason


def left_by(authorizer: Authorizer, last4: str) -> dict[str, int]:
    """What each lot of a card's holder spent, in cents, over the life of the ledger."""
    [holder] = rows(authorizer.database, "SELECT holder FROM authz.vault WHERE last4 = $1", last4)
    query = (
        "SELECT debit, sum(amount)::bigint FROM ledger.transfer"
        " WHERE debit LIKE $1 AND credit NOT LIKE 'expired:%' GROUP BY debit"
    )
    found = rows(authorizer.database, query, f"holder:{holder[0]}:%")
    return {account.partition(f"{holder[0]}:")[2]: cents for account, cents in found}


def test_purchases_add_up_to_the_daily_cap(start: Start) -> None:
    authorizer = start()
    with Line(authorizer.port) as line:
        first = line.ask(purchase("0014", 1200))
        second = line.ask(purchase("0014", 700))
        third = line.ask(purchase("0014", 1))
    assert (said(first), said(second), said(third)) == (
        ("00", "APPROVED"),
        ("00", "APPROVED"),
        ("61", "DAILY_CAP"),
    )
    assert (first.amount, second.amount) == ("000000001200", "000000000700")
    assert first.approval != second.approval
    assert third.approval is None
    assert parse_amounts(third.balances or "") == (
        AdditionalAmount("90", "02", "978", 18_100),
        AdditionalAmount("90", "20", "978", 0),
    )
    assert left_by(authorizer, "0014") == {"90:2026": 1900}


def test_a_partial_approval_grants_what_the_cap_leaves(start: Start) -> None:
    authorizer = start()
    reply = ask(authorizer.port, purchase("0014", 2500, takes_partial=True))
    assert said(reply) == ("10", "PARTIAL")
    assert reply.amount == "000000001900"
    assert parse_amounts(reply.balances or "") == (
        AdditionalAmount("90", "02", "978", 18_100),
        AdditionalAmount("90", "20", "978", 0),
    )
    assert left_by(authorizer, "0014") == {"90:2026": 1900}


def test_without_pa_what_exceeds_the_cap_is_refused_whole(start: Start) -> None:
    authorizer = start()
    assert said(ask(authorizer.port, purchase("0014", 2500))) == ("61", "DAILY_CAP")
    assert left_by(authorizer, "0014") == {}


@pytest.mark.parametrize(
    ("clock", "lots"),
    [
        pytest.param("2026-02-20T12:30:00+01:00", {"90:2025": 750, "90:2026": 250}, id="in February: N-1 first"),
        pytest.param("2026-03-02T12:30:00+01:00", {"90:2026": 1000}, id="in March: N-1 has expired"),
    ],
)
def test_the_oldest_valid_vintage_is_spent_first(shared: Shared, clock: str, lots: dict[str, int]) -> None:
    authorizer = shared(clock)
    assert said(ask(authorizer.port, purchase("0022", 1000, at=clock))) == ("00", "APPROVED")
    assert left_by(authorizer, "0022") == lots


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        pytest.param("2026-02-27T12:30:00+01:00", ("00", "APPROVED"), id="on its last Friday"),
        pytest.param("2026-03-01T12:30:00+01:00", ("57", "SUNDAY"), id="expired, on a Sunday: the calendar goes first"),
        pytest.param("2026-03-02T12:30:00+01:00", ("51", "VINTAGE_EXPIRED"), id="expired, on the Monday after"),
    ],
)
def test_the_vintage_n_1_ends_with_february(shared: Shared, clock: str, expected: tuple[str, str]) -> None:
    authorizer = shared(clock)
    reply = ask(authorizer.port, purchase("0121", 1000, at=clock))
    assert said(reply) == expected
    assert left_by(authorizer, "0121") == ({"90:2025": 1000} if expected[0] == "00" else {})


def test_funds_that_are_short_refuse_and_with_pa_give_what_is_there(start: Start) -> None:
    authorizer = start()
    with Line(authorizer.port) as line:
        assert said(line.ask(purchase("0113", 501))) == ("51", "NO_FUNDS")
        assert left_by(authorizer, "0113") == {}
        reply = line.ask(purchase("0113", 501, takes_partial=True))
    assert (*said(reply), reply.amount) == ("10", "PARTIAL", "000000000500")
    assert left_by(authorizer, "0113") == {"90:2026": 500}


@pytest.mark.parametrize(
    ("last4", "at_terminal", "clock", "expected"),
    [
        pytest.param("0030", "PAR00001", SUNDAY, ("00", "APPROVED"), id="works Sundays"),
        pytest.param("0048", "PAR00001", SUNDAY, ("57", "SUNDAY"), id="same employer, doesn't work Sundays"),
        pytest.param("0014", "STR00001", GOOD_FRIDAY, ("57", "HOLIDAY"), id="Good Friday in Strasbourg"),
        pytest.param("0014", "PAR00001", GOOD_FRIDAY, ("00", "APPROVED"), id="Good Friday in Paris"),
        pytest.param("0014", "RUN00001", SATURDAY_NIGHT, ("57", "SUNDAY"), id="Saturday night in Paris: Réunion"),
        pytest.param("0014", "PAR00001", SATURDAY_NIGHT, ("00", "APPROVED"), id="Saturday night in Paris: Paris"),
    ],
)
def test_days_off_are_the_merchants(
    shared: Shared, last4: str, at_terminal: str, clock: str, expected: tuple[str, str]
) -> None:
    assert said(ask(shared(clock).port, purchase(last4, 1000, at_terminal, at=clock))) == expected


@pytest.mark.parametrize(
    ("last4", "replies"),
    [
        pytest.param(
            "0097",
            [("55", "PIN_WRONG", "2"), ("55", "PIN_WRONG", "1"), ("75", "PIN_LOCKED", None)],
            id="first generation: three tries",
        ),
        pytest.param(
            "0105",
            [("55", "PIN_WRONG", str(left)) for left in (4, 3, 2, 1)] + [("75", "PIN_LOCKED", None)],
            id="second generation: five tries",
        ),
    ],
)
def test_wrong_pins_in_a_row_lock_the_card_for_good(start: Start, last4: str, replies: list[tuple[str, ...]]) -> None:
    with Line(start().port) as line:
        wrong = [line.ask(purchase(last4, 1000, pin=wrong_pin(last4))) for _ in replies]
        right = line.ask(purchase(last4, 1000))
    assert [(*said(one), one.elements and one.elements.tries_left) for one in wrong] == replies
    assert said(right) == ("75", "PIN_LOCKED")


def test_a_right_pin_gives_all_tries_back(shared: Shared) -> None:
    def codes(line: Line, times: int) -> list[str | None]:
        return [line.ask(purchase("0105", 100, pin=wrong_pin("0105"))).response_code for _ in range(times)]

    with Line(shared(TUESDAY).port) as line:
        assert codes(line, 4) == ["55"] * 4
        assert said(line.ask(purchase("0105", 100))) == ("00", "APPROVED")
        assert codes(line, 5) == ["55"] * 4 + ["75"]


@pytest.mark.parametrize(
    ("last4", "expected"),
    [
        pytest.param("0055", ("54", "CARD_EXPIRED"), id="expired"),
        pytest.param("0063", ("43", "CARD_STOLEN"), id="stolen"),
        pytest.param("0071", ("41", "CARD_LOST"), id="lost"),
        pytest.param("0089", ("62", "CARD_NOT_ACTIVE"), id="not activated"),
        pytest.param("0139", ("62", "CARD_REPLACED"), id="replaced"),
    ],
)
def test_a_card_that_may_not_pay(shared: Shared, last4: str, expected: tuple[str, str]) -> None:
    authorizer = shared(TUESDAY)
    reply = ask(authorizer.port, purchase(last4, 500))
    assert said(reply) == expected
    assert reply.balances is None
    if last4 != "0139":  # which shares its holder with its successor
        assert left_by(authorizer, last4) == {}


def test_the_successor_of_a_replaced_card_spends_its_balance(shared: Shared) -> None:
    authorizer = shared(TUESDAY)
    assert said(ask(authorizer.port, purchase("0147", 500))) == ("00", "APPROVED")
    assert left_by(authorizer, "0147") == {"90:2026": 500}


def test_the_merchant_must_be_known_and_eligible(shared: Shared) -> None:
    stranger = msgspec.structs.replace(purchase("0014", 500), merchant="FR9999999999999")
    with Line(shared(TUESDAY).port) as line:
        assert said(line.ask(purchase("0014", 500, "PAR00002"))) == ("58", "MERCHANT_NOT_ELIGIBLE")
        assert said(line.ask(stranger)) == ("03", "MERCHANT_UNKNOWN")


def test_online_only_the_first_generation_pays_and_only_with_its_cvv2(shared: Shared) -> None:
    right = cvv2("0014")
    wrong = f"{(int(right) + 1) % 1000:03}"
    with Line(shared(TUESDAY).port) as line:
        request = online("0014", 900, right)
        assert request.entry_mode == "812"
        assert said(line.ask(request)) == ("00", "APPROVED")
        assert said(line.ask(online("0022", 900, cvv2("0022")))) == ("57", "ONLINE_NOT_ALLOWED")
        assert said(line.ask(online("0014", 900, wrong))) == ("63", "CVV_WRONG")


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        pytest.param("00", ("12", "PRODUCT_NOT_CHOSEN"), id="the till didn't say which"),
        pytest.param("91", ("00", "APPROVED"), id="lunch"),
        pytest.param("92", ("58", "MERCHANT_NOT_ELIGIBLE"), id="eco, which this merchant doesn't take"),
    ],
)
def test_vouchers_on_one_card_are_never_mixed(shared: Shared, product: str, expected: tuple[str, str]) -> None:
    assert said(ask(shared(TUESDAY).port, purchase("0010", 800, "BRU00001", product=product))) == expected
