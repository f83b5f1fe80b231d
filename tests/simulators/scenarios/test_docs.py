"""docs/scenarios.md is the reference: it has every key that a scenario may have, and no other."""

import re
from pathlib import Path
from typing import get_args

import pytest
from msgspec import Struct

from simulators.scenarios import script, steps
from simulators.scenarios.checking import check
from simulators.scenarios.running import play_at
from simulators.scenarios.script import Source, find, parse, shipped_names
from simulators.terminal import parameters
from tests.simulators.scenarios.conftest import Hosts
from tests.simulators.scenarios.test_shipped import NOT_BY_A_TERMINAL

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")
STEPS: dict[str, type[steps.Step]] = {str(one.__struct_config__.tag): one for one in get_args(steps.AnyStep)}
GROUPS = {"card": steps.Presented, "earlier": steps.Following, "message": steps.Sent, "": steps.Step}


def section(heading: str) -> str:
    """What stands under a heading, up to the next."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of its tables, without their heads."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def words(cell: str) -> set[str]:
    return set(re.findall("`([^`]+)`", cell))


def keys(one: type[Struct]) -> set[str]:
    return set(one.__struct_encode_fields__)


@pytest.mark.parametrize(
    ("heading", "own", "above"),
    [
        ("A scenario", script.Script, None),
        ("A terminal", script.Place, None),
        ("A card", script.CardInHand, None),
        ("A chip", script.ChipOn, None),
        ("Keys", script.Keys, None),
        ("Waiting", script.Waiting, None),
        ("Counted", steps.Counted, None),
        ("Group message", steps.Sent, steps.Step),
        ("Group card", steps.Presented, steps.Sent),
        ("Group earlier", steps.Following, steps.Sent),
    ],
)
def test_each_table_has_the_keys_of_its_struct(heading: str, own: type[Struct], above: type[Struct] | None) -> None:
    described = [name for row in rows(section(heading)) for name in words(row[0])]
    assert sorted(described) == sorted(keys(own) - (keys(above) if above else set()))


def test_the_table_of_steps_has_every_step_with_its_keys() -> None:
    described = {row[0].strip("`"): (row[2:3], row[-1].strip("| ")) for row in rows(section("Steps"))}
    assert set(described) == set(STEPS)
    for name, step in STEPS.items():
        [own], group = described[name]
        assert words(own) == keys(step) - keys(GROUPS[group if group in GROUPS else ""]), name
        assert issubclass(step, GROUPS[group if group in GROUPS else ""])


def test_the_table_of_those_that_come_along_is_theirs() -> None:
    assert rows(section("Those that come along")) == [
        [f"`{name}`", find(name).script.purpose] for name in shipped_names()
    ]


def test_what_no_message_provokes_is_said() -> None:
    assert all(reason in section("Those that come along") for reason in NOT_BY_A_TERMINAL)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_example_holds(hosts: Hosts) -> None:
    found = re.search("```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    source = Source("docs", parse(found[1].encode(), "docs"))
    check(source)
    guest = await hosts.receive(source)
    assert (await play_at(source.script, parameters.demo(), "127.0.0.1", guest.port)).held
