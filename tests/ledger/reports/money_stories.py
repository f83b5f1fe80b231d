"""Ledgers in which vouchers are issued, spent, held, expire and are paid for; every position is true to its money."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
from hypothesis import strategies as st

from ledger import accounts
from ledger.values import Account, Cents, Entry, Hold, HolderId, Lot, Part, Purse, Transfer

BEGIN = datetime(2026, 5, 10, 22, 0, tzinfo=UTC)
"""Midnight in Paris: 11 May begins."""
FIRST = date(2026, 5, 11)
HOURS_A_RECORD = 5

LOTS = {"2025": date(2026, 2, 28), "2026": date(2027, 2, 28), "2027-05-12": date(2027, 5, 12)}
PRODUCTS = {"2025": "90", "2026": "90", "2027-05-12": "91"}
HOLDERS = [HolderId(name) for name in ("a", "b", "é", "z9")]
FLOAT, PAYABLE = "issuer:float", accounts.payable("970001")

Step = tuple[str, str, str, int]
"""What happens, to whom, to which lot, and how many cents."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["load", "order", "line", "pay", "hold", "capture", "expire", "back", "pool", "fee", "settle"]),
        st.sampled_from(HOLDERS),
        st.sampled_from(list(LOTS)),
        st.integers(1, 9),
    ),
    max_size=30,
)


class Story:
    """Makes entries of steps: what a step would take below 0 doesn't happen, and says so in a record without money."""

    def __init__(self) -> None:
        self.balances: Counter[str] = Counter()
        self.entries: list[Entry] = []

    def play(self, told: Sequence[Step]) -> Sequence[Entry]:
        for what, holder, lot, cents in told:
            self.happen(what, HolderId(holder), lot, cents)
        return self.entries

    def happen(self, what: str, holder: HolderId, lot: str, cents: int) -> None:
        """Append the record of one step."""
        product = PRODUCTS[lot]
        mine = accounts.of_holder(holder, product, lot)
        held, waits = accounts.of_hold(holder, product, lot), accounts.expired(holder, product, lot)
        funds = accounts.client_funds("c1", product)
        given = Account(f"{FLOAT}:{product}")
        debit, credit = {
            "load": (given, mine),
            "order": (given, funds),
            "line": (funds, mine),
            "pay": (mine, PAYABLE),
            "hold": (mine, held),
            "capture": (held, PAYABLE),
            "expire": (mine, waits),
            "back": (waits, mine),
            "pool": (waits, accounts.pool(product)),
            "fee": (waits, accounts.fees(product)),
            "settle": (PAYABLE, Account("issuer:settled")),
        }[what]
        moved: tuple[Transfer, ...] = ()
        if debit == given or self.balances[debit] >= cents:
            moved = (Transfer(debit, credit, Cents(cents)),)
            self.balances[debit] -= cents
            self.balances[credit] += cents
        at = BEGIN + timedelta(hours=HOURS_A_RECORD * len(self.entries))
        if what == "order":
            paid = HolderId(f"order:{len(self.entries)}")
            self.entries.append(Entry(at, "payment", paid, "{}", "{}", "APPROVED", "{}", moved))
        else:
            self.entries.append(Entry(at, what, holder, "{}", "{}", "APPROVED", self.position(holder), moved))

    def position(self, holder: HolderId) -> str:
        """The holder's purse as their accounts stand."""
        lots, holds, waiting = [], [], []
        for lot, until in LOTS.items():
            product, begin = PRODUCTS[lot], date(until.year - 1, 1, 1)
            if cents := self.balances[accounts.of_holder(holder, product, lot)]:
                lots.append(Lot(product, lot, begin, until, Cents(cents)))
            if cents := self.balances[accounts.of_hold(holder, product, lot)]:
                part = Part(lot, begin, until, Cents(cents))
                holds.append(Hold(f"h-{lot}", product, FIRST, "000001", "970001", (part,), until))
            if cents := self.balances[accounts.expired(holder, product, lot)]:
                waiting.append(Lot(product, lot, begin, until, Cents(cents)))
        return msgspec.json.encode([Purse(tuple(lots), tuple(holds), tuple(waiting)), {}]).decode()


def folded(entries: Sequence[Entry]) -> Counter[str]:
    """Add up transfers, by account."""
    totals: Counter[str] = Counter()
    for one in (moved for entry in entries for moved in entry.transfers):
        totals[one.credit] += one.amount
        totals[one.debit] -= one.amount
    return totals
