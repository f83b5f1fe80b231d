"""What metrics cost: all that one payment counts, and one scrape's text: `pytest benchmarks --benchmark-only`."""

import asyncio
import time
from itertools import product
from typing import Any, Protocol

import pytest
from prometheus_client import generate_latest

from authz.decision.outcomes import Reason
from authz.engine.counting import Counting
from authz.engine.work import Work
from authz.links.link import Passage
from authz.metrics import Metrics
from authz.metrics.collectors import Hits
from benchmarks.samples import Sample, purchase
from ledger.values import Partition

DECISIONS = 60
"""Series of decisions in a day of 5,000 payments, with some to spare."""


class Benchmark(Protocol):
    """pytest-benchmark's fixture."""

    def __call__(self, function: Any, *arguments: Any) -> Any:
        """Time a function and give its value."""


@pytest.fixture(scope="module")
def sample() -> Sample:
    """An approved purchase by chip and PIN."""
    return asyncio.run(purchase())


@pytest.fixture
def metrics() -> Metrics:
    """Those of an engine that has been busy."""
    metrics = Metrics()
    for values in list(product(("purchase", "reversal"), ("90", "91"), Reason))[:DECISIONS]:
        metrics.decisions.inc(values)
    for reason in Reason:
        metrics.refused.labels(reason)
    return metrics


def test_all_that_one_payment_counts(benchmark: Benchmark, sample: Sample, metrics: Metrics) -> None:
    """Its arrival, six times, two look-ups in memory, its decision. The append's own are one for a whole batch."""
    no_queues: dict[str, list[Work]] = {}
    counting = Counting(Partition(0), metrics, lambda: no_queues)
    cards, passbooks = Hits(), Hits()
    work = sample.decided.work

    def count() -> None:
        passage = Passage(time.monotonic())
        metrics.stages.read.observe(time.monotonic() - passage.arrived_at)
        work.asked_at = time.monotonic()
        cards.note(found=True)
        passbooks.note(found=True)
        work.admitted_at = time.monotonic()
        began = time.monotonic()
        work.decide_s = time.monotonic() - began
        counting.record(sample.decided)
        counting.time(work)
        passage.answered_at = time.monotonic()
        now = time.monotonic()
        metrics.answer_seconds.observe(now - passage.arrived_at)
        metrics.stages.reply.observe(now - passage.answered_at)

    benchmark(count)
    assert metrics.registry.get_sample_value("authz_stage_seconds_count", {"stage": "append"})


def test_the_text_of_one_scrape(benchmark: Benchmark, metrics: Metrics) -> None:
    """The engine's loop stands still for it."""
    assert benchmark(generate_latest, metrics.registry).endswith(b"\n")
