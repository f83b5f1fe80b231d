"""A scenario's file is read strictly: what isn't understood is refused, with its file and place."""

import re
from pathlib import Path

import pytest

from simulators.scenarios.checking import check
from simulators.scenarios.script import ScenarioInvalid, Script, Source, find, parse, read

HEAD = """
name = "One lunch"
purpose = "To be tried."
clock = { host = 2026-05-12T12:30:00+02:00 }
cards.alice = { holder = "Alice Martin" }
"""
TILL = 'terminals.bistrot = { terminal = "PAR00001" }\n'
TWO = TILL + 'terminals.bakery = { terminal = "STR00001" }\n'
LUNCH = '[[step]]\nname = "Lunch"\ndo = "purchase"\ncard = "alice"\namount = 1250\n'
BACK = '[[step]]\nname = "Back"\ndo = "reversal"\n'


def scenario(steps: str, head: str = HEAD + TILL) -> Script:
    return parse(f"{head}\n{steps}".encode(), "lunch.toml")


def checked(steps: str, head: str = HEAD + TILL) -> None:
    check(Source("lunch.toml", scenario(steps, head)))


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        (LUNCH + "amout = 3", "unknown field `amout` - at `$.step[0]`"),
        (LUNCH + "expect = { 39 = 0 }", "at `$.step[0].expect[...]`"),
        (LUNCH + "expect = { 39 = { is = 'there' } }", "at `$.step[0].expect[...].is`"),
        (LUNCH + "expect = { 39 = { is = 'present', matches = '0' } }", "exactly one of `is`, `matches` and `cents`"),
        (LUNCH + 'expect = "nothing"', "at `$.step[0].expect`"),
        (LUNCH + 'entry = "wave"', "at `$.step[0].entry`"),
        (LUNCH.replace("1250", "12.50"), "at `$.step[0].amount`"),
        (LUNCH.replace("1250", "-5"), "at `$.step[0].amount`"),
        (LUNCH.replace("purchase", "pay"), "at `$.step[0].do`"),
        ('[[step]]\nname = "Dark"\ndo = "fault"\nline = { both = { dropp = 5 } }', "at `$.step[0].line.both`"),
        ('[[step]]\nname = "Dark"\ndo = "fault"\nline = { both = { drop = 1001 } }', "at `$.step[0].line.both.drop`"),
        ('[[step]]\nname = "Later"\ndo = "clock"\nby = "soon"', "at `$.step[0].by`"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(steps: str, place: str) -> None:
    with pytest.raises(ScenarioInvalid, match=re.escape(place)) as refused:
        scenario(steps)
    assert str(refused.value).startswith("lunch.toml: ")


@pytest.mark.parametrize(
    ("head", "place"),
    [
        (HEAD.replace("+02:00", ""), "at `$.clock.host`"),
        (HEAD + 'colour = "red"\n', "unknown field `colour`"),
        (HEAD.replace('holder = "Alice Martin"', ""), "either `holder` or `pan` expected"),
        (HEAD + 'keys = { mac = "secret" }\n', "at `$.keys.mac`"),
    ],
)
def test_so_it_is_above_the_steps(head: str, place: str) -> None:
    with pytest.raises(ScenarioInvalid, match=re.escape(place)):
        scenario(LUNCH, head + TILL)


@pytest.mark.parametrize("text", ["pin = '1234", "=", "\xff", 'pan = "9250100000000014'])
def test_what_is_not_toml_is_refused_without_what_stands_there(text: str) -> None:
    with pytest.raises(ScenarioInvalid, match="not TOML") as refused:
        parse(text.encode("latin-1"), "lunch.toml")
    assert "1234" not in str(refused.value)
    assert "0014" not in str(refused.value)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (LUNCH + LUNCH, "step 'Lunch': another step has this name"),
        (LUNCH.replace("alice", "bruno"), "card: 'bruno' is none of the scenario's"),
        (LUNCH + 'terminal = "cinema"', "terminal: 'cinema' is none of bistrot"),
        (BACK + 'of = "Lunch"', "no earlier step 'Lunch' sent anything"),
        (BACK + 'of = "Lunch"\n' + LUNCH, "no earlier step 'Lunch'"),
        (LUNCH + "expect = { 390 = '00' }", "'390': an address"),
        (LUNCH + "expect = { 39 = '$before' }", "$before: neither a variable nor captured before"),
        (LUNCH + "expect = { 4 = { cents = '$before - 1' } }", "$before: neither"),
        (LUNCH + "capture = { one = '4' }\nfields = { 4 = '$one' }", "$one: neither"),
        (LUNCH.replace("1250", '"$before"'), "$before: neither"),
        (LUNCH.replace("1250", '"2 * 3"'), "a sum is whole cents"),
        (LUNCH + "fields = { '54.90.02' = '1' }", "'54.90.02': an address"),
        (LUNCH + "without = ['arpc']", "'arpc': an address"),
        (LUNCH + "without = ['mti']", "'mti': an address"),
        (LUNCH + "fields = { 48 = 'CV9' }", "'48': an address"),
        (LUNCH + "expect = 'silence'\ncapture = { a = '39' }", "no reply to capture from"),
        (LUNCH + "mac = 'wrong'", "no [keys] mac"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused(steps: str, why: str) -> None:
    with pytest.raises(ScenarioInvalid, match=re.escape(why)) as refused:
        checked(steps)
    assert str(refused.value).startswith("lunch.toml: step ")


def test_with_several_terminals_a_step_says_which() -> None:
    with pytest.raises(ScenarioInvalid, match="terminal: missing"):
        checked(LUNCH, HEAD + TWO)
    checked(LUNCH + 'terminal = "bakery"\n' + BACK + 'of = "Lunch"', HEAD + TWO)


def test_a_branch_does_not_know_what_is_beside_it_but_later_steps_do() -> None:
    branch = (
        "[[step.branch]]\n" + LUNCH.replace("[[step]]", "[[step.branch.step]]") + "capture = { left = '54.90.02' }\n"
    )
    beside = LUNCH.replace("[[step]]", "[[step.branch.step]]").replace("Lunch", "Dinner").replace("1250", '"$left"')
    both = '[[step]]\nname = "Both"\ndo = "parallel"\n' + branch + "[[step.branch]]\n"
    with pytest.raises(ScenarioInvalid, match=r"step 'Dinner': \$left"):
        checked(both + beside)
    later = LUNCH.replace("Lunch", "Supper").replace("1250", '"$left"')
    checked(both + beside.replace("$left", "1250") + later)


def test_the_configuration_it_names_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "lunch.toml"
    file.write_text(HEAD + TILL + 'config = "links.toml"\n' + LUNCH)
    source = read(file, "lunch.toml")
    with pytest.raises(ScenarioInvalid, match=r"config: links.toml isn't there"):
        check(source)
    (tmp_path / "links.toml").touch()
    check(source)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioInvalid, match="no such file"):
        find("breakfast")


def test_reprs_show_no_secret() -> None:
    card = 'pan = "9250100000000014", pin = "1234", cvv2 = "882", chip = { key = "2315208C9110AD402315208C9110AD40" }'
    head = (
        HEAD.replace('holder = "Alice Martin"', card) + 'keys = { mac = "1A2B3C4D5E6F70819293A4B5C6D7E8F9" }\n' + TILL
    )
    script = scenario(LUNCH + "pin = '4321'\nfields = { '48.CV' = '776' }", head)
    rich = [*script.cards["alice"].__rich_repr__(), *script.keys.__rich_repr__(), *script.step[0].__rich_repr__()]  # type: ignore[union-attr]
    for secret in ("9250100000000014", "1234", "882", "2315208C", "1A2B3C4D", "4321", "776"):
        assert secret not in repr(script)
        assert secret not in repr(rich)
