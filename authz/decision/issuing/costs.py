"""What vouchers cost: their face value, and beside it, never mixed with it, what the issuer earns (L3262-2)."""

from authz.decision.issuing.states import BASIS_POINTS, Costs, Format, Tariff, Wanted
from ledger.values import Cents


def costs_of(face: int, cards: int, tariff: Tariff) -> Costs:
    """Work out what vouchers worth `face` cents and so many new cards cost.

    Commission is on the face value, VAT on commission and cards; each is rounded half up to a cent.

    >>> costs_of(100_00, 2, Tariff(commission=250, card=Cents(4_00), vat=2000))
    Costs(face=10000, commission=250, cards=800, vat=210)
    """
    commission, made = _share(face, tariff.commission), cards * tariff.card
    return Costs(Cents(face), commission, Cents(made), _share(commission + made, tariff.vat))


def most_of(wanted: tuple[Wanted, ...], tariff: Tariff) -> Costs:
    """Work out what an offer costs at most: as if each product were an order, with a card for everyone in it.

    Paper needs no card.
    """
    each = [
        costs_of(one.holders * one.amount, one.holders if one.format is Format.ELECTRONIC else 0, tariff)
        for one in wanted
    ]
    return Costs(
        face=Cents(sum(one.face for one in each)),
        commission=Cents(sum(one.commission for one in each)),
        cards=Cents(sum(one.cards for one in each)),
        vat=Cents(sum(one.vat for one in each)),
    )


def _share(cents: int, basis_points: int) -> Cents:
    return Cents((cents * basis_points + BASIS_POINTS // 2) // BASIS_POINTS)
