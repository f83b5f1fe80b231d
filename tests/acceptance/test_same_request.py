"""Same request, same answer: one decision each, whatever is sent again and whatever dies meanwhile."""

from collections.abc import Callable

import msgspec
import pytest

from authz.wire.message import Message
from simulators.terminal import repeat
from tests.acceptance.authorizer import TUESDAY, Authorizer, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, Line, ask, purchase, wrong_pin

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


REQUESTS = [
    pytest.param(lambda: purchase("0022", 1000, takes_partial=True), 2, id="approved, from two lots"),
    pytest.param(lambda: purchase("0022", 2500, takes_partial=True), 2, id="approved in part"),
    pytest.param(lambda: purchase("0113", 501), 0, id="refused for its funds"),
    pytest.param(lambda: purchase("0097", 500, pin=wrong_pin("0097")), 0, id="refused for its PIN"),
    pytest.param(lambda: purchase("0014", 500, "PAR00002"), 0, id="refused for its merchant"),
]
IN_FEBRUARY = "2026-02-20T12:30:00+01:00"


@pytest.mark.parametrize(("make", "transfers"), REQUESTS)
def test_sent_twice_after_a_kill_and_as_a_repeat(start: Start, make: Callable[[], Message], transfers: int) -> None:
    request = make()
    again = encoded(repeat(request))
    authorizer = start(clock=IN_FEBRUARY)
    with Line(authorizer.port) as line:
        first = line.ask_bytes(encoded(request))
        assert line.ask_bytes(encoded(request)) == first
        assert line.ask_bytes(again) == first
    authorizer.kill()
    restarted = start(clock=IN_FEBRUARY)
    with Line(restarted.port) as line:
        assert line.ask_bytes(encoded(request)) == first
        assert line.ask_bytes(again) == first
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


@pytest.mark.parametrize("change", [{"amount": "000000000701"}, {"processing_code": "009000"}])
@pytest.mark.parametrize("dies", [False, True], ids=["from memory", "from the ledger"])
def test_the_same_identity_with_other_content_is_refused(start: Start, change: dict[str, str], dies: bool) -> None:
    request = purchase("0014", 700)
    other = msgspec.structs.replace(request, **change)
    authorizer = start()
    with Line(authorizer.port) as line:
        first = line.ask_bytes(encoded(request))
    if dies:
        authorizer.kill()
        authorizer = start()
    with Line(authorizer.port) as line:
        refused = line.ask(other)
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
