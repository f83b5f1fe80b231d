"""The file of results as tables in Markdown: every figure in the documents is one of these."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.bounds import COLUMNS as BOUND_COLUMNS
from benchmarks.bounds import Bound
from benchmarks.ground import RESULTS, ResultsUnusable
from benchmarks.growth import Growth
from benchmarks.memory import Memory
from benchmarks.overload import Overload
from benchmarks.report import CAPTION, COLUMNS, Profile, Report, Spent, cells, title, was_held
from benchmarks.steady import Steady

DONE = 0


class Results(Struct, frozen=True):
    """The file: a section for each command that has been run."""

    comparison: Report | None = None
    profile: Profile | None = None
    steady: Steady | None = None
    overload: Overload | None = None
    growth: Growth | None = None
    memory: Memory | None = None


def tables(*, json: Path = RESULTS) -> int:
    """Print the measurements that a file of results holds, as tables in Markdown.

    Parameters
    ----------
    json
        The file of results.
    """
    try:
        results = msgspec.json.decode(json.read_bytes(), type=Results)
    except OSError as error:
        raise ResultsUnusable(f"{json}: {error.strerror}; measure first, or name another by --json") from None
    except msgspec.DecodeError as error:
        raise ResultsUnusable(f"{json} is no file of results of this version: {error}") from None
    print("\n".join(lines_of(results)))
    return DONE


def lines_of(results: Results) -> Iterator[str]:
    """Write every section that is there, in Markdown."""
    if results.comparison is not None:
        yield from _comparison(results.comparison)
    if results.profile is not None:
        yield from _profile(results.profile)
    for name, section in (
        ("Steady", results.steady),
        ("Overload", results.overload),
        ("Growth", results.growth),
        ("Memory", results.memory),
    ):
        if section is not None:
            yield from (f"### {name}", title(section.machine), "", *_bounds(section.bounds), "")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write a table: the first column to the left, the others to the right.

    >>> list(markdown(("rate", "p50"), [("500", "1.2")]))
    ['| rate | p50 |', '|---|---:|', '| 500 | 1.2 |']
    """
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _comparison(report: Report) -> Iterator[str]:
    yield from ("### Comparison", title(report.machine), "", f"{report.holders:,} holders. {CAPTION}", "")
    yield from markdown(COLUMNS, [cells(row, report.yardstick) for row in report.rows])
    yield ""
    tried = [
        (f"{row.asked:,.0f}", f"{row.p99_ms:.2f}", f"{row.errors}", "yes" if was_held(row) else "no")
        for row in report.tries
    ]
    yield from markdown(("tried, asked/s", "p99", "errors", "held"), tried)
    yield ""
    yield from (*_bounds(report.bounds), "")


def _bounds(bounds: Sequence[Bound]) -> Iterator[str]:
    return markdown(BOUND_COLUMNS, [one.cells() for one in bounds])


def _profile(profile: Profile) -> Iterator[str]:
    plain, timed = profile.plain, profile.timed
    yield from ("### Profile", title(profile.machine), "")
    for how, row in (("without stopwatches", plain), ("with them", timed)):
        yield f"{how}: {row.held:,.0f} requests/s, {row.engine_us or 0:.0f} µs each, {row.batch or 0:.0f} an append"
    yield ""
    stages = sorted(profile.stages, key=lambda one: -one.microseconds)
    total = sum(one.microseconds for one in stages)
    yield from markdown(("stage", "µs", "", "calls"), [_stage(one, total) for one in stages])
    yield ""


def _stage(one: Spent, total: float) -> tuple[str, str, str, str]:
    return one.stage, f"{one.microseconds:.1f}", f"{one.microseconds / total:.0%}", f"{one.calls:.3f}"
