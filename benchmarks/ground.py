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

CONSOLE_COLUMNS_MIN = 160

Positive = Annotated[float, Parameter(validator=Number(gt=0))]
Count = Annotated[int, Parameter(validator=Number(gte=1))]


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


def write_json(file: Path | None, measured: object) -> None:
    """Write measurements to a file, where one was asked for."""
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
