"""A report as a page: one HTML file with its plots in it, that asks nothing of anybody."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ledger.reports.figures import Report
from ledger.reports.formats import period, title
from ledger.reports.part import Part
from ledger.reports.plots import drawn
from ledger.reports.tables import headlines

TEMPLATE = "page.html.j2"


def html(found: Report, parts: Sequence[Part]) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=PackageLoader("ledger.reports", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        title=title(found),
        period=period(found),
        figures=headlines(found),
        parts=[(part, _plot(found, part)) for part in parts],
    )


def _plot(found: Report, part: Part) -> Markup:
    svg = "" if part.plot is None else drawn(found, part.plot)
    return Markup(svg)  # noqa: S704 - matplotlib's, which escapes the texts that it draws
