"""What every request counts, as plain numbers: one thread writes and reads them, the event loop's, so there is no lock.

The client library's own counters and histograms take a lock, or two, for each number; with one for each stage of a
request that is more than the decision may cost. Their text is the library's.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper edges of the buckets of every duration: three a decade, from half a millisecond to a request's deadline."""

_EDGES = (*map(str, SECONDS), "+Inf")


class Tally(Collector):
    """A counter by label values. They are words of the engine's own vocabularies, so there are only so many series."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        registry.register(self)

    def inc(self, values: tuple[str, ...]) -> None:
        """Count one: `values` in the order of the labels."""
        self._counts[values] += 1

    def describe(self) -> Iterable[Metric]:
        """Name the metric without its samples."""
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """Give all that was counted since the start."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class Durations:
    """Durations in seconds, counted by bucket."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_EDGES)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one. An edge belongs to the bucket below it."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, values: Sequence[str]) -> None:
        """Write them down, cumulated, under label values."""
        family.add_metric(values, list(zip(_EDGES, self._cumulated(), strict=True)), self._sum)

    def _cumulated(self) -> Iterator[int]:
        total = 0
        for count in self._counts:
            total += count
            yield total


class DurationsCollector(Collector):
    """A histogram of seconds: one, or one for each value of its only label. All of them are there from the start."""

    def __init__(
        self, name: str, documentation: str, series: Mapping[tuple[str, ...], Durations], registry: CollectorRegistry,
        labels: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._name = name
        self._documentation = documentation
        self._series = series
        self._labels = labels
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name the metric without its samples."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """Give all that was measured since the start."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, durations in self._series.items():
            durations.add_to(family, values)
        yield family


class Hits:
    """How often a cache had what was looked for, and how often it hadn't."""

    __slots__ = ("hits", "misses")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0

    def note(self, *, found: bool) -> None:
        """Count a look-up."""
        if found:
            self.hits += 1
        else:
            self.misses += 1


class Caches(Collector):
    """Hits and misses of what is kept in memory. Caches of one name, such as those of several partitions, add up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._caches: defaultdict[str, list[Hits]] = defaultdict(list)
        registry.register(self)

    def watch(self, name: str, cache: Hits) -> None:
        """Expose a cache under a name."""
        self._caches[name].append(cache)

    def describe(self) -> Iterable[Metric]:
        """Name both metrics without their samples."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Add up every name's."""
        hits, misses = self._families()
        for name, caches in self._caches.items():
            hits.add_metric([name], sum(one.hits for one in caches))
            misses.add_metric([name], sum(one.misses for one in caches))
        return hits, misses

    def _families(self) -> tuple[CounterMetricFamily, CounterMetricFamily]:
        return (
            CounterMetricFamily("authz_cache_hits", "Look-ups that memory answered.", labels=["cache"]),
            CounterMetricFamily("authz_cache_misses", "Look-ups that went to the database.", labels=["cache"]),
        )
