"""Positions refolded from the records (docs/architecture.md): truth is the records, a position is a cache."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger import accounts
from ledger.refold import Refold
from ledger.values import Account, Cents, Entry, Hold, HolderId, Lot, Part, Purse, Transfer

FIRST, LAST = date(2026, 1, 1), date(2027, 2, 28)
FLOAT = accounts.issuer_float("90")
HOLDERS = [HolderId("h1"), HolderId("h2"), HolderId("h10")]
LOTS = ["2025", "2026"]

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
    holds = (Hold("ab", "90", FIRST, "000001", "970001", tuple(parts), until=LAST),) if parts else ()
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


@given(st.lists(loads, max_size=12))
def test_positions_that_follow_the_transfers_are_sound_and_all_adds_up_to_0(steps: list[Step]) -> None:
    entries, balances = _story(steps)
    refold = Refold()
    assert [refold.fold(entry) for entry in entries] == [None] * len(entries)
    assert refold.accounts == sum(1 for balance in balances.values() if balance)
    assert refold.total == 0


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
    refold = Refold()
    found = [wrong for entry in entries[: at + 1] if (wrong := refold.fold(entry))]
    assert found == [found[-1]], "the records before it are sound"
    assert extra.credit in found[0]
