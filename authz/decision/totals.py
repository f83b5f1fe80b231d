"""An acquirer's totals: what it counted on a business day, beside what the ledger has recorded."""

from msgspec import Struct

from ledger.values import Cents


class Sums(Struct, frozen=True, array_like=True, gc=False):
    """Counts, and amounts in cents, of one acquirer's business day (DE 74-77 and 86-89).

    Debits are purchases, captures and offline advices; credits are refunds. A reversal counts what was given back.
    Holds don't count.
    """

    credits_number: int = 0
    credits_reversal_number: int = 0
    debits_number: int = 0
    debits_reversal_number: int = 0
    credits_amount: Cents = Cents(0)
    credits_reversal_amount: Cents = Cents(0)
    debits_amount: Cents = Cents(0)
    debits_reversal_amount: Cents = Cents(0)

    @property
    def net(self) -> Cents:
        """DE 97: credits less debits, each less its reversals, in cents; below 0 for `D`.

        >>> Sums(debits_number=2, debits_amount=Cents(1900), debits_reversal_amount=Cents(400)).net
        -1500
        """
        given_back = self.credits_amount - self.credits_reversal_amount
        return Cents(given_back - (self.debits_amount - self.debits_reversal_amount))
