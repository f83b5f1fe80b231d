"""What each part of the way costs alone, on real inputs: `pytest benchmarks --benchmark-only`.

Costs of an asynchronous part that never waits include starting its coroutine, as they do in the engine.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from authz.decision.commands import Purchase
from authz.decision.decide import decide
from authz.engine.identities import keys_of
from authz.engine.passbooks import decode_state
from authz.engine.vault import PostgresVault
from authz.links.translation import request_of
from authz.security.module import PinFinding
from authz.wire.codec import Codec
from benchmarks import bare
from benchmarks.filled import card_of, fill, holder_id
from benchmarks.samples import TUESDAY_NOON, Sample, purchase
from ledger.chain import GENESIS, record_hash
from ledger.embedded import EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.schema import APPLICATION_ROLE
from ledger.values import Epoch, Partition, Seq

RECORDS_A_CALL = (1, 8, 64, 256)
HOLDERS_A_CALL = (1, 8, 64)
HOLDERS = 2_000
"""Of the ledger that positions and cards are resolved from; its pages are in PostgreSQL's memory."""
CALLS = 100
WARM_UP_CALLS = 10
DEADLINE_S = 5.0
T = TypeVar("T")


class Benchmark(Protocol):
    """pytest-benchmark's fixture."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Time a function and give its value."""

    def pedantic(self, function: Callable[..., Any], *, rounds: int, warmup_rounds: int) -> Any:
        """Time a function, called so many times."""


@pytest.fixture(scope="module")
def sample() -> Sample:
    """An approved purchase by chip and PIN."""
    return asyncio.run(purchase())


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL with the product's own settings: every commit reaches the disk."""
    with tempfile.TemporaryDirectory(prefix="authz-bench-", ignore_cleanup_errors=True) as folder:
        started = EmbeddedServer.start(Path(folder))
        try:
            asyncio.run(bare.create(started))
            yield started
        finally:
            started.remove()


@pytest.fixture(scope="module")
def filled(server: EmbeddedServer) -> str:
    """A ledger with `HOLDERS` holders and their cards, as the application's URL."""
    asyncio.run(fill(server, "filled", HOLDERS, HOLDERS))
    return server.url(APPLICATION_ROLE, "filled")


@pytest.fixture
def examining(sample: Sample) -> Codec:
    """The same codec without its plans: every message goes through pyiso8583."""
    return Codec(sample.codec.dialect, plans_max=0)


def test_decode(benchmark: Benchmark, sample: Sample) -> None:
    """Bytes to a message, every field examined."""
    assert benchmark(sample.codec.decode, sample.frame) == sample.message


def test_decode_by_pyiso8583(benchmark: Benchmark, sample: Sample, examining: Codec) -> None:
    """The same by examination: how much compiling the dialect gains."""
    assert benchmark(examining.decode, sample.frame) == sample.message


def test_encode(benchmark: Benchmark, sample: Sample) -> None:
    """A reply to bytes."""
    assert benchmark(sample.codec.encode, sample.reply).startswith(b"0210")


def test_encode_by_pyiso8583(benchmark: Benchmark, sample: Sample, examining: Codec) -> None:
    """The same by examination."""
    assert benchmark(examining.encode, sample.reply) == sample.codec.encode(sample.reply)


def test_message_to_command(benchmark: Benchmark, sample: Sample) -> None:
    """A message to what the core understands."""
    request = benchmark(request_of, sample.message, "970001", TUESDAY_NOON, DEADLINE_S)
    assert request.secrets == sample.secrets


def test_identity_keys(benchmark: Benchmark, sample: Sample) -> None:
    """The two keys of a request, on a card's token."""
    token = sample.security.token(sample.secrets.pan)
    assert isinstance(sample.command, Purchase)
    assert benchmark(keys_of, sample.command.origin, token) == sample.decided.work.keys


def test_pin_check(benchmark: Benchmark, sample: Sample) -> None:
    """A PIN block opened under the zone key, and its PIN's PVV compared."""
    secrets = sample.secrets

    def check() -> object:
        assert secrets.pin_block is not None
        checking = sample.security.verify_pin("970001", secrets.pin_block, secrets.pan, sample.check)
        try:
            checking.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError

    assert benchmark(check) is PinFinding.RIGHT


def test_decide(benchmark: Benchmark, sample: Sample) -> None:
    """All the rules, a lot spent, the new position."""
    assert benchmark(decide, sample.command, sample.facts).reply.reason.approves


def test_record_as_json(benchmark: Benchmark, sample: Sample) -> None:
    """Every input and output of a decision, written down."""
    assert benchmark(sample.decided.entry, Seq(2)).position == sample.entry.position


def test_record_hash(benchmark: Benchmark, sample: Sample) -> None:
    """A record framed and hashed."""
    digest = benchmark(record_hash, GENESIS, Partition(0), Seq(1), Epoch(1), sample.entry)
    assert len(digest) == len(GENESIS)


@pytest.mark.parametrize("records", RECORDS_A_CALL)
def test_append(benchmark: Benchmark, sample: Sample, server: EmbeddedServer, records: int) -> None:
    """A batch hashed, sent and durable."""
    with asyncio.Runner() as runner:

        async def begin() -> tuple[Any, bare.Append]:
            context = bare.appending(server, sample, records)
            return context, await context.__aenter__()

        context, append = runner.run(begin())
        try:
            _repeated(benchmark, runner, append)  # type: ignore[arg-type]
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize("holders", HOLDERS_A_CALL)
def test_resolve_positions(benchmark: Benchmark, filled: str, holders: int) -> None:
    """The newest lines of holders who aren't in memory, read and decoded."""
    with asyncio.Runner() as runner:
        store = PostgresStore(filled)
        somebody = cycle(batched_ids(holder_id, holders))

        async def resolve() -> list[object]:
            lines = await store.newest(Partition(0), next(somebody))
            return [decode_state(holder, line.position) for holder, line in lines.items()]

        try:
            assert len(_repeated(benchmark, runner, resolve)) == holders
        finally:
            runner.run(store.close())


@pytest.mark.parametrize("cards", HOLDERS_A_CALL)
def test_resolve_cards(benchmark: Benchmark, filled: str, sample: Sample, cards: int) -> None:
    """Cards that aren't in memory, found in the vault by their tokens, with passbooks; what is sealed stays sealed."""
    with asyncio.Runner() as runner:
        vault = PostgresVault(filled)
        somebody = cycle(batched_ids(lambda number: sample.security.token(card_of(number).pan), cards))

        async def resolve() -> int:
            return len((await vault.find(next(somebody))).lines)

        try:
            assert _repeated(benchmark, runner, resolve) == cards
        finally:
            runner.run(vault.close())


def batched_ids(name: Callable[[int], T], size: int) -> list[list[T]]:
    """Cut all holders' names into calls' worth, those of one call far from each other."""
    calls = HOLDERS // size
    return [[name(start + calls * number) for number in range(size)] for start in range(calls)]


def _repeated(benchmark: Benchmark, runner: asyncio.Runner, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    value: T = benchmark.pedantic(lambda: runner.run(call()), rounds=CALLS, warmup_rounds=WARM_UP_CALLS)
    return value
