"""A desk at which a page's commands are typed: a folder, a shell, and a demo authorizer in this process.

What a page has as `authz serve …` is an engine of this process on a database of its own; where its ports and its data
folder are named, those of the engine are put in their place. This project's other commands run in this process too;
what is another's, or asks for more of a shell than pipes, runs in one.
"""

import asyncio
import io
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest import mock

import msgspec
from msgspec import Struct

from authz import cli as authz
from authz.clock import SimulatedClock
from authz.config import configuration
from authz.config.configuration import Config
from authz.database import anchors_in
from authz.decision.issuing.states import Role
from authz.demo_data import data as demo_data
from authz.service import Service, running
from ledger import cli as ledger
from ledger.embedded import EmbeddedServer
from simulators import cli as simulate
from tests.docs.pages import Command, joined, ours

DATA = "authz-data"
ISO8583_PORT, HTTP_PORT = 8583, 8080
"""What the pages say where an engine that was started without --port listens."""
WIDTH = "112"
"""Columns of the pages' terminals."""
COMMAND_MAX_S = 60
PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "authz": authz.main,
    "ledger": ledger.main,
    "simulate": simulate.main,
}
_SHELL = re.compile(r"<<|>>|^(?:for|export) ")
"""What only a shell can do; pipes and files to read and to write are done here."""
_FILE = re.compile(r"(?:^| )([<>]) (\S+)")


class Printed(Struct, frozen=True):
    """What a command printed, and its exit code."""

    code: int
    output: str
    errors: str


class Engine:
    """An authorizer in a thread of its own."""

    def __init__(self, config: Config, url: str, at: datetime) -> None:
        self._config = config
        self._url = url
        self._at = at
        self._is_up = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._failure: BaseException | None = None
        self.service: Service
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._is_up.wait(COMMAND_MAX_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Drain it."""
        self._stop()
        self._thread.join(COMMAND_MAX_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # raised where the engine was asked for
            self._failure = failure
            self._is_up.set()

    async def _serve(self) -> None:
        ended = asyncio.Event()
        self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
        async with running(self._config, self._url, SimulatedClock(self._at), demo=True) as service:
            self.service = service
            self._is_up.set()
            await ended.wait()


class Desk:
    """Types what a page shows. `folder` is where one stands; the ledger is in database `name` of a server."""

    def __init__(self, folder: Path, cluster: EmbeddedServer, name: str) -> None:
        self.folder = folder
        self._cluster = cluster
        self._name = name
        self._engine: Engine | None = None
        self._host_process: subprocess.Popen[str] | None = None
        self._ports: dict[int, int] = {}
        self.environment: dict[str, str] = {"COLUMNS": WIDTH}

    def type(self, command: Command) -> Printed:
        """Do what a command says."""
        words = ours(command.text)
        if words is not None and words[:2] == ["authz", "serve"]:
            return self._serve(words[2:])
        if words is not None and words[:2] == ["simulate", "acquirer"]:
            return self._host(shlex.split(self._placed(joined(command.text))))
        text = self._placed(command.text)
        text = re.sub(r"\$(\w+)", lambda found: self.environment.get(found[1], found[0]), text)
        kept = re.fullmatch(r"(\w+)=\$\((.*)\)", text, re.DOTALL)
        if kept is not None:
            printed = self.type(msgspec.structs.replace(command, text=kept[2]))
            self.environment[kept[1]] = printed.output.strip()
            return msgspec.structs.replace(printed, output="")
        exported = re.fullmatch(r"export AUTHZ_TOKEN=demo-(\w+)\.…", text)
        if exported is not None:
            assert self._engine is not None
            self.environment["AUTHZ_TOKEN"] = self._engine.service.demo_tokens[Role(exported[1])]
            return Printed(0, "", "")
        with mock.patch.dict(os.environ, self.environment):
            printed = Printed(0, "", "")
            for part in [text] if _SHELL.search(text) else text.split(" | "):
                done = self._part(part, printed.output)
                printed = Printed(printed.code or done.code, done.output, printed.errors + done.errors)
            return printed

    @property
    def port(self) -> int:
        """Where the engine that runs takes payments."""
        return self._ports[ISO8583_PORT]

    def leave(self) -> None:
        """Stop what runs."""
        if self._host_process is not None:
            self._host_process.terminate()
            self._host_process.communicate(timeout=COMMAND_MAX_S)
            self._host_process = None
        if self._engine is not None:
            self._engine.stop()
            self._engine = None

    def _host(self, words: list[str]) -> Printed:
        """Start an acquirer's host in the background, and wait until it is ready; its events go where `2>` says."""
        listen, log = words.index("--listen") + 1, words.index("2>")
        asked, words[listen] = int(words[listen]), "0"
        with (self.folder / words[log + 1]).open("w") as errors:
            self._host_process = subprocess.Popen(
                [Path(sys.executable).parent / words[0], *words[1:log]],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._host_process.stdout is not None
        ready = self._host_process.stdout.readline()
        found = re.match(r"ready listen=127\.0\.0\.1:(\d+) ", ready)
        assert found is not None, (self.folder / words[log + 1]).read_text()
        self._ports[asked] = int(found[1])
        self.environment["HOST_PID"] = str(self._host_process.pid)
        return Printed(0, ready, "")

    def _serve(self, words: list[str]) -> Printed:
        """Start an engine, behind the one that ran, as `authz serve` would."""
        self.leave()
        options = dict(pairwise(words))
        file = options.get("--config")
        config = demo_data.read().config() if file is None else configuration.read(self.folder / file, None, demo=True)
        links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
        data = self.folder / DATA
        data.mkdir(exist_ok=True)
        config = msgspec.structs.replace(
            config, links=links, http_port=0, anchors=anchors_in(data), production=demo_data.production_in(data)
        )
        asked = [link.port for link in demo_data.read().config().links] if file is None else _asked(self.folder / file)
        engine = Engine(config, self._url("authz"), datetime.fromisoformat(options["--clock"]))
        self._engine = engine
        self._ports = dict(zip(asked, (link.port for link in engine.service.links), strict=True))
        self._ports[HTTP_PORT] = engine.service.http_port
        self.environment["LEDGER"] = self._url("authz")
        self.environment["AUTHZ_URL"] = f"http://127.0.0.1:{engine.service.http_port}"
        first = engine.service.links[0].port
        ready = (
            f"ready iso8583=127.0.0.1:{first} http=127.0.0.1:{engine.service.http_port} database={self._url('authz')}\n"
        )
        told = "".join(f"demo token role={role} token={token}\n" for role, token in engine.service.demo_tokens.items())
        return Printed(0, ready, told)

    def _placed(self, text: str) -> str:
        for asked, port in self._ports.items():
            text = re.sub(rf"(127\.0\.0\.1:|--port ){asked}\b", rf"\g<1>{port}", text)
        for program, role in (("authz", "authz"), ("ledger", "reconciler")):
            if text.lstrip().startswith(program):
                text = text.replace(f"--data {DATA}", f"--database {shlex.quote(self._url(role))}")
        return text

    def _address(self, program: str, arguments: list[str]) -> list[str]:
        """The port that a payment goes to where none is said."""
        if program != "simulate" or arguments[0] not in {"pay", "run", "load"} or "--port" in arguments:
            return []
        return ["--port", str(self._ports[ISO8583_PORT])]

    def _url(self, role: str) -> str:
        return self._cluster.url(role, self._name)

    def _part(self, text: str, given: str) -> Printed:
        """Do what stands between two pipes, with what comes through the first one."""
        if ours(text) is None:
            return self._in_a_shell(text, given)
        files = dict(_FILE.findall(text))
        [program, *arguments] = ours(text) or []
        taken = (self.folder / files["<"]).read_text() if "<" in files else given
        printed = self._here(program, [*arguments, *self._address(program, arguments)], taken)
        if ">" not in files:
            return printed
        (self.folder / files[">"]).write_text(printed.output)
        return msgspec.structs.replace(printed, output="")

    def _here(self, program: str, arguments: list[str], given: str) -> Printed:
        output, errors, before = io.StringIO(), io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with (
                redirect_stdout(output),
                redirect_stderr(errors),
                mock.patch.object(sys, "stdin", io.StringIO(given)),
            ):
                code = PROGRAMS[program](arguments)
        finally:
            os.chdir(before)
        return Printed(code, output.getvalue(), errors.getvalue())

    def _in_a_shell(self, text: str, given: str = "") -> Printed:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_MAX_S,
        )
        return Printed(done.returncode, done.stdout, done.stderr)


def differing(shown: Iterable[str], printed: Printed) -> str | None:
    """Hold what a page shows against what was printed; return the first line that doesn't come, None if all do.

    The widths of columns, their rules and empty lines don't count. What comes on standard error may be left out.
    """
    lines, told = _lines(printed.output.splitlines()), _lines(printed.errors.splitlines())
    skipping = False
    for expected in _lines(shown):
        if expected == "…":
            skipping = True
            continue
        pattern = re.compile(".*?".join(map(re.escape, expected.split("…"))))
        if any(pattern.fullmatch(line) for line in told):
            continue
        while skipping and lines and not pattern.fullmatch(lines[0]):
            lines.pop(0)
        if not lines or not pattern.fullmatch(lines[0]):
            return f"shown: {expected}\nprinted: {lines[:1]}"
        lines.pop(0)
        skipping = False
    return None if skipping or not lines else f"printed, not shown: {lines[0]}"


def _lines(text: Iterable[str]) -> list[str]:
    return [line for line in (" ".join(one.split()) for one in text) if line.strip("─")]


def _asked(file: Path) -> list[int]:
    """The ports of the links in a configuration, as the file has them."""
    return [link["port"] for link in msgspec.toml.decode(file.read_bytes())["link"]]
