"""What the commands of `simulate` share: exit codes, options with their limits, output, and the end by a signal."""

import asyncio
import signal
import sys
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

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
