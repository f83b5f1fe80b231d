"""What the shape of a scenario's file doesn't say: that every name in it is borne by something, and in time."""

from collections.abc import Iterable, Iterator

from authz.wire.message import Message
from simulators.mistakes import Mistake
from simulators.scenarios import arithmetic
from simulators.scenarios.arithmetic import Sum
from simulators.scenarios.expectations import Condition, Requirement, variable_in
from simulators.scenarios.fields import Address, put
from simulators.scenarios.script import ScenarioInvalid, Script, Source
from simulators.scenarios.steps import (
    AnyStep,
    Books,
    ClockJump,
    DayTotals,
    Following,
    Network,
    Parallel,
    Pays,
    Presented,
    Repeat,
    Sent,
    Tells,
)

_HOSTS = (Network, DayTotals)
"""What the acquirer's host sends: no terminal has a part in it."""

_ANY = Message(mti="0000")
"""To try what can be put into a message."""


def check(source: Source) -> None:
    """Refuse a scenario in which a name stands for nothing. Raises `ScenarioInvalid`."""
    script = source.script
    _Checker(source.label, script).check(script.step, {}, set(script.variables))
    if source.config is not None and not source.config.is_file():
        raise ScenarioInvalid(f"{source.label}: config: {script.config} isn't there")


class _Checker:
    """Goes through the steps as they are played. A branch knows what came before it, not what is beside it."""

    def __init__(self, label: str, script: Script) -> None:
        self._label = label
        self._script = script
        self._names: set[str] = set()

    def check(self, steps: Iterable[AnyStep], sent: dict[str, Sent], variables: set[str]) -> None:
        """Check steps one after the other; what they send and capture is added."""
        for step in steps:
            try:
                self._check(step, sent, variables)
            except Mistake as wrong:
                raise ScenarioInvalid(f"{self._label}: step {step.name!r}: {wrong}") from None
            if isinstance(step, Sent):
                sent[step.name] = step
                variables.update(step.capture)
            if isinstance(step, Parallel):
                branches = [(branch, dict(sent), set(variables)) for branch in step.branch]
                for branch, sent_there, variables_there in branches:
                    self.check(branch.step, sent_there, variables_there)
                    sent |= sent_there
                    variables |= variables_there

    def _check(self, step: AnyStep, sent: dict[str, Sent], variables: set[str]) -> None:
        if step.name in self._names:
            raise ScenarioInvalid("another step has this name")
        self._names.add(step.name)
        _check_names(step, self._script, sent)
        _check_addresses(step)
        for name in _used(step):
            if name not in variables:
                raise ScenarioInvalid(f"${name}: neither a variable nor captured before")


def _check_names(step: AnyStep, script: Script, sent: dict[str, Sent]) -> None:
    if isinstance(step, Following):
        original = sent.get(step.of)
        if original is None:
            raise ScenarioInvalid(f"of: no earlier step {step.of!r} sent anything")
        if isinstance(original, _HOSTS) and not isinstance(step, Repeat):
            raise ScenarioInvalid(f"of: {step.of!r} has no card")
    if isinstance(step, Presented) and step.card not in script.cards:
        raise ScenarioInvalid(f"card: {step.card!r} is none of the scenario's")
    if isinstance(step, Sent):
        if isinstance(step.expect, str) and step.capture:
            raise ScenarioInvalid("capture: there is no reply to capture from")
        if step.mac == "wrong" and script.keys.mac is None:
            raise ScenarioInvalid("mac: the scenario has no [keys] mac to be wrong beside")
        if step.mac != "right" and isinstance(step, Pays):
            raise ScenarioInvalid("mac: what a till sends by itself bears the right one")
    if isinstance(step, (Sent, Tells, Books, ClockJump)) and step.terminal is not None:
        _check_terminal(step.terminal, script)
    elif isinstance(step, (Presented, Tells, Books)) and len(script.terminals) > 1:
        raise ScenarioInvalid("terminal: missing, for the scenario has several")


def _check_terminal(name: str, script: Script) -> None:
    if name not in script.terminals:
        raise ScenarioInvalid(f"terminal: {name!r} is none of {', '.join(script.terminals)}")


def _check_addresses(step: AnyStep) -> None:
    if isinstance(step, Sent):
        for text in step.capture.values():
            Address.parse(text)
        for text in step.without:
            put(_ANY, Address.parse(text), None)
        for text, value in step.fields.items():
            put(_ANY, Address.parse(text), value)
    for text in _expected(step):
        Address.parse(text)


def _expected(step: AnyStep) -> dict[str, Condition]:
    expect = getattr(step, "expect", {})
    return expect if isinstance(expect, dict) else {}


def _used(step: AnyStep) -> Iterator[str]:
    """The variables that a step needs. Raises `SumInvalid`."""
    for written in _sums(step):
        yield from arithmetic.names(written)
    texts: list[str] = [*step.fields.values()] if isinstance(step, Sent) else []
    for condition in _expected(step).values():
        if isinstance(condition, Requirement):
            if condition.cents is not None:
                yield from arithmetic.names(condition.cents)
        else:
            texts += [condition] if isinstance(condition, str) else condition
    yield from filter(None, map(variable_in, texts))


def _sums(step: AnyStep) -> Iterable[Sum]:
    """Amounts of a step, whatever they are called."""
    found = [getattr(step, name, None) for name in ("amount", "stands", "owed", "sales", "holds")]
    if isinstance(step, DayTotals):
        found += [getattr(step.counted, name) for name in step.counted.__struct_fields__]
    return [one for one in found if one is not None]
