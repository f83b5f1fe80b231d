"""Logs: one line an event on standard error, for people or as JSON. Nothing that came over a wire is ever in one."""

import logging
import sys
from typing import Any

import structlog


def configure(*, as_json: bool) -> None:
    """Choose how lines look. Libraries' own loggers speak only of what goes wrong."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def warning(name: str, **fields: Any) -> None:
    """Log what somebody should look at."""
    structlog.get_logger().warning(name, **fields)
