"""A holder at a bistro on a Tuesday, all in order; each test says only what is different."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from authz.decision.commands import Advice, CardId, Completion, Entry, Inquiry, Origin, Purchase, Refund, Reversal
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence, Facts
from authz.decision.outcomes import Outcome
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import vintage_dates
from authz.decision.reference import Employer, Merchant
from authz.programmes import shipped
from ledger.values import Cents, HolderId, Lot, Purse

APETIZ = shipped("apetiz")
PLUXEE = shipped("pluxee-be")
HOLDER = HolderId("h1")
CARD = CardId("c1")

BISTROT = Merchant("FR0000000000001", "Le Bistrot du Port", "5812", "FR-75", "Europe/Paris", ("90",))
STRASBOURG = Merchant("FR0000000000002", "Boulangerie Schmitt", "5462", "FR-67", "Europe/Paris", ("90",))
REUNION = Merchant("FR0000000000003", "La Case Creole", "5812", "FR-974", "Indian/Reunion", ("90",))
GUADELOUPE = Merchant("FR0000000000006", "Chez Man Titine", "5812", "FR-971", "America/Guadeloupe", ("90",))
MARKET = Merchant("FR0000000000004", "Supermarche des Halles", "5411", "FR-69", "Europe/Paris", ("90",))
HIFI = Merchant("FR0000000000005", "Hifi Republique", "5732", "FR-75", "Europe/Paris", ())
SNACK = Merchant("BE0000000000001", "Snack de la Bourse", "5814", "BE", "Europe/Brussels", ("91",))

RIGHT = Evidence(pin=Check.RIGHT)
NOTHING = Evidence()


def paris(text: str) -> datetime:
    """An instant, by the clocks of Paris."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)


TUESDAY = paris("2026-05-12T12:30:00")


def vintage(year: int, amount: int) -> Lot:
    first, last = vintage_dates(year)
    return Lot("90", str(year), first, last, Cents(amount))


def months(product: str, amount: int, until: date = date(2027, 5, 12)) -> Lot:
    return Lot(product, "2026-05-12", date(2026, 5, 12), until, Cents(amount))


def card(**changes: Any) -> Card:
    return replace(Card(CARD, "apetiz", 1, "2806", CardStatus.ACTIVE), **changes)


def position(*lots: Lot, of: Card | None = None, **changes: Any) -> Position:
    products = tuple(dict.fromkeys(lot.product for lot in lots)) or ("90",)
    return replace(Position(Purse(lots), (of or card(),), products, employer="E1"), **changes)


def facts(at: Position | None, **changes: Any) -> Facts:
    employer = Employer("E1", "Atelier Durand", "apetiz")
    holder = None if at is None else HOLDER
    return replace(Facts(TUESDAY, RIGHT, at, holder, BISTROT, employer, APETIZ), **changes)


ORIGIN = Origin("0200", "009000", "0512103000", "000001", "20260512123000", "970001", "PAR00001", BISTROT.id)


def purchase(amount: int = 1000, **changes: Any) -> Purchase:
    return replace(Purchase(ORIGIN, CARD, "c0ffee", "00", "90", Cents(amount), 978, Entry.CHIP), **changes)


def inquiry(**changes: Any) -> Inquiry:
    return replace(Inquiry(ORIGIN, CARD, "c0ffee", "90", Entry.CHIP), **changes)


def refund(amount: int = 1000, *originals: str, **changes: Any) -> Refund:
    return replace(Refund(ORIGIN, CARD, "refund", "90", Cents(amount), 978, Entry.CHIP, originals), **changes)


def advice(amount: int = 1000, **changes: Any) -> Advice:
    return replace(Advice(ORIGIN, CARD, "advice", "00", "90", Cents(amount), 978), **changes)


def completion(amount: int, *originals: str, **changes: Any) -> Completion:
    return replace(Completion(ORIGIN, CARD, "completion", "00", "90", Cents(amount), 978, originals), **changes)


def reversal(*originals: str, stands: int = 0, **changes: Any) -> Reversal:
    return replace(Reversal(ORIGIN, CARD, "reversal", originals, Cents(stands)), **changes)


def locally(text: str) -> Origin:
    """An origin whose DE 12 and 13, with their year, are this wall clock's."""
    return replace(ORIGIN, local=f"{datetime.fromisoformat(text):%Y%m%d%H%M%S}")


def after(outcome: Outcome) -> Position:
    """The holder's position that an outcome leaves."""
    assert isinstance(outcome.state, Position)
    return outcome.state


def pay(at: Position, amount: int = 1000, command: dict[str, Any] | None = None, **circumstances: Any) -> Outcome:
    """Decide a purchase by a holder at this position."""
    return decide(purchase(amount, **(command or {})), facts(at, **circumstances))
