"""One payment at one terminal, from what the command line says to the slip that the terminal prints."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.line import Line
from simulators.command_line import WrongUse, complain, instant
from simulators.mistakes import Mistake
from simulators.terminal import parameters
from simulators.terminal.card import Card, CardInvalid, masked
from simulators.terminal.journal import Journal
from simulators.terminal.messages import TRACE_MAX, Clock, Entry, Site, Terminal, repeat
from simulators.terminal.parameters import Parameters
from simulators.terminal.pinpad import PinPad
from simulators.terminal.receipt import Decision, Left, Slip, read
from simulators.terminal.till import Patience, Till

REPEATS_MAX = 100
PATIENCE = Patience(again_every_s=2.0, reversals_max_tries=5)
"""Of a command that somebody waits for; what it can't tell in this time stays in the journal."""


class NotPaid(Mistake):
    """Nobody answered, and the payment is taken back."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PayOptions:
    """What `simulate pay` is told. The repr shows none of it, for some of it is secret."""

    pan: Annotated[str, Parameter(help="The card number; the demo's cards need no --expiry.")]
    terminal: Annotated[str, Parameter(help="The terminal, such as PAR00001.")]
    amount: Annotated[str | None, Parameter(help="Euros and cents, such as 12.50.")] = None
    pin: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="The PIN as typed; none is sent without it. Other users of this machine can see it in the list of "
            "processes: `--pin -` asks for it instead, or reads a line of standard input.",
        ),
    ] = None
    cvv2: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="The three digits on the back; `-` asks for them, as for the PIN."),
    ] = None
    expiry: Annotated[str | None, Parameter(help="The card's expiry, YYMM.")] = None
    entry: Annotated[
        Literal["chip", "contactless", "stripe", "online", "manual"], Parameter(help="How the card is read.")
    ] = "chip"
    track2: Annotated[
        bool, Parameter(negative="", help="Send the card's track 2 (DE 35) instead of its number: chip and stripe.")
    ] = False
    product: Annotated[str, Parameter(help="90 to 95; 00 is the card's only product.")] = "00"
    partial: Annotated[bool, Parameter(negative="", help="Accept that only a part is approved.")] = False
    hold: Annotated[bool, Parameter(negative="", help="Set the amount aside (0100) instead of debiting it.")] = False
    reverse: Annotated[bool, Parameter(negative="", help="Then take it back (0400): the customer has left.")] = False
    balance: Annotated[bool, Parameter(negative="", help="Ask for the balance; takes no --amount.")] = False
    repeat: Annotated[int, Parameter(help="Send the request again so many times: same request, same answer.")] = 0
    merchant: Annotated[str | None, Parameter(help="Another merchant (DE 42) than the terminal's own.")] = None
    zone: Annotated[str | None, Parameter(help="The terminal's time zone, where the terminal isn't known.")] = None
    trace: Annotated[int | None, Parameter(help="The trace number (DE 11), 1 to 999999; drawn if not given.")] = None
    clock: Annotated[
        str | None, Parameter(help="The terminal's time, such as 2026-05-12T12:30:00+02:00; now if not given.")
    ] = None
    host: Annotated[str, Parameter(help="Where the authorizer is.")] = "127.0.0.1"
    port: Annotated[int, Parameter(help="The port in the authorizer's ready line.")] = 8583
    config: Annotated[
        Path | None, Parameter(help="A file like the demo's: acquirer, zone PIN key, terminals, cards.")
    ] = None
    data: Annotated[
        Path | None,
        Parameter(
            help="A folder for the terminal's journal: it counts the trace numbers, and what was interrupted, or got "
            "no answer, is taken back, by this run or the next one."
        ),
    ] = None
    language: Annotated[Literal["fr", "nl", "en", "both"], Parameter(help="The receipt's language.")] = "both"
    json: Annotated[
        bool, Parameter(negative="", help="Print one JSON object instead of a receipt; amounts are cents.")
    ] = False

    def __repr__(self) -> str:
        return "PayOptions(…)"


class Report(Struct, frozen=True, kw_only=True):
    """What `--json` prints. Amounts are cents; `at` is the terminal's local time."""

    decision: Decision
    response_code: str
    reason: str | None
    card: str
    terminal: str
    merchant: str
    trace: str
    at: datetime
    asked: int | None
    approved: int | None
    rest: int
    approval: str | None
    left: tuple[Left, ...]
    tries_left: int | None
    reversal: str | None


class Attempt(Struct, frozen=True):
    """A payment about to be made: the request, its reversal where it is to be taken back, where, the masked card.

    With a journal there is a till to make it, with a line of its own.
    """

    codec: Codec
    site: Site
    at: datetime
    card: str
    request: Message
    reversal: Message | None = None
    till: Till | None = None
    line: Line | None = None


class Payment(Struct, frozen=True):
    """A payment made. `differing` is the first reply to a repeat that wasn't the first one's equal."""

    slip: Slip
    differing: Message | None = None


def prepare(options: PayOptions, secret: Callable[[str], str]) -> Attempt:
    """Turn options into a request. `secret` asks for what an option `-` leaves out, by its name.

    Raises `WrongUse`, and of what it reads: `ParametersInvalid`, `DialectUnreadable`, `CardInvalid`, `PinUnfit`,
    `KeyUnfit`, `AmountUnfit`.
    """
    known = parameters.load(options.config) if options.config else parameters.demo()
    if not 0 <= options.repeat <= REPEATS_MAX:
        raise WrongUse(f"--repeat: a number of times, 0 to {REPEATS_MAX}")
    if not re.fullmatch(r"[0-9]{2}", options.product):
        raise WrongUse("--product: two digits, such as 90")
    at = instant(options.clock)
    site = _site(options, known)
    card = _card(options, known, at, secret)
    terminal = _terminal(options, known, site, lambda: at)
    codec = Codec(shipped(known.dialect))
    line = Line(options.host, options.port, codec)
    till = None if options.data is None else Till(terminal, line, PATIENCE, Journal(options.data))
    try:
        request = _request(options, terminal, card)
    except BaseException:
        if till is not None:
            till.journal.close()
        raise
    reversal = terminal.reversal(request) if options.reverse else None
    return Attempt(codec, site, at, masked(card.pan), request, reversal, till, line)


async def make(attempt: Attempt, host: str, port: int, repeats: int) -> Payment:
    """Send the request, its repeats and its reversal; with a journal, first whatever an earlier run left.

    Raises `LinkError`, and `Unsendable` where the dialect has no room; with a journal also `NotAcknowledged`, and
    `NotPaid` where there was no answer.
    """
    if attempt.till is not None and attempt.line is not None:
        with attempt.till.journal:
            await (await AcquirerHost.connect(host, port, attempt.codec)).close()  # nobody there: nothing is begun
            try:
                return await _pay_at(attempt.till, attempt.line, attempt, repeats)
            finally:
                await attempt.line.close()
    acquirer = await AcquirerHost.connect(host, port, attempt.codec)
    try:
        reply = await acquirer.exchange(attempt.request)
        slip = read(attempt.site, attempt.at, attempt.card, attempt.request, reply)
        for _ in range(repeats):
            again = await acquirer.exchange(repeat(attempt.request))
            if again != reply:
                return Payment(slip, again)
        if attempt.reversal is not None:
            reversal = await acquirer.exchange(attempt.reversal)
            slip = msgspec.structs.replace(slip, reversal=reversal.response_code)
        return Payment(slip)
    finally:
        await acquirer.close()


async def _pay_at(till: Till, line: Line, attempt: Attempt, repeats: int) -> Payment:
    """Pay at a till that remembers."""
    if till.stored or till.standing.in_doubt:
        found = await till.resume()
        complain(f"finished first what an earlier run left: {found.in_doubt} taken back, {found.to_tell} told")
    reply = await till.pay(attempt.request)
    if reply is None:
        raise NotPaid("no answer in time: the payment was taken back, and nothing is debited")
    slip = read(attempt.site, attempt.at, attempt.card, attempt.request, reply)
    for _ in range(repeats):
        again = await line.exchange(repeat(attempt.request), PATIENCE.answer_within_s)
        if again != reply:
            return Payment(slip, again)
    if attempt.reversal is not None:
        reversal = await till.tell(attempt.reversal)
        slip = msgspec.structs.replace(slip, reversal=reversal.response_code)
    return Payment(slip)


def report(slip: Slip) -> str:
    """The slip as one JSON object on one line."""
    content = Report(
        decision=slip.decision,
        response_code=slip.response_code,
        reason=slip.reason,
        card=slip.card,
        terminal=slip.site.terminal,
        merchant=slip.site.merchant,
        trace=slip.trace,
        at=slip.printed_at,
        asked=slip.asked,
        approved=slip.approved,
        rest=slip.rest,
        approval=slip.approval,
        left=slip.left,
        tries_left=slip.tries_left,
        reversal=slip.reversal,
    )
    return msgspec.json.encode(content).decode()


def parse_cents(text: str) -> int:
    """Read an amount in euros, exactly. Raises `WrongUse`.

    >>> parse_cents("12.50"), parse_cents("12,5"), parse_cents("7")
    (1250, 1250, 700)
    """
    parts = re.fullmatch(r"(?P<euros>[0-9]{1,10})(?:[.,](?P<cents>[0-9]{1,2}))?", text)
    if parts is None:
        raise WrongUse("--amount: euros and cents, such as 12.50")
    return int(parts["euros"]) * 100 + int((parts["cents"] or "").ljust(2, "0"))


def _site(options: PayOptions, known: Parameters) -> Site:
    site = known.site(options.terminal)
    if site is None and options.merchant is None:
        terminals = ", ".join(site.terminal for site in known.terminal)
        raise WrongUse(f"--terminal: not one of {terminals}; for any other give --merchant (and --zone) too")
    if site is None:
        site = Site(options.terminal, options.merchant or "", "", options.zone or "Europe/Paris")
    if len(site.terminal) > 8 or len(options.merchant or "") > 15:
        raise WrongUse("--terminal is at most 8 characters, --merchant at most 15")
    try:
        ZoneInfo(options.zone or site.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise WrongUse("--zone: a time zone such as Europe/Paris") from None
    return msgspec.structs.replace(
        site, merchant=options.merchant or site.merchant, time_zone=options.zone or site.time_zone
    )


def _card(options: PayOptions, known: Parameters, at: datetime, secret: Callable[[str], str]) -> Card:
    card = known.known(options.pan)
    expiry = options.expiry or (card.expiry_at(at.year) if card else None)
    if expiry is None and options.entry in ("online", "manual"):
        raise CardInvalid("--expiry: needed to pay online or by hand with a card that isn't the demo's")
    return Card(
        pan=options.pan,
        expiry=expiry,
        pin=secret("PIN") if options.pin == "-" else options.pin,
        cvv2=secret("CVV2") if options.cvv2 == "-" else options.cvv2,
        generation=card.generation if card else 2,
    )


def _terminal(options: PayOptions, known: Parameters, site: Site, clock: Clock) -> Terminal:
    if options.trace is not None and options.data is not None:
        raise WrongUse("--trace: the journal in --data counts the trace numbers")
    if options.trace is not None and not 1 <= options.trace <= TRACE_MAX:
        raise WrongUse(f"--trace: 1 to {TRACE_MAX}")
    return Terminal(
        site,
        known.acquirer,
        PinPad(known.pin_pad_key),
        clock,
        first_trace=options.trace or secrets.randbelow(TRACE_MAX) + 1,
        sends_track2=options.track2,
    )


def _request(options: PayOptions, terminal: Terminal, card: Card) -> Message:
    entry = Entry(options.entry)
    if options.balance:
        if options.amount is not None or options.partial or options.hold or options.reverse:
            raise WrongUse("--balance: takes no --amount, --partial, --hold or --reverse")
        return terminal.inquiry(card, entry=entry, product=options.product)
    if options.amount is None:
        raise WrongUse("--amount: missing; give euros and cents, such as 12.50, or --balance")
    ask = terminal.authorization if options.hold else terminal.purchase
    return ask(card, parse_cents(options.amount), entry=entry, product=options.product, takes_partial=options.partial)
