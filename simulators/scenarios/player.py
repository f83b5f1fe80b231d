"""A scenario played: its steps in their order, each with what was seen and how that differs from what was expected.

The first step that differs ends its run, for later steps rest on earlier ones.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from authz.wire.codec import Codec, Unsendable
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.faults.fates import LineFaults
from simulators.link import Authorizer, LinkError, NoConnection
from simulators.mistakes import Mistake
from simulators.scenarios.expectations import Difference, Exchange, differences
from simulators.scenarios.fields import ARPC, MAC, Address, look
from simulators.scenarios.script import ScenarioInvalid, Script
from simulators.scenarios.signing import SignedLine, Signer
from simulators.scenarios.stage import Stage
from simulators.scenarios.steps import (
    AnyStep,
    Books,
    ClockJump,
    Fault,
    Heal,
    Parallel,
    Pays,
    Sent,
    Tells,
)
from simulators.terminal.messages import Terminal
from simulators.terminal.parameters import Parameters
from simulators.terminal.till import NotAcknowledged, Patience, Till

REPLY = "reply"
"""Stands for a field where the difference is whether there was an answer at all."""


class Verdict(StrEnum):
    """What became of a step."""

    HELD = "held"
    DIFFERED = "differed"
    NOT_RUN = "not run"


class Outcome(Struct, frozen=True):
    """One step's. `depth` is 0, or 1 in a branch of a parallel step. The messages are those it is about, if any."""

    step: str
    does: str
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    request: Message | None = None
    reply: Message | None = None
    depth: int = 0


class Played(Struct, frozen=True):
    """A scenario's outcomes, in the order of its file."""

    scenario: str
    outcomes: tuple[Outcome, ...]

    @property
    def held(self) -> bool:
        """Whether every step did."""
        return all(outcome.verdict is Verdict.HELD for outcome in self.outcomes)


class BadLine(Protocol):
    """What spoils a line, and mends it."""

    faults: LineFaults

    def heal(self) -> None:
        """Let everything pass."""


class Player:
    """Plays one scenario once, over one line. `bad_line` is what its faults are set on, where it has any.

    Raises `ScenarioInvalid`, and `Mistake` for what terminals, cards and keys refuse.
    """

    def __init__(
        self,
        script: Script,
        parameters: Parameters,
        line: Authorizer,
        *,
        bad_line: BadLine | None = None,
        first_trace: int = 1,
    ) -> None:
        self._script = script
        self._stage = Stage(script, parameters, first_trace=first_trace)
        key = script.keys.mac
        self._signer = None if key is None else Signer(Codec(shipped(parameters.dialect)), key)
        self._unsigned = line
        self._line = line if self._signer is None else SignedLine(line, self._signer)
        self._bad_line = bad_line
        self._counters: dict[str, _Counter] = {}

    async def play(self) -> Played:
        """Play it. Raises `NoConnection` where nobody answers at all, and `ScenarioInvalid`."""
        try:
            return Played(self._script.name, tuple(await self._run(self._script.step, 0)))
        finally:
            for counter in self._counters.values():
                counter.till.journal.close()

    async def _run(self, steps: Sequence[AnyStep], depth: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for step in steps:
            if all(one.verdict is Verdict.HELD for one in outcomes):
                outcomes += await self._step(step, depth)
            else:
                outcomes += _not_run(step, depth)
        return outcomes

    async def _step(self, step: AnyStep, depth: int) -> list[Outcome]:
        if isinstance(step, Parallel):
            runs = await asyncio.gather(*(self._run(branch.step, depth + 1) for branch in step.branch))
            branches = [outcome for run in runs for outcome in run]
            held = all(outcome.verdict is Verdict.HELD for outcome in branches)
            return [_outcome(step, depth, Verdict.HELD if held else Verdict.DIFFERED), *branches]
        try:
            found, request, reply = await self._do(step)
        except NoConnection:
            raise
        except (Mistake, Unsendable) as wrong:
            raise ScenarioInvalid(f"{self._script.name}: step {step.name!r}: {wrong}") from None
        verdict = Verdict.DIFFERED if found else Verdict.HELD
        return [_outcome(step, depth, verdict, tuple(found), request, reply)]

    async def _do(self, step: AnyStep) -> "_Seen":
        match step:
            case Pays():
                return await self._pay(step)
            case Sent():
                return await self._send(step)
            case Tells():
                return await self._tell(step)
            case Books():
                return self._count(step), None, None
            case Fault():
                assert self._bad_line is not None
                self._bad_line.faults = step.line
            case Heal():
                if self._bad_line is not None:
                    self._bad_line.heal()
            case ClockJump():
                self._stage.jump(step.by, step.terminal)
        return (), None, None

    async def _send(self, step: Sent) -> "_Seen":
        request = self._stage.request(step)
        try:
            reply = await self._exchange(step, request)
        except NoConnection:
            if not self._script.needs_bad_line:
                raise
            reply = None
        except LinkError:
            reply = None
        if reply is not None:
            self._stage.answered(step, reply)
        return self._judged(step, request, reply)

    async def _exchange(self, step: Sent, request: Message) -> Message:
        within_s = step.within_ms / 1_000
        if step.mac == "none" or self._signer is None:
            return await self._unsigned.exchange(request, within_s)
        if step.mac == "wrong":
            return await self._unsigned.exchange(self._signer.spoilt(request), within_s)
        return await self._line.exchange(request, within_s)

    def _judged(self, step: Sent, request: Message, reply: Message | None) -> "_Seen":
        """Hold what came to what was expected, and keep what is captured."""
        if reply is None or isinstance(step.expect, str):
            expected = step.expect if isinstance(step.expect, str) else "a reply"
            return _ended(expected, "silence" if reply is None else "a reply"), request, reply
        exchange = Exchange(request, reply, self._proofs(step, reply))
        found = list(differences(step.expect, exchange, self._stage.variables))
        for name, text in step.capture.items():
            address = Address.parse(text)
            seen = look(reply, address, exchange.proofs)
            if seen is None:
                found.append(Difference(text, address.name, f"something, for ${name}", "nothing"))
            else:
                self._stage.variables[name] = seen
        return tuple(found), request, reply

    def _proofs(self, step: Sent, reply: Message) -> dict[str, str]:
        proofs: dict[str, str] = {}
        mac = None if self._signer is None else self._signer.verify(reply)
        if mac is not None:
            proofs[MAC] = mac
        chip = self._stage.chip_of(step)
        if chip is not None and reply.chip is not None:
            proofs[ARPC] = "right" if chip.accepts(reply.chip) else "wrong"
        return proofs

    async def _pay(self, step: Pays) -> "_Seen":
        request, till = self._stage.request(step), self._counter(self._stage.place_of(step)).till
        seen, reply = "taken-back", None
        try:
            reply = await till.pay(request)
        except NotAcknowledged:
            seen = "stored"
        if reply is not None:
            self._stage.heard(step, reply)
            return self._judged(step, request, reply)
        if not (till.linked or self._script.needs_bad_line):
            raise NoConnection("nothing answers there")
        return _ended(step.expect if isinstance(step.expect, str) else "a reply", seen), request, None

    async def _tell(self, step: Tells) -> "_Seen":
        """Have a till tell what it has stored, and hold each acknowledgement to what was expected."""
        counter = self._counter(step.terminal or next(iter(self._script.terminals)))
        if not counter.till.stored:
            return _ended("something to tell", "nothing"), None, None
        counter.passed.clear()
        try:
            await counter.till.resume()
        except NotAcknowledged:
            return _ended("a reply", "silence"), *counter.passed[-1]
        found: tuple[Difference, ...] = ()
        request, reply = counter.passed[-1]
        for request, reply in counter.passed:
            if reply is not None:
                found = differences(step.expect, Exchange(request, reply), self._stage.variables)
            if found:
                break
        return found, request, reply

    def _count(self, step: Books) -> tuple[Difference, ...]:
        terminal = self._stage.terminals[step.terminal or next(iter(self._script.terminals))]
        believed = {"owed": terminal.owed, "sales": terminal.sales.cents, "holds": terminal.holds.cents}
        expected = {
            name: self._stage.cents(written) for name in believed if (written := getattr(step, name)) is not None
        }
        return tuple(
            Difference(name, f"The terminal's book, {name}", str(amount), str(believed[name]))
            for name, amount in expected.items()
            if believed[name] != amount
        )

    def _counter(self, place: str) -> "_Counter":
        if place not in self._counters:
            waiting = self._script.waiting
            patience = Patience(
                answer_within_s=waiting.answer_within_ms / 1_000,
                again_every_s=waiting.again_every_ms / 1_000,
                reversals_max_tries=waiting.tries_max,
            )
            self._counters[place] = _Counter(self._stage.terminals[place], self._line, patience)
        return self._counters[place]


class _Counter:
    """A till, and what passed over its line: requests, and the replies that came."""

    def __init__(self, terminal: Terminal, line: Authorizer, patience: Patience) -> None:
        self.passed: list[tuple[Message, Message | None]] = []
        self.till = Till(terminal, line, patience, watch=self._keep)

    def _keep(self, request: Message, reply: Message | None) -> None:
        self.passed.append((request, reply))


_Seen = tuple[tuple[Difference, ...], Message | None, Message | None]
"""What differs, the request, and the reply."""


def _ended(expected: str, seen: str) -> tuple[Difference, ...]:
    return () if expected == seen else (Difference(REPLY, "Whether there is an answer", expected, seen),)


def _outcome(
    step: AnyStep,
    depth: int,
    verdict: Verdict,
    found: tuple[Difference, ...] = (),
    request: Message | None = None,
    reply: Message | None = None,
) -> Outcome:
    return Outcome(step.name, str(step.__struct_config__.tag), verdict, found, request, reply, depth)


def _not_run(step: AnyStep, depth: int) -> list[Outcome]:
    outcomes = [_outcome(step, depth, Verdict.NOT_RUN)]
    if isinstance(step, Parallel):
        outcomes += [one for branch in step.branch for inner in branch.step for one in _not_run(inner, depth + 1)]
    return outcomes
