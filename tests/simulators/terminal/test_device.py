"""The terminal without its screen: what keys and cards do, and what is shown (docs/terminal.md)."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from authz.wire.message import Elements
from authz.wire.rules import first_mti
from simulators.link import LinkLost, NoConnection, NoReply
from simulators.terminal import parameters
from simulators.terminal.chip import OFFLINE_IN_A_ROW_MAX
from simulators.terminal.device import Device
from simulators.terminal.display import Key, MenuItem, Said
from simulators.terminal.journal import Journal
from simulators.terminal.messages import Entry, Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.receipt import Decision
from simulators.terminal.states import State
from simulators.terminal.till import Patience, Till
from simulators.terminal.wording import Language
from tests.simulators.conftest import NOON, answer

DEMO = parameters.demo()
ALICE, MARIE = DEMO.known("9250100000000014"), DEMO.known("9056100000000010")
QUICK = Patience(answer_within_s=0.05, again_every_s=0.05)
DOWN = NoConnection("nothing answers")
APPROVED = {"code": "00", "approval": "A1B2C3"}


class Host:
    """Answers as it is told to, in this order, and approves from then on."""

    def __init__(self, *script):
        self.heard = []
        self.script = list(script)

    async def exchange(self, request, timeout):
        self.heard.append(request)
        said = self.script.pop(0) if self.script else APPROVED
        if isinstance(said, Exception):
            raise said
        return answer(request, **said)

    @property
    def mtis(self):
        return [request.mti for request in self.heard]


class Counter:
    """A terminal and who stands at it. `shown` are all displays."""

    def __init__(self, *script, journal=None, site="PAR00001"):
        self.host = Host(*script)
        self.shown = []
        self.all_told = asyncio.Event()
        terminal = Terminal(DEMO.site(site), DEMO.acquirer, PinPad(DEMO.pin_pad_key), lambda: NOON)
        self.till = Till(terminal, self.host, QUICK, journal)
        self.device = Device(self.till, PinPad(DEMO.pin_pad_key), self.show)

    async def __aenter__(self):
        await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()

    @property
    def display(self):
        return self.device.display

    @property
    def said(self):
        return [line.said for line in self.display.lines]

    def show(self, display):
        self.shown.append(display)
        if display.to_tell:
            self.all_told.clear()
        else:
            self.all_told.set()

    def type(self, *keys):
        """Press keys; a text is its digits, one by one."""
        for key in keys:
            for one in (key,) if isinstance(key, Key) else key:
                self.device.press(one)

    async def pay(self, amount, card=ALICE, *, entry=Entry.CHIP, pin=None):
        """A whole payment, with the card's own PIN unless told otherwise; None where it isn't asked for."""
        self.type(amount, Key.OK, Key.OK)
        self.device.present(card if not hasattr(card, "in_hand") else card.in_hand(2026), entry)
        await self.device.settled()
        if self.display.state is State.PIN:
            self.type(pin or "1234", Key.OK)
            await self.device.settled()
        return self.display


async def test_a_payment_by_chip_and_pin():
    async with Counter() as counter:
        assert counter.display.state is State.READY
        counter.type("1250")
        assert (counter.display.state, counter.display.cents) == (State.AMOUNT, 1250)
        counter.type(Key.OK)
        assert counter.display.state is State.GENERATION
        counter.type("1")
        assert (counter.display.state, counter.display.generation) == (State.CARD, 1)
        counter.device.present(ALICE.in_hand(2026), Entry.CHIP)
        assert (counter.display.state, counter.display.card) == (State.PIN, "925010…0014")
        counter.type("1234")
        assert counter.display.dots == 4
        counter.type(Key.OK)
        await counter.device.settled()
        [request] = counter.host.heard
        assert (request.mti, request.amount, request.entry_mode) == ("0200", "000000001250", "051")
        assert request.pin_block == PinPad(DEMO.zone_pin_key).block("1234", ALICE.pan)
        assert (counter.display.state, counter.said) == (State.OUTCOME, [Said.APPROVED])
        assert (counter.display.slip.decision, counter.display.slip.approval) == (Decision.APPROVED, "A1B2C3")
        assert counter.till.terminal.owed == 1250
        counter.type(Key.OK)
        assert (counter.display.state, counter.display.cents, counter.display.slip) == (State.READY, 0, None)


@pytest.mark.parametrize(("amount", "asks"), [("3000", False), ("3001", True)])
async def test_a_contactless_card_is_asked_for_its_pin_above_30_euros(amount, asks):
    async with Counter() as counter:
        await counter.pay(amount, entry=Entry.CONTACTLESS)
        assert any(shown.state is State.PIN for shown in counter.shown) is asks
        assert (counter.host.heard[0].pin_block is not None) is asks
        assert counter.host.heard[0].entry_mode == "071"


async def test_a_stripe_always_takes_a_pin():
    async with Counter() as counter:
        await counter.pay("500", entry=Entry.STRIPE)
        assert counter.host.heard[0].pin_block is not None


async def test_a_pin_that_the_host_wants_is_asked_for_and_the_payment_tried_anew():
    async with Counter({"code": "55", "reason": "PIN_MISSING"}) as counter:
        counter.type("500", Key.OK, Key.OK)
        counter.device.present(ALICE.in_hand(2026), Entry.CONTACTLESS)
        await counter.device.settled()
        assert (counter.display.state, counter.said[0]) == (State.PIN, Said.PIN_WANTED)
        counter.type("1234", Key.OK)
        await counter.device.settled()
        first, second = counter.host.heard
        assert (first.pin_block, second.pin_block is None) == (None, False)
        assert first.trace != second.trace
        assert counter.said == [Said.APPROVED]


async def test_after_a_wrong_pin_the_holder_tries_again_while_there_are_tries():
    wrong = {"code": "55", "reason": "PIN_WRONG"}
    script = [wrong | {"elements": Elements(tries_left="2")}, {"code": "75", "reason": "PIN_LOCKED"}]
    async with Counter(*script) as counter:
        await counter.pay("500", pin="9999")
        assert (counter.display.state, counter.display.dots) == (State.PIN, 0)
        assert counter.display.lines[0].values == {"tries": 2}
        counter.type("9998", Key.OK)
        await counter.device.settled()
        assert (counter.said, counter.display.slip.reason) == ([Said.REFUSED], "PIN_LOCKED")


async def test_a_pin_can_be_corrected_and_is_at_least_four_digits():
    async with Counter() as counter:
        counter.type("500", Key.OK, Key.OK)
        counter.device.present(ALICE.in_hand(2026), Entry.CHIP)
        counter.type("129", Key.BACK, "3", Key.OK)
        assert (counter.said[0], counter.display.dots) == (Said.PIN_TOO_SHORT, 3)
        counter.type("4", Key.OK)
        await counter.device.settled()
        assert counter.host.heard[0].pin_block == PinPad(DEMO.zone_pin_key).block("1234", ALICE.pan)


async def test_a_card_of_several_vouchers_asks_which():
    async with Counter(site="BRU00001") as counter:
        counter.type("500", Key.OK, Key.OK)
        counter.device.present(MARIE.in_hand(2026), Entry.CHIP)
        assert (counter.display.state, counter.display.products) == (State.PRODUCT, ("91", "92", "93"))
        counter.type("4")
        assert counter.display.state is State.PRODUCT
        counter.type("2", "1122", Key.OK)
        await counter.device.settled()
        assert counter.host.heard[0].processing_code == "009200"


async def test_where_the_host_wants_a_voucher_chosen_it_is_and_the_pin_isnt_asked_again():
    async with Counter({"code": "12", "reason": "PRODUCT_NOT_CHOSEN"}) as counter:
        await counter.pay("500", MARIE, entry=Entry.STRIPE, pin="1122")
        assert (counter.display.state, counter.display.products) == (State.PRODUCT, ("91", "92", "93"))
        counter.type("1")
        await counter.device.settled()
        assert [heard.processing_code for heard in counter.host.heard] == ["000000", "009100"]
        assert counter.host.heard[1].pin_block is not None
        assert counter.said == [Said.APPROVED]


async def test_a_card_of_the_other_generation_sends_back_to_the_question():
    async with Counter() as counter:
        counter.type("500", Key.OK, "2")
        counter.device.present(ALICE.in_hand(2026), Entry.CHIP)
        assert counter.display.state is State.GENERATION
        assert counter.display.lines[0].values == {"generation": 1}
        counter.type("1")
        counter.device.present(ALICE.in_hand(2026), Entry.CHIP)
        assert counter.display.state is State.PIN


async def test_a_partial_approval_shows_the_rest_which_can_be_paid_next():
    async with Counter({"code": "10", "reason": "PARTIAL", "amount": "000000001900"}) as counter:
        await counter.pay("3000")
        assert (counter.said, counter.display.lines[0].values) == ([Said.PARTIAL], {"rest": 1100})
        assert (counter.till.terminal.owed, counter.display.slip.rest) == (1900, 1100)
        counter.type(Key.OK)
        assert (counter.display.state, counter.display.cents) == (State.AMOUNT, 1100)
        counter.type(Key.CANCEL)
        assert counter.display.state is State.READY


@pytest.mark.parametrize("failure", [NoReply("no reply"), LinkLost("lost"), {"code": "91", "reason": "OVERLOADED"}])
async def test_no_answer_is_taken_back(failure):
    async with Counter(failure) as counter:
        await counter.pay("500")
        assert counter.host.mtis == ["0200", "0400"]
        assert [shown.state for shown in counter.shown[-3:]] == [State.ASKING, State.TAKING_BACK, State.OUTCOME]
        assert (counter.said, counter.display.slip.decision) == ([Said.NO_ANSWER], Decision.REFUSED)
        assert counter.till.terminal.owed == 0


async def test_a_reversal_that_nobody_hears_is_told_again_beside_while_the_till_works_on():
    async with Counter(NoReply("no reply"), NoReply("no reply")) as counter:
        await counter.pay("500")
        assert counter.said == [Said.NO_ANSWER, Said.LEFT_TO_TELL]
        assert counter.display.to_tell == 1
        counter.type(Key.OK)
        async with asyncio.timeout(5):
            await counter.all_told.wait()
        assert counter.host.mtis == ["0200", "0400", "0401"]
        await counter.pay("700")
        assert (counter.said, counter.till.terminal.owed) == ([Said.APPROVED], 700)


async def test_without_a_link_the_chip_accepts_below_the_floor_limit_and_the_host_is_told_later():
    async with Counter(DOWN) as counter:
        await counter.pay("1999")
        assert (counter.said, counter.display.linked) == ([Said.ACCEPTED_OFFLINE, Said.LEFT_TO_TELL], False)
        assert counter.display.slip.decision is Decision.OFFLINE
        assert await counter.till.forward() == 0
        advice = counter.host.heard[-1]
        assert (first_mti(advice.mti), advice.amount, advice.response_code) == ("0220", "000000001999", None)
        assert (advice.pin_block, counter.till.terminal.owed) == (None, 1999)


@pytest.mark.parametrize(("amount", "entry"), [("2000", Entry.CHIP), ("500", Entry.STRIPE), ("500", Entry.CONTACTLESS)])
async def test_without_a_link_nothing_else_is_accepted(amount, entry):
    async with Counter(DOWN) as counter:
        await counter.pay(amount, entry=entry)
        assert (counter.said[0], counter.display.slip.decision) == (Said.NO_LINK, Decision.REFUSED)
        assert counter.till.stored == []


async def test_offline_the_chip_verifies_the_pin_and_counts_its_own_tries():
    async with Counter(*[DOWN] * 4) as counter:
        card = ALICE.in_hand(2026)
        await counter.pay("500", card, pin="9999")
        assert counter.display.lines[0].values == {"tries": 2}
        for pin in ("9998", "9997"):
            counter.type(pin, Key.OK)
            await counter.device.settled()
        assert counter.said[0] is Said.NO_LINK
        counter.type(Key.OK)
        await counter.pay("500", card)
        assert counter.said[0] is Said.NO_LINK


async def test_offline_the_chip_approves_only_so_often_in_a_row():
    async with Counter(*[DOWN] * 20) as counter:
        card = ALICE.in_hand(2026)
        for _ in range(OFFLINE_IN_A_ROW_MAX):
            await counter.pay("100", card)
            assert counter.said[0] is Said.ACCEPTED_OFFLINE
            counter.type(Key.OK)
        await counter.pay("100", card)
        assert counter.said[0] is Said.NO_LINK


async def test_the_balance():
    async with Counter({"code": "00", "balances": "9002978C000000018100"}) as counter:
        counter.type(Key.MENU)
        assert counter.display.menu == tuple(MenuItem)
        counter.type("1")
        counter.device.present(MARIE.in_hand(2026), Entry.CHIP)
        counter.type("1122", Key.OK)
        await counter.device.settled()
        assert counter.host.heard[0].processing_code == "310000"
        assert (counter.said, counter.display.slip.left[0].available) == ([Said.BALANCE], 18100)


async def test_the_last_payment_is_cancelled_once():
    async with Counter() as counter:
        await counter.pay("500")
        counter.type(Key.OK, Key.MENU, "2")
        await counter.device.settled()
        assert counter.host.mtis == ["0200", "0400"]
        assert (counter.said, counter.display.slip.reversal) == ([Said.CANCELLED], "00")
        assert counter.till.terminal.owed == 0
        counter.type(Key.OK, Key.MENU, "2")
        await counter.device.settled()
        assert counter.said == [Said.NOTHING_TO_CANCEL]


async def test_the_receipt_again_also_after_a_restart():
    journal = Journal()
    async with Counter(journal=journal) as counter:
        await counter.pay("500")
        printed = counter.display.slip
    async with Counter(journal=journal) as counter:
        counter.type(Key.MENU, "3")
        assert (counter.display.slip, counter.display.duplicate) == (printed, True)


async def test_a_fresh_terminal_has_no_receipt():
    async with Counter() as counter:
        counter.type(Key.MENU, "3")
        assert (counter.said, counter.display.slip) == ([Said.NOTHING_TO_PRINT], None)


async def test_the_day_is_closed_once_everything_is_told():
    async with Counter(DOWN, DOWN) as counter:
        await counter.pay("500")
        counter.type(Key.OK, Key.MENU, "4")
        await counter.device.settled()
        assert (counter.said, counter.display.lines[0].values) == ([Said.DAY_NOT_CLOSED], {"to_tell": 1})
        counter.type(Key.OK, Key.MENU, "4")
        await counter.device.settled()
        assert counter.said == [Said.DAY_CLOSED]
        assert counter.display.lines[0].values == {"day": "2026-05-12", "owed": 500}
        assert counter.display.day.owed == 500
        assert counter.till.terminal.owed == 0


async def test_a_digit_leaves_the_outcome_for_the_next_amount():
    async with Counter() as counter:
        await counter.pay("500")
        counter.type("7")
        assert (counter.display.state, counter.display.cents, counter.display.slip) == (State.AMOUNT, 7, None)


async def test_the_languages_in_turn():
    async with Counter() as counter:
        counter.type(Key.MENU, "5")
        assert (counter.display.state, counter.display.language) == (State.MENU, Language.DUTCH)
        counter.type("55", Key.CANCEL)
        assert (counter.display.state, counter.display.language) == (State.READY, Language.FRENCH)


async def test_a_start_finishes_first_what_an_earlier_run_left():
    journal = Journal()
    async with Counter(NoReply("no reply"), journal=journal) as counter:
        await counter.till.ask(counter.till.terminal.purchase(ALICE.in_hand(2026), 500))
        counter.till.store(counter.till.terminal.advice(ALICE.in_hand(2026), 300))
    async with Counter(journal=journal) as counter:
        assert (counter.display.state, counter.display.lines[0].values) == (State.READY, {"told": 1, "reversed": 1})
        assert counter.host.mtis == ["0221", "0400"]
        assert counter.till.terminal.owed == 300


async def test_a_start_without_a_host_is_ready_all_the_same():
    journal = Journal()
    async with Counter(DOWN, journal=journal) as counter:
        await counter.pay("500")
    async with Counter(*[DOWN] * 9, journal=journal) as counter:
        assert (counter.display.state, counter.said[-1]) == (State.READY, Said.LEFT_TO_TELL)


async def test_a_request_that_the_journal_has_no_room_for_is_said_on_the_screen():
    async with Counter(journal=Journal(events_a_day_max=0)) as counter:
        await counter.pay("500")
        assert (counter.said, counter.host.heard) == ([Said.FAILED], [])
        assert "close the day" in counter.display.lines[0].values["why"]


async def test_a_card_without_a_chip_is_not_read_by_one():
    async with Counter() as counter:
        await counter.pay("500", msgspec.structs.replace(ALICE.in_hand(2026), chip=None))
        assert (counter.display.state, counter.said[0]) == (State.CARD, Said.CARD_UNREADABLE)


async def test_the_pin_is_nowhere_to_be_seen():
    """Neither in what is shown, nor in the device, nor in what is stored; wherever rich or repr look."""
    async with Counter() as counter:
        counter.type("500", Key.OK, Key.OK)
        counter.device.present(ALICE.in_hand(2026), Entry.CHIP)
        counter.type("8642")
        seen = [pretty_repr(counter.shown), repr(counter.shown), pretty_repr(vars(counter.device))]
        counter.type(Key.OK)
        await counter.device.settled()
        seen += [pretty_repr(counter.shown), pretty_repr(vars(counter.device)), pretty_repr(vars(counter.till))]
    for text in seen:
        assert "8642" not in text
        assert ALICE.pan not in text


KEYS = st.sampled_from([*Key, *"0123456789", Entry.CHIP, Entry.CONTACTLESS, Entry.STRIPE])
SCRIPT = st.sampled_from(
    [
        APPROVED,
        {"code": "10", "reason": "PARTIAL", "amount": "000000000001"},
        {"code": "12", "reason": "PRODUCT_NOT_CHOSEN"},
        {"code": "55", "reason": "PIN_MISSING"},
        {"code": "55", "reason": "PIN_WRONG", "elements": Elements(tries_left="1")},
        {"code": "91", "reason": "OVERLOADED"},
        LinkLost("lost"),
        DOWN,
    ]
)


@given(st.lists(KEYS, max_size=60), st.lists(SCRIPT, max_size=8))
def test_whatever_is_pressed_in_whatever_order_the_till_goes_by_its_table_and_loses_nothing(keys, script):
    async def work():
        async with Counter(*script) as counter:
            card = MARIE.in_hand(2026)
            for key in keys:
                if isinstance(key, Entry):
                    counter.device.present(card, key)
                else:
                    counter.device.press(key)
                await counter.device.settled()
            counter.type(Key.CANCEL, Key.CANCEL)
            assert counter.display.state is State.READY
            assert await counter.till.forward() == 0
            assert not counter.till.standing.in_doubt
            assert sum(d.cents if d.kind.debits else -d.cents for d in counter.till.standing.details) == (
                counter.till.terminal.owed
            )

    asyncio.run(work())
