"""What terminals hear, and what the authorizer does, when things go wrong between them: against a scripted host."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Elements, Message
from simulators.acquirer.books import Books
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.journal import Journal
from simulators.acquirer.terminals import IN_FLIGHT_OF_TERMINAL_MAX, UNREADABLE_MAX
from simulators.acquirer.totals import Totals
from simulators.acquirer.zone_keys import KeyRing
from simulators.clearing import Kind
from simulators.link import LinkLost, NoReply
from simulators.terminal.card import Card
from simulators.terminal.messages import repeat
from simulators.terminal.pinpad import PinPad
from tests.simulators.acquirer.conftest import DAY, NOON, TERMINALS_KEY

CARD = Card(pan="9250100000000014", pin="1234")
PLAIN = {"mac_key": None}


class Desk:
    """A script: it answers network management, and payments as long as it isn't told to hold them."""

    def __init__(self, answer) -> None:
        self.payments: list[Message] = []
        self.arrived = asyncio.Event()
        self.holds = False
        self.says: dict[str, tuple[str, str]] = {}
        self._answer = answer

    def __call__(self, peer, request: Message) -> None:
        if request.mti[1] == "8":
            peer.send(self._answer(request, reason=None))
            return
        self.payments.append(request)
        self.arrived.set()
        if not self.holds:
            peer.send(self.reply(request))

    def reply(self, request: Message) -> Message:
        code, reason = self.says.get(request.mti, ("00", "APPROVED"))
        return self._answer(request, code, reason, approval="A00001" if code == "00" else None)

    async def heard(self, count: int) -> None:
        while len(self.payments) < count:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 10)


@pytest.fixture
def desk(answer):
    return Desk(answer)


async def test_it_stamps_what_terminals_leave_out_and_translates_their_pin(hosting, hall, desk):
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        line, terminal = await opened.connect(), opened.terminal()
        purchase = terminal.purchase(CARD, 100)
        anonymous = msgspec.structs.replace(purchase, acquirer=None)
        await line.exchange(anonymous)
        own = msgspec.structs.replace(terminal.purchase(CARD, 100), acquirer="123", retrieval_reference="MINE00000001")
        await line.exchange(own)
        reversal = msgspec.structs.replace(terminal.reversal(anonymous), acquirer=None)
        await line.exchange(reversal)
        await opened._stack.aclose()
    first, second, third = desk.payments
    assert (first.acquirer, len(first.retrieval_reference)) == ("970001", 12)
    assert first.retrieval_reference != third.retrieval_reference
    assert (second.acquirer, second.retrieval_reference) == ("123", "MINE00000001")
    assert third.original == terminal.reversal(purchase).original, "DE 90 names the acquirer, too"
    zone = PinPad(opened.settings.parameters.zone_pin_key)
    assert purchase.pin_block == PinPad(TERMINALS_KEY).block("1234", CARD.pan)
    assert first.pin_block == zone.block("1234", CARD.pan)


async def test_a_pin_under_dukpt_is_passed_on_as_it_is(hosting, hall, desk):
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        request = msgspec.structs.replace(
            opened.terminal().purchase(CARD, 100), elements=Elements(key_serial="FFFF9876543210E00001")
        )
        await (await opened.connect()).exchange(request)
        await opened._stack.aclose()
    assert desk.payments[0].pin_block == request.pin_block


async def test_without_a_link_the_answer_is_91_at_once_and_nothing_is_in_doubt(hosting, hall, desk, monkeypatch):
    monkeypatch.setattr("simulators.acquirer.service.FIRST_LINK_MAX_S", 0.05)
    async with hosting(desk) as host:
        pass
    opened = await hall(host.port, keys=PLAIN)
    reply = await (await opened.connect()).exchange(opened.terminal().purchase(CARD, 100), 1)
    assert reply.response_code == "91"
    assert not opened.host.books.in_doubt
    assert [event for event, _ in opened.told] == ["link_down", "no_link_yet"]


async def test_what_was_in_flight_is_asked_again_as_a_repeat_over_the_next_link(hosting, hall, desk):
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        line, request = await opened.connect(), opened.terminal().purchase(CARD, 100)
        asking = asyncio.create_task(line.exchange(request))
        await desk.heard(1)
        desk.holds = False
        host.peers[-1].cut()
        assert (await asking).response_code == "00"
        await opened._stack.aclose()
    first, again = desk.payments
    assert (first.mti, again.mti) == ("0200", "0201")
    assert msgspec.structs.replace(again, mti="0200") == first


async def test_what_got_no_answer_is_taken_back_and_its_lines_are_what_the_authorizer_has(hosting, hall, desk):
    """The terminal hears nothing, and gives up. It was approved: a sale and a reversal, as the authorizer has it."""
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN, route={"answer_within_s": 0.05})
        line, request = await opened.connect(), opened.terminal().purchase(CARD, 100)
        with pytest.raises(NoReply):
            await line.exchange(request, 0.3)
        assert len(opened.host.books.in_doubt) == 1
        desk.holds = False
        await opened.host.switch.settle()
        assert not opened.host.books.in_doubt
        late = await line.exchange(repeat(request))
        await opened._stack.aclose()
    assert [heard.mti for heard in desk.payments] == ["0200", "0420", "0201"]
    assert [(one.kind, one.cents) for one in opened.host.books.details] == [(Kind.SALE, 100), (Kind.REVERSAL, 100)]
    assert late.response_code == "91", "the stored approval would be of a payment that was taken back"


async def test_what_an_earlier_run_left_in_doubt_is_settled_at_once_also_if_its_clock_was_ahead(
    hosting, hall, desk, terminal, tmp_path
):
    request = terminal.purchase(CARD, 100)
    earlier = await Books.open(Journal(tmp_path / "data"), lambda: NOON + timedelta(hours=1), DAY)
    await earlier.asked(request)
    await earlier.close()
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        await desk.heard(2)
        await opened.host.switch.settle()
        assert not opened.host.books.in_doubt
        await opened._stack.aclose()
    taken_back, asked = desk.payments
    assert (taken_back.mti, taken_back.trace, taken_back.pin_block) == ("0420", request.trace, None)
    assert (asked.mti, asked.trace, asked.amount) == ("0201", request.trace, request.amount)


async def test_what_was_told_and_not_acknowledged_is_told_again(hosting, hall, desk):
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN, route={"answer_within_s": 0.05})
        line, terminal = await opened.connect(), opened.terminal()
        with pytest.raises(NoReply):
            await line.exchange(terminal.advice(CARD.without_pin(), 100), 0.3)
        desk.holds = False
        await opened.host.switch.settle()
        await opened._stack.aclose()
    assert [heard.mti for heard in desk.payments] == ["0220", "0221"]
    assert [(one.kind, one.cents) for one in opened.host.books.details] == [(Kind.ADVICE, 100)]


async def test_a_repeat_that_is_not_decided_says_nothing_of_the_first_sending(hosting, hall, desk):
    desk.holds, desk.says["0201"] = True, ("91", "UNAVAILABLE")
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN, route={"answer_within_s": 0.05})
        line, request = await opened.connect(), opened.terminal().purchase(CARD, 100)
        with pytest.raises(NoReply):
            await line.exchange(request, 0.3)
        desk.holds = False
        assert (await line.exchange(repeat(request))).response_code == "91"
        assert len(opened.host.books.in_doubt) == 1
        await opened._stack.aclose()


async def test_a_terminal_that_connects_anew_gets_the_reply_and_nobody_else_does(hosting, hall, desk):
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        first, second, stranger = [await opened.connect() for _ in range(3)]
        request = opened.terminal().purchase(CARD, 100)
        asking = asyncio.create_task(first.exchange(request))
        await desk.heard(1)
        assert (await stranger.exchange(repeat(request))).response_code == "94"
        await first.close()
        again = asyncio.create_task(second.exchange(repeat(request)))
        while opened.host.terminals.counts.messages["0201"] < 2:  # noqa: ASYNC110 - nothing is sent for it
            await asyncio.sleep(0)
        host.peers[-1].send(desk.reply(request))
        assert (await again).response_code == "00"
        with pytest.raises(LinkLost):
            await asking
        await opened._stack.aclose()
    assert len(desk.payments) == 1


async def test_garbage_costs_nobody_else_anything(hosting, hall, desk):
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        good, terminal = await opened.connect(), opened.terminal()
        for garbage in (b"\xff\xff", b"\x00\x05hello" * UNREADABLE_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", opened.host.port)
            writer.write(garbage)
            assert await _rest(reader) == b""
            writer.close()
        ill = Codec(shipped("iso87ascii")).encode(terminal.purchase(CARD, 100)).replace(b"978", b"97x")
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.host.port)
        writer.write(len(ill).to_bytes(2, "big") + ill)
        said = Codec(shipped("iso87ascii")).decode((await reader.readexactly(2), await reader.read(4_096))[1])
        writer.close()
        assert (said.mti, said.response_code) == ("0210", "30")
        assert (await good.exchange(terminal.purchase(CARD, 100))).response_code == "00"
        await opened._stack.aclose()
    assert len(desk.payments) == 1


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""


async def test_a_terminal_has_so_many_in_flight_and_the_rest_waits_unread(hosting, hall, desk):
    desk.holds = True
    count = IN_FLIGHT_OF_TERMINAL_MAX + 5
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        line, terminal = await opened.connect(), opened.terminal()
        asking = [asyncio.create_task(line.exchange(terminal.purchase(CARD, 100))) for _ in range(count)]
        await desk.heard(IN_FLIGHT_OF_TERMINAL_MAX)
        other = asyncio.create_task((await opened.connect()).exchange(opened.terminal().purchase(CARD, 1)))
        await desk.heard(IN_FLIGHT_OF_TERMINAL_MAX + 1)
        assert desk.payments[-1].amount == "000000000001", "another terminal isn't kept waiting"
        desk.holds = False
        for request in list(desk.payments):
            host.peers[-1].send(desk.reply(request))
        replies = await asyncio.gather(*asking, other)
        await opened._stack.aclose()
    assert {reply.response_code for reply in replies} == {"00"}


async def test_beyond_what_may_be_in_flight_in_all_the_answer_is_91(hosting, hall, desk):
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN, in_flight_max=3)
        line, terminal = await opened.connect(), opened.terminal()
        asking = [asyncio.create_task(line.exchange(terminal.purchase(CARD, 100))) for _ in range(3)]
        await desk.heard(3)
        assert (await line.exchange(terminal.purchase(CARD, 100))).response_code == "91"
        for request in list(desk.payments):
            host.peers[-1].send(desk.reply(request))
        assert [reply.response_code for reply in await asyncio.gather(*asking)] == ["00"] * 3
        await opened._stack.aclose()


async def test_one_terminal_too_many_is_turned_away(hosting, hall, desk):
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN, terminals_max=1)
        line = await opened.connect()
        assert (await line.sign_on(opened.host.books._now())).response_code == "00"
        more = await AcquirerHost.connect("127.0.0.1", opened.host.port, Codec(shipped("iso87ascii")))
        await asyncio.wait_for(more.until_lost(), 5)
        assert (await line.echo(opened.host.books._now())).response_code == "00"
        assert opened.host.counts.turned_away == 1
        await opened._stack.aclose()


async def test_a_terminals_own_totals_are_held_against_the_hosts(hosting, hall, desk):
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        line, terminal, other = await opened.connect(), opened.terminal(), opened.terminal()
        for one, cents in ((terminal, 100), (terminal, 250), (other, 70)):
            await line.exchange(one.purchase(CARD, cents))
        counted = Totals(debits_number=2, debits_amount=350)
        place = {"terminal": terminal.site.terminal, "merchant": terminal.site.merchant}
        asked = [
            Message(
                mti="0500", transmitted="0512103000", trace=f"{n:06}", acquirer="970001", **place, **one.fields(DAY)
            )
            for n, one in enumerate((counted, Totals()))
        ]
        replies = [await line.exchange(one) for one in asked]
        await opened._stack.aclose()
    assert [reply.settlement_code for reply in replies] == ["1", "2"]
    assert Totals.parse(replies[1]) == counted


async def test_a_host_that_stops_answers_what_is_in_flight_first_and_signs_off(hosting, hall, desk):
    desk.holds = True
    async with hosting(desk) as host:
        opened = await hall(host.port, keys=PLAIN)
        line = await opened.connect()
        asking = asyncio.create_task(line.exchange(opened.terminal().purchase(CARD, 100)))
        await desk.heard(1)
        stopping = asyncio.create_task(opened.host.stop())
        await asyncio.sleep(0)
        host.peers[-1].send(desk.reply(desk.payments[0]))
        assert (await asking).response_code == "00"
        await stopping
        await opened._stack.aclose()
    assert [heard.network_code for heard in host.heard if heard.mti == "0800"] == ["001", "002"]


async def test_an_idle_link_is_tested_and_one_that_does_not_answer_is_made_again(hosting, hall, answer):
    def script(peer, request: Message) -> None:
        if request.network_code != "301" or len(host.peers) > 1:
            peer.send(answer(request, reason=None))

    async with hosting(script) as host:
        opened = await hall(host.port, keys=PLAIN, route={"echo_every_s": 0.05, "answer_within_s": 0.1})
        while len(host.peers) < 2 or not opened.host.upstream.is_up:  # noqa: ASYNC110 - the host has no event for it
            await asyncio.sleep(0)
        await opened._stack.aclose()
    assert opened.told.named("echo_failed")
    assert "301" in [heard.network_code for heard in host.peers[0].heard]


async def test_a_sign_on_that_is_refused_is_tried_again_later(hosting, hall, answer):
    def script(peer, request: Message) -> None:
        refused = request.network_code == "001" and len(host.peers) == 1
        peer.send(answer(request, "91" if refused else "00", reason=None))

    async with hosting(script) as host:
        opened = await hall(host.port, keys=PLAIN)
        assert opened.host.upstream.is_up
        await opened._stack.aclose()
    assert [event for event, _ in opened.told] == ["link_down", "link_up"]


async def test_a_reply_without_the_links_mac_is_no_reply(hosting, hall, desk):
    """A sign-on that anybody might have answered opens no link."""
    async with hosting(desk) as host:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("simulators.acquirer.service.FIRST_LINK_MAX_S", 0.1)
            opened = await hall(host.port)
        assert not opened.host.upstream.is_up
        await opened._stack.aclose()
    ring = KeyRing(opened.settings.parameters.keys)
    codec = Codec(shipped("iso87ascii"))
    sign_on = next(heard for heard in host.heard if heard.network_code == "001")
    assert ring.are_right(sign_on.mac, codec.covered(codec.encode(sign_on)))
