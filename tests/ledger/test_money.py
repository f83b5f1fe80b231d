"""Positions held against the transfers (docs/proofs.md, "Money" and "Holds"): truth is the records."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import accounts
from ledger.money import Line, Money
from ledger.values import Account, Cents, Entry, Hold, HolderId, Identity, Lot, Part, Purse, Transfer, pack_identities

FIRST, LAST = date(2026, 1, 1), date(2027, 2, 28)
FLOAT = accounts.issuer_float("90")
HOLDERS = [HolderId("h1"), HolderId("h2"), HolderId("h10")]
LOTS = ["2025", "2026"]
KEY = Identity(260512103000, bytes(16))
HOLD = f"{KEY.stamp:012}{KEY.digest.hex()}"
ANY = bytes(range(32))

Step = tuple[HolderId, str, int, int, int]

loads = st.tuples(
    st.sampled_from(HOLDERS), st.sampled_from(LOTS), st.integers(1, 10_000), st.integers(0, 100), st.integers(0, 100)
)
"""A holder, a lot, what is loaded, which percentage of the lot is then held, and which of what is left expires."""


def _position(holder: HolderId, balances: Counter[str]) -> str:
    """Write down what a holder's accounts hold, as the authorizer would."""
    lots, parts, expired = [], [], []
    for lot in LOTS:
        if amount := balances[accounts.of_holder(holder, "90", lot)]:
            lots.append(Lot("90", lot, FIRST, LAST, Cents(amount)))
        if amount := balances[accounts.of_hold(holder, "90", lot)]:
            parts.append(Part(lot, FIRST, LAST, Cents(amount)))
        if amount := balances[accounts.expired(holder, "90", lot)]:
            expired.append(Lot("90", lot, FIRST, LAST, Cents(amount)))
    holds = (Hold(HOLD, "90", FIRST, "000001", "970001", tuple(parts), until=LAST),) if parts else ()
    return msgspec.json.encode((Purse(tuple(lots), holds, tuple(expired)), ["cards"], {"rest": 1})).decode()


def _entry(holder: HolderId, position: str, transfers: Sequence[Transfer]) -> Entry:
    return Entry(datetime(2026, 5, 12, tzinfo=UTC), "load", holder, "{}", "{}", "APPROVED", position, tuple(transfers))


def _story(steps: Sequence[Step]) -> tuple[list[Entry], Counter[str]]:
    balances: Counter[str] = Counter()
    entries = []
    for holder, lot, loaded, held_percent, expired_percent in steps:
        spendable, hold = accounts.of_holder(holder, "90", lot), accounts.of_hold(holder, "90", lot)
        transfers = [Transfer(FLOAT, spendable, Cents(loaded))]
        left = balances[spendable] + loaded
        if held := left * held_percent // 100:
            transfers.append(Transfer(spendable, hold, Cents(held)))
        if gone := (left - held) * expired_percent // 100:
            transfers.append(Transfer(spendable, accounts.expired(holder, "90", lot), Cents(gone)))
        for transfer in transfers:
            balances[transfer.debit] -= transfer.amount
            balances[transfer.credit] += transfer.amount
        entries.append(_entry(holder, _position(holder, balances), transfers))
    return entries, balances


def _moves(entry: Entry) -> list[tuple[str, str, int]]:
    return [(one.debit, one.credit, one.amount) for one in entry.transfers]


def _line_of(entry: Entry) -> Line:
    return entry.holder, entry.position, _moves(entry), pack_identities([KEY])


def _fold(money: Money, entry: Entry) -> bool:
    return _folds(money, *_line_of(entry))


def _folds(money: Money, *line: Any) -> bool:
    return money.fold([line]) == 1


@given(st.lists(loads, max_size=12), st.binary(min_size=32, max_size=32))
def test_positions_that_follow_the_transfers_are_sound_whatever_the_weights(steps: list[Step], key: bytes) -> None:
    entries, balances = _story(steps)
    money = Money(key, {})
    assert all(_fold(money, entry) for entry in entries)
    assert money.others == ({FLOAT: balances[FLOAT]} if steps else {})
    assert money.holders == len({holder for holder, *_ in steps})


@given(
    st.lists(loads, min_size=1, max_size=6),
    st.integers(1, 10**6),
    st.sampled_from([accounts.of_holder, accounts.of_hold, accounts.expired]),
    st.data(),
)
def test_a_transfer_that_a_position_does_not_know_of_is_found_at_its_record(
    steps: list[Step], cents: int, account: Callable[[HolderId, str, str], Account], data: st.DataObject
) -> None:
    entries, _ = _story(steps)
    at = data.draw(st.integers(0, len(entries) - 1))
    holder = steps[at][0]
    extra = Transfer(FLOAT, account(holder, "90", data.draw(st.sampled_from(LOTS))), Cents(cents))
    entries[at] = msgspec.structs.replace(entries[at], transfers=(*entries[at].transfers, extra))
    money = Money(ANY, {})
    assert [_fold(money, entry) for entry in entries[: at + 1]] == [True] * at + [False]
    before = next((one.position for one in reversed(entries[:at]) if one.holder == holder), None)
    said = money.what(holder, before, entries[at].position, _moves(entries[at]), b"")
    assert extra.credit in said


@given(st.lists(loads, min_size=1, max_size=8), st.data())
def test_of_many_records_those_before_the_first_wrong_one_are_counted(steps: list[Step], data: st.DataObject) -> None:
    """What stands behind it is not looked at, so that it can be named with what was before."""
    entries, balances = _story(steps)
    money = Money(ANY, {})
    assert money.fold(map(_line_of, entries)) == len(entries)
    assert money.others == {FLOAT: balances[FLOAT]}
    at = data.draw(st.integers(0, len(entries) - 1))
    entries[at] = msgspec.structs.replace(entries[at], position="[]")
    assert Money(ANY, {}).fold(map(_line_of, entries)) == at


@given(st.lists(loads, min_size=2, max_size=8), st.data())
def test_a_walk_that_begins_later_needs_only_the_line_before(steps: list[Step], data: st.DataObject) -> None:
    entries, _ = _story(steps)
    begin = data.draw(st.integers(1, len(entries) - 1))
    money = Money(ANY, None)
    for holder in money.unknown(entry.holder for entry in entries[begin:]):
        before = next((one.position for one in reversed(entries[:begin]) if one.holder == holder), None)
        money.know(holder, before)
    assert all(_fold(money, entry) for entry in entries[begin:])


def _hold_of(cents: int, identity: str = HOLD) -> Hold:
    parts = (Part("2026", FIRST, LAST, Cents(cents)),) if cents else ()
    return Hold(identity, "90", FIRST, "000001", "970001", parts, until=LAST)


def _line(spendable: int, *holds: Hold) -> str:
    lots = (Lot("90", "2026", FIRST, LAST, Cents(spendable)),) if spendable else ()
    return msgspec.json.encode((Purse(lots, holds), [])).decode()


LOT, HELD = accounts.of_holder(HOLDERS[0], "90", "2026"), accounts.of_hold(HOLDERS[0], "90", "2026")
NO_KEY = b""


def test_a_hold_comes_in_once_by_the_request_it_is_named_after() -> None:
    """Identities are unique: a second record can't bear the key that it takes to bring the hold in."""
    own, money = pack_identities([KEY]), Money(ANY, {})
    h1 = HOLDERS[0]
    assert _folds(money, h1, _line(1_000), [(FLOAT, LOT, 1_000)], NO_KEY)
    assert _folds(money, h1, _line(600, _hold_of(400)), [(LOT, HELD, 400)], own)
    assert _folds(money, h1, _line(600, _hold_of(400)), [], NO_KEY), "it stays as long as it isn't resolved"
    assert _folds(money, h1, _line(700, _hold_of(300)), [(HELD, LOT, 100)], NO_KEY), "in part, too"
    assert _folds(money, h1, _line(1_000, _hold_of(0)), [(HELD, LOT, 300)], NO_KEY), "lapsed, it keeps its name"
    again, moves = _line(600, _hold_of(400)), [(LOT, HELD, 400)]
    assert not _folds(money, h1, again, moves, NO_KEY)
    said = money.what(h1, _line(1_000, _hold_of(0)), again, moves, NO_KEY)
    assert said == f"its position has the open hold {HOLD}, which isn't its own and didn't stand on the line before"


@pytest.mark.parametrize("cents", [0, -1])
def test_nothing_in_a_purse_is_of_0_cents_or_less(cents: int) -> None:
    """A lot of so much beside one that makes up for it would have the right sum."""
    lots = tuple(Lot("90", "2026", FIRST, LAST, Cents(amount)) for amount in (cents, 500 - cents))
    position = msgspec.json.encode((Purse(lots),)).decode()
    money, moves = Money(ANY, {}), [(FLOAT, LOT, 500)]
    assert not _folds(money, HOLDERS[0], position, moves, NO_KEY)
    assert "0 cents or less" in money.what(HOLDERS[0], None, position, moves, NO_KEY)


@pytest.mark.parametrize(
    ("account", "wrong"),
    [
        ("client:c1:funds:90", -1),
        ("issuer:vat", -1),
        ("issuer:pool:90", -1),
        ("issuer:fees:91", -1),
    ],
)
def test_an_account_on_the_wrong_side_of_0_is_found_where_its_balance_is_known(account: str, wrong: int) -> None:
    move = (account, FLOAT, 1) if wrong < 0 else (FLOAT, account, 1)
    money = Money(ANY, {account: -wrong})
    assert _folds(money, None, None, [move], NO_KEY), "to 0 it may go"
    assert not _folds(money, None, None, [move], NO_KEY)
    assert (
        money.what(None, None, None, [move], NO_KEY) == f"it leaves {account} at {wrong} cents, on the wrong side of 0"
    )
    assert _folds(Money(ANY, None), None, None, [move], NO_KEY)


def test_of_a_holder_no_more_than_300_bytes_are_kept() -> None:
    """Names, numbers and tables included; of their records nothing."""
    money, holders = Money(ANY, {}), 5_000
    tracemalloc.start()
    try:
        for number in range(holders):
            holder = HolderId(f"h{number:012x}")
            for cents in (100, 200):
                moves = [(FLOAT, accounts.of_holder(holder, "90", "2026"), 100)]
                assert _folds(money, holder, _line(cents), moves, NO_KEY)
        assert tracemalloc.get_traced_memory()[0] / holders <= 300
    finally:
        tracemalloc.stop()


@given(st.integers(1, 2**63 - 1), st.integers(-(2**200), 2**200))
def test_no_other_amount_weighs_the_same(cents: int, claimed: int) -> None:
    """Weights are added up as they are, modulo nothing: however large a claim is, it is equal or it isn't."""
    assert _folds(Money(ANY, {}), HOLDERS[0], _line(claimed), [(FLOAT, LOT, cents)], NO_KEY) == (claimed == cents)


@pytest.mark.parametrize("account", ["holder", "holder:h1", "holder:h1:90", "hold::::", "expired:h2:90:2026"])
def test_an_account_that_is_no_lot_of_the_holder_is_found(account: str) -> None:
    """Whoever wrote a chain anew may have named anything."""
    moves, line = [(FLOAT, account, 1)], _line(0)
    money = Money(ANY, {})
    assert not _folds(money, HOLDERS[0], line, moves, NO_KEY)
    assert money.what(HOLDERS[0], None, line, moves, NO_KEY)
    assert not _folds(Money(ANY, {}), None, None, moves, NO_KEY)
    money.weigh(account, 1)


@given(st.lists(loads, min_size=1, max_size=8), st.integers(-3, 3), st.data())
def test_purses_are_worth_what_their_balances_weigh(steps: list[Step], wrong: int, data: st.DataObject) -> None:
    """One number says whether all closing balances are right (docs/proofs.md, "Closings")."""
    entries, balances = _story(steps)
    money = Money(ANY, {})
    assert all(_fold(money, entry) for entry in entries)
    owned = sorted(account for account in balances if account != FLOAT)
    balances[data.draw(st.sampled_from(owned))] += wrong
    assert money.is_worth(sum(money.weigh(account, balances[account]) for account in owned)) == (wrong == 0)
