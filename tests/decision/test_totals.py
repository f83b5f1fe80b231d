"""Totals (0500, 0520): what an acquirer counted, held against what the ledger has."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import Totals, Window
from authz.decision.decide import decide
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.totals import Sums
from ledger.values import Cents, Partition, Seq
from tests.decision.world import NOTHING, TUESDAY

RECORDED = Sums(1, 2, 30, 4, Cents(500), Cents(120), Cents(25_000), Cents(1900))
WINDOWS = (Window(Partition(0), Seq(10), Seq(99)),)


def totals(counted: Sums, net: int, recorded: Sums = RECORDED) -> Outcome:
    command = Totals(
        "0500", "970001", "0512200000", "000009", date(2026, 5, 12), counted, Cents(net), recorded, WINDOWS
    )
    return decide(command, Facts(TUESDAY, NOTHING))


def test_they_agree_and_ours_come_back() -> None:
    outcome = totals(RECORDED, RECORDED.net)
    assert outcome == Outcome(Reply(Reason.APPROVED, totals=RECORDED, agrees=True))


@pytest.mark.parametrize("name", Sums.__struct_fields__)
@pytest.mark.parametrize("off", [-1, 1])
def test_any_count_or_amount_that_is_off_by_one_disagrees_and_ours_come_back(name: str, off: int) -> None:
    counted = replace(RECORDED, **{name: getattr(RECORDED, name) + off})
    assert totals(counted, RECORDED.net) == Outcome(Reply(Reason.APPROVED, totals=RECORDED, agrees=False))
    assert not totals(counted, counted.net).reply.agrees


@pytest.mark.parametrize("off", [-1, 1])
def test_a_net_amount_that_isnt_ours_disagrees(off: int) -> None:
    assert not totals(RECORDED, RECORDED.net + off).reply.agrees
    assert not totals(RECORDED, -RECORDED.net).reply.agrees


def test_a_day_on_which_nothing_happened_agrees_with_zeros() -> None:
    assert totals(Sums(), 0, Sums()).reply.agrees


@given(st.builds(Sums, *[st.integers(0, 10**6)] * 4, *[st.integers(0, 10**12)] * 4))
def test_the_net_amount_is_credits_less_debits_each_less_its_reversals(sums: Sums) -> None:
    assert sums.net == (
        sums.credits_amount - sums.credits_reversal_amount - sums.debits_amount + sums.debits_reversal_amount
    )
    assert totals(sums, sums.net, sums).reply.agrees
