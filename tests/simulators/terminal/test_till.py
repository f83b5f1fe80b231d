"""A till reverses what it gets no answer to, and tells again what nobody acknowledged."""

import asyncio

import msgspec
import pytest

from authz.wire.rules import first_mti, reply_mti
from simulators.acquirer.line import Line
from simulators.link import LinkLost, NoReply
from simulators.terminal.book import Kind
from simulators.terminal.card import Card
from simulators.terminal.till import NotAcknowledged, Patience, Till

CARD = Card(pan="9250100000000014", expiry="2806", pin="1234", generation=1)
QUICK = Patience(answer_within_s=0.01, again_every_s=0.0, reversals_max_tries=5)
SILENCE = None


class Scripted:
    """An authorizer that says what it is told to, in this order, and approves from then on. `heard` is what came."""

    def __init__(self, *codes):
        self.heard = []
        self._codes = list(codes)

    async def exchange(self, request, timeout):
        self.heard.append(request)
        code = self._codes.pop(0) if self._codes else "00"
        if code is SILENCE:
            raise NoReply
        if isinstance(code, Exception):
            raise code
        return msgspec.structs.replace(request, mti=reply_mti(request.mti), response_code=code)

    @property
    def mtis(self):
        return [request.mti for request in self.heard]


async def test_an_answer_is_noted(terminal):
    till = Till(terminal, Scripted())
    assert (await till.pay(terminal.purchase(CARD, 900))).response_code == "00"
    assert (terminal.owed, till.stored) == (900, [])


async def test_a_refusal_is_an_answer_nothing_is_reversed(terminal):
    authorizer = Scripted("61")
    assert (await Till(terminal, authorizer).pay(terminal.purchase(CARD, 900))).response_code == "61"
    assert (authorizer.mtis, terminal.owed) == (["0200"], 0)


@pytest.mark.parametrize("failure", [SILENCE, LinkLost("the connection was lost"), "91", "96"])
@pytest.mark.parametrize("ask", ["purchase", "authorization"])
async def test_what_gets_no_decision_is_reversed(terminal, failure, ask):
    """A 91 isn't recorded: a copy of the request that is still on its way may yet be approved."""
    authorizer = Scripted(failure)
    request = getattr(terminal, ask)(CARD, 900)
    assert await Till(terminal, authorizer).pay(request) is None
    assert authorizer.mtis == [request.mti, "0400"]
    assert authorizer.heard[1].original[:10] == f"{request.mti}{request.trace}"
    assert (terminal.owed, terminal.book.standing(Kind.HOLD)) == (0, 0)


async def test_a_reversal_is_repeated_until_it_is_acknowledged(terminal):
    authorizer = Scripted(SILENCE, SILENCE, "91", LinkLost("the connection was lost"), "00")
    assert await Till(terminal, authorizer, QUICK).pay(terminal.purchase(CARD, 900)) is None
    assert authorizer.mtis == ["0200", "0400", "0401", "0401", "0401"]
    assert len({request.trace for request in authorizer.heard[1:]}) == 1


async def test_25_acknowledges_a_reversal(terminal):
    authorizer = Scripted(SILENCE, "25")
    assert await Till(terminal, authorizer, QUICK).pay(terminal.purchase(CARD, 900)) is None
    assert authorizer.mtis == ["0200", "0400"]


@pytest.mark.parametrize(("code", "said"), [(SILENCE, "no answer"), ("30", "response code 30")])
async def test_a_reversal_is_tried_no_more_often_than_the_limit_and_stays_stored(terminal, code, said):
    authorizer = Scripted(SILENCE, *[code] * 6)
    till = Till(terminal, authorizer, QUICK)
    with pytest.raises(NotAcknowledged, match=f"0400 was sent 5 times and not acknowledged: {said}"):
        await till.pay(terminal.purchase(CARD, 900))
    assert authorizer.mtis == ["0200", "0400", *["0401"] * 4]
    assert [message.mti for message in till.stored] == ["0400"]


async def test_a_request_can_be_repeated_before_it_is_reversed(terminal):
    authorizer = Scripted(SILENCE, SILENCE, "00")
    patience = msgspec.structs.replace(QUICK, repeats_max=2)
    assert await Till(terminal, authorizer, patience).pay(terminal.purchase(CARD, 900)) is not None
    assert (authorizer.mtis, terminal.owed) == (["0200", "0201", "0201"], 900)


@pytest.mark.parametrize("tell", ["completion", "advice", "hold_advice"])
async def test_completions_and_advices_are_repeated_and_never_reversed(terminal, tell):
    authorizer = Scripted("00", SILENCE, "96", SILENCE, "00")
    till = Till(terminal, authorizer, QUICK)
    hold = terminal.authorization(CARD, 900)
    await till.pay(hold)
    message = terminal.completion(CARD, hold, 800) if tell == "completion" else getattr(terminal, tell)(CARD, 800)
    assert (await till.tell(message)).response_code == "00"
    assert {first_mti(mti) for mti in authorizer.mtis[1:]} == {message.mti}
    assert authorizer.mtis[2:] == [f"{message.mti[:3]}1"] * 3
    assert terminal.book.stands(message) == 800


@pytest.mark.parametrize("code", ["14", "25", "94"])
async def test_a_refused_advice_is_heard_all_the_same(terminal, code):
    authorizer = Scripted(code)
    assert (await Till(terminal, authorizer, QUICK).tell(terminal.advice(CARD, 800))).response_code == code
    assert (authorizer.mtis, terminal.owed) == (["0220"], 0)


async def test_a_customer_changes_their_mind(terminal):
    till = Till(terminal, Scripted())
    sale = terminal.purchase(CARD, 900)
    await till.pay(sale)
    await till.take_back(sale, stands=300)
    assert (till.terminal.owed, till.terminal.book.given_back) == (300, 600)


async def test_a_late_answer_is_ignored_for_the_reversal_decides(hosting, codec, terminal, answer):
    late = []

    def script(peer, request):
        if request.mti == "0200":
            late.append(request)
            return
        peer.send(answer(late[0]))
        peer.send(answer(request))

    async with hosting(script) as host:
        line = Line("127.0.0.1", host.port, codec)
        till = Till(terminal, line, msgspec.structs.replace(QUICK, again_every_s=5.0))
        assert await till.pay(terminal.purchase(CARD, 900)) is None
        await line.close()
    assert terminal.owed == 0


async def test_a_lost_line_is_made_again_once_for_all_its_tills(hosting, codec, terminal, answer):
    def script(peer, request):
        if peer is host.peers[0] and len(peer.heard) == 3:
            peer.cut()
        elif peer is not host.peers[0]:
            peer.send(answer(request))

    async with hosting(script) as host:
        line = Line("127.0.0.1", host.port, codec)
        tills = [Till(terminal, line, Patience(answer_within_s=5.0, again_every_s=5.0)) for _ in range(3)]
        replies = await asyncio.gather(*(till.pay(terminal.purchase(CARD, 900)) for till in tills))
        await line.close()
    assert replies == [None] * 3
    assert [len(peer.heard) for peer in host.peers] == [3, 3]
    assert line.connections == 2


async def test_nobody_there_is_no_answer(hosting, codec, terminal):
    async with hosting(lambda peer, request: None) as host:
        pass
    till = Till(terminal, Line("127.0.0.1", host.port, codec), QUICK)
    with pytest.raises(NotAcknowledged):
        await till.pay(terminal.purchase(CARD, 900))
