"""Every command on every page is one: run by a test, or at least understood by the program that it calls."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from authz.cli import app as authz
from ledger.cli import app as ledger
from simulators.cli import app as simulate
from tests.docs.pages import HOME, KEPT, PAGES, Command, blocks, commands, joined, ours
from tests.docs.test_transcripts import TRANSCRIPTS

PROGRAMS = {"authz": authz, "ledger": ledger, "simulate": simulate}
RUN_BY = {
    "issuing.md": "tests/acceptance/test_issuing_page.py",
    "faults.md": "tests/simulators/faults/test_recipes.py",
    **dict.fromkeys(TRANSCRIPTS, "tests/docs/test_transcripts.py"),
}
"""Pages whose commands are all run, as they stand, and by which test."""
OTHERS = {
    "[", "age", "apt-get", "awk", "bash", "break", "cat", "cd", "chmod", "chown", "cmp", "cp", "createdb",
    "createuser", "curl", "cut", "date", "df", "diff", "do", "docker", "done", "echo", "else", "env", "exit",
    "export", "fallocate", "false", "fi", "for", "getent", "grafana-server", "grep", "gunzip", "head", "hledger",
    "id", "if", "initdb", "install", "journalctl", "jq", "kill", "ln", "ls", "make", "mkdir", "mkdocs", "mount",
    "mv", "nc", "openssl", "pg_basebackup", "pg_ctl", "pg_dump", "pg_isready", "pg_restore", "pg_upgrade", "pip",
    "pkill", "podman", "printf", "prometheus", "promtool", "ps", "psql", "pytest", "python", "python3", "read",
    "rm", "rsync", "runuser", "sed", "set", "sh", "sleep", "sort", "ss", "stat", "sudo", "systemctl",
    "systemd-analyze", "systemd-creds", "tail", "tar", "tee", "test", "then", "touch", "true", "umask", "umount",
    "uname", "until", "useradd", "wait", "wc", "while", "who", "xz", "zcat",
}  # fmt: skip
"""Programs and words of a shell that pages use beside ours: what they do is theirs to document."""


def shown() -> list[Command]:
    return [command for page in PAGES for command in commands(page)]


def first_word(text: str) -> str:
    """The program that a line calls, without a folder, or variables set for it."""
    words = shlex.split(KEPT.sub("", joined(text)).partition("\n")[0].split("<<")[0], comments=True)
    called = next((word for word in words if not re.match(r"\w+=", word)), "")
    return called.rpartition("/")[2].lstrip("({")


@pytest.mark.parametrize("command", [one for one in shown() if ours(one.text)], ids=str)
def test_a_command_is_understood_by_its_program(command: Command) -> None:
    program, *arguments = ours(command.text) or []
    if "…" in arguments or arguments[-1:] == ["--help"] or "--version" in arguments:
        arguments = arguments[: arguments.index("…")] if "…" in arguments else arguments[:-1]
        assert PROGRAMS[program].parse_commands(arguments)[2] == []
        return
    try:
        _, bound, unused, _ = PROGRAMS[program].parse_known_args(arguments)
    except CycloptsError as wrong:
        pytest.fail(f"{command}\n{wrong}")
    assert unused == []
    assert bound is not None


def test_programs_of_others_are_known() -> None:
    called = {first_word(one.text): str(one) for one in shown() if ours(one.text) is None}
    assert {text for word, text in called.items() if word and word not in OTHERS} == set()


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_who_runs_a_page_reads_it(page: str, test: str) -> None:
    assert page in (HOME / test).read_text(encoding="utf-8")
    assert commands(HOME / "docs" / page)


@pytest.mark.parametrize("page", TRANSCRIPTS)
def test_a_transcripts_terminals_have_commands_of_their_own(page: str) -> None:
    path: Path = HOME / "docs" / page
    assert all(
        any(line.startswith("$ ") for line in text.splitlines()) for mark, _, text in blocks(path) if mark == "console"
    )
