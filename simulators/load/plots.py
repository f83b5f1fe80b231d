"""The plots of a result's page, each an SVG element that needs nothing from outside."""

import io
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from simulators.load.bounds import Bound
from simulators.load.latencies import Latencies
from simulators.load.result import Result, Second
from simulators.load.stages import Stage

MESSAGES_DRAWN_MAX = 7
"""More lines than that can't be told apart."""
NINES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
POINTS_BETWEEN_NINES = 12
INK, FAINT = "#1f2933", "#d5dbe1"
COLOURS = ("#1d4ed8", "#d97706", "#059669", "#be185d", "#7c3aed", "#0e7490", "#65a30d", "#78350f")
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
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.6,
}
_NO_METADATA: dict[str, None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))

Told = ParamSpec("Told")


def _styled(draw: Callable[Told, str]) -> Callable[Told, str]:
    """Draw in the page's style, whatever this process has set for others."""

    @wraps(draw)
    def styled(*told: Told.args, **named: Told.kwargs) -> str:
        with mpl.rc_context(STYLE):
            return draw(*told, **named)

    return styled


@_styled
def percentiles(result: Result, bounds: Sequence[Bound]) -> str:
    """Latency by percentile, the high ones drawn apart as hdrhistogram's own plots do; all, then each message."""
    figure, axes = _figure(3.6)
    for number, name in enumerate((None, *result.messages[:MESSAGES_DRAWN_MAX])):
        latencies = result.latencies(name)
        shares = [share for share in _shares() if latencies.count * (1 - share / 100) >= 1 or share <= 50]
        axes.plot(
            [1 / (1 - share / 100) for share in shares],
            [latencies.milliseconds(share) for share in shares],
            color=COLOURS[number],
            label=name or "all",
            linewidth=2.4 if name is None else 1.2,
            zorder=3 if name is None else 2,
        )
    _draw_bounds(axes, bounds)
    axes.set_xscale("log")
    axes.set_xticks([1 / (1 - share / 100) for share in NINES], [f"{share:g} %" for share in NINES])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(1, 1 / (1 - min(NINES[-1], _share_of_last(result)) / 100))
    _in_milliseconds(axes)
    figure.legend(loc="outside right upper")
    return _svg(figure, "percentiles")


@_styled
def over_time(seconds: Sequence[Second], bounds: Sequence[Bound]) -> str:
    """Median and 99th percentile of every second, and below them what was asked and answered in it."""
    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    at = [second.at for second in seconds]
    answered = [second for second in seconds if second.answered]
    for label, colour, values in (
        ("p99", COLOURS[1], [second.p99_ms for second in answered]),
        ("p50", COLOURS[0], [second.p50_ms for second in answered]),
    ):
        above.plot([second.at for second in answered], values, ".-", color=colour, label=label)
    _draw_bounds(above, bounds)
    _in_milliseconds(above)
    above.legend(loc="upper left", bbox_to_anchor=(1, 1))
    below.step(at, [second.asked for second in seconds], where="pre", color=INK, label="asked", linewidth=1.0)
    below.step(at, [second.answered for second in seconds], where="pre", color=COLOURS[2], label="answered")
    below.step(at, [second.errors for second in seconds], where="pre", color="#dc2626", label="errors")
    below.set_ylim(bottom=0)
    below.set_ylabel("a second")
    below.set_xlabel("seconds since the warm-up")
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    below.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure, "time")


@_styled
def by_message(result: Result) -> str:
    """For every message, from its median to its 99.9th percentile, the 99th marked."""
    names = result.messages
    return _ranges("messages", [(name, _three(result.latencies(name))) for name in names])


@_styled
def by_stage(stages: Sequence[Stage]) -> str:
    """For every stage of the host, from its median to its 99th percentile."""
    known = [(stage.name, (stage.p50_ms, stage.p99_ms)) for stage in stages if stage.p50_ms is not None]
    return _ranges("stages", [(name, (p50, p99 if p99 is not None else p50)) for name, (p50, p99) in known])


def _ranges(name: str, rows: Sequence[tuple[str, tuple[float, ...]]]) -> str:
    figure, axes = _figure(0.9 + 0.3 * len(rows))
    for number, (_, values) in enumerate(rows):
        shown = [max(value, 0.001) for value in values]
        axes.plot([shown[0], shown[-1]], [number, number], color=COLOURS[0], linewidth=3, alpha=0.35)
        axes.plot(shown[:1], [number], "o", color=COLOURS[0])
        axes.plot(shown[1:2], [number], "D", color=COLOURS[1])
    axes.set_yticks(range(len(rows)), [row for row, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.set_xlabel("ms (log): median ●, 99th percentile ◆")
    _tick(axes.xaxis)
    return _svg(figure, name)


def _three(latencies: Latencies) -> tuple[float, ...]:
    return tuple(latencies.milliseconds(percentile) for percentile in (50, 99, 99.9))


def _shares() -> list[float]:
    """Percentiles evenly spread on an axis of nines."""
    decades = len(NINES) - 2
    steps = [step / POINTS_BETWEEN_NINES for step in range(decades * POINTS_BETWEEN_NINES + 1)]
    return [100 * (1 - 10**-step) for step in steps]


def _share_of_last(result: Result) -> float:
    """The percentile above which there is one request."""
    return 100 * (1 - 1 / max(result.answered + result.unanswered, 10))


def _figure(inches: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.6, inches), layout="constrained")
    return figure, figure.subplots()


def _draw_bounds(axes: Axes, bounds: Sequence[Bound]) -> None:
    for bound in bounds:
        if bound.unit:
            axes.axhline(bound.most, color="#dc2626", linewidth=0.9, linestyle="--")
            axes.annotate(
                f"{bound.name} ≤ {bound.most:g} ms",
                (1.0, bound.most),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color="#dc2626",
                fontsize=8,
            )


def _in_milliseconds(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_ylabel("ms (log)")
    _tick(axes.yaxis)


def _tick(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 of every decade, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


def _svg(figure: Figure, name: str) -> str:
    """The element alone: no document type, no addresses but its name spaces; ids that no other plot's have."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
