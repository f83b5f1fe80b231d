"""The project's own programs, each in a process forked off one that has imported them and done nothing else.

To import is more than half of what a start costs, and there are hundreds of starts. That the installed commands
themselves run is tested in tests/acceptance/test_command_line.py.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

Program = Literal["authz", "ledger", "simulate"]

MODULES: Mapping[Program, str] = {"authz": "authz.cli", "ledger": "ledger.cli", "simulate": "simulators.cli"}
COMMANDS = ("authz.cli.serve", "authz.cli.keys", "authz.cli.replay", "authz.issue_cli.app")
"""What `authz` imports when it is asked for it."""
END_MAX_S = 60

_imported = multiprocessing.get_context("forkserver")
_imported.set_forkserver_preload([*MODULES.values(), *COMMANDS, __name__])


class _Start(Struct, frozen=True):
    module: str
    arguments: tuple[str, ...]
    folder: Path
    output: Path
    errors: Path
    environment: dict[str, str]


class Running:
    """A program that runs: what it writes goes to files."""

    def __init__(
        self,
        program: Program,
        *arguments: str,
        folder: Path,
        output: Path,
        errors: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        for file in (output, errors):
            file.write_bytes(b"")
        given = dict(os.environ if environment is None else environment)
        self._process = _imported.Process(
            target=_become, args=(_Start(MODULES[program], arguments, folder, output, errors, given),)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.exitcode is None

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.join()

    def exit_code(self, within_s: float = END_MAX_S) -> int:
        """Wait for its end."""
        self._process.join(within_s)
        assert self._process.exitcode is not None, f"not ended within {within_s} s"
        return self._process.exitcode


def run(
    program: Program,
    *arguments: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` would."""
    words = tuple(str(one) for one in arguments)
    with tempfile.TemporaryDirectory() as written:
        output, errors = Path(written) / "output", Path(written) / "errors"
        running = Running(
            program,
            *words,
            folder=folder or Path.cwd(),
            output=output,
            errors=errors,
            environment=environment,
        )
        try:
            code = running.exit_code()
        finally:
            running.kill()
        return subprocess.CompletedProcess([program, *words], code, output.read_text(), errors.read_text())


def _become(start: _Start) -> None:
    """In the fork: be what the command would be."""
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.folder)
    for file, number in ((start.output, 1), (start.errors, 2)):
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.exit(importlib.import_module(start.module).main(start.arguments))
