"""What can't be read: docs/interface.md, "Bad input" and the fields table. A 30 echoes what was well-formed."""

import pytest

from authz.wire.codec import Codec, Malformed, Unreadable
from authz.wire.dialect import shipped
from authz.wire.message import Message

CODEC = Codec(shipped("iso87ascii"))

HEAD = "0200 7238040100C08000"
BODY = "169250100000000014 000000 000000001250 0512103000 000042 123000 0512 051 06970001 PAR00001 FR0000000000001 978"
GOOD = f"{HEAD} {BODY}"


def frame(spaced: str) -> bytes:
    """A frame written with spaces between its fields; `_` stands for a space inside one."""
    return spaced.replace(" ", "").replace("_", " ").encode("latin-1")


def malformed(spaced: str) -> Malformed:
    with pytest.raises(Malformed) as refused:
        CODEC.decode(frame(spaced))
    return refused.value


def names(message: Message) -> set[str]:
    return {name for name in message.__struct_fields__ if getattr(message, name) not in (None, ())}


ALL = names(CODEC.decode(frame(GOOD)))


@pytest.mark.parametrize(
    "spaced",
    [
        "",
        "0",
        "0200",
        "0200 7238",
        "0200 7238040100C0800",
        "ZZZZ 7238040100C08000",
        "+200 7238040100C08000",
        "0200 7238040100C0800G",
        "0200 72_38_04_01_08_C",
        "0200 72380401_08C0800",
        "²²²² 7238040100C08000",
    ],
)
def test_without_a_type_and_a_bitmap_there_is_nothing_to_answer(spaced: str) -> None:
    with pytest.raises(Unreadable):
        CODEC.decode(frame(spaced))


@pytest.mark.parametrize("second", ["", "0400", "04000000_0000000", "040000000000000G"])
def test_a_second_bitmap_that_is_announced_must_be_there(second: str) -> None:
    refused = malformed(f"0800 8220000000000000 {second}")
    assert refused.field == 1
    assert refused.partial == Message(mti="0800")


class TestContent:
    """A field whose content is wrong is named, and all others are kept."""

    @pytest.mark.parametrize(
        ("right", "wrong", "field", "attribute"),
        [
            ("169250100000000014", "1692501000000000A4", 2, "pan"),
            ("169250100000000014", "1192501000000", 2, "pan"),
            (" 000000 ", " 00000x ", 3, "processing_code"),
            ("000000001250", "0000000012.5", 4, "amount"),
            ("000000001250", "+00000001250", 4, "amount"),
            ("000000001250", "_00000001250", 4, "amount"),
            ("0512103000", "0532103000", 7, "transmitted"),
            ("123000", "243000", 12, "local_time"),
            (" 0512 ", " 0230 ", 13, "local_date"),
            ("06970001", "0697000x", 32, "acquirer"),
            ("06970001", "00", 32, "acquirer"),
            ("PAR00001", "PAR0000\x00", 41, "terminal"),
            ("FR0000000000001", "FR00000000000é1", 42, "merchant"),
            (" 978", " EUR", 49, "currency"),
        ],
    )
    def test_it_is_named_and_the_others_are_kept(self, right: str, wrong: str, field: int, attribute: str) -> None:
        assert GOOD.count(right) == 1
        refused = malformed(GOOD.replace(right, wrong))
        assert refused.field == field
        assert names(refused.partial) == ALL - {attribute}

    def test_29_february_is_a_date(self) -> None:
        assert CODEC.decode(frame(GOOD.replace(" 0512 ", " 0229 "))).local_date == "0229"

    def test_of_two_the_first_is_named_and_neither_is_kept(self) -> None:
        refused = malformed(GOOD.replace(" 978", " EUR").replace(" 000000 ", " 00000x "))
        assert refused.field == 3
        assert names(refused.partial) == ALL - {"processing_code", "currency"}

    def test_fields_that_nothing_reads_are_tested_too(self) -> None:
        refused = malformed("0800 8220008000000000 0400000000000000 0512103003 000045 x0 301")
        assert (refused.field, refused.partial.network_code, refused.partial.unused) == (25, "301", ())

    @pytest.mark.parametrize("pin_block", ["0123456789ABCDE_", "0123456789ABCDEG"])
    def test_a_pin_block_is_16_hexadecimal_digits(self, pin_block: str) -> None:
        spaced = GOOD.replace("7238040100C08000", "7238040100C09000") + pin_block
        assert malformed(spaced).field == 52

    @pytest.mark.parametrize("elements", ["CV00212", "CV003123CV003123", "CV003", "hello"])
    def test_the_elements_of_field_48(self, elements: str) -> None:
        spaced = GOOD.replace("7238040100C08000", "7238040100C18000")
        refused = malformed(spaced.replace(" 978", f" {len(elements):03}{elements} 978"))
        assert refused.field == 48
        assert names(refused.partial) == ALL

    def test_the_first_12_of_field_95_are_digits_and_the_rest_is_not_examined(self) -> None:
        head = "0400 8000000000000000 0000000200000000"
        assert CODEC.decode(frame(head + "000000000500" + "x" * 30)).replacement is not None
        assert malformed(head + "00000000050x" + "0" * 30).field == 95


class TestLayout:
    """Behind a length that is wrong nothing can be told; what stood before is kept."""

    BEFORE_32 = ALL - {"acquirer", "terminal", "merchant", "currency"}

    @pytest.mark.parametrize("length", ["+6", "_6", "6_", "-6", "1_", "x6", "0x", "\xb26", "12", "99"])
    def test_a_length_is_digits_and_at_most_the_fields(self, length: str) -> None:
        refused = malformed(GOOD.replace("06970001", f"{length}970001"))
        assert refused.field == 32
        assert names(refused.partial) == self.BEFORE_32

    @pytest.mark.parametrize("cut", range(20, len(frame(GOOD))))
    def test_a_frame_cut_in_half_keeps_what_was_whole(self, cut: int) -> None:
        refused = malformed(frame(GOOD)[:cut].decode("latin-1").replace(" ", "_"))
        assert refused.field in {2, 3, 4, 7, 11, 12, 13, 22, 32, 41, 42, 49}
        whole = CODEC.decode(frame(GOOD))
        assert all(getattr(refused.partial, name) == getattr(whole, name) for name in names(refused.partial))

    def test_bytes_behind_the_last_field(self) -> None:
        refused = malformed(f"{GOOD}0")
        assert refused.field == 0
        assert names(refused.partial) == ALL

    @pytest.mark.parametrize(
        ("second", "field"), [("8000000000000000", 65), ("0000000800000000", 93), ("0000000100000000", 96)]
    )
    def test_a_field_that_the_dialect_lacks(self, second: str, field: int) -> None:
        refused = malformed(f"{GOOD.replace('7238040100C08000', f'F238040100C08000 {second}')} 0000000000000000")
        assert refused.field == field
        assert names(refused.partial) == ALL

    def test_a_third_bitmap_hides_no_earlier_fault(self) -> None:
        spaced = GOOD.replace("7238040100C08000", "F238040100C08000 8000000000000000").replace(" 978", " EUR")
        assert malformed(spaced).field == 49


class TestContradictions:
    """Fields that are well-formed and can't stand together."""

    TRACKED = GOOD.replace("7238040100C08000", "7238040120C08000")

    def test_two_pans_that_differ(self) -> None:
        refused = malformed(self.TRACKED.replace("06970001", "06970001 219250100000000022=2806"))
        assert refused.field == 35
        assert refused.partial.pan == "9250100000000014"
        assert refused.partial.track2 is None

    def test_two_pans_that_agree(self) -> None:
        message = CODEC.decode(frame(self.TRACKED.replace("06970001", "06970001 219250100000000014=2806")))
        assert (message.card_number, message.card_expiry) == ("9250100000000014", "2806")

    @pytest.mark.parametrize("track2", ["169250100000000014", "209250100000000014=280", "219250100000000014F2806"])
    def test_a_track_that_is_none(self, track2: str) -> None:
        assert malformed(self.TRACKED.replace("06970001", f"06970001 {track2}")).field == 35

    @pytest.mark.parametrize(("expiry", "good"), [("2806", True), ("2807", False)])
    def test_two_expiries(self, expiry: str, good: bool) -> None:
        spaced = f"0100 0004000020000000 {expiry} 219250100000000014=2806"
        if good:
            assert CODEC.decode(frame(spaced)).card_expiry == "2806"
        else:
            assert malformed(spaced).field == 14

    def test_a_mac_that_leaves_fields_above_64_uncovered(self) -> None:
        refused = malformed("0800 8220000000000001 0400000000000000 0512103003 000045 FEDCBA9876543210 301")
        assert (refused.field, refused.partial.mac, refused.partial.network_code) == (64, None, "301")

    def test_two_macs(self) -> None:
        spaced = "0800 8220000000000001 0000000000000001 0512103003 000045 FEDCBA9876543210 0123456789ABCDEF"
        assert malformed(spaced).field == 64

    def test_they_leave_the_partial_message_also_where_something_else_is_named(self) -> None:
        spaced = self.TRACKED.replace("06970001", "06970001 219250100000000022=2806").replace(" 000000 ", " 00000x ")
        refused = malformed(spaced)
        assert (refused.field, refused.partial.track2) == (3, None)


def test_an_error_says_which_field_and_what_was_expected() -> None:
    assert str(malformed(GOOD.replace("000000001250", "0000000012.5"))) == "DE 4: 12 digits expected"
    assert str(malformed(f"{GOOD}0")) == "nothing expected after the last field"
