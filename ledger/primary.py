"""Finding the primary: of the hosts that an address names, the first that takes writes.

A standby is never taken for it, whatever the address says of its sessions. A host that is silent, as a machine that
has failed is, costs its share of the time and no more.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

CONNECT_TIMEOUT_S = 2.0
"""For all hosts together, of whoever reads or writes for payments."""

_ELSEWHERE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.TargetServerAttributeNotMatched)


class Primary:
    """The server on which one ledger is written, wherever it is now."""

    def __init__(self, url: str) -> None:
        self._addresses = each_host(url)
        self._writer_at: str | None = None
        self.moves = 0
        """How often it was noted where the writer is: what was connected before may be another server by now."""

    async def find(self, *, timeout: float, **options: Any) -> tuple[str, asyncpg.Connection]:
        """Connect to the first host that takes writes; return its own address too. `timeout` is for all, in seconds.

        Raises what the driver raises for the last of them.
        """
        *others, last = self._addresses
        share_s = timeout / len(self._addresses)
        for address in others:
            try:
                return address, await _connect(address, share_s, options)
            except _ELSEWHERE:
                continue
        return last, await _connect(last, share_s, options)

    async def connect(self, *, timeout: float, **options: Any) -> asyncpg.Connection:
        """Connect to where the writer is; without one, as `find` does.

        A former primary that lives on, cut off, takes writes that nobody acknowledges, and shows an older ledger:
        who reads for a writer must not read there.
        """
        if self._writer_at is not None:
            return await _connect(self._writer_at, timeout, options)
        return (await self.find(timeout=timeout, **options))[1]

    @property
    def writer_at(self) -> str | None:
        """Where the writer is, as an address of one host; None: there is none."""
        return self._writer_at

    def is_at(self, address: str | None) -> None:
        """Note where the writer is; None: there is none."""
        self._writer_at = address
        self.moves += 1


def each_host(url: str) -> list[str]:
    """Split an address with several hosts into one for each, in their order.

    >>> each_host("postgresql://authz@a,b:5433/authz?application_name=x")
    ['postgresql://authz@a/authz?application_name=x', 'postgresql://authz@b:5433/authz?application_name=x']
    >>> each_host("postgresql://authz@/authz?host=/a,/b&port=5432")
    ['postgresql://authz@/authz?host=%2Fa&port=5432', 'postgresql://authz@/authz?host=%2Fb&port=5432']
    """
    parts = urlsplit(url)
    account, at, netloc = parts.netloc.rpartition("@")
    query = dict(parse_qsl(parts.query))
    hosts = (netloc or query.get("host", "")).split(",")
    ports = query["port"].split(",") if "port" in query else []
    split = []
    for number, host in enumerate(hosts):
        own = {"host": host} if query.get("host") and not netloc else {}
        if ports:
            own["port"] = ports[number % len(ports)]
        place = f"{account}{at}{host if netloc else ''}"
        split.append(parts._replace(netloc=place, query=urlencode(query | own)).geturl())
    return split


async def _connect(address: str, timeout_s: float, options: dict[str, Any]) -> asyncpg.Connection:
    return await asyncpg.connect(address, timeout=timeout_s, **options | {"target_session_attrs": "read-write"})
