"""Sums of cents: what may be written, what it comes to, and that nothing else is ever evaluated."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.scenarios.arithmetic import DIGITS_MAX, TERMS_MAX, SumInvalid, cents, names

NUMBERS = st.integers(0, 10**DIGITS_MAX - 1)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)


@given(st.lists(st.tuples(st.sampled_from("+-"), NUMBERS), min_size=1, max_size=TERMS_MAX), st.sampled_from(["", " "]))
def test_it_comes_to_the_sum_of_its_signed_terms(terms: list[tuple[str, int]], gap: str) -> None:
    (first_sign, first), *rest = terms
    written = f"{'-' if first_sign == '-' else ''}{first}"
    written += "".join(f"{gap}{sign}{gap}{number}" for sign, number in rest)
    assert cents(written, {}) == sum(-number if sign == "-" else number for sign, number in terms)


@given(st.dictionaries(NAMES, st.integers(-(10**12), 10**12), min_size=1, max_size=8))
def test_variables_stand_for_their_numbers(values: dict[str, int]) -> None:
    written = " + ".join(f"${name}" for name in values)
    assert names(written) == tuple(values)
    assert cents(written, {name: str(value) for name, value in values.items()}) == sum(values.values())


@given(NUMBERS)
def test_a_number_is_itself(number: int) -> None:
    assert cents(number, {}) == cents(str(number), {}) == number


@given(st.text(max_size=20))
def test_any_text_is_a_sum_or_refused(text: str) -> None:
    """Nothing is evaluated: only digits, $names, spaces, + and - ever come to anything."""
    with suppress(SumInvalid):
        cents(text, {})
        assert set(text) <= set("0123456789+- ")


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "+",
        "1 +",
        "1 2",
        "1.5",
        "1e3",
        "0x10",
        "2 * 3",
        "7 / 2",
        "(1)",
        "--1",
        "1 - - 1",
        "before",
        "$Before",
        "$",
        "${before}",
        "__import__('os')",
        "$before.real",
        "9" * (DIGITS_MAX + 1),
        " + ".join(["1"] * (TERMS_MAX + 1)),
        "١",
        "1\n",
    ],
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(SumInvalid):
        cents(written, {"before": "1"})


def test_a_variable_without_a_value_is_refused() -> None:
    with pytest.raises(SumInvalid, match=r"\$before: no variable"):
        cents("$before - 1", {})


@pytest.mark.parametrize("value", ["APPROVED", "", "1.0", "1 2", "٣"])
def test_so_is_one_that_is_no_number_and_its_value_is_not_told(value: str) -> None:
    with pytest.raises(SumInvalid, match=r"\$before: it isn't a whole number") as refused:
        cents("$before - 1", {"before": value})
    assert not value or value not in str(refused.value)
