"""Additional amounts (DE 54): entries of 20 characters, at most six in a message."""

import re
from collections.abc import Iterable
from typing import Self

from msgspec import Struct

_ENTRY = re.compile("([0-9A-Za-z]{2})([0-9A-Za-z]{2})([0-9]{3})([CD])([0-9]{12})")
_ENTRY_LENGTH = 20


class AdditionalAmount(Struct, frozen=True):
    """One entry. `account_type` is a product, `amount_type` 02 (available balance) or 20 (left of the day's cap).

    `amount` is in cents, below 0 for a debit; `currency` the three digits of ISO 4217.
    """

    account_type: str
    amount_type: str
    currency: str
    amount: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read one entry. None where it is ill-formed.

        >>> AdditionalAmount.parse("9002978D000000000150").amount
        -150
        """
        found = _ENTRY.fullmatch(text)
        if found is None:
            return None
        account_type, amount_type, currency, sign, digits = found.groups()
        return cls(account_type, amount_type, currency, int(digits) if sign == "C" else -int(digits))

    @property
    def text(self) -> str:
        """The entry, as it is sent.

        >>> AdditionalAmount("90", "02", "978", 18100).text
        '9002978C000000018100'
        """
        sign = "D" if self.amount < 0 else "C"
        return f"{self.account_type}{self.amount_type}{self.currency}{sign}{abs(self.amount):012}"


def format_amounts(amounts: Iterable[AdditionalAmount]) -> str:
    """Write entries one behind the other, as a message's `balances`."""
    return "".join(amount.text for amount in amounts)


def parse_amounts(balances: str) -> tuple[AdditionalAmount, ...] | None:
    """Read a message's `balances`. None where an entry is ill-formed."""
    starts = range(0, len(balances), _ENTRY_LENGTH)
    entries = [AdditionalAmount.parse(balances[start : start + _ENTRY_LENGTH]) for start in starts]
    amounts = tuple(entry for entry in entries if entry is not None)
    return amounts if len(amounts) == len(entries) else None
