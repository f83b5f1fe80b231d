"""What reports are put together from."""

from enum import StrEnum

from msgspec import Struct

from ledger.reports.tables import Sheet


class Plot(StrEnum):
    """The plots there are."""

    VOLUME_BY_HOUR = "volume-by-hour"
    VOLUME_BY_DAY = "volume-by-day"
    REFUSALS = "refusals"
    UNSPENT = "unspent"
    AGEING = "ageing"


class Part(Struct, frozen=True):
    """A table of a report, and its plot, if it has one. `folded`: where there is room for a plot only, it hides."""

    sheet: Sheet
    plot: Plot | None = None
    folded: bool = False
