"""PIN, CVV2, cryptogram and expiry (docs/interface.md, docs/rules.md): what is counted, what locks, what resets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import CardId, Entry, LiftOnlineLock
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reason, Reply
from authz.decision.position import Card, Position
from authz.decision.programme import Chip
from authz.decision.reference import Merchant
from authz.decision.refused import CardUnknown
from ledger.values import Cents
from tests.decision.world import (
    APETIZ,
    BISTROT,
    CARD,
    HOLDER,
    NOTHING,
    REUNION,
    RIGHT,
    after,
    card,
    facts,
    inquiry,
    paris,
    pay,
    position,
    vintage,
)

WRONG = Evidence(pin=Check.WRONG)
GARBLED = Evidence(pin=Check.GARBLED)
TRIES = {1: 3, 2: 5}


def rich(of: Card) -> Position:
    return position(vintage(2026, 100_000), of=of)


def online(cvv2: Check) -> dict[str, Any]:
    return {"command": {"entry": Entry.ONLINE, "expiry": "2806"}, "evidence": Evidence(cvv2=cvv2)}


def tapped(at: Position, amount: int, evidence: Evidence = NOTHING) -> tuple[Reason, Position]:
    outcome = pay(at, amount, {"entry": Entry.CONTACTLESS}, evidence=evidence)
    return outcome.reply.reason, after(outcome)


@pytest.mark.parametrize(("generation", "tries"), TRIES.items())
def test_the_try_that_exhausts_a_generations_pin_tries_locks_and_every_use_after_it_is_refused(
    generation: int, tries: int
) -> None:
    at = rich(card(generation=generation))
    for left in range(tries - 1, 0, -1):
        outcome = pay(at, evidence=WRONG)
        assert outcome.reply == Reply(Reason.PIN_WRONG, pin_tries_left=left)
        at = after(outcome)
    for evidence in (WRONG, RIGHT, GARBLED, NOTHING):
        outcome = pay(at, evidence=evidence)
        assert outcome.reply == Reply(Reason.PIN_LOCKED)
        at = after(outcome)
    assert at.cards[0].pin_wrong == tries
    assert pay(at, **online(Check.RIGHT)).reply.reason is Reason.PIN_LOCKED


@given(st.lists(st.sampled_from([WRONG, RIGHT, GARBLED]), max_size=15), st.sampled_from([1, 2]))
def test_wrong_pins_are_counted_in_a_row_right_ones_reset_garbled_ones_count_nothing(
    evidences: list[Evidence], generation: int
) -> None:
    at, wrong, locked = rich(card(generation=generation)), 0, False
    for evidence in evidences:
        outcome = pay(at, 1, evidence=evidence)
        at = after(outcome)
        if not locked:
            wrong = {Check.WRONG: wrong + 1, Check.RIGHT: 0, Check.GARBLED: wrong}[evidence.pin]
            locked = wrong == TRIES[generation]
        assert at.cards[0].pin_wrong == wrong
        assert (outcome.reply.reason is Reason.PIN_LOCKED) == locked


def test_a_garbled_pin_block_is_55_without_tries_left() -> None:
    assert pay(rich(card()), evidence=GARBLED).reply == Reply(Reason.PIN_WRONG)


def test_a_pin_that_is_there_is_judged_whatever_the_entry_mode() -> None:
    for entry in Entry:
        outcome = pay(rich(card()), 1000, {"entry": entry, "expiry": "2806"}, evidence=WRONG)
        assert outcome.reply.reason is Reason.PIN_WRONG


@pytest.mark.parametrize("entry", [Entry.CHIP, Entry.STRIPE])
def test_chip_and_stripe_always_need_a_pin(entry: Entry) -> None:
    assert pay(rich(card()), 1, {"entry": entry}, evidence=NOTHING).reply.reason is Reason.PIN_MISSING
    at = facts(rich(card()), evidence=NOTHING)
    assert decide(inquiry(entry=entry), at).reply.reason is Reason.PIN_MISSING
    assert decide(inquiry(entry=Entry.CONTACTLESS), at).reply.reason is Reason.APPROVED


def test_contactless_needs_a_pin_above_30_euros() -> None:
    lunch = replace(rich(card()), products=("90",))
    programme = facts(lunch).programme
    assert programme is not None
    assert programme.contactless.single == 3000
    assert tapped(lunch, 3001)[0] is Reason.PIN_MISSING
    assert tapped(lunch, 3000)[0] is Reason.DAILY_CAP


def test_contactless_needs_a_pin_above_100_euros_together_since_the_last_right_one() -> None:
    at = rich(card(contactless=Cents(8500)))
    reason, at = tapped(at, 1500)
    assert (reason, at.cards[0].contactless) == (Reason.APPROVED, 10_000)
    reason, at = tapped(at, 1)
    assert (reason, at.cards[0].contactless) == (Reason.PIN_MISSING, 10_000)
    reason, at = tapped(at, 1, RIGHT)
    assert (reason, at.cards[0].contactless) == (Reason.APPROVED, 0)
    assert tapped(at, 1)[0] is Reason.APPROVED


def test_a_tap_counts_beside_its_cryptograms_counter() -> None:
    reason, at = tapped(rich(card(counter=6)), 1000, Evidence(arqc=Check.RIGHT, counter=7))
    assert (reason, at.cards[0]) == (Reason.APPROVED, card(counter=7, counters_below=1, contactless=Cents(1000)))


def test_what_is_declined_doesnt_count_as_spent_without_a_pin() -> None:
    reason, at = tapped(rich(card()), 2000)
    assert (reason, at.cards[0].contactless) == (Reason.DAILY_CAP, 0)


@pytest.mark.parametrize("entry", [Entry.ONLINE, Entry.MANUAL])
@pytest.mark.parametrize("cvv2", [Check.WRONG, Check.ABSENT])
def test_online_and_manual_entry_need_a_right_cvv2_instead(entry: Entry, cvv2: Check) -> None:
    command = {"entry": entry, "expiry": "2806"}
    assert pay(rich(card()), 900, command, evidence=Evidence(cvv2=Check.RIGHT)).reply.reason is Reason.APPROVED
    for pin in (Check.ABSENT, Check.RIGHT):
        outcome = pay(rich(card()), 900, command, evidence=Evidence(pin=pin, cvv2=cvv2))
        assert outcome.reply.reason is Reason.CVV_WRONG


def test_five_wrong_cvv2_in_a_row_lock_online_use_alone() -> None:
    at = rich(card())
    for _ in range(5):
        outcome = pay(at, **online(Check.WRONG))
        assert outcome.reply.reason is Reason.CVV_WRONG
        at = after(outcome)
    for cvv2 in Check:
        assert pay(at, **online(cvv2)).reply.reason is Reason.ONLINE_LOCKED
    assert pay(at).reply.reason is Reason.APPROVED


def test_a_right_cvv2_resets_the_count_and_a_missing_one_leaves_it() -> None:
    at = rich(card(cvv2_wrong=4))
    assert after(pay(at, **online(Check.ABSENT))).cards[0].cvv2_wrong == 4
    assert after(pay(at, **online(Check.RIGHT))).cards[0].cvv2_wrong == 0


def test_no_entry_mode_lets_a_cvv2_be_guessed_uncounted() -> None:
    guess = Evidence(pin=Check.RIGHT, cvv2=Check.WRONG)
    outcome = pay(rich(card()), evidence=guess)
    assert outcome.reply.reason is Reason.CVV_WRONG
    assert after(outcome).cards[0].cvv2_wrong == 1
    assert pay(rich(card(cvv2_wrong=5)), evidence=guess).reply.reason is Reason.ONLINE_LOCKED


def cryptogram(counter: int, arqc: Check = Check.RIGHT, pin: Check = Check.RIGHT) -> Evidence:
    return Evidence(pin=pin, arqc=arqc, counter=counter, response="9F36")


def test_a_counter_is_good_once_and_never_goes_back() -> None:
    first = pay(rich(card(counter=6)), 100, evidence=cryptogram(7))
    assert (first.reply.reason, first.reply.response) == (Reason.APPROVED, "9F36")
    for counter in (7, 6):
        again = pay(after(first), 100, evidence=cryptogram(counter))
        assert again.reply == Reply(Reason.ARQC_WRONG)
        assert after(again).cards[0].counter == 7
    assert pay(after(first), 100, evidence=cryptogram(8)).reply.reason is Reason.APPROVED


def test_a_right_cryptogram_is_seen_also_when_something_else_refuses() -> None:
    outcome = pay(rich(card()), 100, evidence=cryptogram(7, pin=Check.WRONG))
    assert (outcome.reply.reason, after(outcome).cards[0].counter) == (Reason.PIN_WRONG, 7)


def test_a_decline_brings_the_chip_no_cryptogram() -> None:
    """The one that is made tells the chip that it was approved."""
    outcome = pay(rich(card()), 1901, evidence=cryptogram(7))
    assert (outcome.reply.reason, outcome.reply.response) == (Reason.DAILY_CAP, None)


def test_a_forged_cryptogram_cant_use_up_a_cards_counters() -> None:
    outcome = pay(rich(card(counter=6)), 100, evidence=cryptogram(65_535, arqc=Check.WRONG))
    assert outcome.reply == Reply(Reason.ARQC_WRONG)
    assert after(outcome).cards[0].counter == 6


@pytest.mark.parametrize(
    ("at", "merchant", "reason"),
    [
        pytest.param("2026-06-30T23:59:59", BISTROT, Reason.APPROVED, id="the last second of the month"),
        pytest.param("2026-07-01T00:00:00", BISTROT, Reason.CARD_EXPIRED, id="the first of the next"),
        pytest.param("2026-06-30T21:59:59", REUNION, Reason.APPROVED, id="the last second in Réunion"),
        pytest.param("2026-06-30T22:00:00", REUNION, Reason.CARD_EXPIRED, id="July in Réunion, June in Paris"),
        pytest.param("2026-06-30T22:00:00", None, Reason.MERCHANT_UNKNOWN, id="else the programme's zone"),
        pytest.param("2026-07-01T00:00:00", None, Reason.CARD_EXPIRED, id="July in the programme's zone"),
    ],
)
def test_a_card_is_good_through_the_last_local_day_of_its_month(
    at: str, merchant: Merchant | None, reason: Reason
) -> None:
    assert pay(rich(card(expiry="2606")), instant=paris(at), merchant=merchant).reply.reason is reason


@pytest.mark.parametrize(
    ("entry", "shown", "reason"),
    [
        (Entry.CHIP, None, Reason.APPROVED),
        (Entry.CHIP, "2806", Reason.APPROVED),
        (Entry.CHIP, "2807", Reason.CARD_EXPIRED),
        (Entry.ONLINE, "2806", Reason.APPROVED),
        (Entry.ONLINE, "2805", Reason.CARD_EXPIRED),
        (Entry.MANUAL, "2806", Reason.APPROVED),
    ],
)
def test_de_14_must_be_the_cards_if_it_came(entry: Entry, shown: str | None, reason: Reason) -> None:
    evidence = Evidence(pin=Check.RIGHT, cvv2=Check.RIGHT)
    assert pay(rich(card()), 1000, {"entry": entry, "expiry": shown}, evidence=evidence).reply.reason is reason


@pytest.mark.parametrize(("allowed", "reason"), [(True, Reason.APPROVED), (False, Reason.TRANSACTION)])
def test_falling_back_to_the_stripe_is_the_programmes_choice(allowed: bool, reason: Reason) -> None:
    programme = replace(APETIZ, chip=Chip(fallback=allowed, source="a test"))
    assert pay(rich(card()), 100, {"entry": Entry.FALLBACK}, programme=programme).reply.reason is reason
    assert pay(rich(card()), 100, {"entry": Entry.STRIPE}, programme=programme).reply.reason is Reason.APPROVED


def test_the_issuer_lifts_the_lock_of_a_cards_online_use() -> None:
    at = rich(card(cvv2_wrong=5))
    online = {"entry": Entry.ONLINE, "expiry": "2806"}
    right = Evidence(cvv2=Check.RIGHT)
    assert pay(at, 100, online, evidence=right).reply.reason is Reason.ONLINE_LOCKED
    lifted = decide(LiftOnlineLock(HOLDER, CARD), facts(at))
    assert after(lifted).cards[0] == card()
    assert pay(after(lifted), 100, online, evidence=right).reply.reason is Reason.APPROVED
    with pytest.raises(CardUnknown):
        decide(LiftOnlineLock(HOLDER, CardId("another")), facts(at))
