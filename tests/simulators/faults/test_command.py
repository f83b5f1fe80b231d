"""`simulate faults`: what it is told, what it says, and that a wrong word is one line."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from simulators import cli
from simulators.faults import command
from simulators.faults.command import ORDINARY, FaultOptions
from simulators.faults.fates import Direction, Faults
from simulators.faults.plan import Phase
from simulators.faults.regime import Counts

SIMULATE = str(Path(sys.executable).parent / "simulate")
SECRET = b"4929381705528361"
PLAN = """
[[phase]]
for_frames = 1

[[phase]]
from.drop = 1000
"""


@pytest.fixture
def proxy_of(monkeypatch):
    """`proxy_of(*arguments)`: the proxy that these make, which never listens."""
    made = []

    async def until_told(proxy, host, upstream):
        made.append(proxy)

    monkeypatch.setattr(command, "_until_told", until_told)

    def run(*arguments):
        assert cli.main(["faults", "--upstream", "127.0.0.1:9", *arguments]) == 0
        return made.pop()

    return run


def echoing():
    """A listening socket, and what answers on it until its other end has nothing more to say."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = server.accept()
        with connection, server:
            while data := connection.recv(65_536):
                connection.sendall(data)

    return server.getsockname()[1], asyncio.to_thread(answer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_json", [True, False])
async def test_it_says_where_it_listens_and_at_the_end_what_it_did_and_never_what_passed(number, as_json, tmp_path):
    port, answering = echoing()
    answered = asyncio.create_task(answering)
    (tmp_path / "plan.toml").write_text(PLAN)
    arguments = ["--upstream", f"127.0.0.1:{port}", "--plan", "plan.toml", *(["--json"] if as_json else [])]
    process = await asyncio.create_subprocess_exec(
        SIMULATE, "faults", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    ready = (await process.stdout.readline()).decode()
    assert ready.startswith("ready listen=127.0.0.1:")
    assert ready.endswith(f" upstream=127.0.0.1:{port}\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ready.split()[1].rpartition(":")[2]))
    writer.write(len(SECRET).to_bytes(2, "big") + SECRET)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await answered
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    expected = Counts(connections=1, frames=2, dropped=1)
    assert out.decode() == (
        f"{json.dumps(msgspec.structs.asdict(expected))}\n" if as_json else f"{expected}\n"
    ).replace(": ", ":").replace(", ", ",")
    assert SECRET not in out


def test_every_fault_is_an_option():
    assert FaultOptions.__dataclass_fields__.keys() == set(Faults.__struct_fields__)


@pytest.mark.parametrize("name", Faults.__struct_fields__)
def test_a_fault_that_is_asked_for_comes_alone(name, proxy_of):
    value = 201 if name == "delay_max_ms" else 7
    proxy = proxy_of(f"--{name.replace('_', '-')}", str(value))
    assert proxy.faults.of(Direction.TO) == proxy.faults.of(Direction.FROM) == Faults(**{name: value})


def test_where_nothing_is_asked_for_the_line_is_an_ordinary_bad_one(proxy_of):
    assert proxy_of().faults == Phase(both=ORDINARY)
    assert proxy_of("--refuse", "5").faults == Phase(refuse=5)


def test_a_direction_is_for_all_the_faults_asked_for(proxy_of):
    faults = Faults(drop=5, cut=6)
    assert proxy_of("--drop", "5", "--cut", "6", "--direction", "to").faults == Phase(to=faults)
    assert proxy_of("--drop", "5", "--cut", "6", "--direction", "from").faults == Phase(from_=faults)


def test_a_dialect_of_ones_own_is_a_file(proxy_of, tmp_path):
    written = tmp_path / "own.toml"
    written.write_text('name = "own"\nlike = "iso87ascii"\n[framing]\nlength_bytes = 4')
    assert proxy_of("--dialect", str(written))._regime.framing.length_bytes == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "upstream"),
        (["--upstream", "nowhere"], "--upstream"),
        (["--upstream", "127.0.0.1:0"], "--upstream"),
        (["--upstream", "127.0.0.1:70000"], "--upstream"),
        (["--upstream", "a:1", "--drop", "1001"], "drop"),
        (["--upstream", "a:1", "--refuse", "-1"], "refuse"),
        (["--upstream", "a:1", "--delay-max-ms", "0"], "delay-max-ms"),
        (["--upstream", "a:1", "--delay-min-ms", "300"], "delay_min_ms"),
        (["--upstream", "a:1", "--drip-bytes-per-s", "0"], "drip-bytes-per-s"),
        (["--upstream", "a:1", "--direction", "up"], "direction"),
        (["--upstream", "a:1", "--listen", "70000"], "listen"),
        (["--upstream", "a:1", "--dialect", "klingon"], "klingon"),
        (["--upstream", "a:1", "--dialect", "klingon.toml"], "klingon"),
        (["--upstream", "a:1", "--plan", "nowhere.toml"], "nowhere.toml"),
        (["--upstream", "a:1", "--plan", "plan.toml", "--drop", "1"], "--plan"),
        (["--upstream", "a:1", "--plan", "plan.toml", "--refuse", "0"], "--plan"),
        (["--upstream", "a:1", "--plan", "plan.toml", "--direction", "to"], "--plan"),
        (["--upstream", "a:1", "--listen-host", "192.0.2.1"], "listen"),
    ],
)
def test_wrong_use_is_one_line_that_names_what_is_wrong_and_exits_2(arguments, said, capsys):
    assert cli.main(["faults", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
