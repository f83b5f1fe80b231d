"""Payments, wrong PINs, repeats, restarts and faults in any order, held against a model that anyone can check."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from authz.decision.outcomes import Reason, Reply
from authz.engine.requests import Answer, NoAnswer, Request
from ledger.memory import Fault
from tests.engine.world import WRONG_PIN, Barrier, House, World, holder_of, turns

LOADED, CAP, TRIES = 3_000, 1_900, 3
HOLDERS = (1, 2, 3)

numbers = st.sampled_from(HOLDERS)
amounts = st.integers(1, 2_000)
faults = st.sampled_from([None, None, None, *Fault])


class Holder(Struct):
    """A holder as a child would keep their book."""

    balance: int = LOADED
    spent: int = 0
    wrong: int = 0

    def pay(self, amount: int, *, pin_is_right: bool) -> Reason:
        """docs/interface.md: first locked, then the PIN, the day's cap, the funds."""
        if self.wrong >= TRIES:
            return Reason.PIN_LOCKED
        if not pin_is_right:
            self.wrong += 1
            return Reason.PIN_LOCKED if self.wrong >= TRIES else Reason.PIN_WRONG
        self.wrong = 0
        if self.spent + amount > CAP:
            return Reason.DAILY_CAP
        if amount > self.balance:
            return Reason.NO_FUNDS
        self.spent += amount
        self.balance -= amount
        return Reason.APPROVED


class Sent(Struct):
    """A request, how it was paid, and its reply if it is in the ledger."""

    request: Request
    number: int
    amount: int
    pin_is_right: bool
    reply: Reply | None = None


class Engines(RuleBasedStateMachine):
    """One engine after another over one ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = {number: Holder() for number in HOLDERS}
        self.sent: list[Sent] = []
        self.administered = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(passbooks_max=st.sampled_from([8, 100]), remembered_max=st.sampled_from([4, 1_000]))
    def start(self, passbooks_max: int, remembered_max: int) -> None:
        self.limits = {"passbooks_max": passbooks_max, "remembered_max": remembered_max, "requests_max": 4_096}

        async def begin() -> None:
            self.world = World()
            self.house: House = await self.world.open(**self.limits)
            await self.house.furnish()
            self.pans = {number: await self.house.enrol(number, LOADED) for number in HOLDERS}
            self.administered = len(self.world.records())

        self.run(begin())

    @rule(number=numbers, amount=amounts, pin_is_right=st.booleans(), fault=faults)
    def pay(self, number: int, amount: int, pin_is_right: bool, fault: Fault | None) -> None:
        """One payment alone, with or without a fault."""
        sent = self.new(number, amount, pin_is_right)
        self.run(self.send([sent], fault))

    @rule(orders=st.lists(st.tuples(numbers, amounts, st.booleans()), min_size=2, max_size=8), fault=faults)
    def pay_together(self, orders: list[tuple[int, int, bool]], fault: Fault | None) -> None:
        """One in flight, the others decided behind it."""
        self.run(self.send([self.new(*order) for order in orders], fault))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), marked=st.booleans(), fault=faults)
    def repeat(self, data: st.DataObject, marked: bool, fault: Fault | None) -> None:
        """Send one again: the reply that it had, or a decision if it never came."""
        sent = data.draw(st.sampled_from(self.sent))
        deadline = float("inf")
        origin = sent.request.command.origin
        pin = "1234" if sent.pin_is_right else WRONG_PIN
        request = self.request(sent.number, sent.amount, trace=origin.trace, pin=pin, repeat=marked, deadline=deadline)
        self.run(self.send([Sent(request, sent.number, sent.amount, sent.pin_is_right, sent.reply)], fault, [sent]))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """The same identity with another amount: 94, once the first is in."""
        sent = data.draw(st.sampled_from(self.sent))
        if sent.reply is None:
            return
        request = self.request(sent.number, sent.amount + 1, trace=sent.request.command.origin.trace)
        reply = self.run(self.house.pay(request))
        assert reply.reason is Reason.IDENTITY_REUSED

    @rule(gracefully=st.booleans())
    def restart(self, gracefully: bool) -> None:
        async def again() -> None:
            await (self.house.engine.stop() if gracefully else self.house.crash())
            self.house = await self.world.open(**self.limits)

        self.run(again())

    def request(self, number: int, amount: int, **changes: Any) -> Request:
        async def make() -> Request:
            return self.world.request(self.pans[number], amount, **{"deadline": float("inf")} | changes)

        made: Request = self.run(make())
        return made

    def new(self, number: int, amount: int, pin_is_right: bool) -> Sent:
        request = self.request(number, amount, pin="1234" if pin_is_right else WRONG_PIN)
        self.sent.append(Sent(request, number, amount, pin_is_right))
        return self.sent[-1]

    async def send(self, sendings: list[Sent], fault: Fault | None, originals: list[Sent] | None = None) -> None:
        """Send the first, then the others while it is in flight; then hold every answer against the model."""
        self.house.store.faults.extend([fault])
        barrier = Barrier(self.house.store)
        before = len(self.world.records())
        tasks = [self.house.begin(sendings[0].request)]
        await turns()
        tasks += [self.house.begin(one.request) for one in sendings[1:]]
        await turns()
        barrier.release()
        answers = await asyncio.gather(*tasks)
        self.house.store.before_append = None
        self.house.store.faults.clear()
        await self.house.engine.is_ready()
        self.follow(before, [*zip(originals or sendings, answers, strict=True)])

    def follow(self, before: int, answered: list[tuple[Sent, Answer | NoAnswer]]) -> None:
        """Let the model decide what came into the ledger, in the ledger's order."""
        by_trace = {sent.request.command.origin.trace: (sent, answer) for sent, answer in answered}
        for record in self.world.records()[before:]:
            trace = record.entry.request.split('"trace":"')[1][:6]
            sent, answer = by_trace[trace]
            assert sent.reply is None, "decided twice"
            expected = self.model[sent.number].pay(sent.amount, pin_is_right=sent.pin_is_right)
            assert isinstance(answer, Answer)
            assert (answer.reply.reason, record.entry.reason) == (expected, expected)
            sent.reply = answer.reply
        for sent, answer in by_trace.values():
            assert isinstance(answer, Answer)
            if sent.reply is None or answer.reply.reason is Reason.UNAVAILABLE:
                assert answer.reply.reason is Reason.UNAVAILABLE
            else:
                assert answer.reply == sent.reply

    @invariant()
    def the_books_agree(self) -> None:
        """Chain, trial balance and purses; one record an identity; balances, tries and spend as modelled."""
        if not self.administered:
            return
        self.world.audit()
        decided = [sent for sent in self.sent if sent.reply is not None]
        assert len(self.world.payments()) == len(decided)
        for number, holder in self.model.items():
            position = self.world.position(holder_of(number))
            assert sum(lot.amount for lot in position.purse.lots) == holder.balance
            assert sum(day.amount for day in position.spent) == holder.spent
            assert position.cards[0].pin_wrong == holder.wrong

    def teardown(self) -> None:
        if self.administered:
            self.run(self.world.close())
        self.runner.close()


TestEngines = Engines.TestCase
TestEngines.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
