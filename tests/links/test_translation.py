"""What a terminal's fields mean, and what a reply says: field by field as in docs/interface.md, "Wire"."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import Entry, Inquiry, Payment, Purchase, Refund
from authz.decision.outcomes import Balance, Reason, Reply
from authz.engine.requests import Answer, Request
from authz.links.translation import refusal_of, reply_of, request_of
from authz.wire.amounts import parse_amounts
from authz.wire.codec import Malformed
from authz.wire.message import Elements, Message
from ledger.values import Cents
from tests.links.lines import ACQUIRER, NOON, PAN, purchase

ECHOED = (
    *("pan", "processing_code", "amount", "transmitted", "trace", "local_time", "local_date", "acquirer"),
    *("retrieval_reference", "terminal", "merchant", "currency"),
)


def asked(message: Message, instant: datetime = NOON) -> Request:
    return request_of(message, ACQUIRER, instant, 0.0)


def command(**changes: object) -> Payment:
    return asked(purchase(**changes)).command


def reply(answer: Reply, **changes: object) -> Message:
    message = purchase(**changes)
    return reply_of(message, Answer(asked(message).command, answer))


class TestRequests:
    def test_0200_spends_and_0100_holds(self) -> None:
        spends, holds = command(), command(mti="0100")
        assert isinstance(spends, Purchase)
        assert isinstance(holds, Purchase)
        assert (spends.holds, holds.holds) == (False, True)
        assert (spends.transaction, spends.product, spends.amount, spends.currency) == ("00", "90", 1_250, 978)

    @pytest.mark.parametrize("mti", ["0100", "0200"])
    @pytest.mark.parametrize("code", ["30", "31"])
    def test_de3_30_and_31_are_inquiries(self, mti: str, code: str) -> None:
        inquiry = command(mti=mti, processing_code=f"{code}0000", amount=None, currency=None)
        assert isinstance(inquiry, Inquiry)
        assert inquiry.product == "00"

    def test_de3_20_is_a_refund_only_as_0200(self) -> None:
        assert isinstance(command(processing_code="209000"), Refund)
        other = command(mti="0100", processing_code="209000")
        assert isinstance(other, Purchase)
        assert other.transaction == "20"

    @pytest.mark.parametrize("code", ["019000", "999000", "009001", "309010", "209099"])
    def test_any_other_de3_is_no_transaction_that_the_core_knows(self, code: str) -> None:
        odd = command(processing_code=code)
        assert isinstance(odd, Purchase)
        assert odd.transaction != "00"

    @pytest.mark.parametrize(
        ("mode", "entry"),
        [
            *((mode, Entry.CHIP) for mode in ("051", "950", "991", "000")),
            *((mode, Entry.STRIPE) for mode in ("021", "901")),
            ("802", Entry.FALLBACK),
            *((mode, Entry.CONTACTLESS) for mode in ("071", "912")),
            ("812", Entry.ONLINE),
            ("012", Entry.MANUAL),
        ],
    )
    def test_de22_says_how_the_card_was_read(self, mode: str, entry: Entry) -> None:
        assert command(entry_mode=mode).entry is entry

    def test_secrets_are_kept_apart_and_are_in_no_command(self) -> None:
        elements = Elements(cvv2="123", takes_partial="1")
        request = asked(purchase(pin_block="A" * 16, elements=elements, chip="9F2608", card_sequence="001"))
        secrets = request.secrets
        assert (secrets.pan, secrets.pin_block, secrets.cvv2) == (PAN, "A" * 16, "123")
        assert (secrets.chip, secrets.card_sequence) == ("9F2608", "001")
        assert not any(secret in repr(request.command) for secret in (PAN, "A" * 16, "'123'", "9F2608"))
        assert (request.command.origin.first6, request.command.origin.last4) == ("925010", "0014")
        assert repr(secrets) == "Secrets(…)"

    def test_track_2_stands_for_pan_and_expiry(self) -> None:
        request = asked(purchase(pan=None, track2=f"{PAN}=28061011234567890"))
        assert (request.secrets.pan, request.command.expiry) == (PAN, "2806")
        assert not request.command.origin.pan_sent

    @pytest.mark.parametrize(("asks", "takes"), [(None, False), ("0", False), ("1", True)])
    def test_pa_says_whether_a_part_will_do(self, asks: str | None, takes: bool) -> None:
        partial = command(elements=Elements(takes_partial=asks))
        assert isinstance(partial, Purchase)
        assert partial.takes_partial is takes

    @pytest.mark.parametrize(("mti", "repeat"), [("0200", False), ("0201", True), ("0101", True)])
    def test_a_last_digit_of_1_is_a_repeat(self, mti: str, repeat: bool) -> None:
        assert asked(purchase(mti=mti)).repeat is repeat


class TestYear:
    """The year of DE 13 is the one nearest the engine's instant."""

    @pytest.mark.parametrize(
        ("instant", "day", "year"),
        [
            ("2026-01-01T00:05", "1231", 2025),
            ("2025-12-31T23:55", "0101", 2026),
            ("2026-05-12T10:30", "0512", 2026),
            ("2026-07-01T00:00", "0101", 2026),
            ("2026-08-01T00:00", "0101", 2027),
            ("2028-02-29T12:00", "0229", 2028),
            ("2027-03-01T12:00", "0229", 2028),
            ("2029-01-10T12:00", "0229", 2028),
        ],
    )
    def test_around_new_year_and_leap_days(self, instant: str, day: str, year: int) -> None:
        origin = asked(purchase(local_date=day), datetime.fromisoformat(instant).replace(tzinfo=UTC)).command.origin
        assert origin.local == f"{year}{day}123000"

    @pytest.mark.parametrize("day", ["0229", "0230", "0431"])
    def test_a_day_that_no_year_nearby_has_is_malformed(self, day: str) -> None:
        with pytest.raises(Malformed) as caught:
            asked(purchase(local_date=day))
        assert caught.value.field == 13

    @given(
        st.datetimes(datetime(2001, 1, 1), datetime(2098, 12, 31)),  # noqa: DTZ001
        st.datetimes(datetime(2024, 1, 1), datetime(2024, 12, 31)),  # noqa: DTZ001  a year that has every day
    )
    def test_no_other_year_is_nearer(self, at: datetime, local: datetime) -> None:
        instant = at.replace(tzinfo=UTC)
        message = purchase(local_date=f"{local:%m%d}", local_time=f"{local:%H%M%S}")
        try:
            said = datetime.strptime(asked(message, instant).command.origin.local, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except Malformed:
            assert (local.month, local.day) == (2, 29)
            return
        for year in (said.year - 1, said.year + 1):
            with suppress(ValueError):
                assert abs(said.replace(year=year) - instant) >= abs(said - instant)

    @given(st.datetimes(datetime(2001, 1, 1), datetime(2098, 12, 31)), st.timedeltas(timedelta(-150), timedelta(150)))  # noqa: DTZ001
    def test_any_time_within_five_months_gets_its_own_year(self, instant: datetime, away: timedelta) -> None:
        local = (instant + away).replace(microsecond=0)
        message = purchase(local_date=f"{local:%m%d}", local_time=f"{local:%H%M%S}")
        assert asked(message, instant.replace(tzinfo=UTC)).command.origin.local == f"{local:%Y%m%d%H%M%S}"


class TestReplies:
    def test_a_reply_echoes_what_came(self) -> None:
        message = purchase(retrieval_reference="000000000001", terminal="PAR00001", merchant="M1             ")
        answer = reply_of(message, Answer(asked(message).command, Reply(Reason.APPROVED, approval="A1B2C3")))
        assert {name: getattr(answer, name) for name in ECHOED} == {name: getattr(message, name) for name in ECHOED}
        assert (answer.mti, answer.response_code, answer.reason) == ("0210", "00", "APPROVED")

    def test_a_pan_that_came_on_track_2_is_not_echoed(self) -> None:
        answer = reply(Reply(Reason.APPROVED), pan=None, track2=f"{PAN}=2806101")
        assert (answer.pan, answer.track2) == (None, None)

    def test_a_repeat_gets_the_reply_of_the_first_under_the_first_replys_type(self) -> None:
        first = purchase(retrieval_reference="000000000001")
        stored = Answer(asked(first).command, Reply(Reason.APPROVED, approval="A1B2C3"))
        again = replace(first, mti="0201", retrieval_reference="000000000002", transmitted="0512103500")
        assert reply_of(again, stored) == reply_of(first, stored)

    def test_nothing_secret_is_echoed(self) -> None:
        answer = reply(
            Reply(Reason.APPROVED), pin_block="A" * 16, elements=Elements(cvv2="123", takes_partial="1"), chip="9F26"
        )
        assert (answer.pin_block, answer.elements, answer.chip) == (None, None, None)

    def test_a_partial_approval_has_its_own_amount(self) -> None:
        answer = reply(Reply(Reason.PARTIAL, amount=Cents(1_900), approval="A1B2C3"))
        assert (answer.amount, answer.response_code) == ("000000001900", "10")

    def test_tr_counts_the_pin_tries_left(self) -> None:
        wrong = reply(Reply(Reason.PIN_WRONG, pin_tries_left=2))
        assert wrong.elements == Elements(tries_left="2")
        assert wrong.elements.text == "TR0012"

    def test_de54_has_what_is_available_and_what_the_cap_leaves(self) -> None:
        answer = reply(Reply(Reason.APPROVED, balances=(Balance("90", Cents(18_100), Cents(0)),)))
        assert answer.balances == "9002978C0000000181009020978C000000000000"

    def test_de54_has_at_most_six_entries(self) -> None:
        many = tuple(Balance(str(90 + number), Cents(number), Cents(number)) for number in range(6))
        answer = reply(Reply(Reason.APPROVED, balances=many))
        assert answer.balances is not None
        assert len(parse_amounts(answer.balances) or ()) == 6

    def test_no_balance_is_no_de54(self) -> None:
        assert reply(Reply(Reason.CARD_UNKNOWN)).balances is None

    def test_de38_stands_where_the_core_gives_an_approval_code(self) -> None:
        assert reply(Reply(Reason.APPROVED, approval="A1B2C3")).approval == "A1B2C3"
        assert reply(Reply(Reason.NO_FUNDS)).approval is None

    def test_a_refusal_echoes_what_there_is(self) -> None:
        message = purchase(amount=None, pin_block="A" * 16)
        refusal = refusal_of(message, Reason.FORMAT)
        assert {name: getattr(refusal, name) for name in ECHOED} == {name: getattr(message, name) for name in ECHOED}
        assert (refusal.mti, refusal.response_code, refusal.reason) == ("0210", "30", "FORMAT")
        assert refusal.pin_block is None
