"""Beneficiaries files are read in a process of their own: a hostile one costs payments nothing.

The process gets the file by its standard input, no environment and no connections; it runs at the lowest priority, in
bounded memory and time, and ends by itself.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Sequence
from contextlib import suppress
from weakref import WeakKeyDictionary

import msgspec

from authz.issuing.sheets.faults import Fault, RowError
from authz.issuing.sheets.media import CONTENT_BYTES_MAX, Media
from authz.issuing.sheets.rows import Lines, Row, Sheet, refused

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
CPU_S_MAX = 120
"""200,000 lines of a workbook take some 40 s."""
TIMEOUT_S = 600
"""At the lowest priority, beside payments."""
NICENESS = 19
PROCESSES_MAX = 2
WAITING_MAX = 10
"""Files that wait for a process: with `CONTENT_BYTES_MAX`, what they can take of our memory."""
PART_ROWS = 250
"""Rows in one line of the process's output: half a millisecond of decoding, between which payments go on."""
PART_BYTES_MAX = 2 * 1024 * 1024


class TooManySheets(Exception):
    """Too many beneficiaries files are being read now: try again in a minute."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


async def read_sheet(content: bytes, media: Media) -> Sheet:
    """Read a beneficiaries file in a process of its own. Raises `TooManySheets`; what is wrong with it, it returns."""
    if len(content) > CONTENT_BYTES_MAX:
        return refused(Fault.BIG, most=CONTENT_BYTES_MAX // (1024 * 1024))
    turns = _turns()
    if turns.waiting >= WAITING_MAX:
        raise TooManySheets
    async with turns:
        return await _read(content, media)


async def check_apart(rows: Sequence[Row]) -> Sheet:
    """Check many rows, as `check_rows` does, in a process of its own. Raises `TooManySheets`."""
    return await read_sheet(msgspec.json.encode(Lines(tuple(rows))), "json")


def parts(sheet: Sheet) -> Iterator[Sheet]:
    """Cut a sheet into parts small enough to send: all its errors, then its rows."""
    yield Sheet(errors=sheet.errors)
    for start in range(0, len(sheet.rows), PART_ROWS):
        yield Sheet(sheet.rows[start : start + PART_ROWS])


_decode_part = msgspec.json.Decoder(Sheet).decode


class _Turns(asyncio.Semaphore):
    """The processes that may run at once, and how many files wait for one."""

    def __init__(self) -> None:
        super().__init__(PROCESSES_MAX)
        self.waiting = 0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await super().__aenter__()
        finally:
            self.waiting -= 1


_turns_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


def _turns() -> _Turns:
    return _turns_of_loop.setdefault(asyncio.get_running_loop(), _Turns())


async def _read(content: bytes, media: Media) -> Sheet:
    command = (sys.executable, "-I", "-W", "ignore", "-m", "authz.issuing.sheets", media)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, limit=PART_BYTES_MAX
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _converse(process, content)
    # A line of output that was cut short, or that has no end, comes of a limit too.
    except (TimeoutError, ValueError, msgspec.DecodeError):
        return refused(Fault.TANGLED)
    finally:
        await _end(process)


async def _converse(process: Process, content: bytes) -> Sheet:
    assert process.stdin
    assert process.stdout
    # Without waiting for it to be taken: a process that talks before it has listened would wait for us, and we for it.
    process.stdin.write(content)
    process.stdin.close()
    rows: list[Row] = []
    errors: list[RowError] = []
    async for line in process.stdout:
        part = _decode_part(line)
        rows += part.rows
        errors += part.errors
        # Lines that have come already are read without a pause.
        await asyncio.sleep(0)
    # Killed by a limit, it leaves another status than 0, and what came of it is worth nothing.
    if await process.wait() or not (rows or errors):
        return refused(Fault.TANGLED)
    return Sheet(tuple(rows), tuple(errors))


async def _end(process: Process) -> None:
    assert process.stdout
    with suppress(ProcessLookupError):
        process.kill()
    # A process isn't seen to have ended while something that it wrote isn't read.
    while await process.stdout.read(PART_BYTES_MAX):
        pass
    await process.wait()
