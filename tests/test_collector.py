"""Garbage of a program that runs is collected a little at a time."""

import asyncio
import gc
import weakref

import pytest

from authz import collector
from authz.collector import collect_often

PATIENCE_S = 10


class Ring:
    """What only a collection frees: it refers to itself."""

    def __init__(self) -> None:
        self.itself = self


async def test_garbage_goes_though_no_threshold_is_ever_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "YOUNG_EVERY_MS", 1)
    gone = asyncio.Event()
    gc.disable()
    collecting = asyncio.create_task(collect_often())
    try:
        weakref.finalize(Ring(), gone.set)
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        collecting.cancel()
        gc.enable()


@pytest.mark.parametrize(("age", "every"), [(1, "MIDDLE_EVERY"), (2, "FULL_EVERY")])
async def test_what_grew_older_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch, age: int, every: str) -> None:
    monkeypatch.setattr(collector, "YOUNG_EVERY_MS", 1)
    monkeypatch.setattr(collector, "MIDDLE_EVERY", 3)
    monkeypatch.setattr(collector, every, 3)
    gone, ring = asyncio.Event(), Ring()
    weakref.finalize(ring, gone.set)
    gc.disable()
    for young in range(age):
        gc.collect(young)
    assert any(one is ring for one in gc.get_objects(generation=age))
    collecting = asyncio.create_task(collect_often())
    try:
        del ring
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        collecting.cancel()
        gc.enable()
