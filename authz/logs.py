"""Logs: one line an event on standard error, for people or as JSON. Nothing that came over a wire is ever in one.

Who logs takes care of that. What is here is the last line: whatever looks like a card number, a PIN block or a key is
masked in every line, those of libraries and their tracebacks included.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

MASK = "…"
_SECRET = re.compile(r"(?<![0-9A-Za-z])(?:[0-9]{12,}|[0-9A-Fa-f]{16,})(?![0-9A-Za-z])")
"""Runs of digits as long as a card number, or of hexadecimal digits as long as a PIN block."""


class Masking(logging.Formatter):
    """Formats a record of a library, its traceback too, and masks what looks like a secret."""

    def format(self, record: logging.LogRecord) -> str:
        """Format and mask."""
        return masked(super().format(record))


def configure(*, as_json: bool) -> None:
    """Choose how lines look. Libraries' own loggers speak only of what goes wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Masking("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def warning(name: str, **fields: Any) -> None:
    """Log what somebody should look at."""
    structlog.get_logger().warning(name, **fields)


def masked(text: str) -> str:
    """Mask what looks like a secret.

    >>> masked("no card 9250100000000014 at 970001")
    'no card … at 970001'
    """
    return _SECRET.sub(MASK, text)


def mask_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask each value of an event; what isn't text is looked at as its text."""
    for name, value in event.items():
        text = value if isinstance(value, str) else str(value)
        hidden = masked(text)
        if hidden != text:
            event[name] = hidden
    return event
