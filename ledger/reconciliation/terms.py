"""What finance has agreed with acquirers and banks: one TOML file, checked when it is read.

Nothing here is guessed: a tolerance or a window that isn't written down is none.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from ledger.store import LedgerError
from ledger.values import Cents

TEN_THOUSAND = 10_000

Iban = Annotated[str, Meta(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")]
Count = Annotated[int, Meta(ge=0)]


class TermsInvalid(LedgerError):
    """The terms can't be read: the message names the file and the place."""


class Tariff(Struct, frozen=True, forbid_unknown_fields=True, rename={"first_day": "from"}):
    """What the issuer keeps of what an acquirer is paid, from a day on: parts per 10,000, and cents a payment.

    Of `product` (two digits) only, where it is given: the newest that fits, one of a product first.
    """

    first_day: date
    basis_points: Annotated[int, Meta(ge=0, le=TEN_THOUSAND)] = 0
    fixed_cents: Count = 0
    product: Annotated[str, Meta(pattern=r"^[0-9]{2}$")] | None = None


class AcquirerTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """One acquirer. `format` is `clearing` (docs/clearing.md), or a mapping's file beside the terms.

    `days_late`: how many business days a line may come after its payment before it is missing. `window_s`: how far
    apart two clocks may be; 0: times aren't used. `settled_days`: within how many days the bank shows a position.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9]{1,11}$")]
    name: Annotated[str, Meta(min_length=1, max_length=70)]
    iban: Iban
    format: str = "clearing"
    days_late: Count = 1
    tolerance_cents: Count = 0
    window_s: Count = 0
    settled_days: Count = 5
    tariff: tuple[Tariff, ...] = ()

    def fee(self, day: date, product: str | None, cents: Cents, payments: int) -> Cents:
        """What the issuer keeps of so many cents paid in so many payments of a product: rounded half up, in cents."""
        fitting = [one for one in self.tariff if one.first_day <= day and one.product in (None, product)]
        if not fitting:
            return Cents(0)
        terms = max(fitting, key=lambda one: (one.product is not None, one.first_day))
        part = (2 * abs(cents) * terms.basis_points + TEN_THOUSAND) // (2 * TEN_THOUSAND)
        return Cents((part if cents >= 0 else -part) + payments * terms.fixed_cents)


class Accounts(Struct, frozen=True, forbid_unknown_fields=True):
    """The issuer's own: `voucher` holds the money behind the vouchers, `operating` what clients pay for services."""

    voucher: Iban
    operating: Iban
    holder: Annotated[str, Meta(min_length=1, max_length=70)]
    bic: Annotated[str, Meta(pattern=r"^[A-Z0-9]{8}([A-Z0-9]{3})?$")] | None = None


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """All of the file. `zone`: where business days are dates."""

    accounts: Accounts
    acquirer: tuple[AcquirerTerms, ...]
    zone: str = "Europe/Paris"
    currency: Literal["EUR"] = "EUR"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"zone {self.zone!r} isn't an IANA name") from None
        if len({one.id for one in self.acquirer}) < len(self.acquirer):
            raise ValueError("an acquirer has its terms once")

    def of(self, acquirer: str) -> AcquirerTerms | None:
        """An acquirer's terms; None: there are none."""
        return next((one for one in self.acquirer if one.id == acquirer), None)

    @property
    def ids(self) -> Sequence[str]:
        """The acquirers, in the order of their ids."""
        return sorted(one.id for one in self.acquirer)


def read(path: Path) -> Terms:
    """Read the terms. Raises `TermsInvalid`."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Terms)
    except OSError as failed:
        raise TermsInvalid(f"{path}: {failed.strerror}") from None
    except msgspec.ValidationError as wrong:
        raise TermsInvalid(f"{path}: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise TermsInvalid(f"{path}: not TOML") from None
