"""Chip cards at a real authorizer: EMV Book 2, chapter 8, as far as an issuer's host and the card's chip see it.

docs/interface.md: DE 55 is verified whenever it is present; ARQC_WRONG (63) is "wrong, or its counter was seen before".
"""

import random
from collections.abc import Callable

import msgspec
import pytest

from authz.decision.position import COUNTERS_BELOW_MAX
from authz.wire.message import Message
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip, Version
from simulators.terminal.messages import Entry, repeat
from tests.acceptance.counter import DEMO, card, terminal, wrong_pin
from tests.acceptance.shop import STOCK, Money, Shop, said

APPROVED = ("00", "APPROVED")
ARQC_WRONG = ("63", "ARQC_WRONG")
PIN_MISSING = ("55", "PIN_MISSING")
SINGLE, TOGETHER = 3_000, 10_000
"""docs/interface.md: what a contactless payment may come to without a PIN, and all of them since the last right one."""
VERSIONS = pytest.mark.parametrize("version", Version)

Open = Callable[..., Shop]


def with_chip(plain: Card, **personalised: int) -> tuple[Card, Chip]:
    """A card with the chip that its issuer gave it."""
    chip = Chip(DEMO.issuer_keys["imk_ac"], plain.pan, **personalised)  # type: ignore[arg-type]
    return msgspec.structs.replace(plain, chip=chip), chip


def altered(request: Message, tag: str, length: int, bit: int = 0) -> Message:
    """A request of whose DE 55 one bit of one tag's value is flipped; `length` is the value's, in bytes."""
    assert request.chip is not None
    head = f"{tag}{length:02X}"
    before, found, after = request.chip.partition(head)
    assert found, f"no {tag}"
    value = f"{int(after[: 2 * length], 16) ^ 1 << bit:0{2 * length}X}"
    return msgspec.structs.replace(request, chip=before + head + value + after[2 * length :])


class TestTheCardIsThere:
    @VERSIONS
    @pytest.mark.parametrize("mti", ["0100", "0200"])
    def test_a_right_cryptogram_is_approved_and_the_card_accepts_the_answer(
        self, shop: Shop, version: Version, mti: str
    ) -> None:
        holder, chip = with_chip(shop.customer(), version=version)
        request = (shop.till.purchase if mti == "0200" else shop.till.authorization)(holder, 1_250)
        reply = shop.ask(request)
        assert said(reply) == APPROVED
        assert chip.accepts(reply.chip)
        assert shop.ask(repeat(request)) == reply, "the same answer, though the counter has been seen by now"

    @VERSIONS
    def test_an_answer_that_was_altered_is_not_the_issuers(self, shop: Shop, version: Version) -> None:
        holder, chip = with_chip(shop.customer(), version=version)
        reply = shop.ask(shop.till.purchase(holder, 1_250))
        assert reply.chip is not None
        assert not chip.accepts(f"{reply.chip[:4]}{int(reply.chip[4], 16) ^ 1:X}{reply.chip[5:]}")

    def test_of_an_inquiry_too(self, shop: Shop) -> None:
        holder, chip = with_chip(shop.customer())
        reply = shop.ask(shop.till.inquiry(holder))
        assert said(reply) == APPROVED
        assert chip.accepts(reply.chip)

    def test_whatever_else_refuses_it_no_answer_tells_the_card_that_its_issuer_approves(self, shop: Shop) -> None:
        customer = shop.customer()
        holder, chip = with_chip(customer)
        wrong = shop.ask(shop.till.purchase(msgspec.structs.replace(holder, pin=other_than(customer)), 100))
        too_much = shop.ask(shop.till.purchase(holder, STOCK + 1))
        assert (wrong.reason, too_much.reason) == ("PIN_WRONG", "DAILY_CAP")
        assert (wrong.chip, too_much.chip) == (None, None)
        assert not chip.accepts(too_much.chip)


class TestTheCardIsNot:
    @VERSIONS
    @pytest.mark.parametrize(
        ("tag", "length"),
        [("9F26", 8), ("9F02", 6), ("9F37", 4), ("9F36", 2), ("9A", 3), ("95", 5), ("82", 2)],
        ids=["cryptogram", "amount", "unpredictable number", "counter", "date", "verification results", "profile"],
    )
    def test_one_flipped_bit_is_refused_and_takes_nothing_from_the_card(
        self, shop: Shop, version: Version, tag: str, length: int
    ) -> None:
        holder, chip = with_chip(shop.customer(), version=version)
        request = shop.till.purchase(holder, 1_250)
        reply = shop.ask(altered(request, tag, length))
        assert (said(reply), reply.chip) == (ARQC_WRONG, None)
        assert shop.money(holder) == Money(STOCK)

        genuine = msgspec.structs.replace(shop.till.purchase(holder.without_pin(), 1_250), chip=request.chip)
        genuine = msgspec.structs.replace(genuine, pin_block=request.pin_block)
        reply = shop.ask(genuine)
        assert said(reply) == APPROVED, "a cryptogram that isn't right could be anybody's: its counter isn't used up"
        assert not chip.accepts(reply.chip), "the chip has counted on since"

    @VERSIONS
    def test_a_recorded_cryptogram_is_good_once(self, shop: Shop, version: Version) -> None:
        holder, _ = with_chip(shop.customer(), version=version)
        recorded = shop.till.purchase(holder, 100)
        assert said(shop.ask(recorded)) == APPROVED
        for entry in (Entry.CHIP, Entry.CONTACTLESS):
            replayed = shop.till.purchase(msgspec.structs.replace(holder, chip=None), 100, entry=entry)
            reply = shop.ask(msgspec.structs.replace(replayed, chip=recorded.chip, card_sequence="001"))
            assert (said(reply), reply.chip) == (ARQC_WRONG, None)
        assert shop.money(holder) == Money(STOCK - 100, payable=100)

    def test_nor_does_a_copy_of_the_chip_count_for_itself(self, shop: Shop) -> None:
        plain = shop.customer()
        one, another = with_chip(plain, counter=7)[0], with_chip(plain, counter=7)[0]
        assert said(shop.ask(shop.till.purchase(one, 100))) == APPROVED
        assert said(shop.ask(shop.till.purchase(another, 100))) == ARQC_WRONG

    @VERSIONS
    def test_another_amount_than_the_card_was_told_is_refused(self, shop: Shop, version: Version) -> None:
        holder, _ = with_chip(shop.customer(), version=version)
        request = shop.till.purchase(holder, 100)
        reply = shop.ask(msgspec.structs.replace(request, amount=f"{1_000:012}"))
        assert (said(reply), reply.chip) == (ARQC_WRONG, None)
        told = shop.till.purchase(holder, 100)
        assert told.chip is not None
        forged = told.chip.replace(f"9F0206{100:012}", f"9F0206{1_000:012}")
        assert forged != told.chip
        reply = shop.ask(msgspec.structs.replace(told, amount=f"{1_000:012}", chip=forged))
        assert (said(reply), reply.chip) == (ARQC_WRONG, None)
        assert shop.money(holder) == Money(STOCK)

    def test_another_cards_chip_is_refused(self, shop: Shop) -> None:
        mine, another = shop.customer(), shop.customer()
        stolen = msgspec.structs.replace(mine, chip=with_chip(another)[1])
        assert said(shop.ask(shop.till.purchase(stolen, 100))) == ARQC_WRONG

    @pytest.mark.parametrize("chip", ["9F", "00" * 60, "9F2608" + "00" * 8])
    def test_what_is_no_emv_data_is_no_cryptogram(self, shop: Shop, chip: str) -> None:
        request = shop.till.purchase(shop.customer(), 100)
        assert said(shop.ask(msgspec.structs.replace(request, chip=chip))) == ARQC_WRONG


class TestCounters:
    def test_requests_that_overtake_each_other_are_each_taken_once(self, shop: Shop) -> None:
        """Up to 16 counters late (docs/security.md, "Chip"), and no further."""
        newest = 40
        holder, chip = with_chip(shop.customer(), counter=newest - COUNTERS_BELOW_MAX - 2)
        requests = [shop.till.purchase(holder, 1) for _ in range(COUNTERS_BELOW_MAX + 2)]
        assert chip.counter == newest
        too_late, *late, last = requests
        assert said(shop.ask(last)) == APPROVED
        random.Random(0).shuffle(late)
        assert [said(shop.ask(one)) for one in late] == [APPROVED] * COUNTERS_BELOW_MAX
        assert said(shop.ask(too_late)) == ARQC_WRONG
        again = [msgspec.structs.replace(one, trace=shop.till.purchase(holder, 1).trace) for one in (last, *late)]
        assert [said(shop.ask(one)) for one in again] == [ARQC_WRONG] * (COUNTERS_BELOW_MAX + 1)
        taken = COUNTERS_BELOW_MAX + 1
        assert shop.money(holder) == Money(STOCK - taken, payable=taken)

    def test_a_right_cryptogram_is_used_up_also_where_something_else_refuses_it(self, shop: Shop) -> None:
        customer = shop.customer()
        holder, _ = with_chip(customer)
        mistyped = shop.till.purchase(msgspec.structs.replace(holder, pin=other_than(customer)), 100)
        assert said(shop.ask(mistyped)) == ("55", "PIN_WRONG")
        right = shop.till.purchase(msgspec.structs.replace(holder, chip=None), 100)
        replayed = msgspec.structs.replace(right, chip=mistyped.chip, card_sequence=mistyped.card_sequence)
        assert said(shop.ask(replayed)) == ARQC_WRONG

    def test_they_are_remembered_by_the_ledger_not_by_the_process(self, own_shop: Open) -> None:
        shop = own_shop().open()
        holder, _ = with_chip(shop.customer())
        early, recorded = (shop.till.purchase(holder, 100) for _ in range(2))
        assert said(shop.ask(recorded)) == APPROVED
        shop.authorizer.kill()
        shop.open()
        fresh = shop.till.purchase(msgspec.structs.replace(holder, chip=None), 100)
        replayed = msgspec.structs.replace(fresh, chip=recorded.chip, card_sequence=recorded.card_sequence)
        assert said(shop.ask(replayed)) == ARQC_WRONG
        assert said(shop.ask(early)) == APPROVED


class TestContactless:
    def test_no_pin_is_needed_up_to_the_limit_and_then_it_is(self, shop: Shop) -> None:
        holder, chip = with_chip(shop.customer())
        tap = holder.without_pin()
        reply = shop.ask(shop.till.purchase(tap, 1_900, entry=Entry.CONTACTLESS))
        assert said(reply) == APPROVED
        assert chip.accepts(reply.chip)
        at_the_limit = shop.ask(shop.till.purchase(tap, SINGLE, entry=Entry.CONTACTLESS))
        assert at_the_limit.reason == "DAILY_CAP", "no PIN was asked for"
        assert said(shop.ask(shop.till.purchase(tap, SINGLE + 1, entry=Entry.CONTACTLESS))) == PIN_MISSING
        with_pin = shop.ask(shop.till.purchase(holder, SINGLE + 1, entry=Entry.CONTACTLESS))
        assert with_pin.reason == "DAILY_CAP", "the PIN was right"

    def test_in_the_reader_it_is_always_needed(self, shop: Shop) -> None:
        holder, _ = with_chip(shop.customer())
        assert said(shop.ask(shop.till.purchase(holder.without_pin(), 1))) == PIN_MISSING

    def test_nor_until_those_without_one_come_to_their_limit_together(self, own_shop: Open) -> None:
        """Of a card without a daily cap, which is one of the demo's."""
        shop = own_shop().open()
        holder, chip = with_chip(card("0010"))
        tap = holder.without_pin()
        spend = [("BRU00001", "91", SINGLE), ("BRU00001", "91", SINGLE), ("GNT00001", "92", SINGLE)]
        spend.append(("LIE00001", "93", TOGETHER - 3 * SINGLE))
        for name, product, cents in spend:
            reply = shop.ask(terminal(name).purchase(tap, cents, entry=Entry.CONTACTLESS, product=product))
            assert said(reply) == APPROVED
            assert chip.accepts(reply.chip)
        till = terminal("LIE00001")
        one_more = till.purchase(tap, 1, entry=Entry.CONTACTLESS, product="93")
        assert said(shop.ask(one_more)) == PIN_MISSING
        mistyped = msgspec.structs.replace(holder, pin=wrong_pin("0010"))
        reply = shop.ask(till.purchase(mistyped, 1, entry=Entry.CONTACTLESS, product="93"))
        assert reply.reason == "PIN_WRONG"
        assert said(shop.ask(till.purchase(tap, 1, entry=Entry.CONTACTLESS, product="93"))) == PIN_MISSING
        assert said(shop.ask(till.purchase(holder, 1, entry=Entry.CONTACTLESS, product="93"))) == APPROVED
        tapped = till.purchase(tap, 2_500, entry=Entry.CONTACTLESS, product="93")
        assert said(shop.ask(tapped)) == APPROVED, "a right PIN begins the count again"


class TestFallback:
    def test_the_stripe_stands_in_for_a_chip_that_cannot_be_read(self, shop: Shop) -> None:
        """DE 22 = 80: each programme's choice (`[chip] fallback`), which the demo's two say yes to."""
        french, belgian = shop.customer(), card("0028")
        till = terminal("GNT00001")
        for read in (shop.till.purchase(french, 100, entry=Entry.STRIPE), till.purchase(belgian, 100, product="92")):
            assert said(shop.ask(msgspec.structs.replace(read, entry_mode="802"))) == APPROVED

    def test_it_needs_the_pin(self, shop: Shop) -> None:
        read = shop.till.purchase(shop.customer().without_pin(), 100, entry=Entry.STRIPE)
        assert said(shop.ask(msgspec.structs.replace(read, entry_mode="802"))) == PIN_MISSING


def other_than(customer: Card) -> str:
    """A PIN that isn't the customer's."""
    return "0000" if customer.pin != "0000" else "1111"
