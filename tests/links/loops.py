"""Scenes of a link server that are played on asyncio's own loop and on uvloop, whose transports differ."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import TypeVar

import pytest
import uvloop

from tests.links.lines import Line, line_of

T = TypeVar("T", bound=Line)
Scene = Callable[[T], Awaitable[None]]


def on_both_loops_of(opened: Callable[[], AbstractAsyncContextManager[T]]) -> Callable[[Scene[T]], Callable[..., None]]:
    """Make a decorator for scenes with such a line."""

    def on_both(scene: Scene[T]) -> Callable[..., None]:
        @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
        @wraps(scene)
        def test(loop: str) -> None:
            async def play() -> None:
                async with opened() as line:
                    await scene(line)

            factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(play())

        del test.__wrapped__  # pytest would read the scene's arguments
        return test

    return on_both


on_both_loops = on_both_loops_of(line_of)
"""Plays a scene with a line over plain TCP."""
