"""What the commands of `simulate` share: exit codes, options with their limits, output, and the end by a signal."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from authz.wire.dialect import Dialect, from_file, shipped
from simulators.mistakes import Mistake

APPROVED, FINDING, WRONG = 0, 1, 2
"""Exit codes: it went well, it went otherwise than hoped, it was wrongly used or nobody answered."""

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))]


class WrongUse(Mistake):
    """An option is missing or can't be understood."""


def address(text: str, option: str) -> tuple[str, int]:
    """Read HOST:PORT, given by an option. Raises `WrongUse`.

    >>> address("127.0.0.1:8583", "--upstream")
    ('127.0.0.1', 8583)
    """
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise WrongUse(f"{option}: the authorizer's address, such as 127.0.0.1:8583")
    return host, int(port)


def instant(text: str | None) -> datetime:
    """Read `--clock`; None: now. Raises `WrongUse`."""
    if text is None:
        return datetime.now(UTC)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise WrongUse("--clock: an instant with its offset, such as 2026-05-12T12:30:00+02:00")
    return read


def clock_from(text: str | None) -> Callable[[], datetime]:
    """Make the clock that `--clock` asks for: it shows that instant now and runs from there; None: the machine's own.

    Raises `WrongUse`.
    """
    if text is None:
        return lambda: datetime.now(UTC)
    begins, begun = instant(text), time.monotonic()
    return lambda: begins + timedelta(seconds=time.monotonic() - begun)


def dialect(name: str) -> Dialect:
    """Read `--dialect`: one that ships, by its name, or a file. Raises `DialectUnreadable`."""
    return from_file(Path(name)) if name.endswith(".toml") else shipped(name)


def end_asked() -> asyncio.Event:
    """Make the event that SIGINT or SIGTERM sets. Ask before saying that one is ready: a signal may come at once."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked


def say(text: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"simulate: {text}\n")
