"""What each rule saw when it decided, in words: the request's values beside those they were held against.

Nothing is decided here (`authz.decision.explain` has the core do that): these are the facts that lay before it, its own
figures where it has some, and the source that the programme names for the rule.
"""

from collections.abc import Callable, Mapping
from datetime import date

from msgspec import Struct

from authz.decision import holds, lots
from authz.decision.admission import balance, choose
from authz.decision.calendar import SUNDAY, holidays
from authz.decision.cards import REMOTE
from authz.decision.commands import PRESENTED, Advice, Completion, Payment, Purchase, Refund, Reversal
from authz.decision.evidence import Check, Facts
from authz.decision.explain import Rule
from authz.decision.position import Card, Position
from authz.decision.programme import DayOff, Generation, Product, Programme, in_force
from authz.decision.standing import Effect, Standing
from ledger.printing import euros
from ledger.values import Cents, Lot

NOT_KNOWN = "nothing is known of it"
_DAYS_OFF = {DayOff.SUNDAY: "Sundays", DayOff.HOLIDAY: "holidays"}


class Scene(Struct, frozen=True):
    """A payment and what lay before the core. `position` is the holder's, holds that are past their days released."""

    command: Payment
    facts: Facts
    position: Position | None = None
    card: Card | None = None

    @property
    def amount(self) -> Cents:
        """What is asked for, or told of, in cents."""
        command = self.command
        return command.amount if isinstance(command, Purchase | Refund | Advice | Completion) else Cents(0)

    @property
    def programme(self) -> Programme | None:
        """The programme of the card."""
        return self.facts.programme

    @property
    def generation(self) -> Generation | None:
        """What the programme says of cards like this."""
        return None if self.card is None or self.programme is None else self.programme.generation(self.card.generation)

    @property
    def product(self) -> Product | None:
        """The product that the core finds to be meant; None: none, or several."""
        if self.position is None or self.programme is None or isinstance(self.command, Reversal):
            return None
        chosen = choose(self.command, self.position, self.programme)
        return chosen[0] if isinstance(chosen, tuple) and len(chosen) == 1 else None


def scene_of(command: Payment, facts: Facts) -> Scene:
    """Lay out a payment as its rules found it."""
    position, card = facts.position, None
    if position is not None and facts.holder is not None:
        position, _ = holds.lapse(facts.holder, position, facts.over_before)
        card = None if command.card is None else position.card(command.card)
    return Scene(command, facts, position, card)


def seen(rule: Rule, scene: Scene) -> str:
    """Say what a rule saw: one line, amounts in euros."""
    return _WORDS[rule](scene)


def day_name(day: date) -> str:
    """Write a day.

    >>> day_name(date(2026, 5, 12))
    'Tue 12 May 2026'
    """
    return f"{day:%a} {day.day} {day:%b %Y}"


def _format(_: Scene) -> str:
    return "every field is well-formed"


def _mac(_: Scene) -> str:
    return "right, or none where the link requires none"


def _acquirer(scene: Scene) -> str:
    whose = "the acquirer of the link it came by" if scene.facts.evidence.ours else "another acquirer than the link's"
    return f"DE 32 is {scene.command.origin.acquirer}: {whose}"


def _identity(_: Scene) -> str:
    return "not asked before"


def _card(scene: Scene) -> str:
    if scene.card is None:
        return "no card of this issuer has that number"
    return scene.card.id


def _programme(scene: Scene) -> str:
    if scene.card is None:
        return NOT_KNOWN
    generation = f"generation {scene.card.generation}"
    if scene.programme is None:
        return f"{scene.card.programme}, which isn't in force"
    return f"{scene.programme.id}, {generation}{'' if scene.generation else ', which it lacks'}"


def _status(scene: Scene) -> str:
    return NOT_KNOWN if scene.card is None else str(scene.card.status)


def _pin_tries(scene: Scene) -> str:
    if scene.card is None or scene.generation is None:
        return NOT_KNOWN
    limit = f"{scene.generation.pin_tries} lock the card for good ({scene.generation.source})"
    return f"{scene.card.pin_wrong} wrong in a row before; {limit}"


def _expiry(scene: Scene) -> str:
    if scene.card is None:
        return NOT_KNOWN
    said = None if not isinstance(scene.command, PRESENTED) else scene.command.expiry
    brought = "the request says none" if said is None else f"the request says {_month(said)}"
    return f"the card is good to the end of {_month(scene.card.expiry)}, {brought}; it is {day_name(scene.facts.today)}"


def _pin(scene: Scene) -> str:
    card, generation, programme = scene.card, scene.generation, scene.programme
    if card is None or generation is None or programme is None or not isinstance(scene.command, PRESENTED):
        return NOT_KNOWN
    match scene.facts.evidence.pin:
        case Check.RIGHT:
            return "right"
        case Check.WRONG:
            return f"wrong, {card.pin_wrong + 1} in a row; {generation.pin_tries} lock the card for good"
        case Check.GARBLED:
            return "a block that decrypts to no PIN for this card: no try is counted"
    if isinstance(scene.command, Refund) or scene.command.entry in REMOTE:
        return "none, and none is asked for"
    limits = programme.contactless
    return (
        f"none; read by {scene.command.entry}. Contactless needs none to {euros(limits.single)} at once and "
        f"{euros(limits.together)} together; {euros(card.contactless)} since the last right one ({limits.source})"
    )


def _cvv2(scene: Scene) -> str:
    if scene.card is None or scene.programme is None or not isinstance(scene.command, PRESENTED):
        return NOT_KNOWN
    found, wrong, tries = scene.facts.evidence.cvv2, scene.card.cvv2_wrong, scene.programme.cvv2.tries
    if found is Check.ABSENT and scene.command.entry not in REMOTE:
        return "none, and none is asked for"
    return f"{'none' if found is Check.ABSENT else found}; {wrong} wrong in a row before, {tries} lock it online"


def _cryptogram(scene: Scene) -> str:
    evidence = scene.facts.evidence
    if evidence.arqc is Check.ABSENT or scene.card is None:
        return "none"
    count = "" if evidence.counter is None else f"; counter {evidence.counter}, highest before {scene.card.counter}"
    return f"{evidence.arqc}{count}"


def _entry(scene: Scene) -> str:
    if not isinstance(scene.command, PRESENTED) or scene.generation is None or scene.programme is None:
        return NOT_KNOWN
    online = "may" if scene.generation.online else "may not"
    fallback = "" if scene.programme.chip.fallback else ", none reads the stripe where the chip fails"
    return f"{scene.command.entry}; generation {scene.generation.number} {online} pay online{fallback}"


def _transaction(scene: Scene) -> str:
    return f"DE 3 is {scene.command.origin.processing_code}"


def _amount(scene: Scene) -> str:
    return euros(scene.amount)


def _currency(scene: Scene) -> str:
    return f"DE 49 is {scene.command.origin.currency or 'absent'}; the euro is 978"


def _product(scene: Scene) -> str:
    if scene.position is None:
        return NOT_KNOWN
    held = ", ".join(_named(code, scene.programme) for code in scene.position.products) or "none"
    meant = "" if isinstance(scene.command, Reversal) else scene.command.product
    asked = "names none" if meant == "00" else f"names {meant}"
    return f"the request {asked}; held: {held}"


def _merchant(scene: Scene) -> str:
    merchant = scene.facts.merchant
    if merchant is None:
        return f"{printable(scene.command.origin.merchant_id)} is no merchant of ours"
    return f"{printable(merchant.name)}, MCC {merchant.mcc}, {merchant.territory}"


def _eligibility(scene: Scene) -> str:
    merchant, product = scene.facts.merchant, scene.product
    if merchant is None or product is None:
        return NOT_KNOWN
    accepts = f"accepts {', '.join(merchant.accepts) or 'nothing'}"
    if not product.eligible:
        return f"{accepts}; {product.code} has no list of categories"
    row = in_force(product.eligible, scene.facts.today, merchant.mcc)
    listed = "is none" if row is None else "is one"
    return f"{accepts}; MCC {merchant.mcc} {listed} of {product.code}'s ({(row or product.eligible[0]).source})"


def _calendar(scene: Scene) -> str:
    merchant, today = scene.facts.merchant, scene.facts.today
    if merchant is None or scene.programme is None or scene.position is None:
        return NOT_KNOWN
    name = holidays(today.year, merchant.territory).get(today)
    day = f"{day_name(today)}{'' if name is None else f', {name}'} in {merchant.territory}"
    if today.weekday() != SUNDAY and name is None:
        return f"{day}: neither a Sunday nor a holiday"
    row = in_force(scene.programme.days_off, today, merchant.mcc)
    refuses = [_DAYS_OFF[kind] for kind in row.refuses] if row is not None else []
    rule = f"{' and '.join(refuses)} are refused ({row.source})" if row is not None and refuses else "none is refused"
    works = "works such days" if scene.position.works_days_off else "doesn't work such days"
    employer = scene.facts.employer
    lets = "" if employer is None else f", employer {'lets' if employer.sundays_holidays else 'does not let'} them pay"
    return f"{day}; {rule}; holder {works}{lets}"


def _cap(scene: Scene) -> str:
    merchant, product, programme, today = scene.facts.merchant, scene.product, scene.programme, scene.facts.today
    if merchant is None or product is None or programme is None or scene.position is None:
        return NOT_KNOWN
    if not product.capped:
        return f"{product.code} has none"
    row = in_force(programme.caps.law if programme.cap == "law" else programme.caps.default, today, merchant.mcc)
    spent, cap = scene.position.spent_on(today, product.code), programme.cap_on(today, merchant.mcc)
    source = "" if row is None else f" ({row.source})"
    return f"{euros(spent)} spent that day, and {euros(scene.amount)} asked; the cap is {euros(cap)}{source}"


def _funds(scene: Scene) -> str:
    product, position, programme = scene.product, scene.position, scene.programme
    if product is None or position is None or programme is None:
        return NOT_KNOWN
    today = scene.facts.today
    there = balance(position, product, programme, scene.facts.merchant, today)
    valid = [lot for lot in (*position.purse.lots, *position.purse.expired) if lots.valid(lot, product.code, today)]
    expired = lots.lapsed(position.purse, product.code, today)
    of_lots = f" ({_lots(valid)})" if valid else ""
    lapsed = f"; {euros(expired)} expired unspent" if expired else ""
    return f"{euros(scene.amount)} asked; {euros(there.available)} available{of_lots}{lapsed}"


def _refund(scene: Scene) -> str:
    if scene.programme is None:
        return NOT_KNOWN
    rule = scene.programme.refunds
    return f"the programme takes {'' if rule.allowed else 'no '}refunds ({rule.source}); {_original(scene)}"


def _hold(scene: Scene) -> str:
    command = scene.command
    if not isinstance(command, Completion) or scene.position is None:
        return NOT_KNOWN
    by = "DE 90" if command.originals else f"approval code {printable(command.approval or '')}"
    purse = scene.position.purse
    there = [
        hold
        for hold in purse.holds
        if (hold.id in command.originals if command.originals else hold.approval == command.approval)
    ]
    if not there:
        return f"named by {by}: none in the holder's purse"
    held = sum(part.amount for part in there[0].parts)
    return f"named by {by}: {euros(Cents(held))} until {day_name(there[0].until)}"


def _original(scene: Scene) -> str:
    original = scene.facts.original
    if original is None:
        return "the payment that it names isn't there"
    if original.never_came:
        return "of what it names, only a reversal ever came"
    return "it names a request that moved no money" if original.standing is None else _stood(original.standing)


def _stood(standing: Standing) -> str:
    what = {Effect.DEBIT: "a payment", Effect.HOLD: "a hold", Effect.REFUND: "a refund"}[standing.effect]
    return f"of {what} of {day_name(standing.day)}, {euros(standing.amount)} stood"


def _lots(valid: list[Lot]) -> str:
    return ", ".join(f"{lot.name}: {euros(lot.amount)}" for lot in valid)


def _named(code: str, programme: Programme | None) -> str:
    product = None if programme is None else programme.product(code)
    return code if product is None else f"{code} {product.name}"


def _month(yymm: str) -> str:
    return f"{yymm[2:]}/20{yymm[:2]}"


def printable(text: str) -> str:
    r"""Show what came over a wire, or was typed: no character of it does anything to a terminal.

    >>> printable("PAR\x1b[2J01")
    'PAR·[2J01'
    """
    return "".join([one if one.isprintable() else "·" for one in text])


_WORDS: Mapping[Rule, Callable[[Scene], str]] = {
    Rule.FORMAT: _format,
    Rule.MAC: _mac,
    Rule.ACQUIRER: _acquirer,
    Rule.IDENTITY: _identity,
    Rule.CARD: _card,
    Rule.PROGRAMME: _programme,
    Rule.STATUS: _status,
    Rule.PIN_TRIES: _pin_tries,
    Rule.EXPIRY: _expiry,
    Rule.PIN: _pin,
    Rule.CVV2: _cvv2,
    Rule.CRYPTOGRAM: _cryptogram,
    Rule.ENTRY: _entry,
    Rule.TRANSACTION: _transaction,
    Rule.AMOUNT: _amount,
    Rule.CURRENCY: _currency,
    Rule.PRODUCT: _product,
    Rule.MERCHANT: _merchant,
    Rule.ELIGIBILITY: _eligibility,
    Rule.CALENDAR: _calendar,
    Rule.CAP: _cap,
    Rule.FUNDS: _funds,
    Rule.REFUND: _refund,
    Rule.HOLD: _hold,
    Rule.ORIGINAL: _original,
}
