"""What makes no sense in issuing: each is refused in a line, and changes nothing."""

from datetime import date

import pytest
from msgspec.structs import replace

from authz.decision import refused
from authz.decision.commands import Administration, CardId, Enrol
from authz.decision.issuing.commands import (
    AddContracts,
    AnswerRequest,
    CancelOrder,
    ChangeClient,
    FinishRequest,
    MoveRun,
    NewCard,
    NoteApplied,
    Remind,
    RevokeAccess,
    WithdrawOffer,
)
from authz.decision.issuing.states import (
    AGENTS_MAX,
    CHUNKS_MAX,
    LINES_A_CHUNK,
    RUN_CARDS_MAX,
    USERS_MAX,
    WANTED_MAX,
    Access,
    AgentId,
    Chunk,
    ContactId,
    Format,
    OrderId,
    RequestKind,
    Role,
    RunStatus,
    Wanted,
)
from authz.decision.refused import Refused
from ledger.values import Cents
from tests.decision.issuing.world import (
    ACCEPTED,
    ACTIVATED,
    ASKED,
    CARD,
    CLIENT,
    CONFIRMED,
    CONTRACT,
    DRAFTED,
    ENTERED,
    FULFILLED,
    GRANTED,
    HOLDER,
    LINE,
    NEW,
    OFFERED,
    OPENED,
    ORDER,
    PAID,
    REMADE,
    REQUEST,
    STARTED,
    TOTAL,
    Books,
    client,
    held,
    paid,
)

WANTED = OFFERED.wanted[0]
PAPER = replace(CONTRACT, format=Format.PAPER)
CHUNK = DRAFTED.chunks[0]
RUN = STARTED.run
SENT, PINS_MADE = MoveRun(1, RunStatus.SENT), MoveRun(1, RunStatus.PINS_MADE, "ef" * 32)


def users(number: int) -> tuple[ContactId, ...]:
    return tuple(ContactId(f"u{one}") for one in range(number))


def agents(number: int) -> tuple[AgentId, ...]:
    return tuple(AgentId(f"a{one}") for one in range(number))


def paper_only() -> Books:
    return Books(OFFERED, replace(OPENED, contracts=(PAPER,)))


OFFERS = [
    (OFFERED, Books(OFFERED), refused.OfferMade),
    (replace(OFFERED, wanted=()), Books(), refused.OfferEmpty),
    (replace(OFFERED, wanted=(WANTED,) * (WANTED_MAX + 1)), Books(), refused.OfferTooLong),
    (replace(OFFERED, wanted=(WANTED, replace(WANTED, holders=2))), Books(), refused.NamedTwice),
    (replace(OFFERED, wanted=(replace(WANTED, product="89"),)), Books(), refused.ProductUnknown),
    (replace(OFFERED, wanted=(Wanted("92", Format.PAPER, 1, Cents(1)),)), Books(), refused.PaperOver),
    (replace(OFFERED, wanted=(Wanted("93", Format.PAPER, 1, Cents(1)),)), Books(), refused.PaperOver),
    (replace(OFFERED, until=date(2026, 5, 11)), Books(), refused.OfferOver),
    (ACCEPTED, Books(), refused.OfferUnknown),
    (WithdrawOffer(OFFERED.offer), Books(), refused.OfferUnknown),
    (ACCEPTED, Books(OFFERED, ACCEPTED), refused.OfferClosed),
    (WithdrawOffer(OFFERED.offer), Books(OFFERED, ACCEPTED), refused.OfferClosed),
]
CLIENTS = [
    (OPENED, client(), refused.ClientOpen),
    (replace(OPENED, contracts=(CONTRACT, CONTRACT)), Books(), refused.NamedTwice),
    (replace(OPENED, contracts=(replace(CONTRACT, product="00"),)), Books(), refused.ProductUnknown),
    (AddContracts(CLIENT, (CONTRACT,)), Books(), refused.ClientUnknown),
    (ChangeClient(CLIENT, load_alerts=True), Books(), refused.ClientUnknown),
    (AddContracts(CLIENT, (PAPER, PAPER)), client(), refused.NamedTwice),
    (ChangeClient(CLIENT, users=users(USERS_MAX + 1)), client(), refused.TooManyUsers),
    (ChangeClient(CLIENT, users=(*users(1), *users(1))), client(), refused.NamedTwice),
    (ChangeClient(CLIENT, agents=agents(AGENTS_MAX + 1)), client(), refused.TooManyAgents),
    (ChangeClient(CLIENT, agents=(*agents(1), *agents(1))), client(), refused.NamedTwice),
]
ORDERS = [
    (DRAFTED, Books(), refused.ClientUnknown),
    (DRAFTED, paper_only(), refused.NoContract),
    (replace(DRAFTED, product="91"), client(), refused.NoContract),
    (replace(DRAFTED, month=date(2026, 5, 2)), client(), refused.MonthMalformed),
    (replace(DRAFTED, chunks=()), client(), refused.OrderMalformed),
    (replace(DRAFTED, chunks=(CHUNK,) * (CHUNKS_MAX + 1)), client(), refused.OrderMalformed),
    (replace(DRAFTED, chunks=(Chunk(0, LINES_A_CHUNK + 1, Cents(500)),)), client(), refused.OrderMalformed),
    (replace(DRAFTED, chunks=(Chunk(0, 0, Cents(500)),)), client(), refused.OrderMalformed),
    (replace(DRAFTED, chunks=(Chunk(0, 2, Cents(1)),)), client(), refused.OrderMalformed),
    (replace(DRAFTED, cards=2), client(), refused.OrderMalformed),
    (replace(DRAFTED, cards=-1), client(), refused.OrderMalformed),
    (replace(DRAFTED, revision=2), client(), refused.RevisionDiffers),
    (DRAFTED, client(DRAFTED), refused.RevisionDiffers),
    (replace(DRAFTED, revision=3), client(DRAFTED), refused.RevisionDiffers),
    (replace(DRAFTED, revision=2), paid(), refused.OrderFixed),
    (replace(ENTERED, lines=()), client(), refused.LinesMalformed),
    (replace(ENTERED, lines=(LINE,) * (LINES_A_CHUNK + 1)), client(), refused.LinesMalformed),
    (replace(ENTERED, lines=(replace(LINE, amount=Cents(0)),)), client(), refused.LinesMalformed),
    (replace(ENTERED, revision=2), client(), refused.RevisionDiffers),
    (ENTERED, client(DRAFTED), refused.RevisionDiffers),
    (replace(ENTERED, revision=2), paid(), refused.OrderFixed),
    (CONFIRMED, client(), refused.OrderUnknown),
    (CONFIRMED, client(DRAFTED, replace(DRAFTED, revision=2)), refused.RevisionDiffers),
    (CONFIRMED, client(DRAFTED, CONFIRMED), refused.OrderFixed),
    (CancelOrder(CLIENT, ORDER), client(), refused.OrderUnknown),
    (CancelOrder(CLIENT, ORDER), paid(), refused.OrderFixed),
    (PAID, client(), refused.OrderUnknown),
    (PAID, client(DRAFTED), refused.OrderNotConfirmed),
    (PAID, client(DRAFTED, CONFIRMED, CancelOrder(CLIENT, ORDER)), refused.OrderNotConfirmed),
    (replace(PAID, reference="again"), paid(), refused.OrderNotConfirmed),
    (replace(PAID, reference=""), client(DRAFTED, CONFIRMED), refused.ReferenceMissing),
    (replace(PAID, amount=Cents(TOTAL - 1)), client(DRAFTED, CONFIRMED), refused.PaymentDiffers),
    (replace(PAID, amount=Cents(TOTAL + 1)), client(DRAFTED, CONFIRMED), refused.PaymentDiffers),
    (NoteApplied(CLIENT, ORDER, 1, 0), client(), refused.OrderUnknown),
    (NoteApplied(CLIENT, ORDER, 1, 0), client(DRAFTED, CONFIRMED), refused.OrderNotPaid),
    (NoteApplied(CLIENT, ORDER, 0, 0), paid(), refused.AppliedTooMany),
    (NoteApplied(CLIENT, ORDER, 2, 0), paid(), refused.AppliedTooMany),
    (NoteApplied(CLIENT, ORDER, 1, -1), paid(), refused.AppliedTooMany),
]
HOLDERS = [
    (FULFILLED, client(), refused.OrderUnknown),
    (FULFILLED, client(DRAFTED, CONFIRMED), refused.OrderNotPaid),
    (FULFILLED, paid(NoteApplied(CLIENT, ORDER, 1, 0)), refused.OrderNotPaid),
    (replace(FULFILLED, order=OrderId("o9")), paid(), refused.OrderUnknown),
    (replace(FULFILLED, product="91"), paid(), refused.ProductDiffers),
    (FULFILLED, held(), refused.CardIssued),
    (replace(FULFILLED, card=NewCard(CARD, 2, "3013")), paid(), refused.ExpiryMalformed),
    (replace(FULFILLED, amount=Cents(0)), paid(), refused.LoadEmpty),
    (replace(FULFILLED, lot="a:b"), paid(), refused.LotMalformed),
    (replace(FULFILLED, card=None, valid_until=date(2027, 3, 1)), held(), refused.LotDiffers),
    (ACTIVATED, client(), refused.HolderUnknown),
    (ACTIVATED, client(Enrol(HOLDER, "E1")), refused.CardUnknown),
    (ACTIVATED, held(ACTIVATED), refused.CardNotInactive),
    (REMADE, client(), refused.HolderUnknown),
    (replace(REMADE, old=CardId("k9")), held(), refused.CardUnknown),
    (replace(REMADE, new=NewCard(CARD, 2, "3006")), held(), refused.CardIssued),
    (Remind(HOLDER, "90", "2026"), client(), refused.HolderUnknown),
    (Remind(HOLDER, "90", "2025"), held(), refused.NothingToRemind),
]
REQUESTS = [
    (ASKED, Books(ASKED), refused.RequestAsked),
    (AnswerRequest(CLIENT, REQUEST, validated=True), Books(), refused.RequestUnknown),
    (FinishRequest(CLIENT, REQUEST, NEW), Books(), refused.RequestUnknown),
    (AnswerRequest(CLIENT, REQUEST, validated=False), Books(replace(ASKED, validated=True)), refused.RequestAnswered),
    (FinishRequest(CLIENT, REQUEST, NEW), Books(ASKED), refused.RequestNotValidated),
    (FinishRequest(CLIENT, REQUEST), Books(replace(ASKED, validated=True)), refused.RequestMalformed),
    (
        FinishRequest(CLIENT, REQUEST, NEW),
        Books(replace(ASKED, kind=RequestKind.PIN, validated=True)),
        refused.RequestMalformed,
    ),
]
RUNS = [
    (STARTED, Books(STARTED), refused.RunStarted),
    (replace(STARTED, run=replace(RUN, cards=())), Books(), refused.RunMalformed),
    (replace(STARTED, run=replace(RUN, cards=(CARD,) * (RUN_CARDS_MAX + 1))), Books(), refused.RunMalformed),
    (replace(STARTED, run=replace(RUN, status=RunStatus.SENT)), Books(), refused.RunMalformed),
    (replace(STARTED, run=replace(RUN, pin_file="ef")), Books(), refused.RunMalformed),
    (SENT, Books(), refused.RunUnknown),
    (replace(SENT, status=RunStatus.MADE), Books(STARTED), refused.RunElsewhere),
    (replace(SENT, pin_file="ef"), Books(STARTED), refused.PinFileMisplaced),
    (PINS_MADE, Books(STARTED), refused.RunElsewhere),
    (replace(PINS_MADE, pin_file=None), Books(STARTED, SENT), refused.PinFileMisplaced),
    (PINS_MADE, Books(STARTED, SENT), refused.PinsTooEarly),
]
ACCESS = [
    (GRANTED, Books(GRANTED), refused.AccessGranted),
    (replace(GRANTED, access=Access(Role.EMPLOYER)), Books(), refused.SubjectMisplaced),
    (replace(GRANTED, access=Access(Role.HOLDER)), Books(), refused.SubjectMisplaced),
    (replace(GRANTED, access=Access(Role.ISSUER, "c1")), Books(), refused.SubjectMisplaced),
    (RevokeAccess(GRANTED.token_hash), Books(), refused.AccessUnknown),
    (RevokeAccess(GRANTED.token_hash), Books(GRANTED, RevokeAccess(GRANTED.token_hash)), refused.AccessRevoked),
]
EVERY = [*OFFERS, *CLIENTS, *ORDERS, *HOLDERS, *REQUESTS, *RUNS, *ACCESS]


@pytest.mark.parametrize(("command", "books", "refusal"), EVERY)
def test_what_makes_no_sense_is_refused_in_a_line_and_changes_nothing(
    command: Administration, books: Books, refusal: type[Refused]
) -> None:
    before = books.snapshot()
    with pytest.raises(Refused) as caught:
        books.do(command)
    assert type(caught.value) is refusal
    assert str(caught.value) == refusal.__doc__
    assert "\n" not in str(caught.value)
    assert books.snapshot() == before


def test_limits_in_messages_are_the_limits() -> None:
    for refusal, limit in (
        (refused.OfferTooLong, WANTED_MAX),
        (refused.TooManyUsers, USERS_MAX),
        (refused.TooManyAgents, AGENTS_MAX),
        (refused.LinesMalformed, LINES_A_CHUNK),
        (refused.OrderMalformed, CHUNKS_MAX),
        (refused.RunMalformed, RUN_CARDS_MAX),
    ):
        assert f" {limit:,} " in str(refusal())
