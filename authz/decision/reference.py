"""Reference data that rules read, merchants and employers, and what an acquirer's host has told about its link."""

from datetime import date

from msgspec import Struct

from ledger.values import HolderId, Seq


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


class BusinessDay(Struct, frozen=True, gc=False):
    """The business day that an acquirer is in since its newest cutover. Before the first, days are the calendar's."""

    open: date


class Swept(Struct, frozen=True, gc=False):
    """How far in its partition's journal the sweep has released the holds that were over."""

    through: Seq


class Walked(Struct, frozen=True, gc=False):
    """How far a walk over all holders has come: on which day, and behind whom. None: it is through for that day.

    `since` is the day for which the walk before it was through; of a ledger's first walk, its own.
    """

    day: date
    after: str | None
    since: date


class LinkKeys(Struct, frozen=True, gc=False):
    """The check values of the keys that a link was given by key changes, by what they are for."""

    check_values: dict[str, str]


SWEEP_PASSBOOK = HolderId("sweep:holds")
"""Where the sweep notes how far it has come."""
VINTAGES_PASSBOOK = HolderId("walk:vintages")
"""Where the walk that ages holders' lots notes how far it has come."""


def range_passbook(number: int) -> HolderId:
    """Name the passbook of a range of the journal, in which its manifest stands.

    >>> range_passbook(3)
    'range:000003'
    """
    return HolderId(f"range:{number:06}")


def acquirer_passbook(acquirer: str) -> HolderId:
    """Name the passbook of an acquirer's business days."""
    return HolderId(f"acquirer:{acquirer}")


def link_passbook(acquirer: str) -> HolderId:
    """Name the passbook of a link's keys."""
    return HolderId(f"link:{acquirer}")


def merchant_passbook(merchant: str) -> HolderId:
    """Name the passbook of a merchant."""
    return HolderId(f"merchant:{merchant}")


def employer_passbook(employer: str) -> HolderId:
    """Name the passbook of an employer."""
    return HolderId(f"employer:{employer}")


def programme_passbook(programme: str) -> HolderId:
    """Name the passbook of a programme."""
    return HolderId(f"programme:{programme}")
