"""The last line before a log: what looks like a card number, a PIN block or a key is in none."""

import io
import json
import logging
from typing import Any

import pytest

from authz import logs

PAN, BLOCK, KEY = "9250100000000014", "A1B2C3D4E5F60718", "0123456789ABCDEFFEDCBA9876543210"


@pytest.mark.parametrize("secret", [PAN, BLOCK, KEY, PAN[:12], KEY.lower()])
@pytest.mark.parametrize("around", ["{}", "no card {}.", "pan={!r}", "[{}]", "{}=28062010"])
def test_what_looks_like_a_secret_is_masked(secret: str, around: str) -> None:
    text = logs.masked(around.format(secret))
    assert secret not in text
    assert logs.MASK in text


@pytest.mark.parametrize(
    "text", ["link 970001 closed", "2026-05-12T12:30:00.123456Z", "partition 0, record 14293", "h46196a2f5616"]
)
def test_what_people_need_stays(text: str) -> None:
    assert logs.masked(text) == text


def test_every_value_of_an_event_is_looked_at() -> None:
    event: dict[str, Any] = {"event": f"card {PAN}", "why": ValueError(BLOCK), "count": 3, "pan": int(PAN)}
    masked = json.dumps(logs.mask_values(None, "warning", event), default=str)
    assert PAN not in masked
    assert BLOCK not in masked
    assert '"count": 3' in masked


def test_a_librarys_traceback_is_masked_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Masking("%(name)s: %(message)s"))
    logger = logging.Logger("library")
    logger.addHandler(handler)
    try:
        int(f"can't read {KEY}")
    except ValueError:
        logger.exception("failed on %s", PAN)
    assert "Traceback" in stream.getvalue()
    assert PAN not in stream.getvalue()
    assert KEY not in stream.getvalue()
