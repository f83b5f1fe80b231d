"""What every measurement stands on: a temporary PostgreSQL with the product's own settings, and a place to print."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from authz.database import Embedded

CONSOLE_COLUMNS_MIN = 160


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
