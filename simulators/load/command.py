"""`simulate load`."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace
from rich.console import Console

from simulators.command_line import APPROVED, FINDING, complain, say
from simulators.load import compare, progress, result
from simulators.load.bounds import Bound
from simulators.load.connection import Connection
from simulators.load.options import LoadOptions, Order, read
from simulators.load.result import Asked, Recorded, Result
from simulators.load.run import Watch, precise_loop, run
from simulators.load.stages import Buckets, between, fetch


def load(options: LoadOptions = LoadOptions()) -> int:  # noqa: B008 - frozen
    """Load a host, open loop: requests leave at times fixed beforehand, and latencies count from those.

    Exit 0 if every bound was kept, 1 if one was broken, 2 on wrong use or if nothing answers. SIGINT ends the run, and
    tells what was measured until then.
    """
    console = Console()
    if options.compare is not None:
        return _compare(console, options.compare, as_json=options.json)
    order = read(options)
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        recorded = runner.run(_measure(console, options, order))
    if options.out is not None:
        result.write(options.out, recorded)
    if options.report is not None:
        _write_page(options.report, recorded, order.bounds)
    if options.json:
        say(msgspec.json.encode(recorded).decode())
    else:
        progress.show(console, recorded)
    broken = [words for bound in order.bounds if (words := bound.broken_by(recorded.result)) is not None]
    for words in broken:
        complain(words)
    return FINDING if broken else APPROVED


async def _measure(console: Console, options: LoadOptions, order: Order) -> Recorded:
    connections: list[Connection] = []
    async with AsyncExitStack() as stack:
        for _ in range(options.connections):
            connection = await Connection.connect(order.host, order.port, order.codec, signs_on=options.sign_on)
            stack.push_async_callback(connection.close)
            connections.append(connection)
        before = await _stages(options.metrics)
        begun = datetime.now(UTC)
        with progress.Progress(console, order.plan, quiet=options.json) as shown:
            asked, measured = await _run(order, connections, shown.show)
        after = await _stages(options.metrics)
    return Recorded(
        begun=begun.isoformat(timespec="seconds"),
        host=f"{order.host}:{order.port}",
        asked=asked,
        result=measured,
        stages=between(before, after),
    )


async def _run(order: Order, connections: Sequence[Connection], watch: Watch) -> tuple[Asked, Result]:
    """Run to the end, or until SIGINT, which cancels this: what was measured until then is a result too."""
    ended = asyncio.Event()
    requests = order.traffic.along(order.plan)
    running = asyncio.create_task(
        run(order.plan, requests, connections, heard=order.traffic.heard, watch=watch, ended=ended)
    )
    try:
        return order.asked, await asyncio.shield(running)
    except asyncio.CancelledError:
        ended.set()
        measured = await running
        last = max((second.at for second in measured.seconds), default=0.0)
        return replace(order.asked, seconds=min(last, order.asked.seconds)), measured


async def _stages(address: str | None) -> Buckets:
    return {} if address is None else await asyncio.to_thread(fetch, address)


def _write_page(path: Path, recorded: Recorded, bounds: Sequence[Bound]) -> None:
    from simulators.load import report  # what draws takes longer to load than most commands to run

    report.write(path, recorded, bounds)


def _compare(console: Console, files: tuple[Path, Path], *, as_json: bool) -> int:
    first, second = map(result.read, files)
    if as_json:
        lines, differences = compare.compare(first, second), compare.differences(first, second)
        say(msgspec.json.encode({"differences": differences, "lines": lines}).decode())
    else:
        compare.show(console, first, second)
    return APPROVED
