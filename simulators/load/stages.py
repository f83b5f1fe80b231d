"""Where a host's time goes, by its own metrics: Prometheus histograms, read before and after a run."""

import math
import urllib.error
import urllib.request
from collections.abc import Mapping

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from simulators.mistakes import Mistake

SUFFIX = "_seconds_bucket"
FETCH_TIMEOUT_SECONDS = 5.0
METRICS_BYTES_MAX = 16_777_216
STAGES_MAX = 64
"""A host that has more is told of by those in which most time passed."""

Buckets = Mapping[str, Mapping[float, float]]
"""By stage: how many took at most so many seconds, cumulative."""


class MetricsUnreadable(Mistake):
    """A host's metrics could not be fetched, or are no Prometheus text."""


class Stage(Struct, frozen=True):
    """A stage of the host's work during a run. Percentiles lie within their bucket by interpolation; milliseconds.

    None: beyond the highest bucket.
    """

    name: str
    count: int
    p50_ms: float | None
    p99_ms: float | None


def fetch(address: str) -> Buckets:
    """Read the histograms of seconds at an address: a stage is their label `stage`, or the metric's own name.

    Raises `MetricsUnreadable`.
    """
    if not address.startswith(("http://", "https://")):
        raise MetricsUnreadable("--metrics: an address such as http://127.0.0.1:8080/metrics")
    try:
        with urllib.request.urlopen(address, timeout=FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310 - tested above
            text = answer.read(METRICS_BYTES_MAX).decode()
    except (OSError, ValueError) as failed:
        why = failed.reason if isinstance(failed, urllib.error.URLError) else type(failed).__name__
        raise MetricsUnreadable(f"--metrics: nothing to read at {address} ({why})") from None
    return parse(text)


def parse(text: str) -> Buckets:
    r"""Read the histograms of a Prometheus text. Raises `MetricsUnreadable`.

    >>> parse('# TYPE x_seconds histogram\nx_seconds_bucket{le="0.1",stage="decide"} 3\n')
    {'decide': {0.1: 3.0}}
    """
    stages: dict[str, dict[float, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.endswith(SUFFIX):
                    name = sample.labels.get("stage") or sample.name.removesuffix(SUFFIX)
                    buckets = stages.setdefault(name, {})
                    edge = float(sample.labels["le"])
                    buckets[edge] = buckets.get(edge, 0.0) + sample.value
    except (ValueError, KeyError):
        raise MetricsUnreadable("--metrics: not in Prometheus' text format") from None
    return stages


def between(before: Buckets, after: Buckets) -> tuple[Stage, ...]:
    """The stages that were passed between two readings, those with the highest medians first."""
    stages = []
    for name, buckets in after.items():
        earlier = before.get(name, {})
        passed = {edge: count - earlier.get(edge, 0.0) for edge, count in sorted(buckets.items())}
        count = max(passed.values(), default=0.0)
        if count > 0:
            stages.append(Stage(name, int(count), _percentile(passed, count, 50), _percentile(passed, count, 99)))
    stages.sort(key=lambda stage: math.inf if stage.p50_ms is None else stage.p50_ms, reverse=True)
    return tuple(stages[:STAGES_MAX])


def _percentile(passed: Mapping[float, float], count: float, percentile: float) -> float | None:
    """Find a percentile as Prometheus' histogram_quantile does: evenly spread within its bucket."""
    rank = count * percentile / 100
    lower, below = 0.0, 0.0
    for edge, up_to in passed.items():
        if up_to >= rank:
            if math.isinf(edge):
                return None
            part = (rank - below) / (up_to - below) if up_to > below else 1.0
            return min(lower + (edge - lower) * part, edge) * 1_000  # by rounding it could lie beyond
        lower, below = edge, up_to
    return None
