"""docs/faults.md: its tables are the code's, its plan is one, and each of its commands does what it says."""

import asyncio
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from authz.wire.dialect import shipped
from simulators import cli
from simulators.faults import command
from simulators.faults.fates import LENGTH_ERROR_MAX, SPOTS_MAX, Faults, LineFaults
from simulators.faults.lanes import PENDING_FRAMES_MAX
from simulators.faults.plan import Phase, Plan
from simulators.faults.proxy import CONNECTIONS_MAX, FaultProxy
from simulators.faults.regime import Counts
from tests.simulators.faults.ends import End, payloads, turns

DOCS = (Path(__file__).parents[3] / "docs" / "faults.md").read_text()
COMMANDS = re.findall(r"^simulate faults .*", DOCS, re.MULTILINE)
ROWS = re.findall(r"^\| (`.+?) \|.*\| ?(.*?) ?\|$", DOCS, re.MULTILINE)
FRAMES = 200
"""Sent on each connection; enough that a fault of 1 in 1,000 strikes on one of them."""
CONNECTIONS = 10


def quoted(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


COUNTED_AS = {name: quoted(counted) for names, counted in ROWS for name in quoted(names)}
"""From a fault to what counts it, as the page has it."""


class Traffic:
    """Frames through a proxy and back, until it has counted everything that is `awaited`."""

    def __init__(self, awaited: set[str]) -> None:
        self._awaited = awaited

    async def pass_through(self, proxy: FaultProxy, host: str, upstream: str) -> None:
        server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        proxy._upstream = server.sockets[0].getsockname()[:2]
        async with server, proxy:
            ends = [End(*await asyncio.open_connection("127.0.0.1", proxy.port)) for _ in range(CONNECTIONS)]
            for end in ends:
                end.send(*payloads(FRAMES))
            await turns(lambda: all(getattr(proxy.counts, name) for name in self._awaited))
            for end in ends:
                await end.leave()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


def test_every_fault_and_every_count_is_on_the_page() -> None:
    assert set(COUNTED_AS) == {*Faults.__struct_fields__, "refuse"}
    explained = {name for names in COUNTED_AS.values() for name in names} | {"connections", "frames", "unreached"}
    assert explained == set(Counts.__struct_fields__)
    assert all(f"`{name}`" in DOCS for name in Counts.__struct_fields__)


def test_its_limits_are_the_codes() -> None:
    assert f"up to {SPOTS_MAX} of its bytes" in DOCS
    assert f"by up to {LENGTH_ERROR_MAX} bytes" in DOCS
    assert f"{CONNECTIONS_MAX:,} connections at once" in DOCS
    assert f"{PENDING_FRAMES_MAX:,} frames pending" in DOCS
    assert f"{Faults().delay_min_ms} and {Faults().delay_max_ms} unless said" in DOCS


def test_every_fault_has_its_recipe() -> None:
    asked = {name for each in COMMANDS for name in re.findall(r"--([a-z-]+)", each)}
    assert {name.replace("_", "-") for name in COUNTED_AS} <= asked


@pytest.mark.parametrize("line", COMMANDS)
def test_a_recipe_strikes_with_what_it_asks_for_and_nothing_else(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {name.replace("-", "_") for name in re.findall(r"--([a-z-]+)", line)} & set(COUNTED_AS)
    asked = asked or {name for name in COUNTED_AS if getattr(command.ORDINARY, name, 0)}
    expected = {"connections", "frames"} | {name for fault in asked for name in COUNTED_AS[fault]}
    monkeypatch.setattr(command, "_until_told", Traffic(expected).pass_through)
    _, *arguments = shlex.split(line)
    arguments[arguments.index("8584")] = "0"
    assert cli.main([*arguments, "--json"]) == 0
    counts = msgspec.json.decode(capsys.readouterr().out, type=dict[str, int])
    assert {name for name, count in counts.items() if count} == expected


def test_its_plan_is_one() -> None:
    [written] = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert msgspec.toml.decode(written, type=Plan) == Plan(
        phase=(
            Phase(for_frames=20),
            Phase(for_s=10, both=Faults(drop=50)),
            Phase(for_s=30, from_=Faults(blackhole=1_000), to=Faults(delay=500, delay_max_ms=400)),
            Phase(for_frames=6, refuse=500),
            Phase(),
        )
    )


def test_a_program_says_it_as_the_page_has_it() -> None:
    said = [quote for quote in re.findall(r"`([^`\n]+)`", DOCS) if "Faults(" in quote]
    proxy: Any = FaultProxy(("127.0.0.1", 0), ("127.0.0.1", 9), shipped("iso87ascii").framing, Faults(), 1)
    meant: dict[str, Callable[[], object]] = {
        "proxy.faults = Faults(drop=50)": lambda: setattr(proxy, "faults", Faults(drop=50)),
        "LineFaults(from_=Faults(blackhole=1000))": lambda: LineFaults(from_=Faults(blackhole=1000)),
    }
    assert said == [*meant]
    for each in meant.values():
        each()
    assert proxy.faults == Phase(both=Faults(drop=50))
    proxy.heal()
    assert proxy.faults == Phase()


def test_a_payment_goes_through_an_ordinary_bad_line(hosting: Any, answer: Any, capsys: Any) -> None:
    """The page's first payment, against a host that approves, behind a proxy that does nothing to so few frames."""
    [line] = re.findall(r"^simulate pay .*", DOCS, re.MULTILINE)
    ready, done = threading.Event(), threading.Event()
    ports: list[int] = []

    async def stand() -> None:
        script = lambda peer, heard: peer.send(answer(heard, approval="ABC123"))  # noqa: E731
        async with (
            hosting(script) as host,
            FaultProxy(
                ("127.0.0.1", 0),
                ("127.0.0.1", host.port),
                shipped("iso87ascii").framing,
                command.ORDINARY,
                seed=1,
            ) as proxy,
        ):
            ports.append(proxy.port)
            ready.set()
            await asyncio.to_thread(done.wait)

    standing = threading.Thread(target=asyncio.run, args=(stand(),))
    standing.start()
    ready.wait()
    try:
        assert cli.main(shlex.split(line.replace("8584", str(ports[0])))[1:]) == 0
    finally:
        done.set()
        standing.join()
    assert "12" in capsys.readouterr().out
