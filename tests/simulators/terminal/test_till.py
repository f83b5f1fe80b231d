"""A till reverses what it gets no answer to, and tells again what nobody acknowledged."""

import asyncio

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from authz.wire.codec import Unsendable
from authz.wire.rules import first_mti, reply_mti
from simulators import clearing
from simulators.acquirer.line import Line
from simulators.clearing import load
from simulators.link import LinkLost, NoConnection, NoReply
from simulators.terminal import parameters
from simulators.terminal.book import Kind
from simulators.terminal.card import Card
from simulators.terminal.journal import Journal
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import DayOpen, NotAcknowledged, Patience, Resumed, Till
from tests.simulators.conftest import NOON

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


@pytest.mark.parametrize("damaged", ["30", "63"])
async def test_what_a_host_says_of_a_damaged_copy_it_does_not_say_of_another(terminal, damaged):
    """A first one may have been recorded, and only its reply lost."""
    authorizer = Scripted("00", SILENCE, damaged, "00")
    till = Till(terminal, authorizer, QUICK)
    hold = terminal.authorization(CARD, 900)
    await till.pay(hold)
    completion = terminal.completion(CARD, hold, 800)
    assert (await till.tell(completion)).response_code == "00"
    assert (authorizer.mtis[1:], terminal.book.stands(completion)) == (["0220", "0221", "0221"], 800)


@pytest.mark.parametrize("damaged", ["30", "63"])
async def test_a_damaged_repeat_leaves_its_request_in_doubt(terminal, damaged):
    authorizer = Scripted(SILENCE, damaged, "00")
    patience = msgspec.structs.replace(QUICK, repeats_max=1)
    assert await Till(terminal, authorizer, patience).pay(terminal.purchase(CARD, 900)) is None
    assert authorizer.mtis == ["0200", "0201", "0400"]


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


async def test_what_never_left_is_not_reversed(hosting, codec, terminal):
    async with hosting(lambda peer, request: None) as host:
        pass
    till = Till(terminal, Line("127.0.0.1", host.port, codec), QUICK)
    assert await till.pay(terminal.purchase(CARD, 900)) is None
    assert (till.stored, till.standing.in_doubt, till.linked) == ([], {}, False)


async def test_what_left_before_the_connection_was_gone_is_reversed(terminal):
    authorizer = Scripted(LinkLost("the connection was lost"), NoConnection("nothing answers"), "00")
    till = Till(terminal, authorizer, msgspec.structs.replace(QUICK, repeats_max=1))
    assert await till.pay(terminal.purchase(CARD, 900)) is None
    assert authorizer.mtis == ["0200", "0201", "0400"]


async def test_what_the_dialect_cannot_carry_leaves_nothing_in_doubt(terminal):
    till = Till(terminal, Scripted(Unsendable(42, "too long")), QUICK)
    with pytest.raises(Unsendable):
        await till.pay(terminal.purchase(CARD, 900))
    assert till.standing.in_doubt == {}


@pytest.fixture
def power_cut(demo, tmp_path):
    """`power_cut(authorizer)`: the same till, on the same folder, as it is after its process was killed."""
    journals = []

    def start(authorizer):
        while journals:
            journals.pop().close()
        journals.append(Journal(tmp_path))
        terminal = Terminal(demo.site("PAR00001"), demo.acquirer, PinPad(demo.zone_pin_key), lambda: NOON)
        return Till(terminal, authorizer, QUICK, journals[0])

    yield start
    while journals:
        journals.pop().close()


async def test_after_a_power_cut_a_till_goes_on_where_it_was(power_cut):
    till = power_cut(Scripted())
    sale, hold = till.terminal.purchase(CARD, 900), till.terminal.authorization(CARD, 500)
    await till.pay(sale)
    await till.pay(hold)
    await till.take_back(sale, stands=300)
    again = power_cut(Scripted())
    assert (again.terminal.owed, again.terminal.book.standing(Kind.HOLD)) == (300, 500)
    assert int(again.terminal.purchase(CARD, 1).trace) == 4
    assert await again.resume() == Resumed(0, 0)


@pytest.mark.parametrize("cut", ["before the answer", "before the acknowledgement"])
async def test_what_a_power_cut_left_is_reversed_once(power_cut, cut):
    till = power_cut(Scripted(SILENCE, SILENCE))
    sale = till.terminal.purchase(CARD, 900)
    await till.ask(sale)
    if cut == "before the acknowledgement":
        till.store_doubts()
    authorizer = Scripted(SILENCE, "00")
    again = power_cut(authorizer)
    found = await again.resume()
    assert found == (Resumed(1, 0) if cut == "before the answer" else Resumed(0, 1))
    assert [first_mti(mti) for mti in authorizer.mtis] == ["0400", "0400"]
    assert authorizer.heard[0].original[:20] == f"0200{sale.trace}{sale.transmitted}"
    assert await power_cut(Scripted()).resume() == Resumed(0, 0)


async def test_an_advice_told_after_a_power_cut_is_the_same_advice_without_its_secrets(power_cut):
    till = power_cut(Scripted())
    advice = msgspec.structs.replace(till.terminal.advice(CARD, 800), pin_block="0" * 16)
    till.store(advice)
    authorizer = Scripted()
    again = power_cut(authorizer)
    await again.resume()
    [heard] = authorizer.heard
    assert heard == msgspec.structs.replace(advice, mti="0221", pin_block=None)
    assert again.terminal.owed == 800


async def test_forwarding_stops_where_there_is_no_connection_and_passes_over_silence(terminal):
    authorizer = Scripted(SILENCE, "00", NoConnection("nothing answers"))
    till = Till(terminal, authorizer, QUICK)
    for cents in (100, 200, 300, 400):
        till.store(terminal.advice(CARD, cents))
    assert await till.forward() == 3
    assert len(authorizer.heard) == 3
    assert await till.forward() == 0
    assert terminal.owed == 1000


async def test_what_cannot_be_sent_holds_nothing_up(terminal):
    till = Till(terminal, Scripted(Unsendable(42, "too long")), QUICK)
    for cents in (100, 200):
        till.store(terminal.advice(CARD, cents))
    assert await till.forward() == 1
    assert terminal.owed == 200


async def test_the_end_of_the_day_writes_the_batch_and_begins_a_new_book(power_cut, tmp_path):
    till = power_cut(Scripted())
    terminal = till.terminal
    kept, returned = terminal.purchase(CARD, 900), terminal.purchase(CARD, 500)
    for sale in (kept, returned):
        await till.pay(sale)
    await till.take_back(returned, stands=100)
    closed = await till.close_day()
    assert closed.path == tmp_path / "batches" / "PAR00001-000001.csv"
    assert load(closed.path) == closed.batch
    assert [(line.kind, line.cents) for line in closed.batch.details] == [
        (clearing.Kind.SALE, 900),
        (clearing.Kind.SALE, 500),
        (clearing.Kind.REVERSAL, 400),
    ]
    assert closed.batch.totals.net == 1000
    assert (terminal.owed, terminal.sales.count) == (0, 0)
    again = power_cut(Scripted())
    assert again.terminal.owed == 0
    await again.take_back(kept)
    assert again.terminal.owed == -900
    assert [(line.kind, line.cents) for line in (await again.close_day()).batch.details] == [
        (clearing.Kind.REVERSAL, 900)
    ]


async def test_a_day_stays_open_while_something_is_to_be_told(terminal):
    till = Till(terminal, Scripted(NoConnection("nothing answers")), QUICK)
    till.store(terminal.advice(CARD, 800))
    with pytest.raises(DayOpen, match="1 messages"):
        await till.close_day()
    assert (await till.close_day()).batch.totals.net == 800


async def test_a_hold_outlives_the_day_and_counts_on_the_day_it_is_captured(terminal):
    till = Till(terminal, Scripted(), QUICK)
    hold = terminal.authorization(CARD, 500)
    await till.pay(hold)
    assert (await till.close_day()).book.standing(Kind.HOLD) == 500
    await till.tell(terminal.completion(CARD, hold, 450))
    closed = await till.close_day()
    assert (closed.book.standing(Kind.HOLD), closed.batch.totals.net) == (0, 450)


class Customers(RuleBasedStateMachine):
    """A till that is switched off between any two things that happen to it: its memory is what its journal says."""

    def __init__(self):
        super().__init__()
        self.journal = Journal()
        self.start()

    def start(self):
        demo = parameters.demo()
        self.terminal = Terminal(demo.site("PAR00001"), demo.acquirer, PinPad(demo.zone_pin_key), lambda: NOON)
        self.authorizer = Scripted()
        self.till = Till(self.terminal, self.authorizer, QUICK, self.journal)

    def do(self, work, *codes):
        self.authorizer._codes[:] = codes
        return asyncio.run(work)

    @rule(cents=st.integers(1, 900), code=st.sampled_from(["00", "51", "91", SILENCE]))
    def pays(self, cents, code):
        self.do(self.till.ask(self.terminal.purchase(CARD, cents)), code)

    @rule(cents=st.integers(1, 900), stands=st.integers(0, 900))
    def returns(self, cents, stands):
        sale = self.terminal.purchase(CARD, cents)
        self.do(self.till.pay(sale))
        self.till.store(self.terminal.reversal(sale, stands=stands))

    @rule(cents=st.integers(1, 900))
    def is_accepted_offline(self, cents):
        self.till.store(self.terminal.advice(CARD, cents))

    @rule(codes=st.lists(st.sampled_from(["00", "25", SILENCE]), max_size=3))
    def forwards(self, codes):
        self.do(self.till.forward(), *codes)

    @rule()
    def closes(self):
        if not self.till.stored and not self.till.standing.in_doubt:
            net = self.terminal.owed
            assert self.do(self.till.close_day()).batch.totals.net == net

    @rule()
    def power_is_cut(self):
        before, owed, kinds = self.till.standing, self.terminal.owed, list(map(self.terminal.book.standing, Kind))
        self.start()
        after = self.till.standing
        assert (after.in_doubt, after.to_tell, after.trace) == (before.in_doubt, before.to_tell, before.trace)
        assert (after.days_closed, after.decided, after.last_sale) == (
            before.days_closed,
            before.decided,
            before.last_sale,
        )
        assert after.details == before.details
        assert (self.terminal.owed, list(map(self.terminal.book.standing, Kind))) == (owed, kinds)

    @invariant()
    def the_batch_comes_to_what_is_owed(self):
        debits = sum(line.cents for line in self.till.standing.details if line.kind.debits)
        credited = sum(line.cents for line in self.till.standing.details if not line.kind.debits)
        assert debits - credited == self.terminal.owed


Customers.TestCase.settings = settings(max_examples=10, stateful_step_count=15)
TestAPowerCutChangesNothing = Customers.TestCase
