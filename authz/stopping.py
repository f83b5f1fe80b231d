"""Running until the end, or until one is told to stop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

DONE = 0


def run_until_stopped(work: Coroutine[Any, Any, int], on_stop: Callable[[], None] = lambda: None) -> int:
    """Run to the end, or until SIGTERM or SIGINT, which unwinds it in order. A second signal ends it at once."""

    async def stoppable() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop() -> None:
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(name)
            on_stop()
            task.cancel()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)
        try:
            return await work
        except asyncio.CancelledError:
            return DONE

    return uvloop.run(stoppable())
