"""Where a request's time goes: a stopwatch around each stage of the engine, put there from outside.

A stage's time is its own: what a stage inside it takes isn't counted twice. It is the processor's time, so that
neither a wait nor another process counts. What no stage covers is the event loop, the sockets and the driver below
them; it is what is left of the engine's processor time.
"""

import functools
import time
from collections.abc import Callable, Coroutine, Generator
from inspect import iscoroutinefunction, unwrap
from typing import Any, ParamSpec, TypeVar

import asyncpg.prepared_stmt
from msgspec import Struct

import authz.engine.desk
import authz.engine.engine
import authz.links.link
import ledger.chain
import ledger.postgres
from authz.engine.cards import Cards
from authz.engine.desk import Desk
from authz.engine.engine import Engine
from authz.engine.lookup import Lookup
from authz.engine.teller import Teller
from authz.engine.verification import Verification
from authz.engine.work import Decided
from authz.engine.writer import Writer
from authz.links.connection import Connection
from authz.links.link import Link
from authz.security.software import SoftwareSecurityModule
from authz.wire.codec import Codec
from authz.wire.frames import Framer
from ledger.postgres import PostgresStore

P = ParamSpec("P")
T = TypeVar("T")
COLLECTIONS = ("garbage collection, young", "garbage collection, middle", "garbage collection, full")
"""By generation."""


class Stage(Struct, frozen=True):
    """A stage by the name that the table shows, and the functions that are it, each by its owner and its name."""

    name: str
    functions: tuple[tuple[object, str], ...]


STAGES = (
    Stage("connection: frames in, a task each", ((Connection, "data_received"), (Framer, "feed"))),
    Stage("wire: decode", ((Codec, "decode"),)),
    Stage("link: message to command", ((authz.links.link, "check_mandatory"), (authz.links.link, "request_of"))),
    Stage("security: card token", ((SoftwareSecurityModule, "token"),)),
    Stage("engine: identity keys", ((authz.engine.engine, "keys_of"),)),
    Stage("security: PIN", ((SoftwareSecurityModule, "verify_pin"),)),
    Stage("engine: card look-up", ((Cards, "find"),)),
    Stage("engine: passbooks looked for", ((Desk, "missing"), (Lookup, "fill"))),
    Stage("engine: the rest of pay", ((Engine, "pay"), (Verification, "verify"))),
    Stage(
        "writer: admit, wait, hand over",
        ((Writer, "answer"), (Writer, "_admit"), (Writer, "_decide"), (Teller, "acknowledge")),
    ),
    Stage("desk: books, memory of keys", ((Desk, "decide"), (Desk, "acknowledge"))),
    Stage("decision: decide", ((authz.engine.desk, "decide"),)),
    Stage("record: request, reply, position as JSON", ((Decided, "entry"),)),
    Stage("record: hash", ((ledger.chain, "record_hash"),)),
    Stage("writer: forming and flying a batch", ((Writer, "_send"), (Writer, "_fly"))),
    Stage("store: columns", ((ledger.postgres, "columns"), (ledger.postgres, "require_sequence"))),
    Stage("store: append", ((PostgresStore, "append"),)),
    Stage("driver: bind, execute", ((asyncpg.prepared_stmt.PreparedStatement, "fetchval"),)),
    Stage("link: answer to message", ((authz.links.link, "reply_of"), (Link, "answer"), (Link, "_reply"))),
    Stage("wire: encode", ((Codec, "encode"),)),
    Stage("connection: answer, metrics", ((Connection, "_answer"), (Connection, "_done"))),
    Stage("connection: write", ((Connection, "_flush"),)),
)


class Stopwatch:
    """Times stages of one thread. `read` gives the nanoseconds and calls of each since the start."""

    def __init__(self) -> None:
        self._spent: dict[str, list[int]] = {}
        self._inner = [0]

    def read(self) -> dict[str, tuple[int, int]]:
        """Read all stages that ran."""
        return {name: (nanoseconds, calls) for name, (nanoseconds, calls) in self._spent.items()}

    def install(self) -> None:
        """Put a stopwatch around every function of every stage of this process."""
        for stage in STAGES:
            for owner, name in stage.functions:
                setattr(owner, name, self.around(stage.name, getattr(owner, name)))

    def around(self, stage: str, function: Callable[P, T]) -> Callable[P, T]:
        """Wrap a function: what it takes counts for `stage`."""
        spent = self._spent.setdefault(stage, [0, 0])

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            spent[1] += 1
            start = self.enter()
            try:
                return function(*args, **kwargs)
            finally:
                self.leave(spent, start)

        @functools.wraps(function)
        async def stepped(*args: P.args, **kwargs: P.kwargs) -> Any:
            spent[1] += 1
            called: Any = function(*args, **kwargs)
            return await _Steps(self, spent, called)

        return stepped if iscoroutinefunction(unwrap(function)) else timed  # type: ignore[return-value]

    def collecting(self, phase: str, about: dict[str, int]) -> None:
        """Time the garbage collector: one of `gc.callbacks`."""
        spent = self._spent.setdefault(COLLECTIONS[about["generation"]], [0, 0])
        if phase == "start":
            spent[1] += 1
            self._collecting_since = self.enter()
        else:
            self.leave(spent, self._collecting_since)

    def enter(self) -> int:
        """Begin a stretch; what begins before it ends is inside it."""
        self._inner.append(0)
        return time.thread_time_ns()

    def leave(self, spent: list[int], start: int) -> None:
        """End the newest stretch, which began at `start`."""
        elapsed = time.thread_time_ns() - start
        spent[0] += elapsed - self._inner.pop()
        self._inner[-1] += elapsed


class _Steps:
    """Runs a coroutine, and times each stretch between two waits."""

    def __init__(self, stopwatch: Stopwatch, spent: list[int], coroutine: Coroutine[Any, Any, Any]) -> None:
        self._stopwatch = stopwatch
        self._spent = spent
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        watch, spent, coroutine = self._stopwatch, self._spent, self._coroutine
        thrown: BaseException | None = None
        while True:
            start = watch.enter()
            try:
                awaited = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
            except StopIteration as returned:
                return returned.value
            finally:
                watch.leave(spent, start)
            thrown = None
            try:
                yield awaited
            except BaseException as error:  # a cancellation reaches the coroutine as it would without a stopwatch
                thrown = error
