"""A close as metrics, in a file for node_exporter's textfile collector: open breaks, when it was over, how it ended."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from ledger.export.output import OutputUnwritable
from ledger.reading import reader
from ledger.reconciliation import runs
from ledger.reconciliation.values import Break, Cause


class Exposition:
    """What is said of the newest close. Until it is told of breaks, none of their metrics has a value.

    `is_clean`: all was done, and nobody has to look at anything.
    """

    def __init__(self) -> None:
        self.is_clean = False
        self.registry = registry = CollectorRegistry()
        self._breaks = Gauge("ledger_breaks", "Open breaks, by cause.", ["cause"], registry=registry)
        self._age = Gauge(
            "ledger_break_age_days",
            "How old the oldest break of a cause is, on the day that was closed.",
            ["cause"],
            registry=registry,
        )
        self._at = Gauge("ledger_close_timestamp_seconds", "When the newest close was over.", registry=registry)
        self._ok = Gauge("ledger_close_ok", "1 if all was done and nobody has to look at anything.", registry=registry)

    def tell_breaks(self, breaks: Sequence[Break], day: date) -> None:
        """Say what is open on a day, of every cause."""
        for cause in Cause:
            same = [one.age(day) for one in breaks if one.cause is cause]
            self._breaks.labels(cause).set(len(same))
            self._age.labels(cause).set(max(same, default=0))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all, with this instant as the close's. Raises `OutputUnwritable`."""
        self._ok.set(self.is_clean)
        self._at.set_to_current_time()
        try:
            write_to_textfile(str(path), self.registry)
        except OSError as error:
            raise OutputUnwritable(f"{path} can't be written: {error.strerror}") from None


@contextmanager
def exposed(path: Path | None) -> Iterator[Exposition]:
    """Write the file when the block is over, however it ends; None: write none. Raises `OutputUnwritable`."""
    exposition = Exposition()
    try:
        yield exposition
    finally:
        if path is not None:
            exposition.write(path)


async def breaks_of(url: str, day: date) -> Sequence[Break]:
    """Read what the newest reconciliation of a day found open; nothing where there is none."""
    async with reader(url) as connection:
        run = await runs.newest(connection, day)
        return [] if run is None else [listed.one for listed in await runs.listed(connection, run)]
