"""Every row of docs/interface.md's messages table, over TCP: the same tests in each dialect."""

import re
from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from authz.security.keyblock import check_value, wrap
from authz.security.module import ZoneKeyUsage
from authz.wire.amounts import parse_amounts
from authz.wire.message import ATTRIBUTES, Elements, Message
from simulators.acquirer.totals import Totals
from simulators.terminal.messages import repeat
from tests.acceptance.counter import DEMO, DIALECTS, Line, card, mac_of, network, signed, terminal, totals
from tests.acceptance.shop import CAP, STOCK, Money, Shop, check_echo, said, told

DAY, NEXT_DAY = date(2026, 5, 12), date(2026, 5, 13)
APPROVED = ("00", "APPROVED")
ADDRESSED, ADDRESSED_BACK = "6000120345", "6003450012"
"""A TPDU from 0345 to 0012, and its answer's."""


def with_reference(request: Message) -> Message:
    """With a DE 37, which is echoed too."""
    return msgspec.structs.replace(request, retrieval_reference=f"REF{request.trace:>09}")


@pytest.fixture(params=DIALECTS)
def each(request: pytest.FixtureRequest, shops: Callable[[str], Shop]) -> Shop:
    """The shop of each dialect."""
    return shops(request.param)


class TestEveryDialect:
    def test_an_authorization_holds_its_amount(self, each: Shop) -> None:
        card = each.customer()
        reply = each.ask(with_reference(each.till.authorization(card, 1_000)))
        assert (reply.mti, *said(reply)) == ("0110", *APPROVED)
        assert re.fullmatch("[0-9A-Z]{6}", reply.approval or "")
        assert told(reply) == (STOCK - 1_000, CAP - 1_000)
        assert each.money(card) == Money(STOCK - 1_000, hold=1_000)

    def test_a_financial_request_debits_at_once(self, each: Shop) -> None:
        card = each.customer()
        reply = each.ask(with_reference(each.till.purchase(card, 1_000)))
        assert (reply.mti, *said(reply)) == ("0210", *APPROVED)
        assert re.fullmatch("[0-9A-Z]{6}", reply.approval or "")
        assert told(reply) == (STOCK - 1_000, CAP - 1_000)
        assert each.money(card) == Money(STOCK - 1_000, payable=1_000)

    @pytest.mark.parametrize("mti", ["0100", "0200"])
    @pytest.mark.parametrize("code", ["300000", "319000"])
    def test_an_inquiry_tells_the_balance(self, each: Shop, mti: str, code: str) -> None:
        card = each.customer()
        request = msgspec.structs.replace(each.till.inquiry(card), mti=mti, processing_code=code)
        assert request.amount is request.currency is None
        reply = each.ask(request)
        assert (reply.mti, *said(reply), reply.approval) == (f"{mti[:2]}10", *APPROVED, None)
        assert told(reply) == (STOCK, CAP)
        assert each.money(card) == Money(STOCK)

    @pytest.mark.parametrize("mti", ["0120", "0220"])
    @pytest.mark.parametrize("named_by", [90, 38])
    def test_a_completion_captures_the_hold_that_it_names(self, each: Shop, mti: str, named_by: int) -> None:
        card = each.customer()
        hold = each.till.authorization(card, 1_000)
        approval = each.ask(hold).approval
        completion = each.till.completion(card, hold, 700, approval=approval if named_by == 38 else None)
        assert (completion.original is None, completion.approval) == (
            (True, approval) if named_by == 38 else (False, None)
        )
        reply = each.ask(msgspec.structs.replace(completion, mti=mti))
        assert (reply.mti, *said(reply), reply.approval) == (f"{mti[:2]}30", *APPROVED, approval)
        assert told(reply) == (STOCK - 700, CAP - 700)
        assert each.money(card) == Money(STOCK - 700, payable=700)

    def test_an_offline_advice_debits(self, each: Shop) -> None:
        card = each.customer()
        reply = each.ask(each.till.advice(card, 1_000))
        assert (reply.mti, *said(reply)) == ("0230", *APPROVED)
        assert told(reply) == (STOCK - 1_000, CAP - 1_000)
        assert each.money(card) == Money(STOCK - 1_000, payable=1_000)

    def test_an_offline_advice_of_an_authorization_holds(self, each: Shop) -> None:
        card = each.customer()
        reply = each.ask(each.till.hold_advice(card, 1_000))
        assert (reply.mti, *said(reply)) == ("0130", *APPROVED)
        assert told(reply) == (STOCK - 1_000, CAP - 1_000)
        assert each.money(card) == Money(STOCK - 1_000, hold=1_000)

    @pytest.mark.parametrize("mti", ["0400", "0420"])
    @pytest.mark.parametrize("stands", [None, 300], ids=["full", "partial by DE 95"])
    def test_a_reversal_gives_back_what_no_longer_stands(self, each: Shop, mti: str, stands: int | None) -> None:
        card, left = each.customer(), stands or 0
        purchase = each.till.purchase(card, 1_000)
        each.ask(purchase)
        reply = each.ask(msgspec.structs.replace(each.till.reversal(purchase, stands=stands), mti=mti))
        assert (reply.mti, *said(reply)) == (f"0{mti[1]}{int(mti[2]) + 1}0", *APPROVED)
        assert told(reply) == (STOCK - left, CAP - left)
        assert each.money(card) == Money(STOCK - left, payable=left)

    def test_a_refund_is_refused_by_the_demos_programmes(self, each: Shop) -> None:
        card = each.customer()
        purchase = each.till.purchase(card, 1_000)
        each.ask(purchase)
        reply = each.ask(each.till.refund(card, purchase, 400))
        assert (reply.mti, *said(reply), reply.approval) == ("0210", "57", "REFUND_NOT_ALLOWED", None)
        assert each.money(card) == Money(STOCK - 1_000, payable=1_000)

    def test_totals_and_the_cutover_between_two_business_days(self, each: Shop) -> None:
        """One test: no other one of this file cuts over."""
        card = each.customer()
        purchase = each.till.purchase(card, 1_000)
        each.ask(purchase)
        each.ask(each.till.reversal(purchase, stands=400))
        unequal = each.ask(totals(Totals(), DAY))
        assert (unequal.mti, *said(unequal), unequal.settlement_code) == ("0510", *APPROVED, "2")
        ours = Totals.parse(unequal)
        assert ours.debits_number >= 1
        assert ours.debits_reversal_number >= 1
        assert unequal.net_amount == f"D{-ours.net:016}"
        equal = each.ask(totals(ours, DAY, mti="0520"))
        assert (equal.mti, *said(equal), equal.settlement_code) == ("0530", *APPROVED, "1")
        assert equal.settlement_date == "0512"
        assert (Totals.parse(equal), equal.net_amount) == (ours, unequal.net_amount)

        assert said(each.ask(network("201"))) == APPROVED
        each.ask(each.till.purchase(card, 100))
        assert each.ask(totals(ours, DAY)).settlement_code == "1"
        next_day = each.ask(totals(Totals(debits_number=1, debits_amount=100), NEXT_DAY))
        assert (next_day.settlement_code, next_day.settlement_date) == ("1", "0513")

    @pytest.mark.parametrize("code", ["001", "301", "002"], ids=["sign-on", "echo", "sign-off"])
    def test_network_management(self, each: Shop, code: str) -> None:
        reply = each.ask(network(code))
        assert (reply.mti, *said(reply)) == ("0810", *APPROVED)

    @pytest.mark.parametrize(("usage", "key"), [(ZoneKeyUsage.PIN, DEMO.link.zpk), (ZoneKeyUsage.MAC, DEMO.link.zak)])
    def test_a_key_change_answers_with_the_check_value(self, each: Shop, usage: ZoneKeyUsage, key: str) -> None:
        """To the key that the link has already: other tests go on with it."""
        block = wrap(bytes.fromhex(DEMO.link.zmk), usage, bytes.fromhex(key))
        reply = each.ask(network("161", elements=Elements(key_block=block)))
        assert (reply.mti, *said(reply)) == ("0810", *APPROVED)
        assert reply.elements == Elements(key_check=check_value(bytes.fromhex(key)))
        assert said(each.ask(each.till.purchase(each.customer(), 100))) == APPROVED

    def test_a_repeat_is_answered_byte_for_byte(self, each: Shop) -> None:
        card = each.customer()
        request = each.till.purchase(card, 1_000)
        first = each.ask_bytes(request)
        assert each.ask_bytes(repeat(request)) == first
        assert each.money(card) == Money(STOCK - 1_000, payable=1_000)

    def test_the_repeat_of_a_refusal_too(self, each: Shop) -> None:
        request = each.till.purchase(each.customer(), CAP + 1)
        first = each.ask_bytes(request)
        assert each.ask_bytes(repeat(request)) == first
        assert said(each.codec.decode(first)) == ("61", "DAILY_CAP")

    def test_a_mac_is_answered_with_a_mac(self, each: Shop) -> None:
        for request in (each.till.purchase(each.customer(), 100), totals(Totals(), DAY), network("301")):
            frame = each.line.ask_bytes(signed(request, each.codec))
            reply = each.codec.decode(frame)
            check_echo(request, reply)
            assert (*said(reply), reply.mac) == (*APPROVED, mac_of(frame, each.codec))

    def test_a_pan_from_track_2(self, each: Shop) -> None:
        card = each.customer()
        request = msgspec.structs.replace(each.till.purchase(card, 100), pan=None, track2=card.track2)
        reply = each.ask(request)
        assert (*said(reply), reply.pan, reply.track2) == (*APPROVED, None, None)
        assert each.money(card) == Money(STOCK - 100, payable=100)

    def test_a_missing_field_is_a_30(self, each: Shop) -> None:
        card = each.customer()
        reply = each.ask(msgspec.structs.replace(each.till.purchase(card, 100), merchant=None))
        assert said(reply) == ("30", "FORMAT")
        assert each.money(card) == Money(STOCK)

    def test_the_fields_that_carry_characters_and_bytes(self, each: Shop) -> None:
        """DE 48 both ways, DE 52, DE 54: a partial approval, then a wrong PIN."""
        card = each.customer()
        reply = each.ask(each.till.purchase(card, CAP + 1, takes_partial=True))
        assert (*said(reply), reply.amount) == ("10", "PARTIAL", f"{CAP:012}")
        wrong = each.ask(
            each.till.purchase(msgspec.structs.replace(card, pin=f"{10_000 - int(card.pin or 0):04}"[-4:]), 1)
        )
        assert (*said(wrong), wrong.elements) == ("55", "PIN_WRONG", Elements(tries_left="4"))

    def test_a_tpdu_goes_back_to_where_it_came_from(self, each: Shop) -> None:
        if not each.codec.dialect.framing.tpdu:
            assert each.ask(network("301")).header is None
            return
        for request in (network("301"), each.till.purchase(each.customer(), 100), network("999")):
            assert each.ask(msgspec.structs.replace(request, header=ADDRESSED)).header == ADDRESSED_BACK


def test_an_inquiry_without_a_product_tells_of_each_and_a_payment_must_choose(shop: Shop) -> None:
    """Belgian e-vouchers: several on one card, never mixed, without a daily cap."""
    one, till = card("0010"), terminal("BRU00001")
    reply = shop.ask(till.inquiry(one))
    assert [
        (entry.account_type, entry.amount_type, entry.amount) for entry in parse_amounts(reply.balances or "") or ()
    ] == [
        ("91", "02", 6_400),
        ("92", "02", 5_000),
        ("93", "02", 4_000),
    ]
    for request in (till.authorization(one, 100), till.advice(one, 100), till.hold_advice(one, 100)):
        assert said(shop.ask(request)) == ("12", "PRODUCT_NOT_CHOSEN")
    hold = till.authorization(one, 5_000, product="91")
    assert said(shop.ask(hold)) == APPROVED
    assert said(shop.ask(till.completion(one, msgspec.structs.replace(hold, processing_code="009200"), 5_000))) == (
        "25",
        "NO_ORIGINAL",
    )
    assert said(shop.ask(till.completion(one, hold, 5_000))) == APPROVED
    assert shop.money(one) == Money(15_400 - 5_000, payable=5_000)


PAYMENT = (3, 4, 7, 11, 12, 13, 22, 32, 41, 42, 49)
MANDATORY = {
    "0100": PAYMENT,
    "0200": PAYMENT,
    "0120": tuple(field for field in PAYMENT if field != 22),
    "0220": tuple(field for field in PAYMENT if field != 22),
    "0400": (*(field for field in PAYMENT if field != 22), 90),
    "0420": (*(field for field in PAYMENT if field != 22), 90),
    "0500": (7, 11, 15, 32, 74, 75, 76, 77, 86, 87, 88, 89, 97),
    "0520": (7, 11, 15, 32, 74, 75, 76, 77, 86, 87, 88, 89, 97),
    "0800": (7, 11, 70),
}
"""docs/interface.md, column "mandatory". DE 2 or 35: below."""


def complete(shop: Shop, mti: str) -> Message:
    """A message of each row with all that is mandatory."""
    card = shop.customer()
    match mti[1], mti[2]:
        case "4", _:
            made = shop.till.reversal(shop.till.purchase(card, 100))
        case "5", _:
            made = totals(Totals(), DAY)
        case "8", _:
            made = network("301")
        case _, "2":
            made = shop.till.advice(card, 100)
        case _:
            made = shop.till.authorization(card, 100)
    return msgspec.structs.replace(made, mti=mti)


@pytest.mark.parametrize("mti", MANDATORY)
def test_a_mandatory_field_that_is_missing_is_a_30(shop: Shop, mti: str) -> None:
    whole = complete(shop, mti)
    for field in MANDATORY[mti]:
        before = shop.authorizer.counted("authz_malformed_total", field=str(field))
        reply = shop.ask(msgspec.structs.replace(whole, **{ATTRIBUTES[field]: None}))
        assert said(reply) == ("30", "FORMAT"), field
        assert shop.authorizer.counted("authz_malformed_total", field=str(field)) == before + 1
    assert shop.recorded(whole) == []
    assert shop.ask(whole).reason not in ("FORMAT", "IDENTITY_REUSED"), "a 30 isn't stored"


@pytest.mark.parametrize("mti", [mti for mti, fields in MANDATORY.items() if 3 in fields])
def test_a_message_about_no_card_is_a_30(shop: Shop, mti: str) -> None:
    assert said(shop.ask(msgspec.structs.replace(complete(shop, mti), pan=None))) == ("30", "FORMAT")


@pytest.mark.parametrize("mti", ["0120", "0220", "0400", "0420"])
def test_de_22_is_optional_in_what_is_told(shop: Shop, mti: str) -> None:
    reply = shop.ask(msgspec.structs.replace(complete(shop, mti), entry_mode=None))
    assert said(reply) == (("25", "NO_ORIGINAL") if mti.startswith("04") else APPROVED)


@pytest.mark.parametrize("mti", ["0600", "0140", "0240", "0440", "0540", "0820", "0300", "0900", "1200"])
def test_an_unknown_request_type_is_a_30(shop: Shop, mti: str) -> None:
    assert said(shop.ask(msgspec.structs.replace(complete(shop, "0200"), mti=mti))) == ("30", "FORMAT")


def test_an_unknown_network_code_is_refused(shop: Shop) -> None:
    assert said(shop.ask(network("999"))) == ("12", "TRANSACTION")


@pytest.mark.parametrize("mti", [mti for mti in MANDATORY if mti != "0800"])
def test_another_acquirers_message_is_refused(shop: Shop, mti: str) -> None:
    reply = shop.ask(msgspec.structs.replace(complete(shop, mti), acquirer="970009"))
    assert said(reply) == ("58", "ACQUIRER_UNKNOWN")


@pytest.mark.parametrize("mti", ["0210", "0130", "0410", "0530", "0810"])
def test_a_response_gets_no_answer(shop: Shop, mti: str) -> None:
    with Line(shop.authorizer.port) as line:
        line.send(shop.codec.encode(msgspec.structs.replace(complete(shop, "0200"), mti=mti)))
        assert line.ask(network("301")).mti == "0810"
