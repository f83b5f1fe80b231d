"""What requests that move money have in common: an approval code, spending, and the transfers out of lots and holds."""

from collections.abc import Callable
from datetime import date, timedelta
from zlib import crc32

from msgspec.structs import replace

from authz.decision import lots
from authz.decision.position import Position
from authz.decision.standing import HOLD, Standing
from ledger import accounts
from ledger.values import Account, Cents, Hold, HolderId, Part, Transfer

APPROVAL_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TWO_DIGITS = [low + high for high in APPROVAL_DIGITS for low in APPROVAL_DIGITS]
_PAIRS = len(_TWO_DIGITS)


def approval_code(reference: str) -> str:
    """Make a request's approval code: six letters and digits, the same for the same request.

    >>> approval_code("c0ffee")
    'H254VS'
    """
    number = crc32(reference.encode())
    first, second, third = number % _PAIRS, number // _PAIRS % _PAIRS, number // _PAIRS**2 % _PAIRS
    return _TWO_DIGITS[first] + _TWO_DIGITS[second] + _TWO_DIGITS[third]


def spend(
    holder: HolderId, position: Position, asked: Standing, amount: Cents, acquirer: str, hold_days: int, today: date
) -> tuple[Position, Standing, tuple[Transfer, ...]]:
    """Take `amount`, which must be available, out of the oldest lots, and count it on the day of what is `asked`.

    As `asked` says, it is paid to the acquirer, or set aside for `hold_days` more. Returns the position after it, what
    stands, and the transfers.
    """
    product, day = asked.product, asked.day
    purse, parts, back = lots.take(holder, position.purse, product, day, amount)
    standing = replace(asked, parts=parts)
    if standing.effect is HOLD:
        until = day + timedelta(days=hold_days)
        hold = Hold(standing.original, product, day, standing.approval, acquirer, parts, until)
        purse = replace(purse, holds=(*purse.holds, hold))
        moved = set_aside(holder, product, parts)
    else:
        moved = paid(holder, product, parts, acquirer)
    return replace(position, purse=purse).with_spent(day, product, amount, today), standing, (*back, *moved)


def set_aside(holder: HolderId, product: str, parts: tuple[Part, ...]) -> tuple[Transfer, ...]:
    """Set aside, out of lots, what a hold is of."""
    return tuple(
        Transfer(
            accounts.of_holder(holder, product, part.lot), accounts.of_hold(holder, product, part.lot), part.amount
        )
        for part in parts
    )


def paid(
    holder: HolderId,
    product: str,
    parts: tuple[Part, ...],
    acquirer: str,
    out_of: Callable[[HolderId, str, str], Account] = accounts.of_holder,
) -> tuple[Transfer, ...]:
    """Pay an acquirer, out of lots or out of what a hold has set aside of them (`accounts.of_hold`)."""
    to = accounts.payable(acquirer)
    return tuple([Transfer(out_of(holder, product, part.lot), to, part.amount) for part in parts])


def uncovered(acquirer: str, cents: int) -> tuple[Transfer, ...]:
    """Post what no balance covers to the acquirer's exceptions, or, below 0, take it back off them."""
    exceptions, payable = accounts.exceptions(acquirer), accounts.payable(acquirer)
    if cents > 0:
        return (Transfer(exceptions, payable, Cents(cents)),)
    return (Transfer(payable, exceptions, Cents(-cents)),) if cents else ()
