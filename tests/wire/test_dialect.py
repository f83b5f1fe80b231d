"""Dialects are data: docs/interface.md, "Wire"; the file format is authz.wire.dialect's."""

from pathlib import Path

import pytest
from iso8583.specs import default_ascii

from authz.wire.dialect import Dialect, DialectUnreadable, Framing, from_file, shipped

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
        ("11 = {", "end of document"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, line: str, place: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(SMALL + line)
    with pytest.raises(DialectUnreadable, match=place):
        from_file(path)


def test_a_dialect_that_is_not_there() -> None:
    with pytest.raises(DialectUnreadable, match="klingon"):
        shipped("klingon")
    with pytest.raises(DialectUnreadable, match=r"nowhere\.toml"):
        from_file(Path("nowhere.toml"))
