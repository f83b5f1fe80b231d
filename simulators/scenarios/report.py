"""What came of scenarios: a table, what differed beneath it, and the same for programs (JSON, JUnit's XML)."""

from collections.abc import Sequence
from xml.etree import ElementTree

import msgspec
from msgspec import Struct
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from authz.wire.message import Message
from simulators import decoded
from simulators.scenarios.expectations import Difference
from simulators.scenarios.player import Outcome, Played, Verdict

STYLES = {Verdict.HELD: "green", Verdict.DIFFERED: "bold red", Verdict.NOT_RUN: "dim"}
MARKS = {Verdict.HELD: "✓", Verdict.DIFFERED: "✗", Verdict.NOT_RUN: "·"}


class ReportedStep(Struct, frozen=True, omit_defaults=True):
    """One step. The messages are there where it differed; both they and what differed are masked."""

    step: str
    does: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    request: tuple[decoded.Row, ...] = ()
    reply: tuple[decoded.Row, ...] = ()


class ReportedScenario(Struct, frozen=True):
    """One scenario."""

    scenario: str
    held: bool
    steps: tuple[ReportedStep, ...]


class Report(Struct, frozen=True):
    """What `--json` prints: one object on one line."""

    held: bool
    scenarios: tuple[ReportedScenario, ...]


def as_json(played: Sequence[Played]) -> str:
    """All of it as one JSON object."""
    scenarios = tuple(
        ReportedScenario(one.scenario, one.held, tuple(_reported(outcome) for outcome in one.outcomes))
        for one in played
    )
    return msgspec.json.encode(Report(all(one.held for one in played), scenarios)).decode()


def show(console: Console, played: Sequence[Played], *, verbose: bool) -> None:
    """Print the table, and each step that differed. `verbose`: every step has its row and its messages."""
    console.print(_table(played, verbose=verbose))
    for one in played:
        for outcome in one.outcomes:
            if outcome.differences:
                console.print(_differing(one, outcome))
            elif verbose and outcome.request is not None:
                console.print(Group(Text(f"\n{one.scenario} · {outcome.step}", style="bold"), *_messages(outcome)))
    held = sum(one.held for one in played)
    steps = [outcome.verdict for one in played for outcome in one.outcomes]
    console.print(
        f"\n{held} of {len(played)} scenarios held; {steps.count(Verdict.HELD)} of {len(steps)} steps, "
        f"{steps.count(Verdict.DIFFERED)} differed, {steps.count(Verdict.NOT_RUN)} not run"
    )


def as_junit(played: Sequence[Played]) -> bytes:
    """All of it as JUnit's XML: a suite a scenario, a case a step."""
    root = ElementTree.Element("testsuites")
    for one in played:
        verdicts = [outcome.verdict for outcome in one.outcomes]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=one.scenario,
            tests=str(len(verdicts)),
            failures=str(verdicts.count(Verdict.DIFFERED)),
            skipped=str(verdicts.count(Verdict.NOT_RUN)),
            errors="0",
        )
        for outcome in one.outcomes:
            case = ElementTree.SubElement(suite, "testcase", classname=one.scenario, name=outcome.step)
            if outcome.verdict is Verdict.DIFFERED:
                lines = [f"{each.field} {each.name}: {each.expected}, not {each.seen}" for each in outcome.differences]
                failure = ElementTree.SubElement(case, "failure", message="; ".join(lines))
                failure.text = "\n".join(_lines(outcome))
            elif outcome.verdict is Verdict.NOT_RUN:
                ElementTree.SubElement(case, "skipped")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _table(played: Sequence[Played], *, verbose: bool) -> Table:
    """A row a scenario; beneath it its steps, those of one that held only if asked for."""
    table = Table("", "scenario and steps", "does", box=None, pad_edge=False, header_style="dim")
    for one in played:
        verdict = Verdict.HELD if one.held else Verdict.DIFFERED
        count = f"{len(one.outcomes)} steps"
        table.add_row(Text(MARKS[verdict], STYLES[verdict]), Text(one.scenario, "bold"), Text(count, "dim"))
        for outcome in one.outcomes if verbose or not one.held else ():
            style = STYLES[outcome.verdict]
            step = Text(f"{'  ' * (outcome.depth + 1)}{outcome.step}")
            table.add_row(Text(MARKS[outcome.verdict], style), step, Text(outcome.does, "dim"))
    return table


def _differing(one: Played, outcome: Outcome) -> RenderableType:
    table = Table("", "field", "expected", "seen", box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for each in outcome.differences:
        table.add_row(each.field, each.name, Text(each.expected, "green"), Text(each.seen, "red"))
    return Group(Text(f"\n✗ {one.scenario} · {outcome.step}", style="bold red"), table, *_messages(outcome))


def _messages(outcome: Outcome) -> list[Text]:
    return [Text(line, "dim") for line in _lines(outcome)]


def _lines(outcome: Outcome) -> list[str]:
    named = (("request", outcome.request), ("reply", outcome.reply))
    return [line for name, message in named if message for line in (name, *decoded.lines(message))]


def _reported(outcome: Outcome) -> ReportedStep:
    differs = bool(outcome.differences)
    return ReportedStep(
        outcome.step,
        outcome.does,
        outcome.verdict,
        outcome.differences,
        _rows(outcome.request) if differs else (),
        _rows(outcome.reply) if differs else (),
    )


def _rows(message: Message | None) -> tuple[decoded.Row, ...]:
    return () if message is None else decoded.rows(message)
