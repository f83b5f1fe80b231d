"""`authz issue offer …`: what vouchers can cost at most, until a client accepts it."""

from datetime import date
from typing import Annotated

from cyclopts import App, Parameter

from authz.decision.issuing.states import Format
from authz.issue_cli import NotAsked
from authz.issue_cli.amounts import Euros, PerCent, hundredths
from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.clients import Contact, show_account
from authz.issue_cli.showing import Facts, show_list, show_one
from authz.issuing.bodies.clients import ClientView
from authz.issuing.bodies.offers import Acceptance, OfferRequest, OfferView, TariffRequest, WantedRequest

offer = App(name="offer", help="Offers: what they can cost at most; they bind to nothing.")


@offer.command
def make(
    *,
    programme: str,
    company: str,
    territory: str,
    contact: Contact,
    want: Annotated[list[str], Parameter(negative="")],
    commission: PerCent,
    card: Euros,
    vat: PerCent,
    until: date,
    ask: Write | None = None,
) -> None:
    """Make an offer.

    Parameters
    ----------
    programme
        apetiz, or pluxee-be.
    company
        The company's name.
    territory
        Where its cards are sent: FR-75, FR-974, BE.
    contact
        Whom the offer is made to.
    want
        A product, for how many holders, how many euros each: 90:50:190.00. May be said again for other products; with
        :paper behind it, not as a card.
    commission
        What the issuer takes of the face value, in per cent.
    card
        What a new card costs, in euros.
    vat
        VAT on both, in per cent.
    until
        The offer's last day.
    ask
        Where the API is.
    """
    wanted, tariff = [_wanted(one) for one in want], TariffRequest(commission, card, vat)
    body = OfferRequest(programme, company, territory, contact.someone, wanted, tariff, until)
    with Api(ask or Write()) as api:
        _show_offer(ask, api.write("POST", "/offers", OfferView, body))


@offer.command(name="list")
def list_offers(*, ask: Ask | None = None) -> None:
    """List offers."""
    with Api(ask or Ask()) as api:
        found = api.all("/offers", OfferView)
    columns = {
        "offer": lambda one: one.id,
        "company": lambda one: one.company,
        "programme": lambda one: one.programme,
        "at most, €": lambda one: one.total,
        "until": lambda one: one.until,
        "status": lambda one: one.status,
        "client": lambda one: one.client,
    }
    show_list(ask, "Offers", found, columns)


@offer.command(name="show")
def show_offer(offer: str, *, ask: Ask | None = None) -> None:
    """Show an offer."""
    with Api(ask or Ask()) as api:
        _show_offer(ask, api.read(f"/offers/{offer}", OfferView))


@offer.command
def withdraw(offer: str, *, ask: Write | None = None) -> None:
    """Take an offer back."""
    with Api(ask or Write()) as api:
        _show_offer(ask, api.write("DELETE", f"/offers/{offer}", OfferView))


@offer.command
def accept(offer: str, *, client: str | None = None, ask: Write | None = None) -> None:
    """Accept an offer: it opens a client's account.

    Parameters
    ----------
    offer
        The offer's id.
    client
        An account that is there, to add it to; without it, a new and separate one is opened.
    ask
        Where the API is.
    """
    with Api(ask or Write()) as api:
        show_account(ask, api.write("POST", f"/offers/{offer}/acceptance", ClientView, Acceptance(client)))


def _wanted(text: str) -> WantedRequest:
    """Read what is wanted, such as 90:50:190.00. Raises `NotAsked`."""
    try:
        product, holders, amount, *rest = text.split(":")
        made_as = Format(*rest) if rest else Format.ELECTRONIC
        return WantedRequest(product, made_as, int(holders), hundredths(amount))
    except (TypeError, ValueError):
        raise NotAsked(f"--want {text!r} isn't product:holders:euros, such as 90:50:190.00") from None


def _show_offer(ask: Ask | None, made: OfferView) -> None:
    facts: Facts = {
        "offer": made.id,
        "company": made.company,
        "programme": made.programme,
        "until": made.until,
        "status": made.status,
        "client": made.client,
        "face value, €": made.maximum.face,
        "commission, €": made.maximum.commission,
        "cards, €": made.maximum.cards,
        "VAT, €": made.maximum.vat,
        "at most, €": made.total,
    }
    show_one(ask, "Offer", made, facts)
