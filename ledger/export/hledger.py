"""The journal of hledger (https://hledger.org/hledger.html#journal), which `hledger check --strict` accepts.

Account names are the ledger's own; each bears its type. Its assertions stand in a last transaction of amounts of 0.
"""

from collections.abc import Mapping
from datetime import date

from ledger.export.books import Posted
from ledger.export.chart import Place, Root
from ledger.export.plain_text import Postings, amount, columns
from ledger.printing import instant
from ledger.values import Account, Cents

_INDENT = " " * 4
_TYPES: Mapping[Root, str] = {"Assets": "A", "Liabilities": "L", "Equity": "E", "Income": "R", "Expenses": "X"}


class Hledger:
    """How hledger wants it written."""

    header = "decimal-mark .\ncommodity 1000.00 EUR\n"

    def declaration(self, day: date, account: Account, place: Place) -> str:
        """Name an account's type as hledger abbreviates it."""
        return f"account {account}  ; type: {_TYPES[place.root]}\n"

    def opening(self, day: date, postings: Postings) -> str:
        """Bring in what was before the period."""
        return f"\n{day} * opening balances\n{_postings(postings)}"

    def transaction(self, day: date, posted: Posted, postings: Postings) -> str:
        """Write a record down, its partition and seq as the transaction's code."""
        tags = f"kind:{posted.kind}, reason:{posted.reason}, at:{instant(posted.at)}"
        title = f"{day} * ({posted.name}) {posted.kind} {posted.reason}  ; {tags}"
        return f"\n{title}\n{_postings(postings)}"

    def assertions(self, day: date, balances: Mapping[Account, Cents]) -> str:
        """Post 0 to every account, and say what it stands at."""
        width = max(map(len, balances))
        rows = [(f"{account:<{width}}  {amount(Cents(0))} =", amount(cents)) for account, cents in balances.items()]
        return f"\n{day} * closing balances\n{columns(rows, _INDENT)}"


def _postings(postings: Postings) -> str:
    return columns([(account, amount(cents)) for account, cents in postings], _INDENT)
