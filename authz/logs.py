"""Logs: one line an event on standard error, for people or as JSON. Nothing that came over a wire is ever in one.

Who logs takes care of that. What is here is the last line: whatever looks like a card number, a track, a PIN block or a
key is masked in every value of every line, however deep it lies, those of libraries and their tracebacks included.

A line about a record bears its `trace`, partition and number (`0/12345`): what `authz show` is asked for. Refusals are
sampled: so many lines a second of each reason, and how many were left out since (docs/logs.md).
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from msgspec import Struct

MASK = "…"
DEPTH_MAX = 8
"""How deep a value is looked into: what lies deeper is masked whole."""
REFUSALS_A_SECOND_MAX = 5
"""Lines about refusals of one reason in a second."""
KEYS_MAX = 64
"""What a sample counts for itself: what comes beyond shares one count."""
OTHERS = "others"

_SECRET = re.compile(
    r"""
      (?P<kept>(?<![0-9A-Za-z])[hc](?=[0-9]*[a-f])[0-9a-f]{16}(?![0-9A-Za-z])) # a holder's or a card's id: random, kept
    | (?<![0-9A-Za-z])[0-9]{12,19}[=D][0-9=D]*             # track 2: what stands behind the number too
    | %?[A-Z]?[0-9]{12,19}\^[^\^]*\^[0-9]*                 # track 1: the holder's name too
    | [0-9A-Fa-f]{16,} | [0-9]{15,}                        # keys, PIN blocks, card numbers, glued to whatever they are
    | (?<![0-9A-Za-z])[0-9]{12,}(?![0-9A-Za-z])            # shorter card numbers, where they stand alone
    | (?<![0-9A-Za-z])(?:[0-9]{4}[ -]){2,}[0-9]{4}[0-9 -]* # as they are embossed
    """,
    re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = (bool, type(None))


class Sample:
    """Lets through so many lines of a kind in a second, and counts those that it doesn't.

    One whose second is full costs a look at the clock and a count.

    >>> instant = 0.0
    >>> sample = Sample(a_second_max=2, now=lambda: instant)
    >>> [sample.take("DAILY_CAP") for _ in range(5)]
    [0, 0, None, None, None]
    >>> instant = 1.0
    >>> sample.take("DAILY_CAP")
    3
    """

    __slots__ = ("_a_second_max", "_keys_max", "_now", "_windows")

    def __init__(
        self,
        a_second_max: int = REFUSALS_A_SECOND_MAX,
        keys_max: int = KEYS_MAX,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._a_second_max = a_second_max
        self._keys_max = keys_max
        self._now = now
        self._windows: dict[str, _Window] = {}

    def take(self, key: str) -> int | None:
        """Tell how many of this kind were left out since the last line that wasn't; None: this one is left out too."""
        now = self._now()
        window = self._windows.get(key) or self._window(key)
        if now >= window.ends:
            window.ends = now + 1
            window.left = self._a_second_max
        if not window.left:
            window.suppressed += 1
            return None
        window.left -= 1
        suppressed, window.suppressed = window.suppressed, 0
        return suppressed

    def _window(self, key: str) -> "_Window":
        if len(self._windows) >= self._keys_max - 1:
            key = OTHERS
        return self._windows.setdefault(key, _Window())


class _Window(Struct):
    """A second of one kind: until when, how many lines it has left, and how many it had too many so far."""

    ends: float = 0.0
    left: int = 0
    suppressed: int = 0


class Masking(logging.Formatter):
    """Formats a record of a library, its traceback too, and masks what looks like a secret."""

    def format(self, record: logging.LogRecord) -> str:
        """Format and mask."""
        return masked(super().format(record))


def configure(*, as_json: bool) -> None:
    """Choose how lines look. Libraries' own loggers speak only of what goes wrong, in the same form."""
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_values,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    structlog.configure(
        processors=[*shared, mask_values, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is when a line is written
        cache_logger_on_first_use=True,
    )


def event(name: str, **fields: Any) -> None:
    """Log what happened in the life of the engine: it began to listen, it writes, it stands by, it stopped."""
    structlog.get_logger().info(name, **fields)


def warning(name: str, **fields: Any) -> None:
    """Log what somebody should look at."""
    structlog.get_logger().warning(name, **fields)


_refusals = Sample()


def refused(reason: str, partition: int | None = None, seq: int | None = None, **fields: Any) -> None:
    """Log a refusal, as far as the sample of its reason goes: with its record, where it left one."""
    suppressed = _refusals.take(reason)
    if suppressed is None:
        return
    if partition is not None and seq is not None:
        fields["trace"] = trace(partition, seq)
    if suppressed:
        fields["suppressed"] = suppressed
    event("refused", reason=reason, **fields)


def trace(partition: int, seq: int) -> str:
    """Name a record as lines do, and as `authz show` takes it.

    >>> trace(0, 12345)
    '0/12345'
    """
    return f"{partition}/{seq}"


@contextmanager
def about(partition: int, seq: int) -> Iterator[None]:
    """Have every line within bear the trace of a record, those of libraries too."""
    with structlog.contextvars.bound_contextvars(trace=trace(partition, seq)):
        yield


def masked(text: str) -> str:
    """Mask what looks like a secret.

    >>> masked("no card 9250100000000014 at 970001")
    'no card … at 970001'
    """
    return _SECRET.sub(lambda found: found["kept"] or MASK, text)


def mask_values(_: Any, __: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make each value of an event plain and mask it: after this, nothing in it is more than text, numbers and lists."""
    trouble = event_dict.pop("exception", None)
    plain = {masked(str(name)): _plain(value, 0) for name, value in event_dict.items()}
    if trouble is not None:
        plain["exception"] = masked(str(trouble))
    return plain


def _plain(value: Any, depth: int) -> Any:
    """Bring a value down to what a renderer can't make more of than is here. Bytes may be a key: none are shown."""
    if isinstance(value, _PLAIN):
        return value
    if depth >= DEPTH_MAX or isinstance(value, bytes | bytearray | memoryview):
        return MASK
    if isinstance(value, Mapping):
        return {_text(str(name)): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth + 1) for one in value]
    if isinstance(value, int | float) and type(value) in (int, float):
        return value if masked(str(value)) == str(value) else MASK
    return _text(str(value))


def _text(text: str) -> str:
    """Mask a text, and leave it no character that would begin another line or move a cursor."""
    return masked(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))
