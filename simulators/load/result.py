"""What a run measured, as values that a file keeps."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from simulators.load.latencies import Latencies
from simulators.load.stages import Stage
from simulators.mistakes import Mistake

FAULT_CODES = frozenset({"30", "91", "94", "96"})
"""DE 39 that a sound request at a bearable rate never meets: format, unavailable, same identity, malfunction."""


HELD_SHARE_MIN = 0.98
"""Of what was due each second: a rate below wasn't held."""


class ResultUnreadable(Mistake):
    """A file is not a result of `simulate load`."""


class ResultUnwritten(Mistake):
    """A result could not be written where it was to be."""


class ReplyCount(Struct, frozen=True):
    """How many replies bore a response code (DE 39) and a reason (DE 44, None where the host gave none)."""

    response_code: str | None
    reason: str | None
    count: int


class Distribution(Struct, frozen=True):
    """The latencies of one message that were answered alike; `latencies` is a `Latencies`, encoded."""

    message: str
    response_code: str | None
    reason: str | None
    count: int
    latencies: str

    @property
    def histogram(self) -> Latencies:
        """The latencies. Raises ValueError where they can't be read."""
        return Latencies.decode(self.latencies)


class Second(Struct, frozen=True):
    """About a second of a run, by when replies came: latencies are of what was answered in it. `at` is its end.

    `asked` and `answered` are a second, were it shorter or longer; `errors` is how many came in it.
    """

    at: float
    asked: int
    answered: int
    errors: int
    in_flight: int
    p50_ms: float
    p99_ms: float


class Result(Struct, frozen=True, kw_only=True):
    """What a run measured. Rates are per second; latencies, in milliseconds, count from when requests were due.

    A request without a reply counts in the percentiles with the time waited for it. `lag_p99_ms` is how late the
    generator itself sent: where it isn't small beside the latencies, they measure the generator. The warm-up is in none
    of it.
    """

    asked_rate: float
    held_rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    lag_p99_ms: float
    answered: int
    unanswered: int
    """Sent, and no reply by the end of the run."""
    unsent: int
    """Due, and not sendable: the link was lost, or too much was pending."""
    replies: tuple[ReplyCount, ...]
    """Most frequent first."""
    cpu: float = 0.0
    """Processor time that the generator's process took, in seconds a second."""
    distributions: tuple[Distribution, ...] = ()
    """Of the requests that were answered."""
    waited: str = ""
    """Latencies of those that were not, encoded as a distribution's."""
    seconds: tuple[Second, ...] = ()

    @property
    def due(self) -> int:
        """How many requests were due."""
        return self.answered + self.unanswered + self.unsent

    def was_held(self, seconds: float) -> bool:
        """Whether so long a run's rate was held: what was due was answered, and without a queue of it at the end."""
        return self.held_rate * seconds >= HELD_SHARE_MIN * self.due

    @property
    def errors(self) -> int:
        """What was not answered, not sendable, or answered with one of `FAULT_CODES`."""
        faults = sum(reply.count for reply in self.replies if reply.response_code in FAULT_CODES)
        return self.unanswered + self.unsent + faults

    @property
    def messages(self) -> tuple[str, ...]:
        """The messages that were answered, most frequent first."""
        counts: dict[str, int] = {}
        for one in self.distributions:
            counts[one.message] = counts.get(one.message, 0) + one.count
        return tuple(sorted(counts, key=lambda message: -counts[message]))

    def latencies_of_outcome(self, response_code: str | None, reason: str | None) -> Latencies:
        """The latencies of all that was answered alike, whatever the message."""
        alike = (response_code, reason)
        return Latencies.sum_of(one.histogram for one in self.distributions if (one.response_code, one.reason) == alike)

    def latencies(self, message: str | None = None) -> Latencies:
        """The latencies of one message's answered requests; of None, of all that was sent."""
        parts = [one.histogram for one in self.distributions if message in (None, one.message)]
        if message is None and self.waited:
            parts.append(Latencies.decode(self.waited))
        return Latencies.sum_of(parts)


class Asked(Struct, frozen=True, kw_only=True):
    """What a run was asked for; two runs that were asked for the same can be compared."""

    rate: float
    seconds: float
    warm_up_seconds: float
    pace: str
    connections: int
    mix: str
    entries: str
    cards: str
    seed: int


class Recorded(Struct, frozen=True, kw_only=True):
    """The file of a result: what was asked, what was measured, and the host's stages where its metrics were read."""

    format: Literal["simulate load 1"] = "simulate load 1"
    begun: str
    """An instant, ISO 8601, UTC."""
    host: str
    asked: Asked
    result: Result
    stages: tuple[Stage, ...] = ()


def write(path: Path, recorded: Recorded) -> None:
    """Write a result's file. Raises `ResultUnwritten`."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(recorded)) + b"\n")
    except OSError as failed:
        raise ResultUnwritten(f"{path}: {failed.strerror}") from None


def read(path: Path) -> Recorded:
    """Read a result's file. Raises `ResultUnreadable`."""
    try:
        recorded = msgspec.json.decode(path.read_bytes(), type=Recorded)
        recorded.result.latencies()
    except OSError as failed:
        raise ResultUnreadable(f"{path}: {failed.strerror}") from None
    except (msgspec.DecodeError, ValueError):
        raise ResultUnreadable(f"{path}: not a result that simulate load --out wrote") from None
    return recorded
