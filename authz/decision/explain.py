"""Which rule decided a payment: the rules in their order, and how far it came through them.

The core itself decides, here as ever. What stands here beside it is the order of its rules (docs/interface.md, "What is
checked, in which order") and whose each reason is: so the rule that refused is read off its answer, and what stands
before that rule was passed.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from authz.decision.cards import examine
from authz.decision.commands import PRESENTED, Advice, Command, Completion, Inquiry, Purchase, Refund, Reversal
from authz.decision.decide import decide
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import Position


class Rule(StrEnum):
    """A rule, by its name."""

    FORMAT = "format"
    MAC = "MAC"
    ACQUIRER = "acquirer"
    IDENTITY = "identity"
    CARD = "card"
    PROGRAMME = "programme"
    STATUS = "card status"
    PIN_TRIES = "PIN tries"
    EXPIRY = "expiry"
    PIN = "PIN"
    CVV2 = "CVV2"
    CRYPTOGRAM = "cryptogram"
    ENTRY = "entry mode"
    TRANSACTION = "transaction"
    AMOUNT = "amount"
    CURRENCY = "currency"
    PRODUCT = "product"
    MERCHANT = "merchant"
    ELIGIBILITY = "eligibility"
    CALENDAR = "calendar"
    CAP = "daily cap"
    FUNDS = "funds"
    REFUND = "refund"
    HOLD = "hold"
    ORIGINAL = "original"


class Ruling(StrEnum):
    """How a rule decided."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_REACHED = "not reached"


class Judged(Struct, frozen=True):
    """A rule, and how it decided."""

    rule: Rule
    ruling: Ruling


class Explanation(Struct, frozen=True):
    """A decision, and every rule that stood in its way, in their order."""

    outcome: Outcome
    judged: tuple[Judged, ...]

    @property
    def refused_by(self) -> Rule | None:
        """The rule that refused. None: none did."""
        return next((one.rule for one in self.judged if one.ruling is Ruling.REFUSED), None)


REFUSES: Mapping[Rule, frozenset[Reason]] = {
    Rule.FORMAT: frozenset({Reason.FORMAT}),
    Rule.MAC: frozenset({Reason.MAC_WRONG}),
    Rule.ACQUIRER: frozenset({Reason.ACQUIRER_UNKNOWN, Reason.NOT_SIGNED_ON}),
    Rule.IDENTITY: frozenset({Reason.IDENTITY_REUSED, Reason.REVERSED_BEFORE}),
    Rule.CARD: frozenset({Reason.CARD_UNKNOWN}),
    Rule.PROGRAMME: frozenset({Reason.INTERNAL}),
    Rule.STATUS: frozenset(
        {Reason.CARD_LOST, Reason.CARD_STOLEN, Reason.CARD_FRAUD, Reason.CARD_NOT_ACTIVE, Reason.CARD_REPLACED}
    ),
    Rule.PIN_TRIES: frozenset({Reason.PIN_LOCKED}),
    Rule.EXPIRY: frozenset({Reason.CARD_EXPIRED}),
    Rule.PIN: frozenset({Reason.PIN_WRONG, Reason.PIN_MISSING, Reason.PIN_LOCKED}),
    Rule.CVV2: frozenset({Reason.CVV_WRONG, Reason.ONLINE_LOCKED}),
    Rule.CRYPTOGRAM: frozenset({Reason.ARQC_WRONG}),
    Rule.ENTRY: frozenset({Reason.ONLINE_NOT_ALLOWED, Reason.TRANSACTION}),
    Rule.TRANSACTION: frozenset({Reason.TRANSACTION}),
    Rule.AMOUNT: frozenset({Reason.AMOUNT}),
    Rule.CURRENCY: frozenset({Reason.CURRENCY}),
    Rule.PRODUCT: frozenset({Reason.PRODUCT_NOT_CHOSEN, Reason.PRODUCT_NOT_HELD}),
    Rule.MERCHANT: frozenset({Reason.MERCHANT_UNKNOWN}),
    Rule.ELIGIBILITY: frozenset({Reason.MERCHANT_NOT_ELIGIBLE}),
    Rule.CALENDAR: frozenset({Reason.SUNDAY, Reason.HOLIDAY}),
    Rule.CAP: frozenset({Reason.DAILY_CAP}),
    Rule.FUNDS: frozenset({Reason.NO_FUNDS, Reason.VINTAGE_EXPIRED}),
    Rule.REFUND: frozenset({Reason.REFUND_NOT_ALLOWED}),
    Rule.HOLD: frozenset({Reason.NO_ORIGINAL}),
    Rule.ORIGINAL: frozenset({Reason.NO_ORIGINAL}),
}
"""The reasons that each rule refuses for. Those that are no rule's: the request was granted, or not taken at all."""

BEFORE_THE_CORE = frozenset({Rule.FORMAT, Rule.MAC, Rule.IDENTITY})
"""What they refuse leaves no record: what has one has passed them."""

_ARRIVAL = (Rule.FORMAT, Rule.MAC, Rule.ACQUIRER, Rule.IDENTITY)
_KNOWN = (*_ARRIVAL, Rule.CARD, Rule.PROGRAMME)
_EXAMINED = (
    *_KNOWN,
    Rule.STATUS,
    Rule.PIN_TRIES,
    Rule.EXPIRY,
    Rule.PIN,
    Rule.CVV2,
    Rule.CRYPTOGRAM,
    Rule.ENTRY,
)
_WITH_MONEY = (Rule.TRANSACTION, Rule.AMOUNT, Rule.CURRENCY, Rule.PRODUCT)


def order(command: Command) -> tuple[Rule, ...]:
    """Give the rules that a command has to pass, in their order. None: it doesn't come from a terminal."""
    match command:
        case Purchase():
            at_the_merchant = (Rule.MERCHANT, Rule.ELIGIBILITY, Rule.CALENDAR, Rule.CAP, Rule.FUNDS)
            return (*_EXAMINED, *_WITH_MONEY, *at_the_merchant)
        case Inquiry():
            return (*_EXAMINED, Rule.TRANSACTION, Rule.PRODUCT, Rule.MERCHANT)
        case Refund():
            return (*_EXAMINED, *_WITH_MONEY, Rule.REFUND)
        case Completion(declined=False):
            return (*_KNOWN, *_WITH_MONEY, Rule.HOLD)
        case Completion() | Advice():
            return (*_KNOWN, *_WITH_MONEY)
        case Reversal():
            return (*_ARRIVAL, Rule.ORIGINAL)
        case _:
            return ()


def explain(command: Command, facts: Facts) -> Explanation:
    """Decide a command, and say how each rule did. Raises what `decide` raises."""
    outcome = decide(command, facts)
    rules = order(command)
    refusing = _refusing(command, facts, outcome, rules)
    reached = len(rules) if refusing is None else rules.index(refusing)
    judged = (
        Judged(rule, Ruling.PASSED if at < reached else Ruling.NOT_REACHED if at > reached else Ruling.REFUSED)
        for at, rule in enumerate(rules)
    )
    return Explanation(outcome, tuple(judged))


def _refusing(command: Command, facts: Facts, outcome: Outcome, rules: tuple[Rule, ...]) -> Rule | None:
    """Find whose the answer's reason is. Two reasons are two rules': which one's, the core's own findings tell."""
    reason = outcome.reply.reason
    mine = [rule for rule in rules if reason in REFUSES[rule]]
    if len(mine) < 2:
        return mine[0] if mine else None
    earlier, later = mine
    if reason is Reason.PIN_LOCKED:
        return later if _counts_a_try(command, facts, outcome) else earlier
    return earlier if _card_is_refused(command, facts) else later


def _counts_a_try(command: Command, facts: Facts, outcome: Outcome) -> bool:
    """Tell whether this request's PIN was the wrong one that exhausted the tries."""
    before, after = facts.position, outcome.state
    if not isinstance(command, PRESENTED) or command.card is None:
        return False
    if before is None or not isinstance(after, Position):
        return False
    old, new = before.card(command.card), after.card(command.card)
    return old is not None and new is not None and new.pin_wrong > old.pin_wrong


def _card_is_refused(command: Command, facts: Facts) -> bool:
    """Tell whether the rules on the card refuse."""
    if not isinstance(command, PRESENTED) or command.card is None:
        return False
    card = None if facts.position is None else facts.position.card(command.card)
    if card is None or facts.programme is None:
        return False
    return examine(card, command, facts.evidence, facts.programme, facts.today).refusal is not None
