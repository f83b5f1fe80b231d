"""`simulate terminal`, before there is a window."""

from datetime import UTC, datetime, timedelta

import pytest
from textual.app import App

from simulators.cli import main
from simulators.command_line import clock_from
from simulators.screen.command import language_of, make_app
from simulators.terminal import parameters
from simulators.terminal.journal import Journal
from simulators.terminal.wording import Language
from tests.simulators.conftest import answer
from tests.simulators.screen.conftest import NOON, ScriptedAuthorizer


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--terminal", "NOPE"), "--terminal: not one of PAR00001"),
        (("--clock", "noon"), "--clock: an instant with its offset"),
        (("--clock", "2026-05-12T12:30:00"), "--clock: an instant with its offset"),
        (("--data", "here", "--no-data"), "--no-data: takes no --data"),
        (("--config", "nowhere.toml"), "nowhere.toml: No such file"),
        ((), "a terminal needs a window"),
    ],
)
def test_wrong_use_is_one_line(capsys, options, complaint):
    assert main(["terminal", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_a_clock_that_is_set_runs_from_there():
    clock = clock_from("2026-05-12T12:30:00+02:00")
    first, second = clock(), clock()
    assert timedelta() <= first - NOON < timedelta(minutes=1)
    assert second >= first


def test_a_clock_that_isn_t_set_is_the_machine_s():
    assert abs(clock_from(None)() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, Language.ENGLISH),
        ({"LANG": "C.UTF-8"}, Language.ENGLISH),
        ({"LANG": "fr_BE.UTF-8"}, Language.FRENCH),
        ({"LANG": "fr_FR", "LC_MESSAGES": "nl_NL"}, Language.DUTCH),
        ({"LANG": "both"}, Language.ENGLISH),
    ],
)
def test_the_language_is_the_account_s(environment, language):
    assert language_of(environment) is language


async def test_a_fault_in_the_program_shows_no_variable(monkeypatch, capfd):
    """What Textual prints of a crash would hold what variables held: a PIN's digit among them."""
    known = parameters.demo()
    app = make_app(known, known.site("PAR00001"), ScriptedAuthorizer(answer), Journal(), Language.ENGLISH, lambda: NOON)

    def break_down(key: str) -> None:
        secret_digit_typed = key
        raise RuntimeError(len(secret_digit_typed))

    monkeypatch.setattr(app.device, "press", break_down)
    with pytest.raises(RuntimeError):
        async with app.run_test() as pilot:
            await pilot.press("7")
    printed = capfd.readouterr().err
    assert "RuntimeError" in printed
    assert "locals" not in printed
    assert "'7'" not in printed
    assert hasattr(App, "_fatal_error"), "Textual has another way to print a crash"
