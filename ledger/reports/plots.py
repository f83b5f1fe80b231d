"""The plots of a report's page: each an SVG element that needs nothing from outside. Same figures, same bytes."""

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ledger.reports.figures import Report, Section
from ledger.reports.part import Plot
from ledger.reports.tables import AGES, NOBODY, OLDER, breaks_by_age, refused_by_reason

REASONS_DRAWN_MAX = 12
"""Bars of refusals; the rest are one."""
VINTAGES_DRAWN_MAX = 36
"""Bars of vintages, the oldest first."""
WIDTH_INCHES = 8.6
COLOURS = ("#1d4ed8", "#d97706", "#059669", "#be185d", "#7c3aed", "#0e7490", "#65a30d", "#78350f", "#475569", "#c2410c")
WAITS, GREY = "expired, waits", "#94a3b8"
FAINT, INK = "#d5dbe1", "#1f2933"
STYLE: Any = {  # matplotlib lists every key in a type of its own
    "font.family": ["sans-serif"],
    "font.size": 9.0,
    "svg.fonttype": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceff2",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}

Stacks = Mapping[tuple[str, str], int]
"""What is drawn: by the bar's name and the name of its part."""


def drawn(report: Report, plot: Plot) -> str:
    """Draw a plot of a report; nothing where there is nothing to be drawn."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": plot.value}):
        figure = _DRAWN[plot](report)
        return "" if figure is None else _svg(figure, plot)


def _volume_by_hour(report: Report) -> Drawing | None:
    """What was approved by hour of the day, by product."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in report.of(Section.VOLUME):
        sums[f"{one.hour:02}", one.product or NOBODY] += one.cents or 0
    return _bars(sums, [f"{hour:02}" for hour in range(24)], "€", "hour", money=True)


def _volume_by_day(report: Report) -> Drawing | None:
    """What was approved by calendar day, by product."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in report.of(Section.VOLUME):
        assert one.day is not None, "volume is told apart by day"
        sums[f"{one.day.day:02}", one.product or NOBODY] += one.cents or 0
    days = [f"{number:02}" for number in range(report.first.day, report.last.day + 1)]
    return _bars(sums, days, "€", "day of the month", money=True)


def _unspent(report: Report) -> Drawing | None:
    """What is unspent by vintage: by product, and on top what has expired and waits."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in report.of(Section.UNSPENT):
        sums[one.name or NOBODY, one.product or NOBODY] += one.cents or 0
    for one in report.of(Section.WAITING):
        sums[one.name or NOBODY, WAITS] += one.cents or 0
    vintages = sorted({name for name, _ in sums})[:VINTAGES_DRAWN_MAX]
    return _bars(sums, vintages, "€", "vintage", money=True)


def _ageing(report: Report) -> Drawing | None:
    """How long open breaks have been open, by cause."""
    counted = Counter({(how_long, cause): count for (cause, how_long), count in breaks_by_age(report).items()})
    return _bars(counted, [*(name for name, _ in AGES), OLDER], "breaks", "", money=False)


def _refusals(report: Report) -> Drawing | None:
    """Refused messages by reason, the most frequent on top."""
    counted = list(refused_by_reason(report))
    if not counted:
        return None
    shown, rest = counted[:REASONS_DRAWN_MAX], sum(number for _, number in counted[REASONS_DRAWN_MAX:])
    if rest:
        shown.append(("all others", rest))
    figure, axes = _drawing(0.7 + 0.24 * len(shown))
    places = range(len(shown))
    axes.barh(places, [number for _, number in shown], color=COLOURS[0], height=0.7)
    axes.set_yticks(places, [reason for reason, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("messages")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def _bars(sums: Stacks, bars: Sequence[str], unit: str, below: str, *, money: bool) -> Drawing | None:
    """Draw a bar for each name, its parts upon each other; nothing where there is nothing."""
    parts = sorted({part for _, part in sums})
    if not parts:
        return None
    figure, axes = _drawing(2.8)
    floor = [0.0] * len(bars)
    for number, part in enumerate(parts):
        heights = [sums.get((bar, part), 0) / (100 if money else 1) for bar in bars]
        colour = GREY if part == WAITS else COLOURS[number % len(COLOURS)]
        axes.bar(range(len(bars)), heights, bottom=floor, label=part, color=colour, width=0.8)
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    crowded = len(bars) > 12 and max(map(len, bars)) > 2
    axes.set_xticks(range(len(bars)), bars, rotation=60 if crowded else 0)
    axes.use_sticky_edges = False  # the upper edge of a part of height 0 would hold the axis to itself
    axes.margins(y=0.08)
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.6, max(len(bars), 4) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel(unit)
    axes.set_xlabel(below)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=not money))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    figure.legend(loc="outside right upper")
    return figure


def _drawing(inches: float) -> tuple[Drawing, Axes]:
    figure = Drawing(figsize=(WIDTH_INCHES, inches), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Drawing, name: str) -> str:
    """The element alone. On a page it needs no addresses of name spaces, and groups need no names."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\s+(xmlns(:\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)


_DRAWN: Mapping[Plot, Callable[[Report], Drawing | None]] = {
    Plot.VOLUME_BY_HOUR: _volume_by_hour,
    Plot.VOLUME_BY_DAY: _volume_by_day,
    Plot.REFUSALS: _refusals,
    Plot.UNSPENT: _unspent,
    Plot.AGEING: _ageing,
}
