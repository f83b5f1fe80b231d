"""What measurements share: a temporary PostgreSQL with the product's own settings, options, and where results go."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from authz.database import Embedded

CONSOLE_COLUMNS_MIN = 180

RESULTS = Path(".benchmarks/results.json")
"""Where measurements are kept, each in its section, unless a file is named."""

Positive = Annotated[float, Parameter(validator=Number(gt=0))]
Count = Annotated[int, Parameter(validator=Number(gte=1))]


class ResultsUnusable(Exception):
    """The file of results can't be read or written."""


@asynccontextmanager
async def temporary(place: Path | None) -> AsyncIterator[Embedded]:
    """Run a PostgreSQL with the product's own settings in a folder below `place`, which goes when it is done."""
    folder = Path(tempfile.mkdtemp(prefix="authz-bench-", dir=place))
    try:
        embedded = await Embedded.start(folder)
        try:
            yield embedded
        finally:
            await asyncio.to_thread(embedded.server.remove)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def console_for_tables() -> Console:
    """Standard output; where that is no terminal, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, CONSOLE_COLUMNS_MIN))


def keep(file: Path, section: str, measured: object) -> None:
    """Put a measurement into the file of results, in place of the section's older one. Raises `ResultsUnusable`."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw]) if file.exists() else {}
        kept[section] = msgspec.Raw(msgspec.json.encode(measured))
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        new.replace(file)
    except (OSError, msgspec.DecodeError):
        raise ResultsUnusable(f"{file} is no file of results that can be written: name another by --json") from None


def write_json(file: Path | None, measured: object) -> None:
    """Write measurements to a file, where one was asked for."""
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
