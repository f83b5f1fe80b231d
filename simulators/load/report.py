"""A result as a page: one HTML file with its plots in it, that asks nothing of anybody."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from simulators.load import plots
from simulators.load.bounds import Bound
from simulators.load.progress import cautions
from simulators.load.result import Recorded, Result, ResultUnwritten

TEMPLATE = "page.html.j2"
PERCENTILES = (50, 90, 99, 99.9, 100)


def write(path: Path, recorded: Recorded, bounds: Sequence[Bound] = ()) -> None:
    """Write a result's page. Raises `ResultUnwritten`."""
    try:
        path.write_text(page(recorded, bounds), encoding="utf-8")
    except OSError as failed:
        raise ResultUnwritten(f"{path}: {failed.strerror}") from None


def page(recorded: Recorded, bounds: Sequence[Bound] = ()) -> str:
    """The page's HTML."""
    result = recorded.result
    environment = Environment(
        loader=PackageLoader("simulators.load", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        recorded=recorded,
        asked=recorded.asked,
        figures=_figures(result),
        cautions=cautions(recorded),
        bounds=[(bound, bound.broken_by(result)) for bound in bounds],
        percentiles=_drawn(plots.percentiles(result, bounds)),
        over_time=_drawn(plots.over_time(result.seconds, bounds)) if result.seconds else "",
        by_message=_drawn(plots.by_message(result)),
        messages=_messages(result),
        replies=_replies(result),
        stages=[
            (stage.name, f"{stage.count:,}", _or_beyond(stage.p50_ms), _or_beyond(stage.p99_ms))
            for stage in recorded.stages
        ],
        by_stage=_drawn(plots.by_stage(recorded.stages)) if recorded.stages else "",
    )


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - matplotlib's, which escapes the texts that it draws


def _figures(result: Result) -> list[tuple[str, str]]:
    return [
        ("asked a second", f"{result.asked_rate:,.0f}"),
        ("held a second", f"{result.held_rate:,.0f}"),
        ("p50 ms", f"{result.p50_ms:,.2f}"),
        ("p99 ms", f"{result.p99_ms:,.2f}"),
        ("p99.9 ms", f"{result.p99_9_ms:,.2f}"),
        ("answered", f"{result.answered:,}"),
        ("unanswered", f"{result.unanswered:,}"),
        ("errors", f"{result.errors:,}"),
        ("generator's lag, p99 ms", f"{result.lag_p99_ms:,.2f}"),
        ("generator's processor", f"{result.cpu:.0%}"),
    ]


def _messages(result: Result) -> list[tuple[str, ...]]:
    rows = []
    for name in (None, *result.messages):
        latencies = result.latencies(name)
        figures = [f"{latencies.milliseconds(percentile):,.2f}" for percentile in PERCENTILES]
        rows.append((name or "all", f"{latencies.count:,}", *figures))
    return rows


def _replies(result: Result) -> list[tuple[str, ...]]:
    rows = []
    for reply in result.replies:
        latencies = result.latencies_of_outcome(reply.response_code, reply.reason)
        figures = [f"{latencies.milliseconds(percentile):,.2f}" for percentile in (50, 99)]
        rows.append((reply.response_code or "–", reply.reason or "–", f"{reply.count:,}", *figures))
    return rows


def _or_beyond(value: float | None) -> str:
    return "beyond" if value is None else f"{value:,.2f}"
