"""Same request, same answer: one decision each, whatever is sent again and whatever dies meanwhile."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from authz.wire.message import Message
from authz.wire.original import OriginalElements
from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import TUESDAY, Authorizer, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, Line, ask, purchase, wrong_pin
from tests.acceptance.shop import STOCK, Money, Shop, said

Shared = Callable[[str], Authorizer]
RETRIES = 5


def encoded(request: Message) -> bytes:
    return CODEC.encode(request)


def records(authorizer: Authorizer, request: Message) -> tuple[int, int]:
    """How many records and transfers a request has: by its trace number, which no other request of a run bears."""
    [found] = rows(
        authorizer.database,
        "SELECT count(*), coalesce(sum((SELECT count(*) FROM ledger.transfer AS t"
        " WHERE (t.partition, t.seq) = (j.partition, j.seq))), 0)::bigint FROM ledger.journal AS j"
        " WHERE request -> 'command' -> 'origin' ->> 'trace' = $1",
        request.trace,
    )
    return found[0], found[1]


FROM_TWO_LOTS = purchase("0022", 1000, takes_partial=True), 2
IN_PART = purchase("0022", 2500, takes_partial=True), 2
REFUSED_FOR_ITS_FUNDS = purchase("0113", 501), 0
REFUSED_FOR_ITS_PIN = purchase("0097", 500, pin=wrong_pin("0097")), 0
REFUSED_FOR_ITS_MERCHANT = purchase("0014", 500, "PAR00002"), 0
"""Requests, each with the number of its transfers."""
IN_FEBRUARY = "2026-02-20T12:30:00+01:00"


@pytest.mark.parametrize(
    "asked",
    [[FROM_TWO_LOTS, REFUSED_FOR_ITS_FUNDS, REFUSED_FOR_ITS_PIN, REFUSED_FOR_ITS_MERCHANT], [IN_PART]],
    ids=["whole or not at all", "in part"],
)
def test_sent_twice_after_a_kill_and_as_a_repeat(start: Start, asked: Sequence[tuple[Message, int]]) -> None:
    authorizer, firsts = start(clock=IN_FEBRUARY), []
    with Line(authorizer.port) as line:
        for request, _ in asked:
            firsts.append(line.ask_bytes(encoded(request)))
            assert line.ask_bytes(encoded(request)) == firsts[-1]
            assert line.ask_bytes(encoded(repeat(request))) == firsts[-1]
    authorizer.kill()
    restarted = start(clock=IN_FEBRUARY)
    with Line(restarted.port) as line:
        for (request, transfers), first in zip(asked, firsts, strict=True):
            assert line.ask_bytes(encoded(request)) == first
            assert line.ask_bytes(encoded(repeat(request))) == first
            assert records(restarted, request) == (1, transfers)


def test_a_repeat_after_a_restart_is_the_first_thing_that_is_asked(start: Start) -> None:
    request = purchase("0014", 700)
    authorizer = start()
    with Line(authorizer.port) as line:
        first = line.ask_bytes(encoded(request))
    authorizer.kill()
    restarted = start()
    with Line(restarted.port) as line:
        assert line.ask_bytes(encoded(repeat(request))) == first
    assert records(restarted, request) == (1, 1)


def test_a_repeated_wrong_pin_counts_once(shared: Shared) -> None:
    request = purchase("0105", 500, pin=wrong_pin("0105"))
    with Line(shared("2026-05-13T12:30:00+02:00").port) as line:
        tries = {line.ask_bytes(encoded(repeat(request))) for _ in range(RETRIES)}
        assert len(tries) == 1
        [reply] = map(CODEC.decode, tries)
        assert (reply.response_code, reply.elements and reply.elements.tries_left) == ("55", "4")


@pytest.mark.parametrize("dies", [False, True], ids=["from memory", "from the ledger"])
def test_the_same_identity_with_other_content_is_refused(start: Start, dies: bool) -> None:
    request = purchase("0014", 700)
    authorizer = start()
    with Line(authorizer.port) as line:
        first = line.ask_bytes(encoded(request))
    if dies:
        authorizer.kill()
        authorizer = start()
    with Line(authorizer.port) as line:
        for change in ({"amount": "000000000701"}, {"processing_code": "009000"}):
            refused = line.ask(msgspec.structs.replace(request, **change))
            assert (refused.response_code, refused.reason) == ("94", "IDENTITY_REUSED")
            assert line.ask_bytes(encoded(request)) == first
    assert records(authorizer, request) == (1, 1)


def test_two_in_flight_at_once_get_one_decision(shared: Shared) -> None:
    authorizer = shared(TUESDAY)
    for _ in range(RETRIES):
        request = purchase("0048", 100)
        with Line(authorizer.port) as one, Line(authorizer.port) as other:
            one.send(encoded(request))
            other.send(encoded(repeat(request)))
            one.send(encoded(request))
            replies = {one.receive(), other.receive(), one.receive()}
        assert len(replies) == 1
        assert records(authorizer, request) == (1, 1)


def test_a_repeat_whose_original_never_came_is_processed_as_new(shared: Shared) -> None:
    authorizer = shared(TUESDAY)
    request = purchase("0048", 200)
    reply = ask(authorizer.port, repeat(request))
    assert (reply.mti, reply.response_code) == ("0210", "00")
    with Line(authorizer.port) as line:
        assert CODEC.decode(line.ask_bytes(encoded(request))) == reply
    assert records(authorizer, request) == (1, 1)


def test_an_answer_lost_with_the_engine_is_found_by_its_repeat(start: Start) -> None:
    """The engine is killed with requests in flight: each is in the ledger or isn't, and its repeat settles it."""
    authorizer = start()
    requests = [purchase("0030", 1) for _ in range(50)]
    with Line(authorizer.port) as line:
        for request in requests:
            line.send(encoded(request))
        line.receive()
        authorizer.kill()
    restarted = start()
    with Line(restarted.port) as line:
        for request in requests:
            assert line.ask(repeat(request)).response_code == "00"
    assert [records(restarted, request) for request in requests] == [(1, 1)] * len(requests)


def completion_of(shop: Shop) -> Message:
    card = shop.customer()
    hold = shop.till.authorization(card, 1_000)
    shop.ask(hold)
    return shop.till.completion(card, hold, 700)


def reversal_of(shop: Shop) -> Message:
    paid = shop.till.purchase(shop.customer(), 1_000)
    shop.ask(paid)
    return shop.till.reversal(paid, stands=300)


EACH = {
    "0100": lambda shop: shop.till.authorization(shop.customer(), 1_000),
    "0120": lambda shop: shop.till.hold_advice(shop.customer(), 1_000),
    "0200": lambda shop: shop.till.purchase(shop.customer(), 1_000),
    "0220, an advice": lambda shop: shop.till.advice(shop.customer(), STOCK + 1_000),
    "0220, a completion": completion_of,
    "0220, of nothing": lambda shop: shop.till.completion(
        one := shop.customer(), shop.till.authorization(one, 100), 100
    ),
    "0400": reversal_of,
    "0400, of nothing": lambda shop: shop.till.reversal(shop.till.purchase(shop.customer(), 100)),
    "0420": lambda shop: msgspec.structs.replace(reversal_of(shop), mti="0420"),
    "inquiry": lambda shop: shop.till.inquiry(shop.customer()),
}


@pytest.mark.parametrize("make", EACH.values(), ids=EACH)
def test_each_message_and_its_repeat_get_one_decision(shop: Shop, make: Callable[[Shop], Message]) -> None:
    request = make(shop)
    first = shop.ask_bytes(request)
    assert [shop.ask_bytes(again) for again in (repeat(request), request, repeat(request))] == [first] * 3
    assert len(shop.recorded(request)) == 1
    assert shop.recorded(repeat(request)) == []


@pytest.mark.parametrize("make", EACH.values(), ids=EACH)
def test_a_repeat_that_comes_first_is_the_request(shop: Shop, make: Callable[[Shop], Message]) -> None:
    request = make(shop)
    first = shop.ask_bytes(repeat(request))
    assert shop.ask_bytes(request) == first
    assert len(shop.recorded(repeat(request))) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"original": OriginalElements("0200", "999999", "0512103000", "970001").text}, id="DE 90"),
        pytest.param({"replacement": f"{200:012}{'':030}"}, id="DE 95"),
        pytest.param({"replacement": None}, id="no DE 95"),
        pytest.param({"amount": f"{999:012}"}, id="DE 4"),
        pytest.param({"processing_code": "009000"}, id="DE 3"),
    ],
)
def test_other_content_under_a_reversals_identity_is_refused(shop: Shop, change: dict[str, str]) -> None:
    paid = shop.till.purchase(one := shop.customer(), 1_000)
    shop.ask(paid)
    request = shop.till.reversal(paid, stands=300)
    first = shop.ask_bytes(request)
    other = msgspec.structs.replace(request, **change)
    for again in (other, repeat(other), msgspec.structs.replace(other, mti="0420")):
        assert said(shop.ask(again)) == ("94", "IDENTITY_REUSED")
    assert shop.ask_bytes(repeat(request)) == first
    assert shop.money(one) == Money(STOCK - 300, payable=300)


def test_a_completion_that_names_another_hold_under_the_same_identity_is_refused(shop: Shop) -> None:
    one = shop.customer()
    holds = [shop.till.authorization(one, 500) for _ in range(2)]
    for hold in holds:
        shop.ask(hold)
    completion = shop.till.completion(one, holds[0], 300)
    shop.ask(completion)
    other = msgspec.structs.replace(completion, original=shop.till.completion(one, holds[1], 300).original)
    assert said(shop.ask(other)) == ("94", "IDENTITY_REUSED")
    assert shop.money(one) == Money(STOCK - 800, hold=500, payable=300)


def test_what_a_content_does_not_hold_may_differ(shop: Shop) -> None:
    """A repeat may bring another DE 37, 22 or PIN block: identity and content are what they were."""
    one = shop.customer()
    request = shop.till.purchase(one, 1_000)
    first = shop.ask(request)
    changed = msgspec.structs.replace(repeat(request), entry_mode="071", pin_block=None, expiry=one.expiry)
    assert shop.ask(changed) == first
    assert shop.money(one) == Money(STOCK - 1_000, payable=1_000)


@pytest.mark.parametrize("field", ["trace", "local_time", "local_date", "terminal", "merchant"])
def test_another_identity_is_another_request(shop: Shop, field: str) -> None:
    one = shop.customer()
    request = shop.till.purchase(one, 100)
    other = {
        "trace": "499999",
        "local_time": "122959",
        "local_date": "0511",
        "terminal": "PAR00009",
        "merchant": f"{'FR0000000000004':15}",
    }[field]
    changes = {field: other} | ({"trace": "499998"} if field.startswith("local") else {})
    assert said(shop.ask(request)) == said(shop.ask(msgspec.structs.replace(request, **changes))) == ("00", "APPROVED")
    assert shop.money(one) == Money(STOCK - 200, payable=200)
