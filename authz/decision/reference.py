"""Reference data that rules read: merchants and employers."""

from msgspec import Struct

from ledger.values import HolderId


class Merchant(Struct, frozen=True, gc=False):
    """An acceptor. `territory` is `FR-` and a département, or another country's code; `time_zone` an IANA name.

    `accepts` lists the products that this merchant is approved for.
    """

    id: str
    name: str
    mcc: str
    territory: str
    time_zone: str
    accepts: tuple[str, ...]


class Employer(Struct, frozen=True, gc=False):
    """A client who loads vouchers. `sundays_holidays` is their decision for those who work such days (R3262-8)."""

    id: str
    name: str
    programme: str
    sundays_holidays: bool = False


def merchant_passbook(merchant: str) -> HolderId:
    """Name the passbook of a merchant."""
    return HolderId(f"merchant:{merchant}")


def employer_passbook(employer: str) -> HolderId:
    """Name the passbook of an employer."""
    return HolderId(f"employer:{employer}")


def programme_passbook(programme: str) -> HolderId:
    """Name the passbook of a programme."""
    return HolderId(f"programme:{programme}")
