"""Network management (0800): sign-on, echo both ways, key changes, cutover; and a link that requires a MAC."""

from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from authz.security.keyblock import check_value, wrap
from authz.security.module import ZoneKeyUsage
from authz.wire.message import Elements, Message
from simulators.acquirer.totals import Totals
from simulators.terminal.card import Card
from simulators.terminal.messages import repeat
from simulators.terminal.pinpad import PinPad
from tests.acceptance.authorizer import eventually
from tests.acceptance.counter import DEMO, Line, mac_of, network, signed, totals
from tests.acceptance.shop import STOCK, Money, Shop, said

APPROVED = ("00", "APPROVED")
FORMAT = ("30", "FORMAT")
NOT_SIGNED_ON = ("91", "NOT_SIGNED_ON")
ZMK = bytes.fromhex(DEMO.link.zmk)
NEW_ZPK, NEW_ZAK = "1F2E3D4C5B6A79880123456789ABCDEF0F1E2D3C4B5A6978", "DCBA98765432100123456789ABCDEFFE"
TUESDAY, WEDNESDAY, THURSDAY = date(2026, 5, 12), date(2026, 5, 13), date(2026, 5, 14)
NOTHING = Totals()

Open = Callable[..., Shop]


class TestSignOn:
    def test_before_it_and_after_sign_off_nothing_financial_is_served(self, own_shop: Open) -> None:
        shop = own_shop(sign_on_required=True).open()
        card = shop.customer()
        purchase, hold = shop.till.purchase(card, 1_000), shop.till.authorization(card, 100)
        financial = [
            hold,
            purchase,
            shop.till.inquiry(card),
            shop.till.hold_advice(card, 100),
            shop.till.advice(card, 100),
            shop.till.reversal(purchase),
            shop.till.reversal_advice(purchase),
            totals(NOTHING, TUESDAY),
            totals(NOTHING, TUESDAY, mti="0520"),
        ]
        assert said(shop.ask(network("301"))) == APPROVED
        assert [said(shop.ask(request)) for request in financial] == [NOT_SIGNED_ON] * len(financial)
        assert shop.authorizer.counted("authz_refused_total", reason="NOT_SIGNED_ON") == len(financial)
        assert shop.money(card) == Money(STOCK)

        assert said(shop.ask(network("001"))) == APPROVED
        assert said(shop.ask(purchase)) == APPROVED, "a 91 isn't stored"
        assert said(shop.ask(hold)) == APPROVED

        assert said(shop.ask(network("002"))) == APPROVED
        assert said(shop.ask(shop.till.completion(card, hold, 100))) == NOT_SIGNED_ON
        assert said(shop.ask(repeat(purchase))) == NOT_SIGNED_ON
        assert shop.money(card) == Money(STOCK - 1_100, hold=100, payable=1_000)
        assert shop.authorizer.counted("authz_refused_total", reason="NOT_SIGNED_ON") == len(financial) + 2

    def test_a_link_that_does_not_require_it_serves_also_after_a_sign_off(self, shop: Shop) -> None:
        assert said(shop.ask(network("002"))) == APPROVED
        assert said(shop.ask(shop.till.purchase(shop.customer(), 100))) == APPROVED


def test_the_engine_tests_a_link_on_which_nothing_comes(own_shop: Open) -> None:
    shop = own_shop(idle_probe_s=0.2).open()
    probe = shop.codec.decode(shop.line.receive())
    assert (probe.mti, probe.network_code) == ("0800", "301")
    assert probe.transmitted
    shop.line.send(shop.codec.encode(msgspec.structs.replace(probe, mti="0810", response_code="00")))
    eventually(lambda: shop.authorizer.counted("authz_link_probes_total", outcome="answered"))


class TestKeyChange:
    def test_a_new_pin_key_is_used_and_the_old_one_still_honoured(self, own_shop: Open) -> None:
        shop = own_shop().open()
        card = shop.customer()
        change = network("161", elements=key_block(ZoneKeyUsage.PIN, NEW_ZPK))
        assert said(shop.ask(under(NEW_ZPK, shop.till.purchase(card, 100), card))) == ("55", "PIN_WRONG")
        reply = shop.ask(change)
        assert (*said(reply), reply.elements) == (*APPROVED, Elements(key_check=check_value(bytes.fromhex(NEW_ZPK))))
        assert said(shop.ask(under(NEW_ZPK, shop.till.purchase(card, 100), card))) == APPROVED
        assert said(shop.ask(shop.till.purchase(card, 100))) == APPROVED, "under the old key, on its way meanwhile"

        assert shop.ask(repeat(change)) == reply
        [[changes]] = shop.rows("SELECT count(*) FROM ledger.journal WHERE kind = 'key'")
        assert changes == 1

        shop.authorizer.kill()
        shop.open()
        assert said(shop.ask(under(NEW_ZPK, shop.till.purchase(card, 100), card))) == APPROVED

    def test_a_new_mac_key(self, own_shop: Open) -> None:
        shop = own_shop(mac_required=True).open()
        change = network("161", elements=key_block(ZoneKeyUsage.MAC, NEW_ZAK))
        reply = shop.codec.decode(shop.line.ask_bytes(signed(change)))
        assert (*said(reply), reply.elements) == (*APPROVED, Elements(key_check=check_value(bytes.fromhex(NEW_ZAK))))
        for zak in (NEW_ZAK, DEMO.link.zak):
            frame = shop.line.ask_bytes(signed(network("301"), zak=zak))
            reply = shop.codec.decode(frame)
            assert (*said(reply), reply.mac) == (*APPROVED, mac_of(frame, zak=NEW_ZAK))
        shop.authorizer.kill()
        shop.open()
        frame = shop.line.ask_bytes(signed(shop.till.purchase(shop.customer(), 100), zak=NEW_ZAK))
        reply = shop.codec.decode(frame)
        assert (*said(reply), reply.mac) == (*APPROVED, mac_of(frame, zak=NEW_ZAK))

    @pytest.mark.parametrize(
        "elements",
        [
            pytest.param(None, id="no DE 48"),
            pytest.param(Elements(takes_partial="1"), id="no KB"),
            pytest.param(Elements(key_block="no key block"), id="no key block"),
            pytest.param(Elements(key_block=wrap(ZMK[::-1], ZoneKeyUsage.PIN, ZMK)), id="under another zmk"),
            pytest.param(Elements(key_block=wrap(ZMK, ZoneKeyUsage.PIN, ZMK)[:-1] + "X"), id="altered"),
            pytest.param(Elements(key_block=wrap(ZMK, ZoneKeyUsage.PIN, ZMK).replace("P0", "M3", 1)), id="another use"),
        ],
    )
    def test_a_bad_one_changes_nothing(self, shop: Shop, elements: Elements | None) -> None:
        reply = shop.ask(network("161", elements=elements))
        assert (*said(reply), reply.elements) == (*FORMAT, None)
        assert said(shop.ask(shop.till.purchase(shop.customer(), 100))) == APPROVED


class TestCutover:
    def test_the_business_day_closes_at_one_point_of_the_journal(self, own_shop: Open) -> None:
        shop = own_shop().open()
        card = shop.customer()
        shop.ask(shop.till.purchase(card, 1_000))
        cutover = network("201")
        reply = shop.ask_bytes(cutover)
        assert said(shop.codec.decode(reply)) == APPROVED
        shop.ask(shop.till.purchase(card, 300))
        assert shop.ask_bytes(repeat(cutover)) == reply
        shop.ask(shop.till.purchase(card, 200))
        agree(shop, {TUESDAY: Totals(debits_number=1, debits_amount=1_000)})
        agree(shop, {WEDNESDAY: Totals(debits_number=2, debits_amount=500), THURSDAY: NOTHING})
        [[cutovers]] = shop.rows("SELECT count(*) FROM ledger.journal WHERE kind = 'cutover'")
        assert cutovers == 1

        shop.authorizer.kill()
        shop.open()
        assert shop.ask_bytes(repeat(cutover)) == reply
        assert said(shop.ask(network("201"))) == APPROVED
        shop.ask(shop.till.purchase(card, 100))
        agree(shop, {TUESDAY: Totals(debits_number=1, debits_amount=1_000)})
        agree(shop, {WEDNESDAY: Totals(debits_number=2, debits_amount=500)})
        agree(shop, {THURSDAY: Totals(debits_number=1, debits_amount=100)})

    def test_what_is_given_back_counts_on_the_day_on_which_it_is(self, own_shop: Open) -> None:
        shop = own_shop().open()
        purchase = shop.till.purchase(shop.customer(), 1_000)
        shop.ask(purchase)
        shop.ask(network("201"))
        shop.ask(shop.till.reversal(purchase, stands=400))
        agree(shop, {TUESDAY: Totals(debits_number=1, debits_amount=1_000)})
        agree(shop, {WEDNESDAY: Totals(debits_reversal_number=1, debits_reversal_amount=600)})

    def test_it_may_name_the_day_that_begins(self, own_shop: Open) -> None:
        shop = own_shop().open()
        card = shop.customer()
        shop.ask(shop.till.purchase(card, 1_000))
        assert said(shop.ask(network("201", settlement_date="0514"))) == APPROVED
        shop.ask(shop.till.purchase(card, 300))
        agree(shop, {TUESDAY: Totals(debits_number=1, debits_amount=1_000)})
        agree(shop, {WEDNESDAY: NOTHING, THURSDAY: Totals(debits_number=1, debits_amount=300)})

    def test_one_to_the_day_that_is_open_already_changes_nothing(self, own_shop: Open) -> None:
        shop = own_shop().open()
        card = shop.customer()
        for _ in range(2):
            shop.ask(network("201", settlement_date="0513"))
            shop.ask(shop.till.purchase(card, 100))
        shop.ask(network("201", settlement_date="0513"))
        agree(shop, {TUESDAY: NOTHING, WEDNESDAY: Totals(debits_number=2, debits_amount=200)})

    def test_one_to_the_calendars_day_changes_nothing(self, own_shop: Open) -> None:
        shop = own_shop().open()
        card = shop.customer()
        shop.ask(shop.till.purchase(card, 100))
        shop.ask(network("201", settlement_date="0512"))
        shop.ask(shop.till.purchase(card, 100))
        agree(shop, {TUESDAY: Totals(debits_number=2, debits_amount=200), WEDNESDAY: NOTHING})

    @pytest.mark.parametrize("day", ["0520", "0912"])
    def test_a_day_that_is_far_ahead_is_refused(self, shop: Shop, day: str) -> None:
        assert said(shop.ask(network("201", settlement_date=day))) == ("12", "TRANSACTION")

    @pytest.mark.parametrize("at", ["2026-05-12T23:50:00+02:00", "2026-05-13T00:10:00+02:00"])
    def test_the_first_one_around_midnight_closes_the_day_that_was(self, own_shop: Open, at: str) -> None:
        shop = own_shop().open(at)
        card = shop.customer()
        shop.ask(network("201", at=at))
        shop.ask(shop.till.purchase(card, 100))
        agree(shop, {WEDNESDAY: Totals(debits_number=1, debits_amount=100), THURSDAY: NOTHING})


class TestMacRequired:
    def test_without_one_and_with_a_wrong_one_nothing_is_done(self, own_shop: Open) -> None:
        shop = own_shop(mac_required=True, sign_on_required=True).open()
        card = shop.customer()
        requests: list[Message] = [shop.till.purchase(card, 100), network("001"), totals(NOTHING, TUESDAY)]
        for request in requests:
            assert said(shop.ask(request)) == ("63", "MAC_WRONG")
            wrong = shop.line.ask_bytes(signed(request, zak=NEW_ZAK))
            refused = shop.codec.decode(wrong)
            assert (*said(refused), refused.mac) == ("63", "MAC_WRONG", mac_of(wrong))
        first = shop.codec.decode(shop.line.ask_bytes(signed(requests[0])))
        assert said(first) == NOT_SIGNED_ON, "the sign-on without a right MAC was none"
        for request in (requests[1], requests[0], requests[2]):
            right = shop.line.ask_bytes(signed(request))
            reply = shop.codec.decode(right)
            assert (*said(reply), reply.mac) == (*APPROVED, mac_of(right))
        assert shop.money(card) == Money(STOCK - 100, payable=100)

    def test_the_engines_own_tests_bear_one(self, own_shop: Open) -> None:
        shop = own_shop(mac_required=True, idle_probe_s=0.2).open()
        frame = shop.line.receive()
        assert shop.codec.decode(frame).mac == mac_of(frame)


def test_sessions_are_of_one_connection_each(own_shop: Open) -> None:
    shop = own_shop(sign_on_required=True).open()
    shop.ask(network("001"))
    with Line(shop.authorizer.port) as other:
        assert said(other.ask(shop.till.purchase(shop.customer(), 100))) == NOT_SIGNED_ON
    assert said(shop.ask(shop.till.purchase(shop.customer(), 100))) == APPROVED


def key_block(usage: ZoneKeyUsage, key: str) -> Elements:
    """DE 48 with a key under the link's `zmk`."""
    return Elements(key_block=wrap(ZMK, usage, bytes.fromhex(key)))


def under(zpk: str, request: Message, card: Card) -> Message:
    """A request whose PIN block is under another key."""
    assert card.pin is not None
    return msgspec.structs.replace(request, pin_block=PinPad(zpk).block(card.pin, card.pan))


def agree(shop: Shop, days: dict[date, Totals]) -> None:
    """The authorizer's totals of these days are these."""
    for day, counted in days.items():
        reply = shop.ask(totals(counted, day))
        assert (Totals.parse(reply), reply.settlement_code) == (counted, "1"), day
