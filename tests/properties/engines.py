"""Engines, one after another over one ledger, and the model that every record and every reply is held against."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from authz.decision.commands import ExchangeLot, Load, NoteWalk, Payment
from authz.decision.outcomes import Reason, Reply
from authz.decision.position import Position
from authz.decision.refused import Refused
from authz.decision.totals import Sums
from authz.engine.identities import message_class
from authz.engine.inputs import decode_inputs, decode_reply
from authz.engine.requests import Answer, NoAnswer, Request
from ledger import accounts
from ledger.memory import Fault
from ledger.values import Cents
from tests.engine.messages import totals
from tests.engine.world import LINK, OTHER_LINK, PAYMENTS, Barrier, House, World, holder_of, turns
from tests.properties.book import VINTAGES, Book, Key
from tests.properties.model import ALL_OVER, PARIS, Ask, Model, Told

HOLDERS = (1, 2, 3)
ACQUIRERS = (LINK, OTHER_LINK)
LOADED = 2_500
START = datetime(2027, 2, 23, 10, 30, tzinfo=UTC)
"""A Tuesday, six days before the older vintage is over."""
DAYS_MAX = 50
"""How far time moves: within it no lapsed hold is forgotten."""
AGEING = ("load", "expiry", "forfeit", "exchange")
SWEPT_DAYS = 6
"""A sweep leaves no hold that ended longer ago: it follows at nine days, and an advice may be three days late."""


class Sent(Struct):
    """A message, what the model is told of it, and the approval code of its answer."""

    request: Request
    ask: Ask
    approval: str | None = None


class Engines:
    """What the rules of the state machine drive."""

    def __init__(self) -> None:
        self.model = Model()
        self.world = World()
        self.world.clock.wait_at(START)
        self.sent: dict[Key, Sent] = {}
        self.commands = 0
        self._followed = 0

    async def open(self, **limits: int) -> None:
        self._limits = limits
        self.house: House = await self.world.open(None, **limits)
        await self.house.furnish()
        self.pans = {number: await self.house.enrol(number, LOADED) for number in HOLDERS}
        for number in HOLDERS:
            self.model.books[number] = Book()
            await self.load(number, LOADED)

    @property
    def now(self) -> datetime:
        return self.world.clock()

    @property
    def today(self) -> date:
        return self.now.astimezone(PARIS).date()

    def pass_time(self, hours: int) -> None:
        self.world.clock.wait_at(min(self.now + timedelta(hours=hours), START + timedelta(days=DAYS_MAX)))

    async def restart(self, *, gracefully: bool) -> None:
        await (self.house.engine.stop() if gracefully else self.house.crash())
        self.house = await self.world.open(None, **self._limits)

    async def load(self, number: int, cents: int) -> None:
        """More of the younger vintage."""
        await self.house.administer(
            Load(holder_of(number), "90", "2027", *VINTAGES["2027"], Cents(cents)), self.key("load")
        )

    async def sweep(self) -> None:
        await self.house.chores.sweep.sweep()
        self.follow(())
        for number in HOLDERS:
            for hold in self.world.position(holder_of(number)).purse.holds:
                assert not hold.parts or hold.until >= self.today - timedelta(days=SWEPT_DAYS)

    async def age(self) -> None:
        """Behind a walk that came by everybody, nothing is left that was due."""
        before = self.model.walked
        await self.house.engine.age_lots()
        self.follow(())
        assert self.model.walked == self.today
        if before != self.today:
            for book in self.model.books.values():
                assert not any(cents for name, cents in book.vouchers.items() if VINTAGES[name][1] < self.today)
                assert not deepcopy(book).forfeit(before or self.today, self.today)

    async def exchange(self, number: int, vintage: str) -> None:
        """It is given to whoever asks in time, of what is over."""
        self.follow(())
        book = deepcopy(self.model.books[number])
        book.lapse((self.now - ALL_OVER).date())
        book.expire(self.today)
        try:
            await self.house.administer(ExchangeLot(holder_of(number), "90", vintage), self.key("exchange"))
        except Refused:
            assert not book.exchange(vintage, self.today)
        else:
            assert book.exchange(vintage, self.today)
            self.follow(())

    async def cut_over(self, acquirer: str, begins: date | None) -> None:
        reply = await self.house.engine.cut_over(acquirer, begins, self.key("cutover"))
        assert reply.reason is self.model.cut_over(acquirer, begins, self.now)

    async def total(self, acquirer: str, day: date, wrong: int) -> None:
        """The host counts as the model does; or one cent more, and is told so."""
        counted = Sums(**{name: Cents(cents) for name, cents in self.model.sums_of(acquirer, day).items()})
        told = msgspec.structs.replace(counted, debits_amount=Cents(counted.debits_amount + wrong))
        self.commands += 1
        transmitted = f"{self.now:%Y%m%d%H%M%S}"
        asked = totals(self.commands, day, told, acquirer=acquirer, transmitted=transmitted)
        for _ in range(2):  # its repeat is told the same
            answer = await self.house.engine.total(asked)
            assert isinstance(answer, Answer)
            assert (answer.reply.totals, answer.reply.agrees) == (counted, not wrong)

    def key(self, command: str) -> str:
        self.commands += 1
        return f"{command} {self.commands}"

    async def send(self, sendings: Sequence[Sent], fault: Fault | None) -> None:
        """Send the first, then the others while it is in flight; then hold every answer against the model."""
        self.house.store.faults.append(fault)
        barrier = Barrier(self.house.store)
        tasks = [self.house.begin(sendings[0].request)]
        await turns()
        tasks += [self.house.begin(one.request) for one in sendings[1:]]
        await turns()
        barrier.release()
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*tasks)
        self.house.store.before_append = None
        self.house.store.faults.clear()
        await self.house.engine.is_ready()
        self.follow(sendings)
        for one, answer in zip(sendings, answers, strict=True):
            self.hold_against_the_model(one, answer, may_fail=fault is not None)

    def hold_against_the_model(self, one: Sent, answer: Answer | NoAnswer, *, may_fail: bool) -> None:
        assert isinstance(answer, Answer)
        if may_fail and answer.reply.reason is Reason.UNAVAILABLE:
            return
        assert told(answer.reply) == self.model.unrecorded(one.ask)
        first = self.sent.get(one.ask.key)
        if first is not None and answer.reply.reason.approves:
            assert first.approval in (None, answer.reply.approval)
            first.approval = answer.reply.approval

    def follow(self, sendings: Sequence[Sent]) -> None:
        """Let the model decide what came into the ledger, in the ledger's order."""
        records = self.world.records()
        for record in records[self._followed :]:
            entry = record.entry
            if entry.kind == "lapse":
                assert entry.holder is not None
                over = (entry.at - timedelta(hours=12)).date()
                self.model.books[int(entry.holder[1:])].lapse(over)
            elif entry.kind in AGEING:
                assert entry.holder is not None
                named = decode_inputs(entry.request).command
                vintage, cents = getattr(named, "lot", ""), getattr(named, "amount", 0)
                self.model.age(entry.kind, int(entry.holder[1:]), vintage, cents, entry.at)
            elif entry.kind == "walk":
                noted = decode_inputs(entry.request).command
                assert isinstance(noted, NoteWalk)
                assert noted.walked.after is None, "so few holders need no note on the way"
                assert noted.walked.since == (self.model.walked or noted.walked.day)
                self.model.walked = noted.walked.day
            elif entry.kind in PAYMENTS:
                command = decode_inputs(entry.request).command
                assert isinstance(command, Payment)
                ask = next(one.ask for one in sendings if one.request.command.origin == command.origin)
                assert told(decode_reply(entry.reply)) == self.model.answer(ask, entry.at)
        self._followed = len(records)

    def audit(self) -> None:
        """Chain, trial balance and purses; one record a message; every account, cap, hold and count as modelled."""
        self.follow(())  # a sweep may have begun by itself
        self.world.audit()
        assert len(self.world.payments()) == len(self.model.asked)
        balances: Counter[str] = Counter()
        for record in self.world.records():
            for transfer in record.entry.transfers:
                balances[transfer.debit] -= transfer.amount
                balances[transfer.credit] += transfer.amount
        expected: Counter[str] = Counter()
        for number, book in self.model.books.items():
            self._hold_position(self.world.position(holder_of(number)), book)
            for kind, cents in (("holder", book.vouchers), ("hold", book.held()), ("expired", book.expired)):
                expected.update({f"{kind}:{holder_of(number)}:90:{lot}": some for lot, some in cents.items()})
        for acquirer in ACQUIRERS:
            expected[accounts.payable(acquirer)] = self.model.payable[acquirer]
            expected[accounts.exceptions(acquirer)] = self.model.exceptions[acquirer]
            assert self.model.exceptions[acquirer] <= 0 <= self.model.payable[acquirer]
        expected[accounts.pool("90")] = self.model.pool
        expected["issuer:float:90"] = -sum(expected.values())
        assert {name: some for name, some in balances.items() if some} == {
            name: some for name, some in expected.items() if some
        }

    def _hold_position(self, position: Position, book: Book) -> None:
        """What no account says: tries, what was spent lately, and each hold with its last day."""
        assert position.cards[0].pin_wrong == book.wrong
        days = [self.today - timedelta(days=back) for back in range(4)]
        assert [position.spent_on(day, "90") for day in days] == [book.spent[day] for day in days]
        assert Counter((one.until, sum(part.amount for part in one.parts)) for one in position.purse.holds) == Counter(
            (one.until, one.amount) for one in book.holds()
        )


def told(reply: Reply) -> Told:
    """A reply in the model's words."""
    left = None
    if reply.balances:
        [balance] = reply.balances
        assert balance.cap_left is not None
        left = (balance.available, balance.cap_left)
    return Told(reply.reason, reply.amount, left, reply.pin_tries_left)


def key_of(request: Request, number: int) -> Key:
    origin = request.command.origin
    return (origin.acquirer, number, message_class(origin.mti), origin.trace)


def settings_of(name: str) -> dict[str, Any]:
    return {"tiny": {"passbooks_max": 8, "remembered_max": 4}, "roomy": {}}[name]
