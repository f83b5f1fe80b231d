"""Debian's Prometheus scrapes an authorizer under a small load: every panel has data, every rule is evaluated."""

import asyncio
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from authz.clock import SimulatedClock
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.service import running
from tests import programs
from tests.conftest import Database
from tests.deploy.files import FINANCE, NODE, panels
from tests.deploy.scraping import Prometheus, scraping, until

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)"
)

NOON = "2026-05-12T12:30:00+02:00"
RATE, SECONDS, WARM_UP_S = 60, 2, 1
RISING = {
    "authz_refused_total{reason=~'INTERNAL|MAC_WRONG|NOT_SIGNED_ON|OVERLOADED|UNAVAILABLE'}": 5,
    "authz_unknown_outcomes_total": 2,
    "authz_takeovers_total": 1,
    "authz_append_failures_total{how!='identity_taken'}": 4,
    "authz_foreign_acquirer_total": 1,
    "authz_link_probes_total{outcome='unanswered'}": 1,
    "authz_pin_blocks_garbled_total": 1,
    "authz_settled_late_total": 1,
}
"""How many series there are from the start of those whose first rise alarms: one that begins with it shows none."""


@contextmanager
def node() -> Iterator[int]:
    """What node_exporter shows: a file system, and the file that the close wrote. Gives the port."""
    registry = CollectorRegistry()
    for name, labels in {**FINANCE, **NODE}.items():
        gauge = Gauge(name, "As the close or the node has it.", sorted(labels), registry=registry)
        (gauge.labels(*labels) if labels else gauge).set(1)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def filled_in(expression: str) -> str:
    """A panel's query as Grafana asks it, of all engines and stages."""
    return expression.replace("$__rate_interval", "5s").replace("$instance", ".*").replace("$stage", ".*")


async def load(port: int, folder: Path) -> int:
    """Ask for payments for some seconds; return how many were answered."""
    out = folder / "load.json"
    words = ("load", "--port", str(port), "--rate", str(RATE), "--duration", f"{SECONDS}s", "--clock", NOON)
    ended = await asyncio.to_thread(
        programs.run, "simulate", *words, "--warm-up", f"{WARM_UP_S}s", "--product", "90", "--out", out
    )
    assert ended.returncode == 0, ended.stderr
    return RATE * (SECONDS + WARM_UP_S)


async def is_scraped(prometheus: Prometheus) -> bool:
    """Whether both targets have been scraped twice: before, a counter that rises shows no rate."""
    return await prometheus.value("count(count_over_time(up[1m]) >= 2)") == 2


async def has_counted(prometheus: Prometheus, answers: float) -> bool:
    """Whether so many answers were scraped, and every rule has been evaluated."""
    evaluated = all(not rule["lastEvaluation"].startswith("0001") for rule in await prometheus.rules())
    return evaluated and (await prometheus.value("sum(authz_answer_seconds_count)") or 0) >= answers


async def test_every_panel_has_data_and_every_rule_is_evaluated(database: Database, tmp_path: Path) -> None:
    await schema.create(database.superuser_url)
    demo = demo_data.read()
    link = msgspec.structs.replace(demo.link, port=0)
    config = msgspec.structs.replace(msgspec.structs.replace(demo, link=link).config(), http_port=0)
    clock = SimulatedClock(datetime.fromisoformat(NOON).astimezone(UTC))
    async with running(config, database.url, clock, demo=True) as service:
        with node() as node_port:
            async with scraping(service.http_port, node_port) as prometheus:
                await until(lambda: is_scraped(prometheus))
                answers = await load(service.links[0].port, tmp_path)

                await until(lambda: has_counted(prometheus, answers * 0.8))
                await check_panels(prometheus)
                await until(lambda: has_drawn(prometheus, answers * 0.8))
                assert await drawn(prometheus) < answers * 1.5
                await check_rules(prometheus)
                there = {series: await prometheus.value(f"count({series})") for series in RISING}
                assert there == RISING


async def check_panels(prometheus: Prometheus) -> None:
    """Every query returns data."""
    empty, silent = [], []
    for panel in panels():
        for target in panel["targets"]:
            found = await prometheus.series(filled_in(target["expr"]))
            if not found:
                empty.append((panel["title"], target["expr"]))
            elif all(math.isnan(float(value)) for one in found for _, value in one["values"]):
                silent.append((panel["title"], target["expr"]))
    assert not empty, "\n".join(map(str, empty))
    assert not silent, "\n".join(map(str, silent))


async def drawn(prometheus: Prometheus) -> float:
    """The answers under the curve of answers a second, at a point a second: however they were spread over time."""
    rates = await prometheus.series(filled_in("sum(rate(authz_answer_seconds_count[$__rate_interval]))"))
    return sum(float(value) for one in rates for _, value in one["values"])


async def has_drawn(prometheus: Prometheus, answers: float) -> bool:
    """Whether so many answers are under the curve; the last ones are when their window has passed."""
    return await drawn(prometheus) >= answers


async def check_rules(prometheus: Prometheus) -> None:
    """Every rule was evaluated without an error, and what is well calls nobody."""
    rules = await prometheus.rules()
    assert {(rule["name"], rule["health"], rule.get("lastError")) for rule in rules} == {
        (rule["name"], "ok", None) for rule in rules
    }
    assert not [rule["name"] for rule in rules if rule.get("state") == "firing"]
