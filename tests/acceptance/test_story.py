"""From the employer's order to a card that pays, and from one vintage to the next: over HTTP and ISO 8583 alone."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.acceptance.issuing_desk import IssuingDesk, as_file, in_hand, path_of, with_pin
from tests.conftest import Database
from tests.issuing.api.office import Office, person

TUESDAY, FRIDAY = "2026-05-12T10:00:00+02:00", "2026-05-15T12:30:00+02:00"
LOST_AT = "2026-05-15T13:00:00+02:00"
MONDAY = "2026-05-18T12:30:00+02:00"
JUNE = "2026-06-01T09:00:00+02:00"
MARCH = "2027-03-01T12:30:00+01:00"
IDES = "2027-03-15T12:30:00+01:00"

PEOPLE = 50
FACE = PEOPLE * 20 * 900
COMMISSION, CARDS = 22_500, PEOPLE * 300
VAT = 7_500
"""20 % of commission (2.5 % of the face value) and cards (3.00 each)."""
SIREN = "732829320"
LOADED, LUNCH, DINNER, SUPPER = 18_000, 1_250, 500, 1_800

_ACCOUNTS = """
SELECT debit, credit, sum(amount)::bigint AS amount FROM ledger.transfer
  JOIN ledger.journal USING (partition, seq)
 WHERE kind = 'payment' AND request -> 'command' ->> 'order' = $1
 GROUP BY 1, 2 ORDER BY 1, 2
"""


@pytest.mark.timeout(300)  # it starts an authorizer seven times
def test_from_an_offer_to_the_next_vintage(make_database: Callable[[], Database], tmp_path: Path) -> None:
    with IssuingDesk(tmp_path, make_database()) as desk:
        desk.open(TUESDAY)
        people = [person() for _ in range(PEOPLE)]

        # A client accepts an offer, uploads 50 beneficiaries, pays.
        client = desk.accepted()
        desk.check_books()
        employer = desk.office.with_token("employer", client)
        finance = desk.office.with_token("finance")
        order = upload(employer, client, people)
        recap = employer.get(path_of(order)).json()
        assert (recap["order"]["cards"], recap["order"]["difference"]["new"]) == (PEOPLE, PEOPLE)
        assert (recap["delivery"]["cards_from"], recap["delivery"]["cards_until"]) == ("2026-05-18", "2026-05-20")
        employer.made(f"{path_of(order)}/confirmation", {"revision": 1})
        [first, *_] = lines = desk.lines_of(order)
        assert desk.office.get(f"/v1/holders/{first['holder']}").status_code == 404, "nothing is done before the money"
        assert desk.balance(f"holder:{first['holder']}:%") == 0
        assert employer.post(f"{path_of(order)}/payment", {"reference": "R", "amount": 1}).status_code == 403
        desk.office, issuer = finance, desk.office
        desk.paid(order)
        desk.office = issuer
        assert sum(desk.balance(f"holder:{one['holder']}:%") for one in lines) == FACE
        assert desk.balance("client:%") == 0
        check_invoice(desk, employer, order, (FACE, COMMISSION, CARDS, VAT))
        desk.check_books()

        # Cards are made and sent; their PINs follow 48 hours later; they are activated.
        number, made = desk.run()
        everybody = [desk.employee(client, line, made) for line in lines]
        assert len({one.hand.pan for one in everybody}) == PEOPLE
        assert desk.pay(everybody[0], 100) == ("62", "CARD_NOT_ACTIVE")
        issuer.made(f"/v1/runs/{number}/sending")
        assert issuer.post(f"/v1/runs/{number}/pins").status_code == 409
        desk.open(FRIDAY)
        pins = desk.pins(number)
        everybody = [with_pin(one, pins[one.card]) for one in everybody]
        for one in everybody:
            desk.activate(one)

        # A holder pays lunch, and loses the card at 13:00: the next payment is refused.
        ana, *others = everybody
        holder = desk.office.with_token("holder", ana.holder)
        assert desk.pay(ana, LUNCH) == ("00", "APPROVED")
        desk.check_books()
        desk.open(LOST_AT)
        holder = Office(desk.office.http, holder.token)
        employer = Office(desk.office.http, employer.token)
        assert holder.post(f"{ana.card_path}/opposition", {"because": "lost"}).status_code == 200
        assert desk.pay(ana, 100) == ("41", "CARD_LOST")
        assert desk.available(ana) == LOADED - LUNCH
        desk.check_books()

        # The employer validates; the new card pays with what is left.
        asked = holder.made(f"{ana.card_path}/requests", {"kind": "remake", "client": client})
        answered = employer.made(f"/v1/clients/{client}/requests/{asked['id']}/validation")
        assert answered["status"] == "done"
        number, made = desk.run()
        assert list(made) == [answered["new"]]
        new = replace(ana, card=answered["new"], hand=in_hand(made[answered["new"]]))
        desk.office.made(f"/v1/runs/{number}/sending")
        desk.open(MONDAY)
        new = with_pin(new, desk.pins(number)[new.card])
        assert desk.pay(new, DINNER) == ("62", "CARD_NOT_ACTIVE")
        desk.activate(new)
        assert desk.pay(new, DINNER) == ("00", "APPROVED")
        assert desk.pay(ana, DINNER) == ("41", "CARD_LOST"), "for good"
        assert desk.available(new) == LOADED - LUNCH - DINNER
        desk.check_books()

        # A second order loads without making new cards.
        desk.open(JUNE)
        employer = Office(desk.office.http, employer.token)
        again = upload(employer, client, people, month="2026-06")
        assert (again["cards"], again["difference"]) == (0, {"new": 0, "changed": 0, "missing": 0})
        desk.paid(desk.confirmed(again))
        assert desk.office.post("/v1/runs").status_code == 409, "no card waits to be made"
        assert desk.available(new) == 2 * LOADED - LUNCH - DINNER
        check_invoice(desk, employer, again, (FACE, COMMISSION, 0, 4_500))
        assert desk.pay(others[0], SUPPER) == ("00", "APPROVED")
        desk.check_books()

        # On 1 March the rest expires.
        desk.open(MARCH)
        left = 2 * LOADED - LUNCH - DINNER
        assert desk.pay(new, SUPPER) == ("51", "VINTAGE_EXPIRED")
        [balance] = desk.view(new)["balances"]
        [expired] = balance["expired"]
        assert balance["available"] == 0
        assert (expired["lot"], expired["amount"], expired["exchange_until"]) == ("2026", left, "2027-03-15")
        assert desk.balance(f"expired:{new.holder}:%") == left
        desk.check_books()

        # It is exchanged by the 15th, and pays again.
        desk.open(IDES)
        holder = Office(desk.office.http, holder.token)
        exchanged = holder.post(f"{new.path}/exchanges", {"product": "90", "lot": "2026"})
        assert exchanged.status_code == 200, exchanged.text
        assert desk.pay(new, SUPPER) == ("00", "APPROVED")
        assert desk.available(new) == left - SUPPER
        kinds = [one["kind"] for one in holder.get(f"{new.path}/operations").json()["operations"]]
        assert kinds[:3] == ["payment", "exchange", "payment"]
        desk.check_books()

        desk.check_sound()
        check_export(desk, tmp_path)


def upload(employer: Office, client: str, people: list[dict[str, str]], month: str = "2026-05") -> Any:
    """Upload a file of beneficiaries as an employer does."""
    reply = employer.ask(
        "POST",
        f"/v1/clients/{client}/orders",
        params={"product": "90", "month": month},
        content=as_file(*people),
        headers={"Content-Type": "text/csv"},
    )
    assert reply.status_code == 201, reply.text
    return reply.json()


def check_invoice(desk: IssuingDesk, employer: Office, order: Any, costs: tuple[int, int, int, int]) -> None:
    """The employer's invoice is what the ledger has, to the cent; face value and fees never mix (L3262-2)."""
    invoice = employer.get(f"{path_of(order)}/invoice").json()
    face, commission, cards, vat = costs
    assert tuple(invoice[name] for name in ("face", "commission", "cards", "vat")) == costs
    assert (invoice["fees"], invoice["total"]) == (commission + cards + vat, sum(costs))
    assert [tuple(one) for one in desk.rows(_ACCOUNTS, order["id"])] == [
        ("issuer:float:90", f"client:{order['client']}:funds:90", face),
        ("issuer:operating", "issuer:commission", commission + cards),
        ("issuer:operating", "issuer:vat", vat),
    ]


def check_export(desk: IssuingDesk, folder: Path) -> None:
    """What finance exports is every movement of money, and no other."""
    names = ("partition", "seq", "line", "debit", "credit", "amount")
    exported = csv.DictReader(io.StringIO(desk.command("ledger", "export", "--format", "csv")))
    recorded = desk.rows(f"SELECT {', '.join(names)} FROM ledger.transfer")
    assert sorted(tuple(one[name] for name in names) for one in exported) == sorted(
        tuple(map(str, one)) for one in recorded
    )
    year = ("--siren", SIREN, "--closing", "2026-12-31")
    for name, options in {"hledger": (), "beancount": (), "fec": year}.items():
        file = folder / name
        desk.command("ledger", "export", "--format", name, "--output", str(file), *options)
        assert file.stat().st_size > len(recorded)
