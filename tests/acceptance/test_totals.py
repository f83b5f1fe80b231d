"""An acquirer's totals (0500, 0520) of a day on which everything happened, and what finance sees of it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import date

import msgspec
import pytest

from authz.wire.message import Message
from simulators.acquirer.totals import Totals
from simulators.terminal.messages import repeat
from tests import programs
from tests.acceptance.counter import SIMULATED, card, totals
from tests.acceptance.shop import CAP, STOCK, Shop, said
from tests.conftest import Database
from tests.programs import Program

DAY, DAY_BEFORE = date(2026, 2, 20), date(2026, 2, 19)
AT = "2026-02-20T12:30:00+01:00"
"""A day on which last year's vintage is spent beside this year's."""
COUNTED = Totals(
    debits_number=3 + 1 + 2 + 2,
    debits_amount=1_000 + 700 + 450 + 1_000 + 600 + 800 + (STOCK + 1_000) + 250,
    debits_reversal_number=1 + 2 + 1 + 1 + 1,
    debits_reversal_amount=700 + 350 + 1_000 + 600 + 400,
)
"""As the tills saw it: what `busy_day` says, added up by hand."""
SHORTFALLS = 300 + 1_000
GIVEN_BACK = 400
NUMBERS = [f"{side}_number" for side in ("credits", "credits_reversal", "debits", "debits_reversal")]
AMOUNTS = [name.replace("number", "amount") for name in NUMBERS]
APPROVED = ("00", "APPROVED")


def busy_day(shop: Shop) -> None:
    """Purchases, holds, captures, offline advices, reversals, and what moves nothing."""
    till = shop.till
    one, two, three, four = (shop.customer() for _ in range(4))

    kept, undone, lowered = till.purchase(one, 1_000), till.purchase(two, 700), till.purchase(two, 450)
    two_vintages = till.purchase(card("0022"), 1_000)
    approve(shop, kept, undone, lowered, two_vintages)
    shop.ask_bytes(repeat(kept))
    refuse(shop, till.purchase(one, CAP), till.refund(one, kept, 500))
    approve(shop, till.inquiry(one))

    captured, above = till.authorization(three, 900), till.authorization(three, 500)
    capture = till.completion(three, captured, 600)
    approve(shop, till.authorization(one, 500), captured, capture, above, till.completion(three, above, 800))
    refuse(shop, till.completion(three, above, 800))

    offline = till.advice(four, STOCK + 1_000)
    approve(shop, offline, till.advice(four, 900, response_code="05"), till.hold_advice(shop.customer(), 300))
    approve(shop, shop.till_at("2026-02-19T20:00:00+01:00").advice(shop.customer(), 250))

    approve(shop, till.reversal(undone), till.reversal(undone), till.reversal_advice(lowered, stands=200))
    approve(shop, till.reversal(lowered, stands=100), till.reversal(two_vintages), till.reversal(captured))
    approve(shop, till.reversal_advice(offline, stands=STOCK + 600))
    refuse(shop, till.reversal(till.purchase(one, 100)))


def approve(shop: Shop, *requests: Message) -> None:
    assert [said(shop.ask(request)) for request in requests] == [APPROVED] * len(requests)


def refuse(shop: Shop, *requests: Message) -> None:
    assert "00" not in [shop.ask(request).response_code for request in requests]


@pytest.fixture(scope="module")
def day(make_stocked: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop after a busy day. Tests only ask."""
    with Shop(tmp_path_factory.mktemp("day"), make_stocked()) as shop:
        shop.open(AT)
        busy_day(shop)
        yield shop


@pytest.mark.parametrize("mti", ["0500", "0520"])
def test_counted_right_they_are_in_balance(day: Shop, mti: str) -> None:
    reply = day.ask(totals(COUNTED, DAY, mti=mti, at=AT))
    assert (*said(reply), reply.settlement_code, reply.settlement_date) == (*APPROVED, "1", "0220")
    assert (Totals.parse(reply), reply.net_amount) == (COUNTED, f"D{-COUNTED.net:016}")


def test_they_are_what_the_ledger_owes(day: Shop) -> None:
    [[payable]] = day.rows(
        f"SELECT balance FROM ledger.balance WHERE account = 'acquirer:{SIMULATED.acquirer}:payable'"
    )
    assert payable == -COUNTED.net


@pytest.mark.parametrize("field", [*NUMBERS, *AMOUNTS, "net_amount"])
def test_one_that_is_falsified_is_not_and_ours_come_back(day: Shop, field: str) -> None:
    right = totals(COUNTED, DAY, at=AT)
    text = getattr(right, field)
    false = f"{text[:-1]}{(int(text[-1]) + 1) % 10}"
    reply = day.ask(msgspec.structs.replace(right, **{field: false}))
    assert (*said(reply), reply.settlement_code) == (*APPROVED, "2")
    assert (Totals.parse(reply), reply.net_amount) == (COUNTED, right.net_amount)


def test_a_net_with_the_other_sign_is_not_in_balance(day: Shop) -> None:
    right = totals(COUNTED, DAY, at=AT)
    assert right.net_amount is not None
    reply = day.ask(msgspec.structs.replace(right, net_amount=f"C{right.net_amount[1:]}"))
    assert (reply.settlement_code, reply.net_amount) == ("2", right.net_amount)


@pytest.mark.parametrize("mti", ["0500", "0520"])
def test_a_repeat_is_answered_byte_for_byte_and_other_content_94(day: Shop, mti: str) -> None:
    request = totals(msgspec.structs.replace(COUNTED, debits_number=1), DAY, mti=mti, at=AT)
    first = day.ask_bytes(request)
    assert day.ask_bytes(repeat(request)) == first
    assert said(day.ask(msgspec.structs.replace(request, debits_number="0000000002"))) == ("94", "IDENTITY_REUSED")
    assert said(day.ask(msgspec.structs.replace(request, settlement_date="0219"))) == ("94", "IDENTITY_REUSED")
    assert day.ask_bytes(repeat(request)) == first


@pytest.mark.parametrize("other", [DAY_BEFORE, date(2026, 2, 21), date(2026, 1, 5)])
def test_another_day_is_empty(day: Shop, other: date) -> None:
    assert day.ask(totals(Totals(), other, at=AT)).settlement_code == "1"
    wrong = day.ask(totals(COUNTED, other, at=AT))
    assert (wrong.settlement_code, Totals.parse(wrong)) == ("2", Totals())
    assert wrong.net_amount in (f"C{0:016}", f"D{0:016}")


def test_finance_sees_the_shortfalls(day: Shop) -> None:
    done = run(day, "ledger", "report", "shortfalls", "--json")
    found = json.loads(done.stdout)
    sums = {"advised": SHORTFALLS, "given_back": GIVEN_BACK, "outstanding": SHORTFALLS - GIVEN_BACK}
    assert found["total"] == sums | {"movements": 3}
    assert found["acquirers"] == {SIMULATED.acquirer: found["total"]}
    assert [one["cents"] for one in found["movements"]] == [300, 1_000, -GIVEN_BACK]
    exceptions = f"acquirer:{SIMULATED.acquirer}:exceptions"
    [[balance]] = day.rows(f"SELECT balance FROM ledger.balance WHERE account = '{exceptions}'")
    assert balance == -sums["outstanding"]


@pytest.mark.parametrize("command", [("ledger", "verify"), ("authz", "replay")])
def test_the_books_are_sound(day: Shop, command: tuple[str, str]) -> None:
    done = run(day, *command)
    assert done.returncode == 0, done.stderr
    [[total]] = day.rows("SELECT sum(balance)::bigint FROM ledger.balance")
    assert total == 0


def run(shop: Shop, program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as finance, while the authorizer runs."""
    return programs.run(program, *arguments, "--database", shop.database.finance_url)
