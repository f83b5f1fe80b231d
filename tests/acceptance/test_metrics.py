"""What /metrics says beside what the journal and the terminals' own clocks say (docs/metrics.md)."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from math import prod
from typing import Any, get_args
from urllib.request import urlopen

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from authz.clock import SimulatedClock
from authz.decision.commands import Command, RegisterMerchant
from authz.decision.outcomes import Reason
from authz.decision.programme import PRODUCT_CODES
from authz.decision.reference import Merchant
from authz.engine.kinds import AUTHORIZATION, AUTHORIZATION_ADVICE
from authz.metrics.collectors import SECONDS
from authz.service import Service, running
from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import TUESDAY, rows
from tests.acceptance.counter import (
    CODEC,
    DEMO,
    SIMULATED,
    Closed,
    Line,
    card,
    framed,
    network,
    purchase,
    terminal,
    wrong_pin,
)
from tests.conftest import Database

BY_LABELS = """
SELECT kind, CASE WHEN request -> 'command' ->> 'product' = ANY ($1) THEN request -> 'command' ->> 'product'
                  WHEN json_array_length(reply -> 'balances') = 1 THEN reply -> 'balances' -> 0 ->> 0
                  ELSE coalesce(reply -> 'standings' -> 0 ->> 3, '') END AS product,
       reason, count(*)
  FROM ledger.journal GROUP BY 1, 2, 3"""
MERCHANTS = 1_000
HOSTILE_FRAMES = 600
SLOWNESS_S = (0.003,) * 24 + (0.03,) * 12 + (0.07,) * 4
"""How long appends take more than they do, in the middle of a bucket each."""

KINDS = {str(one.__struct_config__.tag) for one in get_args(Command)} | {AUTHORIZATION, AUTHORIZATION_ADVICE}
VOCABULARY: dict[str, set[str]] = {
    "message": KINDS,
    "product": {"", *PRODUCT_CODES},
    "reason": set(Reason),
    "link": {SIMULATED.acquirer},
    "partition": {"0"},
    "field": {str(number) for number in range(129)},
    "le": {*map(str, SECONDS), *(f"{2.0**power}" for power in range(9)), "+Inf"},
    "stage": {"read", "resolve", "decide", "append", "reply"},
    "queue": {"backlog", "forming", "sent", "doubtful"},
    "cache": {"cards", "passbooks"},
    "chore": {"sweep", "walk", "ranges", "issuing"},
    "settled": {"in", "out"},
    "outcome": {"answered", "unanswered"},
    "how": {"identity_taken", "defect", "Fenced", "OutcomeUnknown", "Unavailable"},
    "why": {
        *("unreadable", "response", "unanswerable", "length_unreadable", "frame_too_long"),
        *("too_many_connections", "stopping", "client_name_wrong"),
    },
}
"""Every value that a label can have in an authorizer with one link and one partition."""


class Served:
    """An authorizer on a loop of its own, seen from outside."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop, database: Database) -> None:
        self.service = service
        self.database = database
        self.port = service.links[0].port
        self._loop = loop

    def do(self, work: Any) -> Any:
        """Do something where the authorizer runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def scrape(self) -> list[Sample]:
        """Everything that Prometheus would get of the engine's own."""
        with urlopen(f"http://127.0.0.1:{self.service.http_port}/metrics") as answer:
            text = answer.read().decode()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def recorded(self) -> Counter[tuple[str, ...]]:
        """The same from the journal."""
        return Counter(
            {tuple(row[:3]): row[3] for row in rows(self.database.superuser_url, BY_LABELS, sorted(PRODUCT_CODES))}
        )

    def agree(self) -> Counter[tuple[str, ...]]:
        """See the counters equal the journal's counts, at a moment when nothing is being written."""
        while True:
            before, seen, after = self.recorded(), self.scrape(), self.recorded()
            waiting = sum(one.value for one in seen if one.name in ("authz_requests_in_engine", "authz_queue_requests"))
            if before == after and not waiting:
                counted = decisions_of(seen)
                assert counted == before
                return counted


def decisions_of(seen: list[Sample]) -> Counter[tuple[str, ...]]:
    """The counter of decisions, by its labels."""
    labels = ("message", "product", "reason")
    decisions = (one for one in seen if one.name == "authz_decisions_total")
    return Counter({tuple(map(one.labels.__getitem__, labels)): int(one.value) for one in decisions})


def named(seen: list[Sample]) -> dict[tuple[str, ...], float]:
    """Values by a sample's name and its labels' values, sorted by their labels."""
    return {(one.name, *(one.labels[label] for label in sorted(one.labels))): one.value for one in seen}


@contextmanager
def serving(database: Database) -> Iterator[Served]:
    """Run the demo's authorizer, in this process, on ports of its own and on a thread and loop of its own."""
    ready: Future[tuple[Service, asyncio.AbstractEventLoop]] = Future()
    over = asyncio.Event()
    config = DEMO.config()
    links = tuple(replace(link, port=0) for link in config.links)

    async def run() -> None:
        clock = SimulatedClock(datetime.fromisoformat(TUESDAY))
        try:
            async with running(replace(config, links=links, http_port=0), database.url, clock, demo=True) as service:
                ready.set_result((service, asyncio.get_running_loop()))
                await over.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    def work() -> None:
        asyncio.run(run())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        service, loop = ready.result()
        try:
            yield Served(service, loop, database)
        finally:
            loop.call_soon_threadsafe(over.set)
    finally:
        thread.join()


@pytest.fixture(scope="module")
def served(make_database: Callable[..., Database]) -> Iterator[Served]:
    """The authorizer that the tests share. It has written all that is in its ledger."""
    with serving(make_database()) as one:
        yield one


def test_the_counters_equal_the_journals_counts(served: Served) -> None:
    """Of every kind, product and reason: payments in three products, refusals, repeats, reversals, bad frames."""
    till, belgian = terminal(), terminal("BRU00001")
    with Line(served.port) as line:
        bought = till.purchase(card("0014"), 1_250)
        held = till.authorization(card("0022"), 900)
        for request in (
            *(bought, till.purchase(card("0014"), 100_000), till.purchase(card("0063"), 100), held),
            *(till.purchase(card("0014", pin=wrong_pin("0014")), 100), till.inquiry(card("0014"))),
            *(till.completion(card("0022"), held, 600), till.advice(card("0030"), 700)),
            *(till.reversal(bought, stands=250), till.reversal(till.purchase(card("0030"), 1))),
            *(till.hold_advice(card("0030"), 300), till.refund(card("0014"), bought, 100)),
            *(belgian.purchase(card("0010"), 200, product=product) for product in ("00", "91", "92", "90", "17")),
            belgian.inquiry(card("0010")),
            network("301"),
        ):
            line.ask(request)
        line.ask(repeat(bought))
        line.send(b"\x00\x01")
        line.ask(replace(bought, currency=None, trace="999999"))
    counted = served.agree()
    products = {product for message, product, _ in counted if message == "purchase"}
    assert {"", "90", "91", "92"} <= products
    by_name = named(served.scrape())
    assert by_name["authz_repeats_total",] == 1
    assert by_name["authz_malformed_total", "49", SIMULATED.acquirer] == 1
    assert by_name["authz_frames_dropped_total", SIMULATED.acquirer, "unreadable"] == 1


def test_the_histogram_agrees_with_the_terminals_clock_within_a_bucket(served: Served) -> None:
    """A request lasts no longer inside than outside; percentiles lie in the same bucket or in neighbours."""
    store: Any = served.service.store
    append, slowness = store.append, iter(SLOWNESS_S)

    async def slowly(*values: Any) -> None:
        await asyncio.sleep(next(slowness, 0))
        await append(*values)

    before, outside = answered(served), []
    store.append = slowly
    try:
        with Line(served.port) as line:
            for _ in SLOWNESS_S:
                frame = CODEC.encode(purchase("0048", 1))
                begun = time.perf_counter()
                line.ask_bytes(frame)
                outside.append(time.perf_counter() - begun)
    finally:
        store.append = append
    inside = answered(served) - before
    assert inside[float("inf")] == len(outside)
    for edge in SECONDS:
        assert inside[edge] >= sum(seconds <= edge for seconds in outside)
    for percent in (50, 75, 95):
        rank = len(outside) * percent / 100
        within = next(number for number, edge in enumerate(SECONDS) if inside[edge] >= rank)
        seen = next(number for number, edge in enumerate(SECONDS) if sum(one <= edge for one in outside) >= rank)
        assert within <= seen <= within + 1


def answered(served: Served) -> Counter[float]:
    """How many answers took at most so many seconds."""
    buckets = (one for one in served.scrape() if one.name == "authz_answer_seconds_bucket")
    return Counter({float(one.labels["le"]): int(one.value) for one in buckets})


def test_the_stages_of_a_payment_add_up_to_its_whole_time(served: Served) -> None:
    def sums() -> Counter[str]:
        wanted = ("authz_stage_seconds_sum", "authz_answer_seconds_sum", "authz_stage_seconds_count")
        return Counter(
            {"".join((one.name, *one.labels.values())): one.value for one in served.scrape() if one.name in wanted}
        )

    before = sums()
    with Line(served.port) as line:
        for _ in range(20):
            line.ask(purchase("0048", 1))
    passed = sums()
    passed.subtract(before)
    stages = [passed[f"authz_stage_seconds_sum{stage}"] for stage in VOCABULARY["stage"]]
    assert all(seconds > 0 for seconds in stages)
    assert {passed[f"authz_stage_seconds_count{stage}"] for stage in VOCABULARY["stage"]} == {20}
    # Between two stages nothing waits: what is in none of them is some instructions a request.
    assert 0 <= passed["authz_answer_seconds_sum"] - sum(stages) < 0.2 * passed["authz_answer_seconds_sum"]


def test_no_series_comes_from_the_wire(served: Served) -> None:
    """1,000 merchants, and random content in every field: series stay below the product of the known words."""
    merchants = [f"HOSTILE{number:08}" for number in range(MERCHANTS)]

    async def register() -> None:
        known = (Merchant(name, name, "5812", "FR", "Europe/Paris", ("90",)) for name in merchants)
        await asyncio.gather(
            *(served.service.engine.administer(RegisterMerchant(one), f"hostile {one.id}") for one in known)
        )

    served.do(register())
    chance = random.Random(1)
    for payloads in chunks(list(hostile(chance, merchants)), 8):
        with suppress(Closed, ConnectionError, OSError), Line(served.port) as line:
            line.send_raw(b"".join(map(framed, (*payloads, CODEC.encode(network("301"))))))
            while CODEC.decode(line.receive()).mti != "0810":
                pass
    counted = served.agree()
    assert sum(counted[key] for key in counted if key[0] == "merchant") >= MERCHANTS
    series = [one for one in served.scrape() if one.name.startswith(("authz_", "ledger_"))]
    labels: dict[str, set[str]] = {}
    for one in series:
        labels.setdefault(one.name, set()).update(one.labels)
        if one.name != "authz_build_info":
            assert all(value in VOCABULARY[label] for label, value in one.labels.items()), one
    by_name = Counter(one.name for one in series)
    for name, number in by_name.items():
        assert number <= prod(len(VOCABULARY.get(label, {""})) for label in labels[name])
    assert by_name["authz_decisions_total"] < 200, "administration has one reason, and a payment few products"


def hostile(chance: random.Random, merchants: list[str]) -> Iterator[bytes]:
    """Payments that are strange in one way: their content, their type, their bytes."""
    for number in range(HOSTILE_FRAMES):
        request = purchase("0048", 1)
        match number % 5:
            case 0:
                yield CODEC.encode(replace(request, merchant=chance.choice(merchants)))
            case 1:
                yield CODEC.encode(replace(request, processing_code=f"{chance.randrange(10**6):06}"))
            case 2:
                yield f"{chance.randrange(10**4):04}".encode() + CODEC.encode(request)[4:]
            case 3:
                yield CODEC.encode(replace(request, terminal=scrawl(chance, 8), merchant=scrawl(chance, 15)))
            case _:
                frame = bytearray(CODEC.encode(request))
                for place in chance.sample(range(4, len(frame)), chance.randint(1, 40)):
                    frame[place] = chance.randrange(256)
                yield bytes(frame)


def scrawl(chance: random.Random, length: int) -> str:
    return "".join(chr(chance.randrange(33, 127)) for _ in range(length))


def chunks(payloads: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(payloads), size):
        yield payloads[start : start + size]


def test_a_new_process_counts_from_nothing_and_stands_by(served: Served) -> None:
    with serving(served.database) as other:
        values = named(other.scrape())
        assert not decisions_of(other.scrape())
    assert (values["authz_standing_by",], values["authz_ready",]) == (1, 0)
    assert values["authz_answer_seconds_count",] == values["authz_takeovers_total", "0"] == 0
    assert 0 < values["process_start_time_seconds",] <= time.time()
    first = named(served.scrape())
    assert (first["authz_standing_by",], first["authz_ready",], first["authz_takeovers_total", "0"]) == (0, 1, 1)
    assert first["authz_epoch", "0"] > 0
