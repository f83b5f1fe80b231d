"""The plot of a comparison: latency against rate, every contender on the same axes."""

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.bare import YARDSTICK
from benchmarks.payments import AUTHORIZER
from benchmarks.report import HELD_P99_MS_MAX, SATURATED, Report, was_held
from benchmarks.rows import Row
from simulators.load.plots import COLOURS, STYLE

MARKS = {"commit, 1 row": "v", "pgbench TPC-B-like": "s", "row-lock function": "D"}
"""Closed loops, by how their names begin: each is a point at the rate that it held."""
_NO_METADATA: dict[str, None] = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def latency_by_rate(report: Report) -> str:
    """Draw it as SVG: medians in full lines, 99th percentiles dashed, both axes logarithmic."""
    text = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": "comparison"}):
        figure = Figure(figsize=(9.0, 5.2), layout="constrained")
        axes = figure.subplots()
        curves = {"authorizer": _curve(report), YARDSTICK: [row for row in report.named(YARDSTICK) if row.asked]}
        for (name, rows), colour in zip(curves.items(), COLOURS, strict=False):
            at = [row.held for row in rows]
            axes.plot(at, [row.p50_ms for row in rows], "o-", color=colour, label=f"{name}, p50")
            axes.plot(at, [row.p99_ms for row in rows], "o--", color=colour, label=f"{name}, p99", fillstyle="none")
        for (name, mark), colour in zip(MARKS.items(), COLOURS[len(curves) :], strict=False):
            for row in report.named(name):
                axes.plot([row.held] * 2, [row.p50_ms, row.p99_ms], color=colour, linewidth=0.8, alpha=0.6)
                axes.plot(row.held, row.p50_ms, mark, color=colour)
                axes.plot(row.held, row.p99_ms, mark, color=colour, fillstyle="none")
                axes.annotate(row.name, (row.held, row.p99_ms), (4, 3), textcoords="offset points", fontsize=7)
        axes.axhline(HELD_P99_MS_MAX, color="#dc2626", linewidth=0.9, linestyle=":", label="p99 of a rate that is held")
        axes.set(xscale="log", yscale="log", xlabel="requests a second, held", ylabel="ms")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_title("Full: median; hollow: 99th percentile. pgbench is a closed loop.", loc="left", fontsize=9)
        figure.legend(loc="outside right upper")
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    return text.getvalue()


def _curve(report: Report) -> Sequence[Row]:
    """The authorizer's lines by rate: those of the table, and every rate that the search tried and found held."""
    lines = [*report.named(AUTHORIZER), *report.named(SATURATED), *filter(was_held, report.tries)]
    return sorted({row.asked: row for row in lines}.values(), key=lambda row: row.asked or 0.0)
