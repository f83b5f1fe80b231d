"""A real `authz serve --demo` process: start it, wait for its ready line, kill it, stop it, read what it wrote."""

import asyncio
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import asyncpg

from tests.programs import Running

AUTHZ = str(Path(sys.executable).parent / "authz")
TUESDAY = "2026-05-12T12:30:00+02:00"

START_MAX_S = 60
"""On a machine that is busy with other tests, an embedded cluster to be made included."""
EXIT_MAX_S = 10
"""docs/interface.md: SIGTERM drains, and exits within 10 s."""
POLL_S = 0.01

_READY = re.compile(r"^ready iso8583=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+) database=(\S+)$", re.MULTILINE)
_numbers = itertools.count(1)
LOGGED = re.compile(r"^\S+Z \[(info|warning) +\] (?!partition)")
"""A line of the log, beside which a command that fails says in one line why."""


def eventually(condition: Callable[[], Any], within_s: float = START_MAX_S) -> Any:
    """Wait until a condition of another process holds; return what it came to."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {condition}"
        time.sleep(POLL_S)
    return result


class Authorizer:
    """One process. `output` and `errors` are all that it wrote so far."""

    def __init__(self, folder: Path, *options: str, demo: bool = True) -> None:
        number = next(_numbers)
        self._output = folder / f"authorizer-{number}.stdout"
        self._errors = folder / f"authorizer-{number}.stderr"
        words = ("serve", *(("--demo",) if demo else ()), "--port", "0", "--http-port", "0", *options)
        self._process = Running("authz", *words, folder=folder, output=self._output, errors=self._errors)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def is_ready(self) -> bool:
        return _READY.search(self.output) is not None

    @property
    def lives(self) -> bool:
        return self._process.lives

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self._ready[1])

    @property
    def http_port(self) -> int:
        return int(self._ready[2])

    @property
    def database(self) -> str:
        return self._ready[3]

    def ready(self) -> "Authorizer":
        """Wait for the ready line."""
        eventually(lambda: self.is_ready or not self.lives)
        assert self.is_ready, self.errors
        return self

    @property
    def stands_by(self) -> bool:
        """Whether it has said that another engine writes."""
        return "standing by" in self.errors

    @property
    def takes_payments(self) -> bool:
        """Whether it would decide a payment now."""
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.exit_code()

    def exit_code(self, within_s: float = EXIT_MAX_S) -> int:
        """Wait for its end."""
        return self._process.exit_code(within_s)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def get(self, path: str) -> tuple[int, str]:
        """Fetch a page of the HTTP side: status and body."""
        connection = HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request("GET", path)
            page = connection.getresponse()
            return page.status, page.read().decode()
        finally:
            connection.close()

    def counted(self, name: str, **labels: str) -> float:
        """Sum up a metric over its label sets that have these labels."""
        _, text = self.get("/metrics")
        total = 0.0
        for line in text.splitlines():
            found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if found and all(f'{label}="{value}"' in (found[1] or "") for label, value in labels.items()):
                total += float(found[2])
        return total

    @property
    def _ready(self) -> re.Match[str]:
        found = _READY.search(self.output)
        assert found is not None, f"no ready line: {self.errors}"
        return found


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Authorizer]:
    """Run an authorizer until the block ends; it is ready when it begins."""
    authorizer = Authorizer(folder, *options)
    try:
        yield authorizer.ready()
    finally:
        authorizer.kill()


def rows(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Read a database from a test that has no loop."""

    async def read() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    return asyncio.run(read())
