"""The TPDU: identifier, destination and origin of a message (two bytes each, but the first one)."""

from hypothesis import given
from hypothesis import strategies as st

from authz.wire.tpdu import DEFAULT, answering

HEADERS = st.binary(min_size=5, max_size=5).map(lambda block: block.hex().upper())


def test_a_reply_goes_back_where_its_request_came_from() -> None:
    assert answering("6000120345") == "6003450012"


def test_nobody_answers_nobody() -> None:
    assert answering(DEFAULT) == DEFAULT


@given(HEADERS)
def test_the_answer_to_an_answer_goes_where_the_request_went(header: str) -> None:
    assert answering(answering(header)) == f"60{header[2:]}"
