"""What beancount's own loader says of an export (https://beancount.github.io/docs/beancount_language_syntax.html)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Balance, Open, Transaction
from hypothesis import given
from hypothesis import strategies as st

from ledger.export.beancount import part
from ledger.export.formats import Format
from ledger.shortfalls import EVER

texts = st.text(st.characters(codec="utf-8", exclude_characters=":"), max_size=8)


def _load(exported: bytes) -> Sequence[Any]:
    entries, errors, _ = loader.load_string(exported.decode())
    assert errors == []
    assert entries
    return entries


def _balances(entries: Sequence[Any]) -> Mapping[str, int]:
    """Each account's balance by its own name, credits less debits, in cents."""
    names = {one.account: one.meta["name"] for one in entries if isinstance(one, Open)}
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        for posting in entry.postings if isinstance(entry, Transaction) else ():
            assert posting.units is not None
            assert posting.units.number is not None
            assert posting.units.currency == "EUR"
            sums[names[posting.account]] -= posting.units.number
    return {name: int(total * 100) for name, total in sums.items() if total}


async def test_the_checker_finds_nothing_wrong_and_the_balances_are_the_ledgers(exported: Any, balance: Any) -> None:
    assert _balances(_load(await exported(Format.BEANCOUNT))) == await balance()


async def test_a_period_begins_with_what_was_before(exported: Any, balance: Any, second_year: Any) -> None:
    entries = _load(await exported(Format.BEANCOUNT, second_year))
    titles = [one.narration for one in entries if isinstance(one, Transaction)]
    assert titles[:2] == ["opening balances", "load APPROVED"]
    assert _balances(entries) == await balance()


@pytest.mark.parametrize("all_of_it", [True, False])
async def test_every_account_is_asserted_on_the_day_behind_the_last(
    exported: Any, second_year: Any, all_of_it: bool
) -> None:
    """What `balance` asserts is what stood when the day began, so the assertions catch a line that is lost."""
    text = await exported(Format.BEANCOUNT, EVER if all_of_it else second_year)
    entries = _load(text)
    asserted = {one.account for one in entries if isinstance(one, Balance)}
    assert asserted == {one.account for one in entries if isinstance(one, Open)}
    assert {one.date.isoformat() for one in entries if isinstance(one, Balance)} == {"2026-04-02"}
    lines = text.decode().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.startswith("2026-04-01 *"))
    _, errors, _ = loader.load_string("".join(lines[:last] + lines[-len(asserted) :]))
    assert errors


async def test_each_record_with_money_is_one_transaction_that_names_it(exported: Any, story: Any) -> None:
    found = [one for one in _load(await exported(Format.BEANCOUNT)) if isinstance(one, Transaction)]
    assert [(one.meta["partition"], one.meta["seq"], one.meta["kind"], one.meta["reason"]) for one in found] == [
        (0, seq, entry.kind, entry.reason) for seq, entry in story
    ]
    assert [len(one.postings) for one in found] == [2 * len(entry.transfers) for _, entry in story]


async def test_a_record_is_dated_by_the_day_of_the_zone(exported: Any) -> None:
    """23:30 in UTC on New Year's Eve is the new year in Paris."""
    found = [one for one in _load(await exported(Format.BEANCOUNT)) if isinstance(one, Transaction)]
    assert [one.date.isoformat() for one in found if one.meta["seq"] == 6] == ["2026-01-01"]
    assert [one.meta["at"] for one in found if one.meta["seq"] == 6] == ["2025-12-31T23:30:00Z"]


async def test_an_empty_ledger_is_an_empty_journal(database: Any, export_empty: Any) -> None:
    _, errors, _ = loader.load_string((await export_empty(Format.BEANCOUNT)).decode())
    assert errors == []


def _undone(lawful: str) -> str:
    """What `part` says of itself, backwards."""
    if lawful.startswith("Z"):
        return bytes.fromhex(lawful[1:]).decode()
    return lawful[0].lower() + lawful[1:]


@given(texts)
def test_the_parts_of_a_name_are_lawful_and_can_be_told_again(text: str) -> None:
    lawful = part(text)
    assert lawful.isascii()
    assert lawful[0].isdigit() or lawful[0].isupper()
    assert lawful.replace("-", "").isalnum()
    assert _undone(lawful) == text
