"""Dialects are data: docs/interface.md, "Wire"; the file format is authz.wire.dialect's."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from iso8583.specs import default_ascii
from msgspec.structs import replace

from authz.wire.dialect import Content, Dialect, DialectUnreadable, Field, Framing, from_file, shipped

REFUSED = {65, 93, 96}
SHORTER_OR_LONGER = {54: 120, 55: 999}


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return shipped("iso87ascii")


def test_every_field_of_default_ascii_is_there_but_the_refused_ones(dialect: Dialect) -> None:
    assert set(dialect.fields) == set(range(2, 129)) - REFUSED


@pytest.mark.parametrize("number", sorted(set(range(2, 129)) - REFUSED))
def test_lengths_are_default_asciis_but_for_54_and_55(dialect: Dialect, number: int) -> None:
    theirs = default_ascii[str(number)]
    ours = dialect.fields[number]
    assert ours.prefix == theirs["len_type"]
    assert ours.length == SHORTER_OR_LONGER.get(number, theirs["max_len"])


def test_framing_is_two_bytes_and_at_most_8192(dialect: Dialect) -> None:
    assert dialect.framing == Framing(length_coding="binary", length_bytes=2, payload_bytes_max=8_192)


SMALL = """
name = "small"
text = "ascii"
bitmap = "hex"
[framing]
length_coding = "binary"
length_bytes = 2
payload_bytes_max = 100
[fields]
"""


def test_a_new_acquirer_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SMALL + '11 = { name = "Trace", content = "n", length = 6 }')
    assert from_file(path).fields[11].length == 6


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('11 = { name = "Trace", content = "n" }', "fields"),
        ('11 = { name = "Trace", content = "digits", length = 6 }', "content"),
        ('11 = { name = "Trace", content = "n", length = 100, prefix = 2 }', "2 digits"),
        ('11 = { name = "Trace", content = "n", length = 6, least = 2 }', "least"),
        ('12 = { name = "Time", content = "n", length = 4, form = "hhmmss" }', "6 digits"),
        ('129 = { name = "Far", content = "n", length = 6 }', "<= 128"),
        ('11 = { name = "Trace", content = "n", length = 6, colour = "red" }', "colour"),
        ('52 = { name = "Block", content = "b", length = 15 }', "even"),
        ('55 = { name = "Chip", content = "b", length = 1, prefix = 3 }', "even"),
        ("11 = {", "end of document"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, line: str, place: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(SMALL + line)
    with pytest.raises(DialectUnreadable, match=place):
        from_file(path)


class TestLike:
    """A dialect that is like a shipped one says what differs, and nothing else."""

    @pytest.fixture
    def read(self, tmp_path: Path) -> Callable[[str], Dialect]:
        def from_text(text: str) -> Dialect:
            path = tmp_path / "like.toml"
            path.write_text(text)
            return from_file(path)

        return from_text

    def test_without_more_it_is_that_dialect(self, read: Callable[[str], Dialect], dialect: Dialect) -> None:
        assert read('name = "twin"\nlike = "iso87ascii"') == replace(dialect, name="twin")

    def test_keys_framing_and_rows_are_overridden_one_by_one(
        self, read: Callable[[str], Dialect], dialect: Dialect
    ) -> None:
        reference = 'name = "Reference", content = "ans", length = 12'
        other = read(
            f'name = "other"\nlike = "iso87ascii"\nbitmap = "binary"\n'
            f"[framing]\npayload_bytes_max = 2000\n[fields]\n37 = {{ {reference} }}"
        )
        assert other == replace(
            dialect,
            name="other",
            bitmap="binary",
            framing=replace(dialect.framing, payload_bytes_max=2_000),
            fields=dialect.fields | {37: Field(name="Reference", content=Content.PRINTABLE, length=12)},
        )

    def test_it_may_be_like_one_that_is_like_another(self, read: Callable[[str], Dialect]) -> None:
        assert read('name = "deeper"\nlike = "iso87bcd"') == replace(shipped("iso87bcd"), name="deeper")

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('name = "x"\nlike = "klingon"', "`like` is one of the shipped: iso87ascii, "),
            ('name = "x"\nlike = "../dialects/iso87ascii"', "`like`"),
            ('name = "x"\nlike = 87', "`like`"),
            ('like = "iso87ascii"', "name"),
            ('name = "x"\nlike = "iso87ascii"\nlikes = "iso87ascii"', "likes"),
            ('name = "x"\nlike = "iso87ascii"\nfields = 3', "fields"),
            ('name = "x"\nlike = "iso87ascii"\n[fields]\n65 = { name = "B", content = "b", length = 2 }', "65"),
            ('name = "x"\nlike = "iso87ascii"\n[fields]\n64 = { name = "M", content = "b", length = 8 }', "64"),
            ('name = "x"\nlike = "iso87bcd"\n[fields]\n28 = { name = "F", content = "x+n", length = 8 }', "28"),
        ],
    )
    def test_what_it_says_wrong_is_named(self, read: Callable[[str], Dialect], text: str, place: str) -> None:
        with pytest.raises(DialectUnreadable, match=r"like\.toml: .*" + re.escape(place)):
            read(text)

    @pytest.mark.parametrize(
        ("line", "place"),
        [
            ('text = "utf-8"', "text"),
            ('numerics = "packed"', "numerics"),
            ('lengths = "binary"', "lengths"),
            ('bitmap = "raw"', "bitmap"),
            ('binary = "bcd"', "binary"),
            ('padding = "left"', "padding"),
            ('encoding = "ascii"', "encoding"),
            ('[framing]\nlength_coding = "bcd"', "framing.length_coding"),
            ("[framing]\nlength_bytes = 3", "framing.length_bytes"),
            ("[framing]\nheader = 5", "framing"),
            ('[framing]\ntpdu = "yes"', "framing.tpdu"),
            ("[framing]\npayload_bytes_max = 65536", "framing.payload_bytes_max"),
            ('[framing]\nlength_coding = "ascii"', "`payload_bytes_max` doesn't fit"),
        ],
    )
    def test_its_vocabulary_is_closed(self, read: Callable[[str], Dialect], line: str, place: str) -> None:
        with pytest.raises(DialectUnreadable, match=re.escape(place)):
            read(f'name = "x"\nlike = "iso87ascii"\n{line}')


def test_a_dialect_that_is_not_there() -> None:
    with pytest.raises(DialectUnreadable, match="klingon"):
        shipped("klingon")
    with pytest.raises(DialectUnreadable, match=r"nowhere\.toml"):
        from_file(Path("nowhere.toml"))
