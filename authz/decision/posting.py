"""What requests that move money have in common: an approval code, and the transfers out of lots and holds."""

from hashlib import blake2b

from ledger import accounts
from ledger.values import Cents, HolderId, Part, Transfer

APPROVAL_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def approval_code(reference: str) -> str:
    """Make a request's approval code: six letters and digits, the same for the same request.

    >>> approval_code("c0ffee")
    'JADGLR'
    """
    number = int.from_bytes(blake2b(reference.encode(), digest_size=8).digest())
    code = ""
    for _ in range(6):
        number, digit = divmod(number, len(APPROVAL_DIGITS))
        code += APPROVAL_DIGITS[digit]
    return code


def paid(holder: HolderId, product: str, parts: tuple[Part, ...], acquirer: str) -> tuple[Transfer, ...]:
    """Pay an acquirer out of lots."""
    to = accounts.payable(acquirer)
    return tuple(Transfer(accounts.of_holder(holder, product, part.lot), to, part.amount) for part in parts)


def set_aside(holder: HolderId, product: str, parts: tuple[Part, ...]) -> tuple[Transfer, ...]:
    """Set aside, out of lots, what a hold is of."""
    return tuple(
        Transfer(
            accounts.of_holder(holder, product, part.lot), accounts.of_hold(holder, product, part.lot), part.amount
        )
        for part in parts
    )


def captured(holder: HolderId, product: str, parts: tuple[Part, ...], acquirer: str) -> tuple[Transfer, ...]:
    """Pay an acquirer out of what a hold has set aside."""
    to = accounts.payable(acquirer)
    return tuple(Transfer(accounts.of_hold(holder, product, part.lot), to, part.amount) for part in parts)


def uncovered(acquirer: str, cents: int) -> tuple[Transfer, ...]:
    """Post what no balance covers to the acquirer's exceptions, or, below 0, take it back off them."""
    exceptions, payable = accounts.exceptions(acquirer), accounts.payable(acquirer)
    if cents > 0:
        return (Transfer(exceptions, payable, Cents(cents)),)
    return (Transfer(payable, exceptions, Cents(-cents)),) if cents else ()
