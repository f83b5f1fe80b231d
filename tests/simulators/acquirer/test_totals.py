"""An acquirer's totals (docs/interface.md: 0500, DE 74 to 77, 86 to 89, 97)."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.acquirer.totals import Totals

CODEC = Codec(shipped("iso87ascii"))
NUMBERS = st.integers(0, 10**10 - 1)
AMOUNTS = st.integers(0, 10**15 - 1)
TOTALS = st.builds(
    Totals, **{name: NUMBERS if name.endswith("number") else AMOUNTS for name in Totals.__struct_fields__}
)


@given(TOTALS, st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_totals_pass_the_wire_unchanged(totals, day):
    fields = totals.fields(day)
    message = Message(mti="0500", transmitted="0512103000", trace="000001", acquirer="970001", **fields)
    heard = CODEC.decode(CODEC.encode(message))
    assert heard == message
    assert Totals.parse(heard) == totals
    assert heard.settlement_date == f"{day:%m%d}"


@given(TOTALS)
def test_the_net_is_c_or_d_and_16_digits(totals):
    net = totals.fields(date(2026, 5, 12))["net_amount"]
    assert int(net[1:]) == abs(totals.net)
    assert (net[0], len(net)) == ("C" if totals.net >= 0 else "D", 17)


def test_what_was_given_back_is_a_credit_and_what_was_taken_back_a_debit():
    assert Totals(credits_amount=5, debits_reversal_amount=7).net == 12
    assert Totals(debits_amount=5, credits_reversal_amount=7).net == -12


def test_fields_that_are_not_there_count_0():
    assert Totals.parse(Message(mti="0510")) == Totals()
