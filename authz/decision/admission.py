"""Who speaks, and about what: the acquirer, the card and its programme, then the product."""

from datetime import date

from msgspec import Struct

from authz.decision import lots
from authz.decision.commands import Advice, Completion, Inquiry, Payment, Presented, Purchase, Refund
from authz.decision.evidence import Facts
from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import Card, Position
from authz.decision.programme import PRODUCT_CODES, Product, Programme
from authz.decision.reference import Merchant
from ledger.values import EURO, Cents, HolderId

PURCHASE = "00"
"""DE 3, first two digits, of a purchase."""
ANY_PRODUCT = "00"
"""DE 3, digits three and four: the card's only product; in an inquiry, all of them."""


_WITH_TRANSACTION = (Purchase, Advice, Completion)
_WITH_MONEY = (*_WITH_TRANSACTION, Refund)


class Admitted(Struct, frozen=True, gc=False):
    """What is known of the card that a request is about."""

    holder: HolderId
    position: Position
    card: Card
    programme: Programme


def admit(command: Payment, facts: Facts) -> Admitted | Outcome:
    """Find the card, or refuse: an acquirer that isn't this link's, a card that nobody knows."""
    position, holder, programme = facts.position, facts.holder, facts.programme
    card = position.card(command.card) if position is not None and command.card is not None else None
    if position is None or holder is None or card is None:
        return Outcome(Reply(Reason.CARD_UNKNOWN if facts.evidence.ours else Reason.ACQUIRER_UNKNOWN))
    if not facts.evidence.ours:
        return Outcome(Reply(Reason.ACQUIRER_UNKNOWN), holder, position)
    if programme is None:
        return Outcome(Reply(Reason.INTERNAL), holder, position)
    return Admitted(holder, position, card, programme)


def choose(
    command: Presented | Advice | Completion, position: Position, programme: Programme
) -> tuple[Product, ...] | Reason:
    """Find which product is meant: one, or, in an inquiry that names none, each that the holder has."""
    if isinstance(command, _WITH_TRANSACTION) and command.transaction != PURCHASE:
        return Reason.TRANSACTION
    product = command.product
    if product != ANY_PRODUCT and product not in PRODUCT_CODES:
        return Reason.TRANSACTION
    wrong = _money(command) if isinstance(command, _WITH_MONEY) else None
    if wrong is not None:
        return wrong
    meant = position.products if product == ANY_PRODUCT else (product,) if product in position.products else ()
    held = tuple([one for one in programme.products if one.code in meant])
    if not held:
        return Reason.PRODUCT_NOT_HELD
    if len(held) > 1 and not isinstance(command, Inquiry):
        return Reason.PRODUCT_NOT_CHOSEN
    return held


def balance(
    position: Position, product: Product, programme: Programme, merchant: Merchant | None, today: date
) -> Balance:
    """Say what can be spent at a merchant today: of the lots, and, for a capped product, of the day's cap."""
    available = lots.available(position.purse, product.code, today)
    if not product.capped or merchant is None:
        return Balance(product.code, available)
    left = programme.cap_on(today, merchant.mcc) - position.spent_on(today, product.code)
    return Balance(product.code, available, Cents(max(0, left)))


def _money(command: Purchase | Refund | Advice | Completion) -> Reason | None:
    if command.amount < 1 and not (command.amount == 0 and isinstance(command, Completion)):
        return Reason.AMOUNT
    return None if command.currency == EURO else Reason.CURRENCY
