"""An acquirer's totals of a business day (0500), to be held against the authorizer's."""

from datetime import date
from typing import Self

from msgspec import Struct

from authz.wire.message import Message


class Totals(Struct, frozen=True, kw_only=True):
    """Counts, and amounts in cents. Debits are sales and captures, credits are refunds; holds don't count.

    Reversals hold what was given back: off debits, or off refunds.
    """

    credits_number: int = 0
    credits_reversal_number: int = 0
    debits_number: int = 0
    debits_reversal_number: int = 0
    credits_amount: int = 0
    credits_reversal_amount: int = 0
    debits_amount: int = 0
    debits_reversal_amount: int = 0

    @property
    def net(self) -> int:
        """Credits less debits, each less what was given back: below 0 where the acquirer is to be paid.

        >>> Totals(debits_amount=2500, debits_reversal_amount=600).net
        -1900
        """
        return self.credits_amount + self.debits_reversal_amount - self.debits_amount - self.credits_reversal_amount

    def fields(self, day: date) -> dict[str, str]:
        """The fields that say so in a message, DE 15, 74 to 77, 86 to 89 and 97.

        >>> Totals(debits_amount=1900).fields(date(2026, 5, 12))["net_amount"]
        'D0000000000001900'
        """
        numbers = {
            name: f"{getattr(self, name):0{_DIGITS[name.rpartition('_')[2]]}d}" for name in self.__struct_fields__
        }
        return {
            **numbers,
            "net_amount": f"{'C' if self.net >= 0 else 'D'}{abs(self.net):016d}",
            "settlement_date": f"{day:%m%d}",
        }

    @classmethod
    def parse(cls, message: Message) -> Self:
        """Read the totals in a message; a field that isn't there counts 0."""
        return cls(**{name: int(getattr(message, name) or 0) for name in cls.__struct_fields__})


_DIGITS = {"number": 10, "amount": 16}
