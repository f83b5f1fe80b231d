"""The terminal in a window: every path of a payment by keyboard and by mouse, and a PIN that nobody can read."""

import pytest

from authz.wire.message import Elements
from authz.wire.rules import first_mti
from simulators.link import LinkLost, NoConnection
from simulators.terminal.journal import Journal
from simulators.terminal.wording import Language
from tests.simulators.conftest import answer
from tests.simulators.screen.conftest import NARROW, WIDE, window

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARIE = ["down"] * 14
"""Down the wallet from Alice's card, of the first generation, to one with three vouchers."""
AMOUNT = (*"1250", "enter", "enter")
BALANCES = "9002978C000000018750"


def approving(request):
    if request.amount is None:
        return answer(request, balances=BALANCES)
    return answer(request, approval="EF10VC", balances=BALANCES)


def unreachable(request):
    return NoConnection("nothing answers")


async def test_chip_and_pin(counter):
    counter.host.script = approving
    assert "Le Bistrot du Port" in counter.glass
    assert "relié" in counter.glass
    await counter.press(*"1250", "enter")
    assert "Carte 1 ou 2" in counter.glass
    await counter.press("1")
    assert "Présentez la carte" in counter.glass
    await counter.press("f2", *"123")
    assert "● ● ● _" in counter.glass
    await counter.press("4", "enter")
    assert "Approuvé" in counter.glass
    assert "approved" in counter.colours
    (request,) = counter.host.heard
    assert (request.mti, request.amount, request.entry_mode) == ("0200", "000000001250", "051")
    merchants, holders = counter.receipts
    assert "Exemplaire commerçant" in merchants
    assert "187,50 €" not in merchants
    assert "Solde 187,50 €" in holders
    asked, told = counter.messages
    assert "PIN block ••••" in asked
    assert "39 Response Code 00 approved" in told
    await counter.press("enter")
    assert "Tapez le montant" in counter.glass


async def test_the_pin_is_nowhere_to_be_read(counter):
    """One that no card of the wallet has: those of the demo's cards are written beside them, as a hint."""
    pin = "7391"
    counter.host.script = lambda request: answer(request, "55", "PIN_WRONG", elements=Elements(tries_left="2"))
    await counter.press(*AMOUNT, "f2", *pin)
    seen = [counter.picture, counter.glass]
    assert "● ● ● ● _" in counter.glass
    await counter.press("enter")
    assert "Code faux : reste 2" in counter.glass
    seen += [counter.picture, counter.glass, *counter.messages, *counter.receipts, repr(counter.app.device.display)]
    secrets = (pin, " ".join(pin), counter.host.heard[0].pin_block)
    assert all(secrets)
    assert not [text for text in seen for secret in secrets if secret in text]


async def test_contactless_below_the_limit_needs_no_pin(counter):
    counter.host.script = approving
    await counter.press(*AMOUNT, "f3")
    assert "Approuvé" in counter.glass
    assert counter.host.heard[0].pin_block is None


async def test_contactless_whose_pin_the_host_wants(counter):
    def wanting(request):
        return approving(request) if request.pin_block else answer(request, "55", "PIN_MISSING")

    counter.host.script = wanting
    await counter.press(*AMOUNT, "f3")
    assert "Code demandé" in counter.glass
    await counter.press(*"1234", "enter")
    assert "Approuvé" in counter.glass


async def test_the_stripe(counter):
    counter.host.script = approving
    await counter.press(*AMOUNT, "f4", *"1234", "enter")
    assert counter.host.heard[-1].entry_mode == "021"


async def test_refused_says_why(counter):
    counter.host.script = lambda request: answer(request, "61", "DAILY_CAP")
    await counter.press(*AMOUNT, "f2", *"1234", "enter")
    assert "Refusé Plafond du jour dépassé" in counter.glass
    assert "refused" in counter.colours
    (receipt,) = counter.receipts
    assert "Plafond du jour dépassé" in receipt


async def test_a_part_is_approved_and_the_rest_is_paid_with_another_card(counter):
    def partly(request):
        if request.amount == "000000000600":
            return approving(request)
        return answer(request, "10", "PARTIAL", amount="000000001900", approval="EF10VC")

    counter.host.script = partly
    await counter.press(*"2500", "enter", "enter", "f2", *"1234", "enter")
    assert "Reste à payer 6,00 € Accepté 19,00 €" in counter.glass
    assert "partial" in counter.colours
    assert "Reste à payer 6,00 €" in counter.receipts[-1]
    await counter.press("enter", "enter", "enter", "down", "f2", *"2468", "enter")
    assert "Approuvé" in counter.glass
    assert counter.host.heard[-1].amount == "000000000600"
    assert counter.host.heard[-1].pan == "9250100000000022"


async def test_the_holder_chooses_the_voucher(counter):
    counter.host.script = approving
    await counter.press(*MARIE)
    await counter.press(*AMOUNT, "f2")
    assert "Quel titre ? 1 Chèque-repas 2 Éco-chèque 3 Chèque-cadeau" in counter.glass
    await counter.press("2", *"1122", "enter")
    assert counter.host.heard[-1].processing_code == "009200"
    assert "3 Processing Code 009200 purchase, eco" in counter.messages[0]


async def test_a_card_of_the_other_generation_is_told(counter):
    counter.host.script = approving
    await counter.press(*"1250", "enter", "2", "f2")
    assert "C'est une carte 1" in counter.glass
    assert counter.host.heard == []


async def test_the_menu_balance(counter):
    counter.host.script = approving
    await counter.press("f1")
    assert "1 Solde 2 Annuler le dernier 3 Duplicata 4 Télécollecte 5 Langue" in counter.glass
    await counter.press("1", "f2", *"1234", "enter")
    assert "Titre-restaurant 187,50 €" in counter.glass
    (receipt,) = counter.receipts
    assert "SOLDE" in receipt


async def test_the_menu_cancels_the_last_and_prints_a_duplicate(counter):
    counter.host.script = approving
    await counter.press(*AMOUNT, "f2", *"1234", "enter")
    await counter.press("enter", "f1", "2")
    assert "Annulé" in counter.glass
    assert "ANNULÉ" in counter.receipts[-1]
    assert [request.mti for request in counter.host.heard] == ["0200", "0400"]
    await counter.press("enter", "f1", "3")
    assert "DUPLICATA" in counter.receipts[-1]


async def test_the_menu_closes_the_day_and_turns_to_the_next_language():
    async with window(approving) as counter:
        await counter.press(*AMOUNT, "f2", *"1234", "enter")
        await counter.press("enter", "f1", "4")
        assert "Journée close : 12,50 €" in counter.glass
        assert "TÉLÉCOLLECTE" in counter.receipts[-1]
        assert "Ventes 1 x 12,50 €" in counter.receipts[-1]
        assert "À recevoir 12,50 €" in counter.receipts[-1]
        await counter.press("enter", "f1", "5", "escape")
        assert "Typ het bedrag" in counter.glass
        assert "Kaarten" in counter.picture
        await counter.press(*AMOUNT, "f3")
        assert "GOEDGEKEURD" in counter.receipts[-1]


async def test_the_link_is_tried_again_until_it_is_there(counter):
    counter.host.there, counter.host.script = False, unreachable
    await counter.press(*AMOUNT, "f3")
    assert "✕ pas de liaison" in counter.glass
    assert "Pas de liaison Refusé" in counter.glass
    assert "nothing answers" in counter.messages[-1]
    counter.host.there = True
    await counter.app.line.test()
    await counter.settle()
    assert "● relié" in counter.glass


async def test_silence_takes_the_payment_back(counter):
    def silent(request):
        return approving(request) if request.mti == "0400" else LinkLost("the connection was lost")

    counter.host.script = silent
    await counter.press(*AMOUNT, "f2", *"1234", "enter")
    assert "Pas de réponse : rien n'est débité" in counter.glass
    assert "refused" in counter.colours
    assert [request.mti for request in counter.host.heard] == ["0200", "0400"]


async def test_a_payment_offline_and_one_left_in_the_middle_are_finished_at_the_next_start(tmp_path):
    with Journal(tmp_path) as journal:
        async with window(unreachable, there=False, journal=journal) as counter:
            assert "✕ pas de liaison" in counter.glass
            await counter.press(*AMOUNT, "f2", *"1234", "enter")
            assert "Accepté hors ligne" in counter.glass
            assert "1 à transmettre" in counter.glass
            assert "ACCEPTÉ HORS LIGNE" in counter.receipts[0]
            counter.host.script = lambda request: None
            await counter.begin("enter", *AMOUNT, "f2", *"1234", "enter")
            assert "Autorisation" in counter.glass
    with Journal(tmp_path) as journal:
        async with window(approving, journal=journal) as counter:
            assert "Repris : 1 annulée(s), 1 à transmettre" in counter.glass
            assert [first_mti(request.mti) for request in counter.host.heard] == ["0220", "0400"]


async def test_cancelling_and_correcting(counter):
    counter.host.script = approving
    await counter.press(*"129", "backspace", "5", "0")
    assert counter.app.device.display.cents == 1250
    await counter.press("escape")
    assert "Annulé" in counter.glass
    assert counter.app.device.display.cents == 0


async def test_by_the_mouse_alone():
    async with window(approving) as counter:
        for key in ("7", "00", "ok", "2"):
            await counter.click(f"#key-{key}")
        assert counter.app.device.display.cents == 700
        await counter.pilot.click("#cards", offset=(3, 2))
        await counter.click("#contactless")
        assert "Approuvé" in counter.glass
        assert counter.host.heard[0].pan == "9250100000000022"


async def test_in_80_by_30_a_pane_comes_forward_when_it_is_needed():
    async with window(approving, language=Language.ENGLISH) as counter:

        def shown():
            return [pane for pane in ("wallet", "printer", "traffic") if counter.app.query_one(f"#{pane}").display]

        assert "Type the amount" in counter.glass
        assert shown() == ["wallet"]
        await counter.press(*AMOUNT, "f2", *"1234", "enter")
        assert shown() == ["printer"]
        assert "Please keep this receipt" in counter.picture
        await counter.click("#tab-traffic")
        assert shown() == ["traffic"]
        await counter.press("enter", *AMOUNT)
        assert shown() == ["traffic"]


async def test_everything_has_room():
    async with window(approving, size=NARROW) as counter:
        await counter.press(*MARIE, *AMOUNT)
        for size in (NARROW, (80, 24), WIDE):
            await counter.pilot.resize_terminal(*size)
            await counter.settle()
            for selector in ("#key-1", "#key-00", "#key-ok", "#said", "#chip", "#stripe", "#hints"):
                region = counter.app.query_one(selector).region
                assert region.area, selector
                assert counter.app.screen.region.contains_region(region), selector
            assert "Présentez la carte" in counter.picture
            assert "Marie Peeters" in counter.picture
