"""A programme: the dated rules that a product line lives by, with the source of each."""

from datetime import date

from msgspec import Struct

from ledger.values import Cents


class CapRow(Struct, frozen=True, forbid_unknown_fields=True):
    """The most a holder may spend of a product on one local date, in cents, between two days (None: without end)."""

    amount: Cents
    source: str
    since: date | None = None
    until: date | None = None


class Programme(Struct, frozen=True, forbid_unknown_fields=True):
    """PLACEHOLDER shape: the decision room completes it."""

    id: str
    cap: str
    caps: tuple[CapRow, ...] = ()
