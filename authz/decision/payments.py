"""A card is presented: purchases, holds, inquiries, refunds. The first failure decides (docs/interface.md)."""

from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from authz.decision import holds, lots
from authz.decision.admission import Admitted, admit, balance, choose
from authz.decision.calendar import SUNDAY, holidays
from authz.decision.cards import Verdict, examine, spends_without_pin
from authz.decision.commands import Inquiry, Presented, Purchase, Refund
from authz.decision.evidence import Facts
from authz.decision.outcomes import APPROVED, Balance, Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.posting import approval_code, spend, uncovered
from authz.decision.programme import DayOff, Product
from authz.decision.reference import Merchant
from authz.decision.standing import DEBIT, HOLD, Effect, Standing
from ledger import accounts
from ledger.values import Cents, Purse, Transfer

BALANCES_MAX = 6
"""Products that one inquiry answers: DE 54 holds no more."""


class Case(Struct, frozen=True, gc=False):
    """A request with a known card, after the rules on the card: `position` has counted what they count.

    `current` is the position in which the holds that are past their days are released, by the transfers in `due`:
    what can be spent is judged by it, and whatever moves money posts it first.
    """

    facts: Facts
    today: date
    known: Admitted
    verdict: Verdict
    position: Position
    current: Position
    due: tuple[Transfer, ...]

    def answer(self, reply: Reply, position: Position | None = None, transfers: tuple[Transfer, ...] = ()) -> Outcome:
        """Close the case: where no position is given, money stands as it stood."""
        # The cryptogram tells the chip that it was approved.
        if self.verdict.authentic and reply.reason.approves:
            reply = replace(reply, response=self.facts.evidence.response)
        if position is None:
            return Outcome(reply, self.known.holder, self.position)
        return Outcome(reply, self.known.holder, position, (*self.due, *transfers))

    def refuse(self, reason: Reason) -> Outcome:
        """Close the case with a refusal that tells nothing of the balance."""
        return self.answer(Reply(reason))

    def balance(self, product: Product, position: Position) -> Balance:
        """Say what could be spent of a product at this position, here and today."""
        return balance(position, product, self.known.programme, self.facts.merchant, self.today)


def pay(command: Presented, facts: Facts) -> Outcome:
    """Decide a request for which a card is presented."""
    known = admit(command, facts)
    if not isinstance(known, Admitted):
        return known
    today = facts.today
    verdict = examine(known.card, command, facts.evidence, known.programme, today)
    position = known.position.with_card(verdict.card)
    current, due = holds.lapse(known.holder, position, facts.over_before) if position.purse.holds else (position, ())
    case = Case(facts, today, known, verdict, position, current, due)
    if verdict.refusal is not None:
        return case.answer(Reply(verdict.refusal, pin_tries_left=verdict.tries_left))
    chosen = choose(command, position, known.programme)
    if not isinstance(chosen, tuple):
        return case.refuse(chosen)
    match command:
        case Purchase():
            return _purchase(case, command, chosen[0])
        case Inquiry():
            return _inquiry(case, chosen)
        case Refund():
            return _refund(case, command, chosen[0])


def _inquiry(case: Case, products: tuple[Product, ...]) -> Outcome:
    if case.facts.merchant is None:
        return case.refuse(Reason.MERCHANT_UNKNOWN)
    balances = tuple(case.balance(product, case.current) for product in products[:BALANCES_MAX])
    return case.answer(Reply(Reason.APPROVED, balances=balances))


def _purchase(case: Case, command: Purchase, product: Product) -> Outcome:
    merchant, today = case.facts.merchant, case.today
    if merchant is None:
        return case.refuse(Reason.MERCHANT_UNKNOWN)
    if product.code not in merchant.accepts or not product.takes(merchant.mcc, today):
        return case.refuse(Reason.MERCHANT_NOT_ELIGIBLE)
    closed = _day_off(case, merchant, today)
    if closed is not None:
        return case.refuse(closed)
    before = balance(case.current, product, case.known.programme, merchant, today)
    granted = _grant(command, before, case.current.purse, today)
    if not isinstance(granted, int):
        return case.answer(Reply(granted, balances=(before,)))
    position, standing, transfers = _spend(case, command, product.code, granted)
    left = None if before.cap_left is None else Cents(before.cap_left - granted)
    reply = Reply(
        reason=APPROVED if granted == command.amount else Reason.PARTIAL,
        amount=None if granted == command.amount else granted,
        approval=standing.approval,
        balances=(Balance(product.code, Cents(before.available - granted), left),),
        standings=(standing,),
        low=product.gets_low(before.available, granted),
    )
    return case.answer(reply, position, transfers)


def _day_off(case: Case, merchant: Merchant, today: date) -> Reason | None:
    """Refuse a Sunday or holiday, unless the holder works such days and their employer lets them (R3262-8)."""
    sunday, holiday = today.weekday() == SUNDAY, today in holidays(today.year, merchant.territory)
    if not sunday and not holiday:
        return None
    employer = case.facts.employer
    if case.position.works_days_off and employer is not None and employer.sundays_holidays:
        return None
    refused = case.known.programme.refused_on(today, merchant.mcc)
    if sunday and DayOff.SUNDAY in refused:
        return Reason.SUNDAY
    return Reason.HOLIDAY if holiday and DayOff.HOLIDAY in refused else None


def _grant(command: Purchase, balance: Balance, purse: Purse, today: date) -> Cents | Reason:
    """Find how much to grant: all, or, where the terminal takes it, what cap and then balance leave."""
    capped = command.amount if balance.cap_left is None else min(command.amount, balance.cap_left)
    if capped < command.amount and not (command.takes_partial and capped):
        return Reason.DAILY_CAP
    granted = min(capped, balance.available)
    if granted < capped and not (command.takes_partial and granted):
        with_lapsed = balance.available + lots.lapsed(purse, balance.product, today)
        return Reason.VINTAGE_EXPIRED if with_lapsed >= capped else Reason.NO_FUNDS
    return Cents(granted)


def _spend(
    case: Case, command: Purchase, product: str, amount: Cents
) -> tuple[Position, Standing, tuple[Transfer, ...]]:
    """Pay the acquirer, or set aside, out of the oldest lots; count it on the day and on the contactless limit."""
    effect = HOLD if command.holds else DEBIT
    asked = Standing(command.reference, 0, effect, product, case.today, approval_code(command.reference))
    position, standing, transfers = spend(
        case.known.holder,
        case.current,
        asked,
        amount,
        command.origin.acquirer,
        case.known.programme.holds.days,
        case.today,
    )
    if spends_without_pin(command, case.facts.evidence):
        card = case.verdict.card
        position = position.with_card(replace(card, contactless=Cents(card.contactless + amount)))
    return position, standing, transfers


def _refund(case: Case, command: Refund, product: Product) -> Outcome:
    """Give back of the payment that is named, to the very lots it came from. The day's cap stays as it is."""
    original = case.facts.original
    payment = original.standing if original is not None else None
    if not case.known.programme.refunds.allowed or payment is None or payment.effect is not DEBIT:
        return case.refuse(Reason.REFUND_NOT_ALLOWED)
    if payment.product != product.code or payment.amount < command.amount:
        return case.refuse(Reason.REFUND_NOT_ALLOWED)
    acquirer = command.origin.acquirer
    stands, returned = payment.lowered(Cents(payment.amount - command.amount))
    purse, transfers = lots.give_back(
        case.known.holder,
        case.current.purse,
        product.code,
        returned.parts,
        case.facts.over_before,
        accounts.payable(acquirer),
    )
    approval = approval_code(command.reference)
    refunded = Standing(
        command.reference,
        0,
        Effect.REFUND,
        product.code,
        case.today,
        approval,
        returned.parts,
        returned.shortfall,
        of=payment.original,
    )
    position = replace(case.current, purse=purse)
    reply = Reply(
        Reason.APPROVED,
        approval=approval,
        balances=(case.balance(product, position),),
        standings=(refunded, stands),
    )
    return case.answer(reply, position, (*transfers, *uncovered(acquirer, -returned.shortfall)))
