"""The documents that issuing was asked to follow, row by row: each rule shown once, on cards that were ordered here."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from authz.decision.issuing.delivery import mailed
from simulators.terminal.messages import Entry
from tests.acceptance.authorizer import eventually
from tests.acceptance.counter import cvv2, online, purchase, wrong_pin
from tests.acceptance.issuing_desk import Employee, IssuingDesk, in_hand, mail_server, path_of
from tests.acceptance.shop import said
from tests.conftest import Database
from tests.issuing.api.office import lines, offer, person
from tests.issuing.outbox.mailroom import MailServer, text_of

APPROVED = ("00", "APPROVED")
SUNDAY, WHIT_MONDAY = "2026-05-24T12:30:00+02:00", "2026-05-25T12:30:00+02:00"
JANUARY = "2027-01-12T12:30:00+01:00"
FEBRUARY, IDES, END_OF_MARCH = "2027-02-26T12:30:00+01:00", "2027-03-15T12:30:00+01:00", "2027-03-31T12:30:00+02:00"
FOUR_YEARS_ON = "2030-04-02T12:30:00+02:00"
PLUXEE: dict[str, Any] = {"programme": "pluxee-be", "company": "Brasserie", "territory": "BE"}
LOADED = 9_000
"""What `lines` loads, in cents."""
TRIES = 5
"""Of a second-generation card."""


def wanted(product: str, made_as: str = "electronic", holders: int = 10, amount: int = 9_000) -> dict[str, Any]:
    return {"product": product, "format": made_as, "holders": holders, "amount": amount}


@pytest.fixture(scope="module")
def desk(make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuingDesk]:
    """The desk that tests share, on Tuesday 12 May 2026 at 12:30; clients and employees they don't."""
    with IssuingDesk(tmp_path_factory.mktemp("rows"), make_database()) as one:
        yield one.open()
        one.check_sound()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def own_desk(mail: MailServer, make_database: Callable[[], Database], tmp_path: Path) -> Iterator[IssuingDesk]:
    """A desk whose clock a test moves, and which sends letters: those that wait at once when it opens again."""
    with IssuingDesk(tmp_path, make_database(), mail.port) as one:
        yield one


def letters_to(mail: MailServer, email: str) -> list[Any]:
    return [one for one in mail.letters if one["To"].addresses[0].addr_spec == email]


class TestTitresRestaurant:
    def test_daily_cap_of_19_euros_as_asked(self, desk: IssuingDesk) -> None:
        [ana] = desk.hired()
        assert desk.pay(ana, 1_901) == ("61", "DAILY_CAP")
        assert desk.pay(ana, 1_900) == APPROVED

    def test_a_day_several_purchases_add_up_to_the_cap(self, desk: IssuingDesk) -> None:
        [ana] = desk.hired()
        paid = [desk.pay(ana, cents) for cents in (1_000, 500, 401, 400, 1)]
        assert paid == [APPROVED, APPROVED, ("61", "DAILY_CAP"), APPROVED, ("61", "DAILY_CAP")]

    def test_sundays_and_holidays_are_refused_unless_the_employer_decided_and_the_holder_works_them(
        self, own_desk: IssuingDesk
    ) -> None:
        desk = own_desk.open(SUNDAY)
        client = desk.accepted()
        body = lines(person(), person())
        body["lines"][0]["works_days_off"] = True
        works, rests = desk.employees(desk.ordered(client, body))
        for one in (works, rests):
            desk.activate(one)
        assert [desk.pay(one, 100) for one in (works, rests)] == [("57", "SUNDAY")] * 2
        assert desk.office.ask("PATCH", f"/v1/clients/{client}", json={"sundays_holidays": True}).is_success
        assert [desk.pay(one, 100) for one in (works, rests)] == [APPROVED, ("57", "SUNDAY")]
        desk.open(WHIT_MONDAY)
        assert [desk.pay(one, 100) for one in (works, rests)] == [APPROVED, ("57", "HOLIDAY")]

    def test_vintage_is_valid_to_the_end_of_february_and_the_older_is_spent_first(self, own_desk: IssuingDesk) -> None:
        desk = own_desk.open(JANUARY)
        client, ana = desk.accepted(), person()
        desk.ordered(client, lines(ana), month="2027-01")
        [one] = desk.employees(desk.ordered(client, lines(ana, quantity=1), month="2026-12"))
        desk.activate(one)

        def vouchers() -> dict[str, Any]:
            [balance] = desk.view(one)["balances"]
            return {lot["lot"]: (lot["amount"], lot["valid_from"], lot["valid_until"]) for lot in balance["vouchers"]}

        new = (LOADED, "2027-01-01", "2028-02-29")
        assert vouchers() == {"2026": (900, "2026-01-01", "2027-02-28"), "2027": new}
        assert desk.pay(one, 800) == APPROVED
        assert vouchers() == {"2026": (100, "2026-01-01", "2027-02-28"), "2027": new}

    def test_exchange_by_15_march_for_the_same_amount_and_afterwards_the_issuers_pool(
        self, own_desk: IssuingDesk
    ) -> None:
        desk = own_desk.open(FEBRUARY)
        order = desk.ordered(desk.accepted(), lines(person(), person()), month="2026-12")
        asks, forgets = desk.employees(order)
        lot = {"product": "90", "lot": "2026"}
        desk.open(IDES)
        assert desk.office.post(f"{asks.path}/exchanges", lot).is_success
        assert (desk.available(asks), desk.available(forgets)) == (LOADED, 0)
        assert desk.balance(f"expired:{forgets.holder}:90:2026") == LOADED
        pool = desk.balance("issuer:pool:90")
        desk.open(END_OF_MARCH)
        assert desk.office.post(f"{forgets.path}/exchanges", lot).status_code == 409
        assert desk.balance(f"expired:{forgets.holder}:90:2026") == 0
        assert desk.balance("issuer:pool:90") >= pool + LOADED
        assert desk.available(asks) == LOADED

    def test_loads_are_monthly_and_told_by_e_mail_where_the_employer_subscribed(
        self, own_desk: IssuingDesk, mail: MailServer
    ) -> None:
        desk = own_desk.open()
        quiet, tells, ana = desk.accepted(), desk.accepted(), person()
        assert desk.office.ask("PATCH", f"/v1/clients/{tells}", json={"load_alerts": True}).is_success
        desk.ordered(quiet, lines(unheard := person()))
        for month in ("2026-05", "2026-06"):
            last = desk.ordered(tells, lines(ana), month=month)
        [line] = desk.lines_of(last)
        loads = desk.office.get(f"/v1/clients/{tells}/holders/{line['holder']}/loads").json()["operations"]
        assert [(one["kind"], one["amount"]) for one in loads] == [("load", LOADED)] * 2
        desk.open()
        told = eventually(lambda: found if len(found := letters_to(mail, ana["email"])) == 2 else None)
        assert all("90" in text_of(one) and "Acme" in text_of(one) for one in told)
        assert not letters_to(mail, unheard["email"])

    def test_card_is_valid_for_4_years_then_reissued_unasked_and_the_new_one_keeps_the_balance(
        self, own_desk: IssuingDesk
    ) -> None:
        desk = own_desk.open()
        client, ana = desk.accepted(), person()
        order = desk.ordered(client, lines(ana))
        [old] = desk.employees(order)
        desk.activate(old)
        assert old.hand.expiry == "3005"

        desk.open(FOUR_YEARS_ON)
        cards = eventually(lambda: found if len(found := desk.view(old)["cards"]) == 2 else None)
        assert [(one["status"], one["expiry"]) for one in cards] == [
            ("active", "2030-05-01"),
            ("inactive", "2034-04-01"),
        ]
        april = desk.ordered(client, lines(ana), month="2030-04")
        assert april["cards"] == 0, "it is on its way"
        assert desk.pay(old, 500) == APPROVED
        [new] = desk.employees(april)
        desk.activate(new)
        assert desk.pay(new, 400) == APPROVED
        assert desk.pay(old, 400) == ("62", "CARD_REPLACED")
        assert desk.available(new) == LOADED - 900

    def test_pin_5_wrong_in_a_row_lock_a_second_generation_card_and_3_a_first_for_good(self, desk: IssuingDesk) -> None:
        [ana] = desk.hired()
        ana = desk.letter(ana)
        assert ana.hand.pin is not None
        wrong = replace(ana, hand=replace(ana.hand, pin=f"{(int(ana.hand.pin) + 1) % 10_000:04}"))
        assert desk.pay(ana, 100) == APPROVED
        tried = [desk.pay(wrong, 100) for _ in range(TRIES)]
        assert tried == [("55", "PIN_WRONG")] * (TRIES - 1) + [("75", "PIN_LOCKED")]
        assert desk.pay(ana, 100) == ("75", "PIN_LOCKED")
        first = [said(desk.line.ask(purchase("0097", 100, pin=wrong_pin("0097")))) for _ in range(3)]
        assert first == [("55", "PIN_WRONG")] * 2 + [("75", "PIN_LOCKED")]

        path = f"{ana.card_path}/requests"
        assert desk.office.post(path, {"kind": "pin", "client": ana.client}).status_code == 409
        asked = desk.office.made(path, {"kind": "remake", "client": ana.client})
        new = remade(desk, ana, asked["id"])
        assert desk.pay(new, 100) == APPROVED

    def test_forgotten_pin_is_asked_by_the_holder_validated_by_the_employer_and_mailed(self, desk: IssuingDesk) -> None:
        [ana] = desk.hired()
        holder, employer = desk.office.with_token("holder", ana.holder), desk.office.with_token("employer", ana.client)
        asked = holder.made(f"{ana.card_path}/requests", {"kind": "pin", "client": ana.client})
        assert (asked["status"], desk.office.post("/v1/runs").status_code) == ("asked", 409)
        answered = employer.made(f"/v1/clients/{ana.client}/requests/{asked['id']}/validation")
        assert (answered["status"], answered["new"]) == ("done", None)
        number, cards = desk.run()
        assert not cards, "the card stays"
        knows = replace(ana, hand=replace(ana.hand, pin=desk.sent(number)[ana.card]))
        assert desk.pay(knows, 100) == APPROVED
        monday = date(2026, 6, 1)
        assert mailed(monday, "FR-75") == (date(2026, 6, 4), date(2026, 6, 8)), "3 to 5 working days"
        assert mailed(monday, "FR-974") == (date(2026, 6, 10), date(2026, 6, 15)), "7 to 10 overseas"

    def test_opposition_at_once_for_good_then_a_new_card_with_the_balance_at_that_instant(
        self, desk: IssuingDesk
    ) -> None:
        [ana] = desk.hired()
        holder, employer = desk.office.with_token("holder", ana.holder), desk.office.with_token("employer", ana.client)
        assert desk.pay(ana, 700) == APPROVED
        assert holder.post(f"{ana.card_path}/opposition", {"because": "stolen"}).is_success
        assert desk.pay(ana, 100) == ("43", "CARD_STOLEN")
        assert holder.post(f"{ana.card_path}/activation").status_code == 409, "even if it is found again"
        [card] = employer.get(f"/v1/clients/{ana.client}/holders/{ana.holder}").json()["cards"]
        assert (card["card"], card["last4"], card["status"]) == (ana.card, ana.hand.pan[-4:], "stolen")
        asked = holder.made(f"{ana.card_path}/requests", {"kind": "remake", "client": ana.client})
        assert asked["status"] == "asked"
        new = remade(desk, ana, asked["id"])
        assert desk.available(new) == LOADED - 700
        assert desk.pay(new, 300) == APPROVED

    @pytest.mark.parametrize(
        ("territory", "cards", "pins"),
        [
            ("FR-75", ("2026-05-18", "2026-05-20"), ("2026-05-20", "2026-05-22")),
            ("FR-974", ("2026-05-22", "2026-05-28"), ("2026-05-26", "2026-06-01")),
        ],
    )
    def test_delivery_of_cards_in_working_days_and_of_pins_48_hours_after(
        self, desk: IssuingDesk, territory: str, cards: tuple[str, str], pins: tuple[str, str]
    ) -> None:
        """From Tuesday 12 May: Ascension Day is the 14th, Whit Monday the 25th."""
        order = desk.drafted(desk.accepted(territory=territory), lines(person()))
        expected = desk.office.get(path_of(order)).json()["delivery"]
        assert (expected["cards_from"], expected["cards_until"]) == cards
        assert (expected["pin_from"], expected["pin_until"]) == pins

    def test_delivery_a_pin_file_is_not_made_before_48_hours(self, desk: IssuingDesk) -> None:
        desk.ordered(desk.accepted(), lines(person()))
        number, _ = desk.run()
        assert desk.office.post(f"/v1/runs/{number}/sending").is_success
        refused = desk.office.post(f"/v1/runs/{number}/pins")
        assert (refused.status_code, "48 hours" in refused.json()["detail"]) == (409, True)

    def test_delivery_nothing_before_the_transfer_is_received_and_then_at_once(self, desk: IssuingDesk) -> None:
        client, who = desk.accepted(), person()
        desk.office.post("/v1/runs")  # what others have left
        for month, cards in (("2026-05", 1), ("2026-06", 0)):
            order = desk.confirmed(desk.drafted(client, lines(who), month=month))
            [line] = desk.lines_of(order)
            before = desk.balance(f"holder:{line['holder']}:%")
            assert desk.office.post("/v1/runs").status_code == 409, "no card waits to be made"
            assert desk.balance(f"client:{client}:%") == 0
            desk.paid(order)
            assert desk.balance(f"holder:{line['holder']}:%") == before + LOADED
            assert (order["cards"], desk.office.post("/v1/runs").is_success) == (cards, bool(cards))

    def test_online_pays_the_first_generation_with_pan_expiry_and_cvv2_and_not_yet_the_second(
        self, desk: IssuingDesk
    ) -> None:
        [ana] = desk.hired()
        assert desk.pay(ana, 100, entry=Entry.ONLINE, terminal_name="WEB00001") == ("57", "ONLINE_NOT_ALLOWED")
        assert said(desk.line.ask(online("0014", 100, cvv2("0014")))) == APPROVED

    def test_acceptance_by_merchants_that_were_approved_and_are_of_a_category(self, desk: IssuingDesk) -> None:
        [ana] = desk.hired()

        def pay_at(name: str, mcc: str | None, *accepts: str) -> tuple[str | None, str | None]:
            if mcc is not None:
                place = {"territory": "FR-75", "time_zone": "Europe/Paris"}
                body = {"id": name, "name": name, "mcc": mcc, "accepts": accepts, **place}
                desk.office.made("/v1/merchants", body)
            return desk.pay(ana, 100, merchant=name)

        assert pay_at("ROW1", None) == ("03", "MERCHANT_UNKNOWN")
        assert pay_at("ROW1", "5812") == ("58", "MERCHANT_NOT_ELIGIBLE")
        assert pay_at("ROW1", "5812", "90") == APPROVED
        assert pay_at("ROW2", "5732", "90") == ("58", "MERCHANT_NOT_ELIGIBLE")


class TestBelgianVouchers:
    def test_one_card_holds_them_all_each_used_separately_as_the_till_was_told(self, desk: IssuingDesk) -> None:
        client, marie = desk.accepted(**PLUXEE, wanted=[wanted("91"), wanted("92")]), person()
        [one] = desk.employees(desk.ordered(client, lines(marie, face=800), "91"))
        assert desk.ordered(client, lines(marie, quantity=1), "92")["cards"] == 0
        desk.activate(one)
        assert desk.pay(one, 500, terminal_name="BRU00001") == ("12", "PRODUCT_NOT_CHOSEN")
        assert desk.pay(one, 500, terminal_name="BRU00001", product="91") == APPROVED
        assert desk.pay(one, 400, terminal_name="GNT00001", product="92") == APPROVED
        assert desk.pay(one, 501, terminal_name="GNT00001", product="92") == ("51", "NO_FUNDS"), "never mixed"
        assert (desk.available(one, "91"), desk.available(one, "92")) == (7_500, 500)

    def test_a_card_that_has_not_expired_is_not_replaced_and_an_order_charges_for_those_who_need_one(
        self, own_desk: IssuingDesk, mail: MailServer
    ) -> None:
        desk = own_desk.open()
        client, marie, jan = desk.accepted(**PLUXEE, wanted=[wanted("91")]), person(), person()
        [one] = desk.employees(desk.ordered(client, lines(marie, face=800), "91"))
        assert desk.office.ask("PATCH", f"/v1/clients/{client}", json={"load_alerts": True}).is_success
        both = desk.ordered(client, lines(marie, jan, face=800), "91", "2026-06")
        assert (both["cards"], both["costs"]["cards"]) == (1, 300)
        assert {line["email"]: line["card"] for line in desk.lines_of(both)} == {
            marie["email"]: False,
            jan["email"]: True,
        }
        assert desk.newest_card(one.holder) == one.card
        assert desk.available(one, "91") == 2 * 8_000
        desk.open()
        [told] = eventually(lambda: letters_to(mail, marie["email"]))
        assert "80" in text_of(told), "the holder is told"

    def test_a_contract_is_per_client_product_and_format_and_without_one_there_is_no_order(
        self, desk: IssuingDesk
    ) -> None:
        client = desk.accepted(**PLUXEE, wanted=[wanted("91"), wanted("95", "paper")])
        elsewhere = desk.accepted(**PLUXEE, wanted=[wanted("95")])

        def order(account: str, product: str) -> int:
            parameters = {"product": product, "month": "2026-05"}
            body = lines(person(), quantity=1, face=800)
            return desk.office.post(f"/v1/clients/{account}/orders", body, params=parameters).status_code

        assert [order(client, product) for product in ("91", "95", "92")] == [201, 409, 409]
        assert order(elsewhere, "95") == 201, "another client's contract isn't one's own"

    @pytest.mark.parametrize(("product", "status"), [("92", 409), ("93", 409), ("91", 201)])
    def test_paper_eco_and_gift_vouchers_cannot_be_ordered_any_more(
        self, desk: IssuingDesk, product: str, status: int
    ) -> None:
        body = offer(**PLUXEE, wanted=[wanted(product, "paper")])
        assert desk.office.post("/v1/offers", body).status_code == status

    def test_an_offer_is_a_maximum_with_a_card_for_everyone_and_binds_to_nothing(self, desk: IssuingDesk) -> None:
        head = desk.rows("SELECT count(*) FROM ledger.transfer")
        made = desk.office.made("/v1/offers", offer(wanted=[wanted("90", holders=10, amount=9_000)]))
        assert made["maximum"] == {"face": 90_000, "commission": 2_250, "cards": 3_000, "vat": 1_050}
        assert desk.rows("SELECT count(*) FROM ledger.transfer") == head
        withdrawn = desk.office.ask("DELETE", f"/v1/offers/{made['id']}").json()
        assert withdrawn["status"] == "withdrawn"
        assert desk.office.post(f"/v1/offers/{made['id']}/acceptance", {}).status_code == 409

    def test_an_order_is_recomputed_and_quantities_and_holders_change_until_it_is_paid(self, desk: IssuingDesk) -> None:
        client, ana, bea = desk.accepted(wanted=[wanted("90", holders=10)]), person(), person()
        first = desk.confirmed(desk.drafted(client, lines(ana)))
        assert (first["lines"], first["cards"], first["costs"]["cards"]) == (1, 1, 300)

        def change() -> Any:
            parameters = {"product": "90", "month": "2026-05"}
            return desk.office.ask("PUT", path_of(first), params=parameters, json=lines(ana, bea, quantity=5))

        changed = change().json()
        assert (changed["revision"], changed["status"], changed["lines"]) == (2, "draft", 2)
        assert changed["costs"] == {"face": 9_000, "commission": 225, "cards": 600, "vat": 165}
        desk.paid(desk.confirmed(changed))
        assert change().status_code == 409

    def test_accepting_opens_an_account_or_adds_to_one_or_opens_a_second_separate_one(self, desk: IssuingDesk) -> None:
        first = desk.accepted(**PLUXEE, wanted=[wanted("91")])
        assert desk.accepted(first, **PLUXEE, wanted=[wanted("92")]) == first
        second = desk.accepted(**PLUXEE, wanted=[wanted("92")])

        def products(client: str) -> list[str]:
            return [one["product"] for one in desk.office.get(f"/v1/clients/{client}").json()["contracts"]]

        assert (products(first), products(second)) == (["91", "92"], ["92"])
        assert second != first

    def test_cards_arrive_with_a_letter_and_are_inactive_until_then(self, desk: IssuingDesk) -> None:
        client, marie = desk.accepted(**PLUXEE, wanted=[wanted("91")]), person()
        order = desk.ordered(client, lines(marie, face=800), "91")
        [line] = desk.lines_of(order)
        _, made = desk.run()
        one = desk.employee(client, line, made)
        to = made[one.card]["to"]
        assert (to["first_name"], to["last_name"], to["territory"]) == (marie["first_name"], marie["last_name"], "BE")
        assert desk.pay(one, 100, terminal_name="BRU00001") == ("62", "CARD_NOT_ACTIVE")
        desk.activate(one)
        assert desk.pay(one, 100, terminal_name="BRU00001") == APPROVED


def remade(desk: IssuingDesk, one: Employee, request: str) -> Employee:
    """Have the employer validate, and the new card made and activated."""
    employer = desk.office.with_token("employer", one.client)
    answered = employer.made(f"/v1/clients/{one.client}/requests/{request}/validation")
    _, made = desk.run()
    new = replace(one, card=answered["new"], hand=in_hand(made[answered["new"]]))
    desk.activate(new)
    return new
