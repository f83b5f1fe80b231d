"""Every message in any order, with repeats, restarts, faults and days that pass, held against a model to check by eye.

Purchases, authorizations, completions, advices, reversals and refunds of two acquirers and three holders; several in
flight at once are decided in the order in which the ledger has them.
"""

import asyncio
import os
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ledger.memory import Fault
from tests.properties.engines import ACQUIRERS, HOLDERS, Engines, settings_of
from tests.properties.sendings import sendings

SEQUENCES, STEPS = 100, 30
SOAKED_SEQUENCES = 1_500
"""In each of the two long forms."""

faults = st.sampled_from([None, *Fault])
acquirers = st.sampled_from(ACQUIRERS)


class Machine(RuleBasedStateMachine):
    """Chooses what happens next."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engines = Engines()
        self.opened = False

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(work)

    @initialize(memory=st.sampled_from(["tiny", "roomy"]))
    def open(self, memory: str) -> None:
        self.run(self.engines.open(**settings_of(memory)))
        self.opened = True

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        self._send(data, 1, None)

    @rule(data=st.data(), number=st.integers(2, 4))
    def send_some_together(self, data: st.DataObject, number: int) -> None:
        self._send(data, number, None)

    @rule(data=st.data(), number=st.integers(1, 6), fault=faults)
    def send_over_a_bad_line(self, data: st.DataObject, number: int, fault: Fault | None) -> None:
        self._send(data, number, fault)

    def _send(self, data: st.DataObject, number: int, fault: Fault | None) -> None:
        async def send() -> None:
            await self.engines.send(sendings(self.engines, data, number), fault)

        self.run(send())

    @rule(hours=st.sampled_from([1, 11, 24, 24, 60, 200]))
    def pass_time(self, hours: int) -> None:
        self.engines.pass_time(hours)

    @rule(gracefully=st.booleans())
    def restart(self, gracefully: bool) -> None:
        self.run(self.engines.restart(gracefully=gracefully))

    @rule(number=st.sampled_from(HOLDERS), cents=st.integers(1, 3_000))
    def load(self, number: int, cents: int) -> None:
        self.run(self.engines.load(number, cents))

    @rule()
    def age(self) -> None:
        self.run(self.engines.age())

    @rule(number=st.sampled_from(HOLDERS), vintage=st.sampled_from(["2026", "2026", "2026", "2027"]))
    def exchange(self, number: int, vintage: str) -> None:
        self.run(self.engines.exchange(number, vintage))

    @rule()
    def sweep(self) -> None:
        self.run(self.engines.sweep())

    @rule(acquirer=acquirers, days=st.sampled_from([None, None, 0, 1, 3, 8]))
    def cut_over(self, acquirer: str, days: int | None) -> None:
        begins = None if days is None else self.engines.today + timedelta(days=days)
        self.run(self.engines.cut_over(acquirer, begins))

    @rule(acquirer=acquirers, back=st.integers(-2, 4), wrong=st.sampled_from([0, 0, 1]))
    def total(self, acquirer: str, back: int, wrong: int) -> None:
        self.run(self.engines.total(acquirer, self.engines.today - timedelta(days=back), wrong))

    @invariant()
    def the_books_agree(self) -> None:
        if self.opened:
            self.engines.audit()

    def teardown(self) -> None:
        self.run(self.engines.world.close())
        self.runner.close()


def run(sequences: int) -> None:
    chosen = settings(
        report_multiple_bugs=False,
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Machine, settings=chosen)


def test_every_message_in_any_order() -> None:
    run(SEQUENCES)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("half", [1, 2])
def test_thousands_of_sequences(half: int) -> None:
    """Twice, so that two cores share them."""
    run(SOAKED_SEQUENCES)
