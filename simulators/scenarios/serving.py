"""A fresh host for a scenario, by a command of whoever runs it: started, waited for, stopped."""

import asyncio
import re
import shlex
import signal
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from simulators.mistakes import Mistake

READY_WITHIN_S = 120.0
"""A host may have a database to make first."""
STOPPED_WITHIN_S = 20.0
LINE_BYTES_MAX = 65_536
ERROR_LINES_MAX = 5
"""Kept of what the host writes to standard error, to be shown if it doesn't start."""
_READY = re.compile(r"^ready\b.*\biso8583=(?P<host>[^\s:]+):(?P<port>[0-9]{1,5})\b")


class HostNotStarted(Mistake):
    """The host's command can't be run, or it never said that it is ready."""


def command_line(template: str, *, clock: datetime, folder: Path, port: int, config: Path | None) -> list[str]:
    """Fill in a command's {clock}, {folder} and {port}; `config` goes behind it. Raises `HostNotStarted`.

    >>> noon = datetime(2026, 5, 12, 12)
    >>> command_line("authz serve --clock {clock}", clock=noon, folder=Path("x"), port=0, config=None)
    ['authz', 'serve', '--clock', '2026-05-12T12:00:00']
    """
    values = {"clock": clock.isoformat(), "folder": str(folder), "port": str(port)}
    try:
        words = [word.format_map(values) for word in shlex.split(template)]
    except (ValueError, KeyError, IndexError, AttributeError):
        raise HostNotStarted("--serve: a command in which only {clock}, {folder} and {port} stand in braces") from None
    if not words:
        raise HostNotStarted("--serve: a command, such as 'authz serve --demo --data {folder} --clock {clock}'")
    return words if config is None else [*words, "--config", str(config)]


@asynccontextmanager
async def serving(template: str, clock: datetime, config: Path | None) -> AsyncIterator[tuple[str, int]]:
    """Run a host until the block ends; say where it listens. Raises `HostNotStarted`."""
    with tempfile.TemporaryDirectory(prefix="scenario-", ignore_cleanup_errors=True) as folder:
        words = command_line(template, clock=clock, folder=Path(folder, "data"), port=0, config=config)
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, limit=LINE_BYTES_MAX)
        except OSError as failed:
            raise HostNotStarted(f"--serve: {words[0]}: {failed.strerror}") from None
        assert process.stdout is not None
        assert process.stderr is not None
        errors: deque[str] = deque(maxlen=ERROR_LINES_MAX)
        listening = [asyncio.create_task(_keep(process.stderr, errors))]
        try:
            where = await _ready(process.stdout, errors)
            listening.append(asyncio.create_task(_keep(process.stdout, deque(maxlen=0))))
            yield where
        finally:
            await _stop(process)
            await asyncio.gather(*listening)


async def _ready(output: asyncio.StreamReader, errors: deque[str]) -> tuple[str, int]:
    """Wait for the ready line."""
    with suppress(TimeoutError, ValueError):
        async with asyncio.timeout(READY_WITHIN_S):
            while line := await output.readline():
                found = _READY.match(line.decode(errors="replace"))
                if found is not None:
                    return found["host"], int(found["port"])
    said = f": {errors[-1]}" if errors else ""
    raise HostNotStarted(f"--serve: the host never said `ready iso8583=HOST:PORT`{said}")


async def _keep(stream: asyncio.StreamReader, lines: deque[str]) -> None:
    """Read a stream to its end, so that nobody waits for it to be read; keep its last lines."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit
            continue
        if not line:
            return
        lines.append(line.decode(errors="replace").strip())


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOPPED_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
