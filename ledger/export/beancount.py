"""The language of beancount (https://beancount.github.io/docs/beancount_language_syntax.html): bean-check accepts it.

An account stands under its root, and the parts of its name are made lawful so that they can be told again: see `part`.
"""

import re
from collections.abc import Mapping
from datetime import date

from ledger.export.books import Posted
from ledger.export.chart import Chart, Place
from ledger.export.plain_text import Postings, amount, columns
from ledger.printing import instant
from ledger.values import Account, Cents

_INDENT = " " * 2
_LAWFUL = re.compile(r"[0-9a-y][0-9A-Za-z-]*")


class Beancount:
    """How beancount wants it written."""

    header = 'option "title" "Ledger"\noption "operating_currency" "EUR"\n'

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._names: dict[Account, str] = {}

    def declaration(self, day: date, account: Account, place: Place) -> str:
        """Open an account, and keep its own name beside."""
        return f'{day} open {self._name(account)} EUR\n{_INDENT}name: "{account}"\n'

    def opening(self, day: date, postings: Postings) -> str:
        """Bring in what was before the period."""
        return f'\n{day} * "opening balances"\n{self._postings(postings)}'

    def transaction(self, day: date, posted: Posted, postings: Postings) -> str:
        """Write a record down, and as metadata which one it is."""
        metadata = {
            "partition": str(posted.partition),
            "seq": str(posted.seq),
            "kind": f'"{posted.kind}"',
            "reason": f'"{posted.reason}"',
            "at": f'"{instant(posted.at)}"',
        }
        lines = "".join(f"{_INDENT}{key}: {value}\n" for key, value in metadata.items())
        return f'\n{day} * "{posted.kind} {posted.reason}"\n{lines}{self._postings(postings)}'

    def assertions(self, day: date, balances: Mapping[Account, Cents]) -> str:
        """Say what every account stands at."""
        rows = [(self._name(account), amount(cents)) for account, cents in balances.items()]
        return "\n" + columns(rows, f"{day} balance ")

    def _postings(self, postings: Postings) -> str:
        return columns([(self._name(account), amount(cents)) for account, cents in postings], _INDENT)

    def _name(self, account: Account) -> str:
        if account not in self._names:
            self._names[account] = ":".join((self._chart.place(account).root, *map(part, account.split(":"))))
        return self._names[account]


def part(text: str) -> str:
    """Make a part of an account's name lawful: begun by a capital or a digit, then letters, digits and dashes.

    A first letter a–y becomes a capital; what else is lawful already and begins with a digit stays; all other texts,
    those with a capital first letter included, become a Z and their UTF-8 bytes in hexadecimal. No two become the same.

    >>> part("holder"), part("h4k2"), part("2027-05-12"), part("Z9")
    ('Holder', 'H4k2', '2027-05-12', 'Z5a39')
    """
    if _LAWFUL.fullmatch(text):
        return text[0].upper() + text[1:]
    return f"Z{text.encode().hex()}"
