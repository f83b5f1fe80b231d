"""docs/issuing.md: its commands do what it says on a fresh demo, and its tables are the API's."""

import os
import re
import subprocess
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest

from authz import cli
from authz.decision.issuing.states import AGENTS_MAX, LINES_MAX, RUN_CARDS_MAX, USERS_MAX, Role
from authz.issuing.api.auth import RULES
from authz.issuing.api.limits import REQUESTS_BURST_S, RequestLimits
from authz.issuing.bodies.pages import PAGE_MAX
from ledger import accounts
from tests.acceptance.authorizer import AUTHZ, TUESDAY, running

PAGE = (Path(__file__).parents[2] / "docs" / "issuing.md").read_text()
SHELL = re.compile(r'```sh(?: title="(\S*)")?\n(.*?)```', re.DOTALL)
BLOCKS = [(clock or TUESDAY, block) for clock, block in SHELL.findall(PAGE)]
"""What the page has people type, and on what day."""
COLUMNS = Role.ISSUER, Role.FINANCE, Role.EMPLOYER, Role.AGENT, Role.HOLDER, Role.OPERATOR


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`."""
    _, _, rest = PAGE.partition(f"| {first} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


CALLS = rows("call, below `/v1`")


def test_the_commands_shown_do_what_the_page_says(data: Path, tmp_path: Path) -> None:
    printed = ""
    for clock, blocks in groupby(BLOCKS, key=itemgetter(0)):
        with running(tmp_path, "--data", str(data), "--clock", clock) as authorizer:
            token = re.search(r"token=(demo-issuer\.\S+)", authorizer.errors)
            assert token is not None
            environment = {
                **os.environ,
                "PATH": f"{Path(AUTHZ).parent}:{os.environ['PATH']}",
                "AUTHZ_URL": f"http://127.0.0.1:{authorizer.http_port}",
                "AUTHZ_TOKEN": token[1],
            }
            for _, block in blocks:
                done = subprocess.run(
                    ["bash", "-eu", "-c", block],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert (done.returncode, done.stderr) == (0, ""), block
                printed += "".join(f"{line.strip()}\n" for line in done.stdout.splitlines() if line.strip())
            assert authorizer.terminate() == 0
    for recap in re.findall(r"```\n(Order\n.*?)```", PAGE, re.DOTALL):
        assert "".join(f"{line.strip()}\n" for line in recap.splitlines()) in printed
    assert "opposition" in printed
    assert all((tmp_path / name).stat().st_size for name in ("run-1-cards.age", "run-1-pins.age"))


def test_every_call_is_on_the_page_with_its_roles() -> None:
    said = {
        tuple(call.strip("`").split()): {role for role, mark in zip(COLUMNS, marks, strict=True) if mark}
        for call, _, *marks in CALLS
    }
    assert said == {(method, path.removeprefix("/v1")): set(roles) for (method, path), roles in RULES.items()}


@pytest.mark.parametrize("command", sorted({command.strip("`") for _, command, *_ in CALLS}))
def test_every_command_on_the_page_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    group, name, *option = command.split()
    assert cli.main(["issue", group, name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"authz issue {group} {name}" in " ".join(shown.split())
    assert all(word in shown for word in option if word.startswith("--"))


def test_the_accounts_are_the_ledgers() -> None:
    named = {cell.strip("`") for _, debit, credit, _ in rows("when") for cell in (debit, credit)}
    assert named == {
        accounts.issuer_float("<product>"),
        accounts.client_funds("<id>", "<product>"),
        accounts.operating(),
        accounts.commission(),
        accounts.vat(),
        "holder:<id>:<product>:<lot>",
    }


def test_the_limits_are_the_codes() -> None:
    pace = RequestLimits()
    assert dict(rows("of what")) == {
        "beneficiaries of an order": f"{LINES_MAX:,}",
        "cards of a run": f"{RUN_CARDS_MAX:,}",
        "users of an account, agents of an account": f"{USERS_MAX}, {AGENTS_MAX}",
        "requests of a token": f"{pace.requests_a_second:g} a second, {pace.requests_a_second * REQUESTS_BURST_S:g} at "
        f"once; {pace.orders_a_minute:g} lists of beneficiaries a minute (`[api]`)",
        "a page of a list": f"{PAGE_MAX} things",
    }
