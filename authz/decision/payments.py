"""What comes from a terminal: purchases, holds, inquiries, refunds. The first failure decides (docs/interface.md)."""

from datetime import date
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from authz.decision import lots
from authz.decision.calendar import SUNDAY, holidays, local_day
from authz.decision.cards import Verdict, examine, spends_without_pin
from authz.decision.commands import Inquiry, Payment, Purchase, Refund
from authz.decision.evidence import Facts
from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.programme import PRODUCT_CODES, DayOff, Product, Programme
from authz.decision.reference import Merchant
from ledger import accounts
from ledger.values import EURO, Cents, Hold, HolderId, Part, Purse, Transfer

PURCHASE = "00"
"""DE 3, first two digits, of a purchase."""
ANY_PRODUCT = "00"
"""DE 3, digits three and four: the card's only product; in an inquiry, all of them."""
BALANCES_MAX = 6
"""Products that one inquiry answers: DE 54 holds no more."""
APPROVAL_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Case(Struct, frozen=True):
    """A payment with a known card, after the rules on the card: `position` has counted what they count."""

    facts: Facts
    holder: HolderId
    position: Position
    programme: Programme
    verdict: Verdict

    def answer(self, reply: Reply, position: Position | None = None, transfers: tuple[Transfer, ...] = ()) -> Outcome:
        """Close the case: where no position is given, money stands as it stood."""
        # The cryptogram tells the chip that it was approved.
        response = self.facts.evidence.response if self.verdict.authentic and reply.reason.approves else None
        return Outcome(replace(reply, response=response), self.holder, position or self.position, transfers)

    def refuse(self, reason: Reason) -> Outcome:
        """Close the case with a refusal that tells nothing of the balance."""
        return self.answer(Reply(reason))


def pay(command: Payment, facts: Facts) -> Outcome:
    """Decide a request of a terminal."""
    position, holder, programme, merchant = facts.position, facts.holder, facts.programme, facts.merchant
    card = position.card(command.card) if position is not None and command.card is not None else None
    if position is None or holder is None or card is None:
        return Outcome(Reply(Reason.CARD_UNKNOWN if facts.evidence.ours else Reason.ACQUIRER_UNKNOWN))
    if not facts.evidence.ours:
        return Outcome(Reply(Reason.ACQUIRER_UNKNOWN), holder, position)
    if programme is None:
        return Outcome(Reply(Reason.INTERNAL), holder, position)
    today = local_day(facts.instant, merchant.time_zone if merchant is not None else programme.zone)
    verdict = examine(card, command, facts.evidence, programme, today)
    case = Case(facts, holder, position.with_card(verdict.card), programme, verdict)
    if verdict.refusal is not None:
        return case.answer(Reply(verdict.refusal, pin_tries_left=verdict.tries_left))
    chosen = _choose(command, position, programme)
    if isinstance(chosen, Reason):
        return case.refuse(chosen)
    match command:
        case Purchase():
            return _purchase(case, command, chosen[0], today)
        case Inquiry():
            return _inquiry(case, chosen, today)
        case Refund():
            # Where a programme takes refunds, the original must be named; this command can't name one.
            return case.refuse(Reason.REFUND_NOT_ALLOWED)


def approval_code(reference: str) -> str:
    """Make a request's approval code: six letters and digits, the same for the same request.

    >>> approval_code("c0ffee")
    'JADGLR'
    """
    number = int.from_bytes(blake2b(reference.encode(), digest_size=8).digest())
    code = ""
    for _ in range(6):
        number, digit = divmod(number, len(APPROVAL_DIGITS))
        code += APPROVAL_DIGITS[digit]
    return code


def _choose(command: Payment, position: Position, programme: Programme) -> tuple[Product, ...] | Reason:
    """Find which product is meant: one, or, in an inquiry that names none, each that the holder has."""
    if isinstance(command, Purchase) and command.transaction != PURCHASE:
        return Reason.TRANSACTION
    if command.product != ANY_PRODUCT and command.product not in PRODUCT_CODES:
        return Reason.TRANSACTION
    if not isinstance(command, Inquiry):
        if command.amount <= 0:
            return Reason.AMOUNT
        if command.currency != EURO:
            return Reason.CURRENCY
    held = tuple(product for product in programme.products if product.code in position.products)
    if command.product != ANY_PRODUCT:
        held = tuple(product for product in held if product.code == command.product)
    if not held:
        return Reason.PRODUCT_NOT_HELD
    if len(held) > 1 and not isinstance(command, Inquiry):
        return Reason.PRODUCT_NOT_CHOSEN
    return held


def _inquiry(case: Case, products: tuple[Product, ...], today: date) -> Outcome:
    merchant = case.facts.merchant
    if merchant is None:
        return case.refuse(Reason.MERCHANT_UNKNOWN)
    balances = tuple(
        _balance(case.position, product, case.programme, merchant, today) for product in products[:BALANCES_MAX]
    )
    return case.answer(Reply(Reason.APPROVED, balances=balances))


def _purchase(case: Case, command: Purchase, product: Product, today: date) -> Outcome:
    merchant = case.facts.merchant
    if merchant is None:
        return case.refuse(Reason.MERCHANT_UNKNOWN)
    if product.code not in merchant.accepts or not product.takes(merchant.mcc, today):
        return case.refuse(Reason.MERCHANT_NOT_ELIGIBLE)
    closed = _day_off(case, merchant, today)
    if closed is not None:
        return case.refuse(closed)
    before = _balance(case.position, product, case.programme, merchant, today)
    granted = _grant(command, before, lots.lapsed(case.position.purse, product.code, today))
    if isinstance(granted, Reason):
        return case.answer(Reply(granted, balances=(before,)))
    approval = approval_code(command.reference)
    position, transfers = _spend(case, command, product.code, today, granted, approval)
    left = None if before.cap_left is None else Cents(before.cap_left - granted)
    after = Balance(product.code, Cents(before.available - granted), left)
    if granted == command.amount:
        return case.answer(Reply(Reason.APPROVED, approval=approval, balances=(after,)), position, transfers)
    reply = Reply(Reason.PARTIAL, amount=granted, approval=approval, balances=(after,))
    return case.answer(reply, position, transfers)


def _day_off(case: Case, merchant: Merchant, today: date) -> Reason | None:
    """Refuse a Sunday or holiday, unless the holder works such days and their employer lets them (R3262-8)."""
    employer = case.facts.employer
    if case.position.works_days_off and employer is not None and employer.sundays_holidays:
        return None
    refused = case.programme.refused_on(today, merchant.mcc)
    if DayOff.SUNDAY in refused and today.weekday() == SUNDAY:
        return Reason.SUNDAY
    if DayOff.HOLIDAY in refused and today in holidays(today.year, merchant.territory):
        return Reason.HOLIDAY
    return None


def _balance(position: Position, product: Product, programme: Programme, merchant: Merchant, today: date) -> Balance:
    """Say what can be spent at a merchant today: of the lots, and, for a capped product, of the day's cap."""
    available = lots.available(position.purse, product.code, today)
    if not product.capped:
        return Balance(product.code, available)
    left = programme.cap_on(today, merchant.mcc) - position.spent_on(today, product.code)
    return Balance(product.code, available, Cents(max(0, left)))


def _grant(command: Purchase, balance: Balance, lapsed: Cents) -> Cents | Reason:
    """Find how much to grant: all, or, where the terminal takes it, what cap and then balance leave."""
    capped = command.amount if balance.cap_left is None else min(command.amount, balance.cap_left)
    if capped < command.amount and not (command.takes_partial and capped):
        return Reason.DAILY_CAP
    granted = min(capped, balance.available)
    if granted < capped and not (command.takes_partial and granted):
        return Reason.VINTAGE_EXPIRED if balance.available + lapsed >= capped else Reason.NO_FUNDS
    return Cents(granted)


def _spend(
    case: Case, command: Purchase, product: str, today: date, amount: Cents, approval: str
) -> tuple[Position, tuple[Transfer, ...]]:
    """Pay the acquirer, or set aside, out of the oldest lots; count it on the day and on the contactless limit."""
    acquirer = command.origin.acquirer
    purse = case.position.purse
    left, parts = lots.take(purse, product, today, amount)
    if command.holds:
        purse = Purse(left, (*purse.holds, Hold(command.reference, product, today, approval, acquirer, parts)))
    else:
        purse = Purse(left, purse.holds)
    position = replace(case.position.with_spent(today, product, amount), purse=purse)
    if spends_without_pin(command, case.facts.evidence):
        card = case.verdict.card
        position = position.with_card(replace(card, contactless=Cents(card.contactless + amount)))
    return position, tuple(_transfer(case.holder, product, part, command) for part in parts)


def _transfer(holder: HolderId, product: str, part: Part, command: Purchase) -> Transfer:
    aside = accounts.of_hold(holder, product, part.lot)
    to = aside if command.holds else accounts.payable(command.origin.acquirer)
    return Transfer(accounts.of_holder(holder, product, part.lot), to, part.amount)
