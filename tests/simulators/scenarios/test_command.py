"""`simulate run`: what it is told, what it says, and its exit codes; a host that it starts by a command."""

import sys
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from simulators.cli import main
from simulators.scenarios import serving
from simulators.scenarios.report import Report
from simulators.scenarios.script import shipped_names
from simulators.scenarios.serving import HostNotStarted, command_line

NETWORK = """
name = "An echo"
purpose = "To be tried."
clock = { host = 2026-05-12T12:30:00+02:00 }
terminals.bistrot = { terminal = "PAR00001" }

[[step]]
name = "Echo"
do = "network"
code = "echo"
expect = { mti = "0810", 39 = "00", 11 = { is = "echo" } }
"""
HOST = """
import asyncio, sys
import asyncio, sys
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.frames import Framer
import msgspec

async def serve(reader, writer):
    codec, framer = Codec(shipped("iso87ascii")), Framer()
    while data := await reader.read(1000):
        for frame in framer.feed(data):
            request = codec.decode(frame)
            reply = msgspec.structs.replace(request, mti="0810", response_code="00")
            writer.write(framer.frame(codec.encode(reply)))

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("starting", sys.argv[1:])
    print(f"ready iso8583=127.0.0.1:{server.sockets[0].getsockname()[1]} more=1", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
"""A host that answers all with 00: the least that `--serve` can start."""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "echo.toml"
    file.write_text(NETWORK)
    return file


@pytest.fixture
def command(tmp_path: Path) -> str:
    host = tmp_path / "host.py"
    host.write_text(HOST)
    return f"{sys.executable} {host} {{clock}} {{folder}} {{port}}"


def test_all_as_expected(scenario: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = tmp_path / "junit.xml"
    assert main(["run", str(scenario), "--serve", command, "--junit", str(junit), "--json"]) == 0
    told = msgspec.json.decode(capsys.readouterr().out, type=Report)
    assert told.held
    assert b'failures="0"' in junit.read_bytes()


def test_something_otherwise(scenario: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text(NETWORK.replace('39 = "00"', '39 = "91"'))
    assert main(["run", str(scenario), "--serve", command]) == 1
    output = capsys.readouterr().out
    assert "✗ An echo · Echo" in output
    assert "0 of 1 scenarios held" in output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "say which scenarios"),
        (["nosuch"], "no scenario of this name"),
        (["merchants", "--port", "1"], "nothing answers at 127.0.0.1:1: start the authorizer"),
        (["restaurant-day", "--port", "1"], "nothing answers"),
        (["merchants", "--trace", "0"], "--trace: 1 to 999999"),
        (["merchants", "--serve", "nosuchcommand {clock}"], "nosuchcommand: No such file"),
        (["merchants", "--serve", "authz {colour}"], "only {clock}, {folder} and {port}"),
        (["merchants", "--serve", "authz 'serve"], "only {clock}, {folder} and {port}"),
        (["merchants", "--serve", ""], "--serve: a command"),
        (["merchants", "--serve", "false"], "the host never said"),
        (["merchants", "--colour"], "--colour"),
    ],
)
def test_wrong_use(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *arguments]) == 2
    said = capsys.readouterr()
    assert why in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_scenario_that_cannot_be_read_stops_all_before_the_first_is_played(
    scenario: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = scenario.with_name("broken.toml")
    broken.write_text(NETWORK + "colour = 1")
    assert main(["run", str(scenario), str(broken), "--serve", command]) == 2
    assert "broken.toml: Object contains unknown field `colour` - at `$.step[0]`" in capsys.readouterr().err


def test_the_list_names_each_that_comes_along_and_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_names())
    assert all(len(line.split()) > 4 for line in lines)


def test_a_command_is_filled_in_and_a_scenarios_configuration_stands_behind_it() -> None:
    noon = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
    words = command_line(
        "host --clock={clock} 'a b' {folder}/x {port}", clock=noon, folder=Path("/f o"), port=0, config=Path("c.toml")
    )
    assert words == ["host", "--clock=2026-05-12T12:30:00+02:00", "a b", "/f o/x", "0", "--config", "c.toml"]


async def test_a_host_that_says_nothing_is_stopped_and_its_last_words_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "READY_WITHIN_S", 0.2)
    noon = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
    quiet = f"{sys.executable} -c 'import sys, time; print(\"no luck\", file=sys.stderr, flush=True); time.sleep(600)'"
    with pytest.raises(HostNotStarted, match="never said"):
        async with serving.serving(quiet, noon, None):
            pass
