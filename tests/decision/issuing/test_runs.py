"""Production runs and access: cards before PINs, 48 hours between them; a token opens something until it doesn't."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from authz.decision.issuing.commands import FinishRequest, MoveRun, RevokeAccess
from authz.decision.issuing.states import Access, CardRequest, RequestKind, RequestStatus, Role, Run, RunStatus
from authz.decision.refused import AccessGranted, PinsTooEarly
from tests.decision.issuing.world import ASKED, CARD, CLIENT, GRANTED, NEW, REQUEST, STARTED, TUESDAY, Books

SENT, PINS_SENT = MoveRun(1, RunStatus.SENT), MoveRun(1, RunStatus.PINS_SENT)
PINS_MADE = MoveRun(1, RunStatus.PINS_MADE, "ef" * 32)


def test_pins_follow_48_hours_after_their_cards() -> None:
    """S: the PIN 48 hours after the card."""
    books = Books(STARTED, SENT)
    assert books.get("run:000001", Run).sent_at == TUESDAY
    books.instant += timedelta(hours=48, microseconds=-1)
    with pytest.raises(PinsTooEarly):
        books.do(PINS_MADE)
    books.instant += timedelta(microseconds=1)
    books.do(PINS_MADE)
    books.do(PINS_SENT)
    run = books.get("run:000001", Run)
    assert run == replace(STARTED.run, status=RunStatus.PINS_SENT, pin_file="ef" * 32, sent_at=TUESDAY)


def test_pins_that_are_sent_again_wait_for_no_card() -> None:
    books = Books(replace(STARTED, run=replace(STARTED.run, cards=(), reissued=(CARD,))), SENT, PINS_MADE)
    assert books.get("run:000001", Run).status is RunStatus.PINS_MADE


@pytest.mark.parametrize(("kind", "new"), [(RequestKind.REMAKE, NEW), (RequestKind.PIN, None)])
def test_what_was_asked_is_done_with_a_new_card_or_without_one(kind: RequestKind, new: str | None) -> None:
    """S: the holder asks, the employer validates, or asks itself."""
    books = Books(replace(ASKED, kind=kind, validated=True))
    books.do(FinishRequest(CLIENT, REQUEST, NEW if new else None))
    request = books.get("request:c1:r1", CardRequest)
    assert (request.status, request.new, request.asked_on) == (RequestStatus.DONE, new, ASKED.asked_on)


@pytest.mark.parametrize("role", Role)
def test_access_is_somebodys_or_the_issuers(role: Role) -> None:
    subject = "c1" if role in (Role.EMPLOYER, Role.AGENT, Role.HOLDER) else ""
    books = Books(replace(GRANTED, access=Access(role, subject)))
    assert books.get(f"access:{GRANTED.token_hash}", Access) == Access(role, subject)


def test_a_token_that_was_taken_back_stays_so() -> None:
    """Somebody else may have it, and the same one would be made again for the same person."""
    books = Books(GRANTED, RevokeAccess(GRANTED.token_hash))
    assert books.get(GRANTED.passbook, Access).revoked
    with pytest.raises(AccessGranted):
        books.do(GRANTED)
