"""Adjustments (docs/adjustments.md): two people each, balanced to the cent, and no card's number in a reason."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.issuing import adjustments
from authz.decision.issuing.adjustments import DIGITS_MAX, REASON_MAX, sides
from authz.decision.issuing.commands import ApproveAdjustment, IssuingCommand, ProposeAdjustment, RefuseAdjustment
from authz.decision.issuing.lives import ADJUSTMENT, AdjustmentEvent
from authz.decision.issuing.states import (
    Adjustment,
    AdjustmentId,
    AdjustmentKind,
    AdjustmentStatus,
    LineNamed,
    Proposal,
    RecordNamed,
    adjustment_passbook,
)
from authz.decision.refused import Refused
from ledger import accounts
from ledger.values import Cents, HolderId, Partition, Seq
from tests.decision.drawing import drawing_of_a_life, table_of_a_life
from tests.decision.issuing.world import TUESDAY, Books

DOCS = Path(__file__).parents[3] / "docs"
ACQUIRER, ID = "970001", AdjustmentId("j1")
ANA, BEN = "finance ana", "finance ben"
PAYABLE, EXCEPTIONS = accounts.payable(ACQUIRER), accounts.exceptions(ACQUIRER)
SETTLED, DIFFERENCES = accounts.settled(), accounts.differences()
OWN_BANK, EARNED = accounts.operating(), accounts.commission()
PROPOSAL = Proposal(AdjustmentKind.SETTLEMENT, ACQUIRER, Cents(12_50), "paid on 12 May")
PROPOSED = ProposeAdjustment(ID, PROPOSAL, ANA)
APPROVED = ApproveAdjustment(ID, PROPOSAL, BEN)
REFUSED = RefuseAdjustment(ID, BEN)
POSTED = {
    AdjustmentKind.SETTLEMENT: {PAYABLE: -1, SETTLED: 1},
    AdjustmentKind.FEE: {PAYABLE: -1, SETTLED: 1, OWN_BANK: -1, EARNED: 1},
    AdjustmentKind.WRITE_OFF: {DIFFERENCES: -1, EXCEPTIONS: 1},
    AdjustmentKind.CORRECTION: {DIFFERENCES: -1, PAYABLE: 1},
}
OWN_MONEY = {OWN_BANK, EARNED}
"""The issuer's own: accounts beside those of the voucher account."""

cents = st.integers(-(10**9), 10**9).filter(bool).map(Cents)
proposals = st.builds(
    Proposal, st.sampled_from(AdjustmentKind), st.sampled_from((ACQUIRER, "970002")), cents, st.just("a reason")
)


def adjusted(proposal: Proposal) -> Books:
    return Books(ProposeAdjustment(ID, proposal, ANA), ApproveAdjustment(ID, proposal, BEN))


def state(books: Books) -> Adjustment:
    return books.get(adjustment_passbook(ID), Adjustment)


@given(st.sampled_from(AdjustmentKind), cents)
def test_each_kind_posts_its_cents_and_below_0_the_other_way_round(kind: AdjustmentKind, amount: Cents) -> None:
    books = adjusted(replace(PROPOSAL, kind=kind, cents=amount))
    assert books.balances == {account: side * amount for account, side in POSTED[kind].items()}


@given(st.sampled_from(AdjustmentKind), cents)
def test_one_of_as_many_cents_the_other_way_round_undoes_it(kind: AdjustmentKind, amount: Cents) -> None:
    books, back = adjusted(replace(PROPOSAL, kind=kind, cents=amount)), AdjustmentId("j2")
    undone = replace(PROPOSAL, kind=kind, cents=Cents(-amount))
    books.do(ProposeAdjustment(back, undone, BEN))
    books.do(ApproveAdjustment(back, undone, ANA))
    assert +books.balances == -books.balances == Counter()


@given(st.lists(st.tuples(proposals, st.booleans()), max_size=12))
def test_whatever_is_adjusted_the_books_balance_and_the_two_moneys_never_mix(
    story: list[tuple[Proposal, bool]],
) -> None:
    """`Books` holds each step to the trial balance and to every account's sign. L3262-2: no fee lies with vouchers."""
    books = Books()
    for number, (proposal, approved) in enumerate(story):
        one = AdjustmentId(f"j{number}")
        books.do(ProposeAdjustment(one, proposal, ANA))
        books.do(ApproveAdjustment(one, proposal, BEN) if approved else RefuseAdjustment(one, BEN))
    assert sum(books.balances[account] for account in OWN_MONEY) == 0
    done = [proposal for proposal, approved in story if approved]
    left = [one.cents for one in done if one.kind in (AdjustmentKind.SETTLEMENT, AdjustmentKind.FEE)]
    assert books.balances[SETTLED] == sum(left)
    assert books.balances[EARNED] == sum(one.cents for one in done if one.kind is AdjustmentKind.FEE)


def test_a_day_by_hand() -> None:
    """200.00 came in; 100.00 were spent, and 5.00 more that no balance covered; the tariff is 1.05.

    Of 105.00, 103.95 go to the acquirer, and 1.05 to the issuer's own account. The 5.00 are then the issuer's loss: so
    much is missing on the voucher account, where 95.00 lie for vouchers of 100.00.
    """
    books, vouchers = Books(), accounts.of_holder(HolderId("h1"), "90", "2026")
    books.balances.update({accounts.issuer_float("90"): -200_00, vouchers: 100_00, PAYABLE: 105_00, EXCEPTIONS: -5_00})
    for kind, amount in (
        (AdjustmentKind.SETTLEMENT, 103_95),
        (AdjustmentKind.FEE, 1_05),
        (AdjustmentKind.WRITE_OFF, 5_00),
    ):
        proposal = replace(PROPOSAL, kind=kind, cents=Cents(amount))
        books.do(ProposeAdjustment(AdjustmentId(kind), proposal, ANA))
        books.do(ApproveAdjustment(AdjustmentId(kind), proposal, BEN))
    held = books.balances
    assert (held[PAYABLE], held[EXCEPTIONS], held[DIFFERENCES], held[EARNED]) == (0, 0, -5_00, 1_05)
    at_the_bank = -(held[accounts.issuer_float("90")] + held[SETTLED])
    assert at_the_bank == 95_00 == held[vouchers] + held[PAYABLE] + held[EXCEPTIONS] + held[DIFFERENCES]


@pytest.mark.parametrize("event", AdjustmentEvent)
@pytest.mark.parametrize("status", AdjustmentStatus)
def test_each_cell_of_the_table_is_what_happens_and_nothing_else_does(
    status: AdjustmentStatus, event: AdjustmentEvent
) -> None:
    books = Books(PROPOSED)
    books.put(adjustment_passbook(ID), replace(state(books), status=status))
    command: IssuingCommand = APPROVED if event is AdjustmentEvent.APPROVAL else REFUSED
    following, before = ADJUSTMENT[status].get(event), books.snapshot()
    if following is None:
        with pytest.raises(adjustments.AdjustmentDecided):
            books.do(command)
        assert books.snapshot() == before
    else:
        books.do(command)
        assert state(books).status is following


def test_who_did_what_and_when_stands_in_the_adjustment() -> None:
    books = Books(PROPOSED)
    books.later(hours=1)
    books.do(APPROVED)
    one = state(books)
    assert (one.proposed_by, one.proposed_at, one.decided_by) == (ANA, TUESDAY, BEN)
    assert one.decided_at == books.instant


def test_nothing_is_posted_before_somebody_else_approved_it_nor_if_it_is_refused() -> None:
    books = Books(PROPOSED, REFUSED)
    assert books.balances == Counter()


def test_ones_own_proposal_is_taken_back_but_never_approved() -> None:
    books = Books(PROPOSED)
    with pytest.raises(adjustments.OwnProposal):
        books.do(replace(APPROVED, by=ANA))
    books.do(replace(REFUSED, by=ANA))
    assert state(books).status is AdjustmentStatus.REFUSED


WRONG: list[tuple[IssuingCommand, Books, type[Refused]]] = [
    (PROPOSED, Books(PROPOSED), adjustments.AdjustmentProposed),
    (APPROVED, Books(), adjustments.AdjustmentUnknown),
    (REFUSED, Books(), adjustments.AdjustmentUnknown),
    (APPROVED, Books(PROPOSED, APPROVED), adjustments.AdjustmentDecided),
    (REFUSED, Books(PROPOSED, APPROVED), adjustments.AdjustmentDecided),
    (replace(APPROVED, proposal=replace(PROPOSAL, cents=Cents(12_51))), Books(PROPOSED), adjustments.ProposalDiffers),
    (replace(PROPOSED, proposal=replace(PROPOSAL, cents=Cents(0))), Books(), adjustments.NothingAdjusted),
    (replace(PROPOSED, proposal=replace(PROPOSAL, reason="")), Books(), adjustments.ReasonMalformed),
    (
        replace(PROPOSED, proposal=replace(PROPOSAL, reason="x" * (REASON_MAX + 1))),
        Books(),
        adjustments.ReasonMalformed,
    ),
]


@pytest.mark.parametrize(("command", "books", "refusal"), WRONG)
def test_what_makes_no_sense_is_refused_in_a_line_and_changes_nothing(
    command: IssuingCommand, books: Books, refusal: type[Refused]
) -> None:
    before = books.snapshot()
    with pytest.raises(refusal) as caught:
        books.do(command)
    assert str(caught.value) == refusal.__doc__
    assert "\n" not in str(caught.value)
    assert books.snapshot() == before


GROUPINGS = ((19,), (16,), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (12,), (4, 4, 4), (4, 4, 4, 4, 3))
"""How cards write their numbers."""


@given(st.text(max_size=20), st.sampled_from(GROUPINGS), st.sampled_from((" ", "-", ".", "_", "\xa0")), st.data())
def test_no_reason_bears_a_cards_number(
    around: str, grouping: tuple[int, ...], between: str, data: st.DataObject
) -> None:
    parts = [data.draw(st.text("0123456789", min_size=length, max_size=length)) for length in grouping]
    digits, number = "".join(parts), between.join(parts)
    reason = f"{around}{number}{around}"
    with pytest.raises(adjustments.CardInReason) as caught:
        Books(replace(PROPOSED, proposal=replace(PROPOSAL, reason=reason)))
    assert digits not in str(caught.value)


@pytest.mark.parametrize("reason", ["1" * DIGITS_MAX, "RF18 5390 0754", "2026-05-12 970001", "1 234 567,89", "0:17"])
def test_dates_references_and_places_are_no_cards_number(reason: str) -> None:
    assert state(Books(replace(PROPOSED, proposal=replace(PROPOSAL, reason=reason)))).proposal.reason == reason


def test_it_is_posted_where_the_record_is_whose_break_it_resolves() -> None:
    there = replace(PROPOSAL, record=RecordNamed(Partition(2), Seq(17)), line=LineNamed("ab" * 32, 3))
    assert (PROPOSAL.partition, there.partition) == (0, 2)


def test_limits_in_messages_are_the_limits() -> None:
    assert f" {REASON_MAX} " in str(adjustments.ReasonMalformed())
    assert f" {DIGITS_MAX} " in str(adjustments.CardInReason())


def test_docs_lives_md_shows_the_table_and_draws_it() -> None:
    _, _, chapter = (DOCS / "lives.md").read_text().partition("## Adjustment\n")
    chapter, _, _ = chapter.partition("\n## ")
    assert drawing_of_a_life(ADJUSTMENT, begins={"a proposal": AdjustmentStatus.PROPOSED}) in chapter
    assert table_of_a_life(ADJUSTMENT) in chapter


def test_docs_adjustments_md_shows_what_each_kind_posts() -> None:
    page = (DOCS / "adjustments.md").read_text()
    for kind in AdjustmentKind:
        rows = [f"| `{debit}` | `{credit}` |" for debit, credit in sides(kind, "ID")]
        for row in rows:
            assert f"| `{kind}` {row}" in page
