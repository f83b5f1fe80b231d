"""What an engine counts, and that docs/metrics.md says so."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from authz.decision.commands import Enrol
from authz.decision.outcomes import Reason
from authz.engine.bulk import Errand
from authz.metrics import Metrics
from authz.metrics.collectors import SECONDS, Durations, DurationsCollector, Tally
from ledger.memory import Fault
from ledger.reports import exposition
from tests.engine.world import TUESDAY, Barrier, House, World, holder_of, turns

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
NAME = re.compile(r"`((?:authz|ledger)_\w+)`")


def counted(house: House, name: str, **labels: str) -> float | None:
    return house.metrics.registry.get_sample_value(name, labels)


def described(registry: CollectorRegistry) -> dict[str, tuple[str, set[str]]]:
    """The metrics of a registry by their names: type and labels."""
    found = {}
    for collector in registry._collector_to_names:
        labels = set(getattr(collector, "_labelnames", getattr(collector, "_labels", ())))
        for family in getattr(collector, "describe", collector.collect)():
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            kind = "gauge" if family.type == "info" else family.type
            own = labels if isinstance(collector, MetricWrapperBase | Tally | DurationsCollector) else {"cache"}
            found[family.name + suffix] = kind, own | ({"version"} if family.type == "info" else set())
    return found


def test_the_page_has_every_metric_with_its_type_and_labels() -> None:
    ours = described(Metrics().registry) | described(exposition.Exposition().registry)
    ours = {name: what for name, what in ours.items() if name.startswith(("authz_", "ledger_"))}
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in PAGE.read_text().splitlines()]
    page = {
        found[1]: (row[1], set(re.findall(r"`(\w+)`", row[2])))
        for row in cells
        if len(row) == 3 and (found := NAME.fullmatch(row[0]))
    }
    assert page == ours


def test_the_page_names_what_the_library_adds() -> None:
    names = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    text = PAGE.read_text()
    assert [name for name in names if name.startswith(("process_", "python_")) and f"`{name}`" not in text] == []


def test_the_page_has_the_edges_of_the_buckets() -> None:
    assert f"Edges of the buckets, in seconds: {', '.join(f'{edge:g}' for edge in SECONDS)}." in PAGE.read_text()


def test_an_edge_belongs_to_the_bucket_below_it() -> None:
    registry, durations = CollectorRegistry(), Durations()
    DurationsCollector("some_seconds", "Some.", {(): durations}, registry)
    for seconds in (0.0005, 0.0005001, 5.0, 5.1):
        durations.observe(seconds)
    counts = {
        edge: registry.get_sample_value("some_seconds_bucket", {"le": edge})
        for edge in ("0.0005", "0.001", "5.0", "+Inf")
    }
    assert counts == {"0.0005": 1, "0.001": 2, "5.0": 3, "+Inf": 4}
    assert registry.get_sample_value("some_seconds_sum") == pytest.approx(10.1010001)


async def test_queues_are_told_by_place_and_by_age(world: World) -> None:
    """One is sent, one forms behind it, and a batch of one leaves no room for the other two."""
    house = await world.open(batch_records_max=1)
    await house.furnish()
    alice = await house.enrol(1)
    barrier = Barrier(house.store)
    tasks = [house.begin(world.request(alice, 1))]
    await barrier.reached()
    tasks += [house.begin(world.request(alice, 1)) for _ in range(3)]
    await turns()
    waiting = {
        queue: counted(house, "authz_queue_requests", partition="0", queue=queue)
        for queue in ("sent", "forming", "backlog", "doubtful")
    }
    assert waiting == {"sent": 1, "forming": 1, "backlog": 2, "doubtful": 0}
    assert counted(house, "authz_requests_in_engine") == 4
    assert (counted(house, "authz_queue_age_seconds", partition="0") or 0) > 0
    barrier.release()
    await asyncio.gather(*tasks)
    assert counted(house, "authz_queue_age_seconds", partition="0") == 0
    assert counted(house, "authz_requests_in_engine") == 0


@pytest.mark.parametrize(("fault", "settled"), [(Fault.LOST_AFTER, "in"), (Fault.LOST_BEFORE, "out")])
async def test_an_unknown_outcome_counts_as_what_it_was_found_to_be(
    world: World, house: House, alice: str, fault: Fault, settled: str
) -> None:
    house.store.faults.append(fault)
    await house.pay(world.request(alice, 100))
    outcomes = {one: counted(house, "authz_unknown_outcomes_total", settled=one) for one in ("in", "out")}
    assert outcomes == {"in": settled == "in", "out": settled == "out"}
    labels = {"message": "purchase", "product": "90", "reason": "APPROVED"}
    assert (counted(house, "authz_decisions_total", **labels) or 0) == len(world.payments())
    assert counted(house, "authz_takeovers_total", partition="0") == 1


async def test_every_record_counts_once(world: World, house: House, alice: str) -> None:
    await asyncio.gather(*(house.pay(world.request(alice, 1)) for _ in range(9)))
    again = world.request(alice, 1)
    await house.pay(again)
    await house.pay(again)
    await house.pay(world.request("9250100000000999"))
    [family] = [one for one in house.metrics.registry.collect() if one.name == "authz_decisions"]
    assert sum(sample.value for sample in family.samples) == len(world.records())
    assert counted(house, "authz_decisions_total", message="purchase", product="90", reason="CARD_UNKNOWN") == 1
    assert counted(house, "authz_repeats_total") == 1


async def test_a_product_is_one_of_ours_or_none(world: World, house: House, alice: str) -> None:
    """Whatever DE 3 says."""
    await house.pay(world.request(alice, 1))
    [family] = [one for one in house.metrics.registry.collect() if one.name == "authz_decisions"]
    assert {sample.labels["product"] for sample in family.samples} == {"", "90"}


async def test_only_links_requests_are_timed_by_stage(world: World, house: House, alice: str) -> None:
    """Administration has filled the ledger by now."""
    for stage in ("resolve", "decide", "append"):
        assert counted(house, "authz_stage_seconds_count", stage=stage) == 0
    await house.pay(world.request(alice, 1))
    for stage in ("resolve", "decide", "append"):
        assert counted(house, "authz_stage_seconds_count", stage=stage) == 1
        assert (counted(house, "authz_stage_seconds_sum", stage=stage) or 0) > 0


async def test_caches_tell_what_memory_knew(world: World, house: House, alice: str) -> None:
    """After a takeover it knows nothing; at the second payment, everything."""
    await house.crash()
    other = await world.open()
    for _ in range(2):
        assert (await other.pay(world.request(alice, 1))).reason is Reason.APPROVED
    for cache in ("cards", "passbooks"):
        assert counted(other, "authz_cache_hits_total", cache=cache) == 1
        assert counted(other, "authz_cache_misses_total", cache=cache) == 1


async def test_bulk_work_tells_what_it_did_and_how_long_it_has_been_waited_for(world: World, house: House) -> None:
    barrier = Barrier(house.store)
    errand = Errand(Enrol(holder_of(7), "E1"), "enrolment 7", TUESDAY.date())
    work = asyncio.create_task(house.engine.lane(house.writer.partition).carry_out([errand]))
    await barrier.reached()
    assert (counted(house, "authz_bulk_age_seconds", partition="0") or 0) > 0
    assert counted(house, "authz_bulk_records_total", chore="issuing") == 0
    barrier.release()
    await work
    assert counted(house, "authz_bulk_age_seconds", partition="0") == 0
    assert counted(house, "authz_bulk_records_total", chore="issuing") == 1


async def test_ready_is_what_readyz_says(world: World, house: House) -> None:
    assert (counted(house, "authz_ready"), counted(house, "authz_standing_by")) == (1, 0)
    await house.crash()
    assert (counted(house, "authz_ready"), bool(house.engine.unready())) == (0, True)


def test_what_is_known_beforehand_is_there_from_the_first_scrape() -> None:
    house: Any = World().prepare()
    for name, labels in {
        "authz_append_failures_total": {"how": "OutcomeUnknown"},
        "authz_unknown_outcomes_total": {"settled": "out"},
        "authz_refused_total": {"reason": "OVERLOADED"},
        "authz_takeovers_total": {"partition": "0"},
        "authz_bulk_records_total": {"chore": "walk"},
        "authz_repeats_total": {},
    }.items():
        assert counted(house, name, **labels) == 0, name
