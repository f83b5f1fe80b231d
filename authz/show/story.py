"""The story of one record, put together from what was read: the decision is made again, and told rule by rule."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from authz.decision.commands import Payment, Totals
from authz.decision.explain import Ruling, explain
from authz.decision.outcomes import Reason, State
from authz.decision.position import Card, Position
from authz.decision.programme import Programme
from authz.decision.reference import Merchant
from authz.engine.facts import facts_of
from authz.engine.passbooks import Passbook
from authz.engine.work import Books
from authz.links.codes import RESPONSE_CODES
from authz.show.changes import Change, changes
from authz.show.fields import Field, masked_card, reply_fields, request_fields, totals_fields
from authz.show.reading import Head, Read
from authz.show.seen import printable, scene_of, seen
from ledger.values import Cents, HolderId, Seq, Transfer

NOT_RECORDED = (
    "when the request came in and how long its answer took (authz_answer_seconds has all answers' times)",
    "whether a MAC was sent, and the bytes of request and reply",
    "how often it was sent again: a repeat gets this answer, and leaves no record",
)
"""What no record says, and support is asked."""


class RuleTold(Struct, frozen=True):
    """A rule, how it decided, and what it saw; nothing where it wasn't reached."""

    rule: str
    ruling: Ruling
    saw: str = ""


class Beside(Struct, frozen=True):
    """Another record, and what it is to this one (empty: it is the holder's, about the same time)."""

    place: str
    at: datetime
    kind: str
    reason: str
    response_code: str
    amount: Cents | None
    acquirer: str
    merchant: str
    card: str
    relation: str = ""


class Who(Struct, frozen=True, omit_defaults=True):
    """Between whom: as the record and the passbooks that it rested on have them."""

    holder: HolderId | None = None
    card: str = ""
    card_id: str = ""
    programme: str = ""
    product: str = ""
    generation: int | None = None
    employer: str = ""
    acquirer: str = ""
    terminal: str = ""
    merchant: str = ""
    merchant_name: str = ""
    mcc: str = ""
    territory: str = ""
    time_zone: str = ""
    by: str = ""
    """Whose access an issuing command came by."""


class Story(Struct, frozen=True):
    """All that is known of one record. `agrees`: decided again by this version, it comes out as it is recorded."""

    place: str
    kind: str
    at: datetime
    local: datetime | None
    sent_before_ms: int | None
    """How long before it was decided DE 7 says that it was sent: another machine's clock, in whole seconds."""
    epoch: int
    who: Who
    amount: Cents | None
    reason: str
    response_code: str
    agrees: bool
    request: tuple[Field, ...]
    command: Any
    """Of a record that no terminal asked for: its command."""
    rules: tuple[RuleTold, ...]
    position: tuple[Change, ...]
    transfers: tuple[Transfer, ...]
    reply: tuple[Field, ...]
    beside: tuple[Beside, ...]
    not_recorded: tuple[str, ...]

    @property
    def refused_by(self) -> str:
        """The rule that refused; empty: none did."""
        return next((one.rule for one in self.rules if one.ruling is Ruling.REFUSED), "")


def story_of(read: Read) -> Story:
    """Tell a record's story. Raises what `decide` raises where its command can't be decided any more."""
    head, command = read.head, read.head.inputs.command
    merchant = read.states[1] if isinstance(command, Payment) else None
    local = None
    if isinstance(merchant, Merchant):
        local = head.at.astimezone(ZoneInfo(merchant.time_zone))
    rules, agrees = _judged(read)
    terminals = isinstance(command, Payment | Totals)
    return Story(
        place=f"{head.partition}/{head.seq}",
        kind=head.kind,
        at=head.at,
        local=local,
        sent_before_ms=_sent_before_ms(head),
        epoch=read.epoch,
        who=_who(read),
        amount=_amount(head),
        reason=head.reason,
        response_code=_code(head.reason),
        agrees=agrees,
        request=_request(head),
        command=None if terminals else msgspec.to_builtins(command),
        rules=rules,
        position=changes(read.states[0] if read.states else None, read.after),
        transfers=read.transfers,
        reply=reply_fields(command, head.reply) if isinstance(command, Payment | Totals) else (),
        beside=tuple([beside(one, relation) for one, relation in read.beside]),
        not_recorded=NOT_RECORDED if terminals else (),
    )


def beside(head: Head, relation: str = "") -> Beside:
    """Tell of a record in one line."""
    command = head.inputs.command
    payment = command if isinstance(command, Payment) else None
    return Beside(
        place=f"{head.partition}/{head.seq}",
        at=head.at,
        kind=head.kind,
        reason=head.reason,
        response_code=_code(head.reason),
        amount=_amount(head),
        acquirer="" if payment is None else payment.origin.acquirer,
        merchant="" if payment is None else printable(payment.origin.merchant_id),
        card="" if payment is None else masked_card(payment.origin),
        relation=relation,
    )


def _judged(read: Read) -> tuple[tuple[RuleTold, ...], bool]:
    """Decide a payment again on what the record rested on: each rule, and whether it comes out as it is recorded."""
    head, inputs = read.head, read.head.inputs
    if not isinstance(inputs.command, Payment):
        return (), True
    books = [_book(seq, state) for seq, state in zip(inputs.used, read.states, strict=True)]
    holder, merchant, employer, programme = books
    facts = facts_of(head.at, inputs.evidence, head.holder, Books(holder, merchant, employer, programme), read.original)
    told = explain(inputs.command, facts)
    scene = scene_of(inputs.command, facts)
    rules = tuple(
        RuleTold(one.rule, one.ruling, "" if one.ruling is Ruling.NOT_REACHED else seen(one.rule, scene))
        for one in told.judged
    )
    outcome = told.outcome
    agrees = (outcome.reply, outcome.transfers, outcome.state) == (head.reply, read.transfers, read.after)
    return rules, agrees


def _book(seq: int, state: State | None) -> Passbook | None:
    return Passbook(HolderId(""), Seq(seq), state) if seq else None


def _who(read: Read) -> Who:
    head, command = read.head, read.head.inputs.command
    holder, merchant, employer, _ = (*read.states, None, None, None, None)[:4]
    who = Who(holder=head.holder, by=head.inputs.by)
    if isinstance(command, Totals):
        return msgspec.structs.replace(who, acquirer=command.acquirer)
    if not isinstance(command, Payment):
        return who
    origin = command.origin
    card = _card(holder, command) or _card(read.after, command)
    who = Who(
        holder=head.holder,
        card=masked_card(origin),
        card_id=command.card or "",
        programme="" if card is None else card.programme,
        generation=None if card is None else card.generation,
        product=_products(read),
        employer=getattr(employer, "name", ""),
        acquirer=origin.acquirer,
        terminal=printable(origin.terminal.rstrip()),
        merchant=printable(origin.merchant_id),
    )
    if not isinstance(merchant, Merchant):
        return who
    return msgspec.structs.replace(
        who,
        merchant_name=printable(merchant.name),
        mcc=merchant.mcc,
        territory=merchant.territory,
        time_zone=merchant.time_zone,
    )


def _products(read: Read) -> str:
    """Which products it was about, as far as the request or the reply names them."""
    command, programme = read.head.inputs.command, read.states[3]
    codes = [one.product for one in read.head.reply.balances] or [getattr(command, "product", "")]
    named = [programme.product(code) for code in codes] if isinstance(programme, Programme) else []
    return ", ".join(f"{one.code} {one.name}" for one in named if one is not None)


def _card(state: object, command: Payment) -> Card | None:
    return state.card(command.card) if isinstance(state, Position) and command.card is not None else None


def _request(head: Head) -> tuple[Field, ...]:
    command = head.inputs.command
    if isinstance(command, Payment):
        return request_fields(command, head.inputs.evidence)
    return totals_fields(command) if isinstance(command, Totals) else ()


def _amount(head: Head) -> Cents | None:
    """What a record is of, in cents: of a reversal, what is to stand."""
    command = head.inputs.command
    if head.reply.amount is not None:
        return head.reply.amount
    cents = getattr(command, "stands", getattr(command, "amount", None))
    return Cents(cents) if isinstance(cents, int) else None


def _sent_before_ms(head: Head) -> int | None:
    """How long before the decision DE 7 says that the request was sent; None: it names no such instant."""
    command = head.inputs.command
    if not isinstance(command, Payment):
        return None
    sent = [
        instant for year in range(head.at.year - 1, head.at.year + 2)
        if (instant := _instant(year, command.origin.transmitted)) is not None
    ]  # fmt: skip
    if not sent:
        return None
    nearest = min((head.at - one for one in sent), key=abs)
    return nearest // timedelta(milliseconds=1)


def _instant(year: int, transmitted: str) -> datetime | None:
    try:
        return datetime.strptime(f"{year}{transmitted}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _code(reason: str) -> str:
    return RESPONSE_CODES[Reason(reason)] if reason in Reason.__members__ else ""
