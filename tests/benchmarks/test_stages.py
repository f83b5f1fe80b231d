"""Stopwatches at stages: each stage's time is its own, and waiting is nobody's."""

import asyncio
import functools

import pytest

from benchmarks import stages
from benchmarks.authorizer import Usage
from benchmarks.cli import stages_of
from benchmarks.report import REMAINDER
from benchmarks.stages import STAGES, Stopwatch


@pytest.fixture
def spend(monkeypatch):
    """Let time pass, by nanoseconds, on the clock that stopwatches read."""
    now = [0]
    monkeypatch.setattr(stages.time, "thread_time_ns", lambda: now[0])

    def pass_by(nanoseconds):
        now[0] += nanoseconds

    return pass_by


def test_what_a_stage_inside_takes_is_not_counted_twice(spend):
    watch = Stopwatch()
    inner = watch.around("inner", lambda: spend(30))

    def work():
        spend(5)
        inner()
        inner()
        spend(7)

    watch.around("outer", work)()
    assert watch.read() == {"inner": (60, 2), "outer": (12, 1)}


async def test_waiting_is_not_counted_and_what_runs_meanwhile_is_its_own(spend):
    watch, gate = Stopwatch(), asyncio.Event()

    async def waits():
        spend(3)
        await gate.wait()
        spend(4)

    waiting = asyncio.create_task(watch.around("waits", waits)())
    await asyncio.sleep(0)
    watch.around("other", lambda: spend(1_000))()
    gate.set()
    await waiting
    assert watch.read() == {"other": (1_000, 1), "waits": (7, 1)}


async def test_a_coroutine_behind_a_plain_decorator_is_timed_while_it_runs(spend):
    """The driver's methods are: timing the call alone would see a coroutine made, and nothing done."""
    watch = Stopwatch()

    async def works():
        spend(9)

    @functools.wraps(works)
    def decorated():
        return works()

    await watch.around("works", decorated)()
    assert watch.read() == {"works": (9, 1)}


async def test_a_stage_gives_its_value_and_raises_its_error(spend):
    watch = Stopwatch()

    async def gives():
        return 5

    async def raises():
        spend(2)
        raise LookupError

    assert await watch.around("gives", gives)() == 5
    with pytest.raises(LookupError):
        await watch.around("raises", raises)()
    assert watch.read()["raises"] == (2, 1)


async def test_a_cancelled_stage_can_put_its_things_in_order(spend):
    watch, put = Stopwatch(), []

    async def waits():
        try:
            await asyncio.Event().wait()
        finally:
            put.append("in order")

    waiting = asyncio.create_task(watch.around("waits", waits)())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert put == ["in order"]


def test_every_function_of_every_stage_is_in_the_product():
    missing = [name for stage in STAGES for owner, name in stage.functions if not callable(getattr(owner, name, None))]
    assert missing == []


def test_stages_and_what_is_left_come_to_the_processor_time_of_a_request():
    before = Usage(1, 1_000_000, 0, 1, 10, {"decode": (100_000, 10)})
    after = Usage(1, 5_000_000, 1_000_000, 2, 20, {"decode": (500_000, 20), "new": (100_000, 5)})
    spent = stages_of(before, after)
    assert [(one.stage, one.calls) for one in spent] == [("decode", 1.0), ("new", 0.5), (REMAINDER, 0.0)]
    assert sum(one.microseconds for one in spent) == pytest.approx(500)
    assert spent[0].microseconds == pytest.approx(40)
