"""Where a command finds the ledger that it reads: an address, or the data folder of an embedded server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from ledger.embedded import DATABASE, EmbeddedServer
from ledger.schema import FINANCE_ROLE


class NoLedgerNamed(Exception):
    """The options don't say where the ledger is."""


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Where the ledger is."""

    database: str | None = None
    """The address of its database: as role `finance`, or any that can read it (postgresql://finance@host/name); where
    something is recorded for finance, as role `reconciler`."""

    data: Path | None = None
    """The data folder of an authorizer with an embedded PostgreSQL, which is started if it isn't running."""

    pg_bin: Path | None = None
    """With --data, a folder with PostgreSQL's programs, instead of those that came along."""


@contextmanager
def address(source: Source | None, role: str = FINANCE_ROLE) -> Iterator[str]:
    """Find the database; in an embedded server, as a role.

    A server that was started for this is stopped again, unless somebody uses it by now.
    """
    source = source or Source()
    if source.database is not None and source.data is None:
        yield source.database
        return
    if source.data is None or source.database is not None:
        raise NoLedgerNamed("say where the ledger is: either --database URL or --data DIR")
    if not (source.data / "postgresql").exists():
        raise NoLedgerNamed(f"{source.data} holds no ledger: name the --data folder of an authorizer that has run")
    server = EmbeddedServer.start(source.data, pg_bin=source.pg_bin)
    try:
        yield server.url(role, DATABASE)
    finally:
        if server.started_here and not asyncio.run(server.is_used()):
            server.stop()
