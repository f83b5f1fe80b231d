"""The last line before a log: what looks like a card number, a PIN block or a key is in none."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from authz import logs
from authz.decision.outcomes import Reason

PAN, BLOCK, KEY = "9250100000000014", "A1B2C3D4E5F60718", "0123456789ABCDEFFEDCBA9876543210"


@pytest.mark.parametrize("secret", [PAN, BLOCK, KEY, PAN[:12], KEY.lower()])
@pytest.mark.parametrize("around", ["{}", "no card {}.", "pan={!r}", "[{}]", "{}=28062010"])
def test_what_looks_like_a_secret_is_masked(secret: str, around: str) -> None:
    text = logs.masked(around.format(secret))
    assert secret not in text
    assert logs.MASK in text


@pytest.mark.parametrize(
    "text",
    [
        "link 970001 closed",
        "2026-05-12T12:30:00.123456Z",
        "partition 0, record 14293",
        "holder:hfb4a4e5b36f0cb5e:90:2026",
        "card ca2a0ff1fdf8403aa",
        "FR0000000000001",
        "0/12345",
    ],
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


digits = st.text("0123456789", min_size=12, max_size=19)
blocks = st.text("0123456789ABCDEF", min_size=16, max_size=16)
keys = st.sampled_from([16, 32, 48]).flatmap(
    lambda size: st.text("0123456789abcdefABCDEF", min_size=size, max_size=size)
)
tracks2 = st.builds(lambda pan, mark, rest: f"{pan}{mark}{rest}", digits, st.sampled_from("=D"), st.just("28062010000"))
tracks1 = st.builds(lambda pan: f"B{pan}^PETIT/BRUNO^2911625", digits)
embossed = st.builds(
    lambda pan, gap: gap.join(pan[at : at + 4] for at in range(0, 16, 4)),
    st.text("0123456789", min_size=16, max_size=16),
    st.sampled_from(" -"),
)
secrets = st.one_of(digits, blocks, keys, tracks2, tracks1, embossed)
marks = ["", " ", "'", '"', "=", ":", ",", "(", "\n", "[", "{", "/", "é"]
apart_before = st.sampled_from([*marks, "card ", "x "])
apart_behind = st.sampled_from([*marks, " card", " x"])


class Told:
    """What says one thing of itself to people, and another to programmers."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return f"about {self._text}"

    def __repr__(self) -> str:
        return f"Told({self._text!r}, {self._text!r})"


CARRIERS: list[Callable[[str], Any]] = [
    str,
    lambda text: text.encode(),
    lambda text: bytearray(text.encode()),
    lambda text: bytes.fromhex(text) if len(text) % 2 == 0 and set(text) <= set("0123456789abcdefABCDEF") else text,
    ValueError,
    lambda text: ExceptionGroup("several", [ValueError(text), KeyError(text)]),
    Told,
    lambda text: int(text) if text.isdecimal() and text.isascii() else text,
]


def nested(value: Any) -> st.SearchStrategy[Any]:
    """The value in lists, tuples, sets and dictionaries, as a value and as a name, up to deeper than is looked."""
    return st.recursive(
        st.just(value),
        lambda inside: st.one_of(
            st.lists(inside, min_size=1, max_size=2),
            st.tuples(inside, st.just(1)),
            st.dictionaries(st.sampled_from(["pan", "why"]), inside, min_size=1),
            st.builds(lambda one: {str(one): "name"}, inside),
        ),
        max_leaves=12,
    )


@given(st.data(), secrets, apart_before, apart_behind, st.booleans())
def test_no_secret_comes_out_of_any_value_however_it_is_wrapped(
    data: st.DataObject, secret: str, before: str, behind: str, as_json: bool
) -> None:
    carry = data.draw(st.sampled_from(CARRIERS))
    carried = carry(secret if data.draw(st.booleans()) else f"{before}{secret}{behind}")
    event = {
        "event": data.draw(st.sampled_from(["failed", f"failed on {secret}"])),
        "value": data.draw(nested(carried)),
    }
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    line = renderer(None, "warning", logs.mask_values(None, "warning", event))
    assert secret not in line
    assert secret not in line.encode().hex()
    for run in "".join(one if one.isalnum() else " " for one in secret).split():
        assert len(run) < 12 or run not in line
    assert "\n" not in line
    if as_json:
        json.loads(line)


@given(
    st.one_of(st.text("0123456789", min_size=15, max_size=19), blocks, keys), st.sampled_from(["PAN", "x", "0x", "kb_"])
)
def test_glued_to_letters_it_is_masked_too(secret: str, letters: str) -> None:
    """But for 12 to 14 digits, which merchants' ids have behind their country's letters."""
    assert secret not in logs.masked(f"{letters}{secret}z")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_may_be_a_key_and_are_not_shown(kind: Any) -> None:
    event: dict[str, Any] = {"event": "e", "value": [kind(bytes.fromhex(KEY))]}
    assert logs.mask_values(None, "info", event)["value"] == [logs.MASK]


def test_what_is_no_secret_stays_what_it_is() -> None:
    event: dict[str, Any] = {"event": "e", "n": 3, "yes": True, "none": None, "list": [1, "two"], "in": {"a": 1.5}}
    assert logs.mask_values(None, "info", dict(event)) == event


def test_a_value_can_not_forge_a_line() -> None:
    event: dict[str, Any] = {"event": "e", "why": "gone\n2026-05-12 [info] all is well\x1b[2J"}
    line = structlog.dev.ConsoleRenderer(colors=False)(None, "info", logs.mask_values(None, "info", event))
    assert "\n" not in line
    assert "\x1b" not in line


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The lines of a test, and a sample of its own whose second doesn't end."""
    monkeypatch.setattr(logs, "_refusals", logs.Sample(now=lambda: 0.0))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines  # type: ignore[misc]


class TestSampling:
    @given(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 700)), max_size=200), st.integers(1, 5))
    def test_no_second_has_more_lines_of_a_kind_and_none_is_forgotten(
        self, asked: list[tuple[str, int]], a_second_max: int
    ) -> None:
        instant_ms = 0
        sample = logs.Sample(a_second_max, now=lambda: instant_ms / 1000)
        let: dict[str, list[int]] = {}
        left_out: dict[str, int] = {}
        for kind, ms in asked:
            instant_ms += ms
            taken = sample.take(kind)
            if taken is None:
                left_out[kind] = left_out.get(kind, 0) + 1
            else:
                assert taken == left_out.pop(kind, 0)
                let.setdefault(kind, []).append(instant_ms)
        for instants in let.values():
            for at, first in enumerate(instants):
                within = [one for one in instants[at:] if one < first + 1000]
                assert len(within) <= 2 * a_second_max, "two windows touch any second"

    def test_kinds_beyond_the_limit_share_one_count(self) -> None:
        sample = logs.Sample(1, keys_max=3, now=lambda: 0.0)
        assert [sample.take(kind) for kind in "ABCDE"] == [0, 0, 0, None, None]

    def test_a_refusal_bears_its_record_and_how_many_were_left_out(
        self, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instant = 0.0
        monkeypatch.setattr(logs, "_refusals", logs.Sample(now=lambda: instant))
        for seq in range(1, 9):
            logs.refused(Reason.DAILY_CAP, 0, seq)
        logs.refused(Reason.UNAVAILABLE, link="970001")
        instant = 1.0
        logs.refused(Reason.DAILY_CAP, 0, 9)
        level = {"event": "refused", "log_level": "info"}
        assert told[:5] == [{**level, "reason": "DAILY_CAP", "trace": f"0/{seq}"} for seq in range(1, 6)]
        assert told[5:] == [
            {**level, "reason": "UNAVAILABLE", "link": "970001"},
            {**level, "reason": "DAILY_CAP", "trace": "0/9", "suppressed": 3},
        ]

    def test_every_reason_has_a_count_of_its_own(self) -> None:
        assert len(Reason) < logs.KEYS_MAX


def test_lines_about_a_record_bear_its_trace_and_others_none(told: list[dict[str, Any]]) -> None:
    with logs.about(0, 12345):
        logs.warning("a letter was refused", code=550)
    logs.event("listening")
    assert [line.get("trace") for line in told] == ["0/12345", None]


SAYS = """
import logging
from authz import logs
logs.configure(as_json={as_json})
logs.event("listening", port=8583)
with logs.about(0, 7):
    logging.getLogger("library").warning("a card %s", "{pan}")
try:
    int("{key}".replace("0", "x"))
except ValueError:
    logging.getLogger("library").exception("failed")
"""


def said(*, as_json: bool) -> str:
    script = SAYS.format(as_json=as_json, pan=PAN, key=KEY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_as_json_every_line_is_json_those_of_libraries_too() -> None:
    listening, card, failed = [json.loads(line) for line in said(as_json=True).splitlines()]
    assert (listening["event"], listening["level"], listening["port"]) == ("listening", "info", 8583)
    assert (card["event"], card["logger"], card["trace"]) == ("a card …", "library", "0/7")
    assert "Traceback" in failed["exception"]
    assert {"timestamp", "level"} <= failed.keys()


def test_for_people_a_line_is_readable() -> None:
    first, second, *_ = said(as_json=False).splitlines()
    assert "[info     ] listening" in first
    assert "port=8583" in first
    assert "a card …" in second
    assert "trace=0/7" in second
