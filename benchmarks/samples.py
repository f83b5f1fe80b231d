"""One purchase on every station of its way, for measuring each station alone. Nothing here is made up by hand.

The frame is what the simulated terminal sends, and each further value is what the product's own function made of the
one before it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from authz.decision.commands import CardId, Command
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence, Facts
from authz.decision.position import Card as IssuedCard
from authz.decision.position import CardStatus, Position
from authz.decision.programme import vintage_dates
from authz.decision.reference import Employer, Merchant
from authz.demo_data import data as demo_data
from authz.engine.identities import keys_of, text_of
from authz.engine.passbooks import Passbook
from authz.engine.recent import Known
from authz.engine.requests import Answer, Secrets
from authz.engine.work import Books, Decided, Work
from authz.links.translation import reply_of, request_of
from authz.programmes import shipped as shipped_programme
from authz.security.module import PinCheck, PinMethod
from authz.security.software import SoftwareSecurityModule
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from ledger.values import Cents, Entry, HolderId, Identity, Lot, Purse, Seq
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad

TUESDAY_NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
"""12:30 in Paris."""
HOLDER = HolderId("h4f1c8a9e2b07")
HOLDERS_MAX = 3_000
"""Among so many holders the entries of `entries` are spread."""
KEYS_PER_SECOND = 1_000
"""The keys of one second stand in the index in no order."""


class Sample(Struct, frozen=True):
    """A purchase of 12.50 by chip and PIN, approved. Its repr shows nothing of it."""

    codec: Codec
    frame: bytes
    message: Message
    secrets: Secrets
    check: PinCheck
    security: SoftwareSecurityModule
    command: Command
    facts: Facts
    decided: Decided
    entry: Entry
    reply: Message

    def __repr__(self) -> str:
        return "Sample(…)"


async def purchase() -> Sample:
    """Take a purchase all the way."""
    known, demo = parameters.demo(), demo_data.read()
    config = demo.config()
    security = SoftwareSecurityModule(
        config.issuer, {link.terms.acquirer: link.keys for link in config.links}, config.vault
    )
    bought = demo.card[0]
    codec = Codec(shipped(known.dialect))
    terminal = Terminal(known.terminal[0], known.acquirer, PinPad(known.zone_pin_key), lambda: TUESDAY_NOON)
    frame = codec.encode(terminal.purchase(Card(pan=bought.pan, pin=bought.pin), 1_250))
    message = codec.decode(frame)
    request = request_of(message, known.acquirer, TUESDAY_NOON, 0.0)
    keys = keys_of(request.command.origin, security.token(bought.pan))
    card = IssuedCard(CardId("c4a1f0d92e7b3c865"), "apetiz", bought.generation, "2806", CardStatus.ACTIVE)
    command = replace(request.command, card=card.id, reference=text_of(keys.reference))
    shop, employer = demo.merchant[0], demo.employer[0]
    evidence = Evidence(pin=Check.RIGHT)
    facts = Facts(
        instant=TUESDAY_NOON,
        evidence=evidence,
        position=Position(
            Purse((Lot("90", "2026", *vintage_dates(2026), Cents(20_000)),)), (card,), ("90",), employer=employer.id
        ),
        holder=HOLDER,
        merchant=Merchant(shop.id, shop.name, shop.mcc, shop.territory, shop.time_zone, shop.accepts),
        employer=Employer(employer.id, employer.name, employer.programme),
        programme=shipped_programme(employer.programme),
    )
    outcome = decide(command, facts)
    assert outcome.reply.reason.approves
    work = Work(
        command=command, kind="purchase", holder=HOLDER, deadline=0.0, evidence=evidence, card=command.card, keys=keys
    )
    known_request = Known(Answer(command, outcome.reply), keys.all(outcome))
    decided = Decided(work, outcome, Books(Passbook(HOLDER, Seq(1), outcome.state)), TUESDAY_NOON, known=known_request)
    return Sample(
        codec=codec,
        frame=frame,
        message=message,
        secrets=request.secrets,
        check=await security.make_pin_check(PinMethod.PVV, bought.pan, bought.pin),
        security=security,
        command=command,
        facts=facts,
        decided=decided,
        entry=decided.entry(Seq(2)),
        reply=reply_of(message, Answer(command, outcome.reply)),
    )


def entries(sample: Sample, start: int = 0) -> Iterator[Entry]:
    """Give the sample's entry without end, with keys of their own: those of the numbers after `start`."""
    for number in count(start + 1):
        key = blake2b(number.to_bytes(8), digest_size=16).digest()
        stamp = sample.entry.identities[0].stamp + number // KEYS_PER_SECOND
        yield replace(
            sample.entry,
            holder=HolderId(f"h{number % HOLDERS_MAX:012x}"),
            identities=(Identity(stamp, key), Identity(stamp, key[::-1])),
        )
