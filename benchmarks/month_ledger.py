"""The month's journal: every record decided by the engine's own desk, as an authorizer would have written it.

Two acquirers cut over each evening, at hours of their own, so that the day's last payments belong to the next business
day. Clients pay for vouchers, which are loaded; people pay at tills, hold and complete, take back in full or in part,
and pay offline what they don't have.
"""

import math
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Advice,
    Command,
    Completion,
    CutOver,
    Enrol,
    Entry,
    IssueCard,
    Load,
    Origin,
    Purchase,
    RegisterEmployer,
    RegisterMerchant,
    Reversal,
)
from authz.decision.evidence import Check, Evidence
from authz.decision.issuing.commands import ConfirmOrder, DraftOrder, EnterLines, Fulfil, OpenClient, PayOrder
from authz.decision.issuing.commands import NoteApplied as NoteOrderApplied
from authz.decision.issuing.states import (
    Chunk,
    ClientId,
    ContactId,
    Contract,
    Difference,
    Format,
    OfferId,
    OrderId,
    OrderLine,
    Tariff,
)
from authz.decision.programme import vintage_dates
from authz.decision.reference import Employer, merchant_passbook
from authz.engine.desk import Desk
from authz.engine.identities import Keys, command_key, keys_of, message_class, text_of
from authz.engine.kinds import beside_of, kind_of, passbook_of
from authz.engine.passbooks import Passbooks
from authz.engine.recent import Recent
from authz.engine.work import Batch, Decided, Work
from authz.programmes import shipped
from benchmarks.month_world import (
    CLIENTS,
    CLOSES,
    FIRST_DAY,
    HOUSES,
    LOADED,
    OPENS,
    PARIS,
    PRODUCT,
    PROGRAMME,
    VINTAGE,
    House,
    Shape,
    Shop,
    card,
    holder,
    instant,
    shops,
)
from ledger import accounts
from ledger.reconciliation.values import Movement
from ledger.values import Cents, HolderId, Partition, Seq
from ledger.values import Entry as JournalEntry

MAIN = Partition(0)
CENTS = (100, 600)
"""What a payment comes to: so little that the day's cap refuses few."""
HELD_PERCENT, REVERSED_PERCENT, ADVISED_PERCENT, PIN_WRONG_PERCENT = 4, 2, 1, 1
REMEMBERED_MAX = 2_000
REVERSED_AFTER = 7
"""So many payments later a payment is taken back."""
ORDERED = (2_000, 90_000)
"""What a client pays for an order, in cents: all face value, by a tariff of nothing."""
ORDERS_A_DAY_MIN = 3
ORDER_LINES = 3
FREE = Tariff(0, Cents(0), 0)
ORIGINAL_DIGITS = 42


class Paid(Struct, frozen=True):
    """A client's payment, as the ledger has it."""

    seq: Seq
    day: date
    client: ClientId
    reference: str
    cents: Cents


class Closed(Struct, frozen=True):
    """An acquirer's business day that is over, with what the ledger has of it."""

    house: House
    day: date
    movements: Sequence[Movement]


Told = Callable[[Closed], None]


class Journal:
    """The month's records in their order. Each business day is told of by `closed` as it ends.

    `paid` are clients' payments so far. `short` says how many offline payments of an acquirer's day no balance covers:
    they are of a holder who has one cent.
    """

    def __init__(self, shape: Shape, closed: Told, short: Callable[[House, date], int]) -> None:
        self.paid: list[Paid] = []
        self.shops = shops(shape)
        self._shape = shape
        self._closed = closed
        self._short = short
        self._chance = random.Random(shape.seed)
        self._instant = instant(FIRST_DAY - timedelta(days=1), OPENS).astimezone(UTC)
        self._desk = Desk(lambda: self._instant, Passbooks(2 * shape.holders + 10_000), Recent(REMEMBERED_MAX))
        self._holders = [holder(number) for number in range(1, shape.holders + 1)]
        self._poor = holder(shape.holders + 1)
        self._seq = Seq(0)
        self._named = 0
        self._held: dict[HolderId, tuple[Purchase, Shop]] = {}
        self._to_reverse: deque[tuple[int, Purchase, Shop]] = deque()
        self._open: dict[House, date] = {}
        self._movements: dict[House, list[Movement]] = defaultdict(list)
        self._of: dict[House, Sequence[Shop]] = {
            house: [shop for shop in self.shops if shop.house is house and not shop.summed] for house in HOUSES
        }
        self._wrong = replace(Evidence(), pin=Check.WRONG)
        self._right = replace(Evidence(), pin=Check.RIGHT)

    def entries(self) -> Iterator[JournalEntry]:
        """The day before: programme, clients, shops, holders; then the month, and the quiet days behind it."""
        for command in self._opening():
            yield self._administer(command)
        yield from self._cut_over(FIRST_DAY - timedelta(days=1), HOUSES)
        for number, day in enumerate(self._shape.dates):
            first, last = (self._shape.records * at // self._shape.days for at in (number, number + 1))
            yield from self._day(day, last - first)
        for day in self._shape.all_dates[self._shape.days :]:
            yield from self._cut_over(day, HOUSES)

    def _opening(self) -> Iterator[Administration]:
        yield AdoptProgramme(shipped(PROGRAMME))
        for client in CLIENTS:
            yield RegisterEmployer(Employer(client, f"Client {client}", PROGRAMME, sundays_holidays=True))
            contract = Contract(PRODUCT, Format.ELECTRONIC, FREE, OfferId(f"f{client}"), FIRST_DAY)
            yield OpenClient(client, f"Client {client}", PROGRAMME, "FR-75", ContactId(f"p{client}"), (contract,))
        yield from (RegisterMerchant(shop.merchant) for shop in self.shops)
        for number, owner in enumerate([*self._holders, self._poor]):
            yield Enrol(owner, CLIENTS[number % len(CLIENTS)], works_days_off=True)
            yield IssueCard(owner, card(owner), PROGRAMME, 2, "2806")
            cents = Cents(1) if owner == self._poor else LOADED
            yield Load(owner, PRODUCT, VINTAGE, *vintage_dates(int(VINTAGE)), cents)

    def _day(self, day: date, requests: int) -> Iterator[JournalEntry]:
        begin, end = instant(day, OPENS), instant(day, CLOSES)
        step = (end - begin) / max(requests, 1)
        orders = max(ORDERS_A_DAY_MIN, 2 * self._shape.of_each // self._shape.days + 1)
        ending = sorted(HOUSES, key=lambda house: house.ends)
        short = {house: self._short(house, day) for house in HOUSES}
        self._instant = begin.astimezone(UTC)
        for number in range(orders):
            yield from self._order(f"o{day:%m%d}{number:02}", day)
        for number in range(requests):
            at = begin + number * step
            self._instant = at.astimezone(UTC)
            while ending and at.time() >= ending[0].ends:
                yield from self._cut_over(day, [ending.pop(0)])
            house = HOUSES[number % 2]
            if short[house] and self._open[house] == day:
                short[house] -= 1
                yield self._advise(self._poor, self._chance.choice(self._of[house]))
            else:
                yield self._payment()
        yield from self._cut_over(day, ending)

    def _cut_over(self, day: date, houses: Sequence[House]) -> Iterator[JournalEntry]:
        for house in houses:
            self._instant = max(self._instant, instant(day, house.ends).astimezone(UTC))
            if house in self._open:
                self._closed(Closed(house, day, self._movements.pop(house, [])))
            yield self._administer(CutOver(house.id, day + timedelta(days=1)))
            self._open[house] = day + timedelta(days=1)

    def _order(self, name: str, day: date) -> Iterator[JournalEntry]:
        """A client orders, pays, and its holders are loaded."""
        client, order = self._chance.choice(CLIENTS), OrderId(name)
        total = self._chance.randint(*ORDERED)
        part = Cents(total // ORDER_LINES)
        parts = [part] * (ORDER_LINES - 1) + [Cents(total - part * (ORDER_LINES - 1))]
        lines = tuple(
            OrderLine(owner, f"M{number}", cents)
            for number, (owner, cents) in enumerate(zip(self._beneficiaries(client), parts, strict=True))
        )
        chunk = Chunk(MAIN, len(lines), Cents(total))
        month = day.replace(day=1)
        yield self._administer(EnterLines(client, order, 1, 0, lines))
        yield self._administer(DraftOrder(client, order, PRODUCT, month, 1, (chunk,), 0, Difference(new=len(lines))))
        yield self._administer(ConfirmOrder(client, order, 1))
        reference = f"RF {name.upper()} {client.upper()}"
        yield self._administer(PayOrder(client, order, reference, Cents(total), MAIN))
        self.paid.append(Paid(self._seq, day, client, reference, Cents(total)))
        for line in lines:
            dates = vintage_dates(int(VINTAGE))
            yield self._administer(
                Fulfil(line.holder, client, order, PROGRAMME, PRODUCT, VINTAGE, *dates, line.amount, None, True)
            )
        yield self._administer(NoteOrderApplied(client, order, 1, 0))

    def _beneficiaries(self, client: ClientId) -> Sequence[HolderId]:
        first, apart = CLIENTS.index(client), len(CLIENTS)
        own = range(first, len(self._holders), apart)
        return [self._holders[number] for number in self._chance.sample(own, ORDER_LINES)]

    def _payment(self) -> JournalEntry:
        """Somebody takes a payment back, or completes what they held, or pays, or has paid offline."""
        if self._to_reverse and self._to_reverse[0][0] <= self._named:
            return self._reverse(*self._to_reverse.popleft()[1:])
        owner = self._chance.choice(self._holders)
        if owner in self._held:
            return self._complete(owner, *self._held.pop(owner))
        shop, drawn = self._chance.choice(self.shops), self._chance.randrange(100)
        if drawn < ADVISED_PERCENT:
            return self._advise(owner, shop)
        wrong = drawn < ADVISED_PERCENT + PIN_WRONG_PERCENT
        holds = drawn >= 100 - HELD_PERCENT
        bought = self._purchase(owner, shop, holds)
        entry, approved = self._present(bought, owner, self._wrong if wrong else self._right, shop)
        if approved and holds:
            self._held[owner] = bought, shop
        elif approved and self._chance.randrange(100) < REVERSED_PERCENT:
            self._to_reverse.append((self._named + REVERSED_AFTER, bought, shop))
        return entry

    def _purchase(self, owner: HolderId, shop: Shop, holds: bool) -> Purchase:
        cents = Cents(self._chance.randint(*CENTS))
        origin = self._origin("0100" if holds else "0200", shop, cents)
        return Purchase(
            origin, card(owner), self._keys(origin, owner)[1], "00", "00", cents, 978, Entry.CHIP, holds=holds
        )

    def _complete(self, owner: HolderId, held: Purchase, shop: Shop) -> JournalEntry:
        cents = Cents(self._chance.randint(held.amount // 2, held.amount))
        origin = self._origin("0220", shop, cents, held.origin)
        _, reference = self._keys(origin, owner)
        done = Completion(origin, held.card, reference, "00", "00", cents, 978, (held.reference,))
        return self._present(done, owner, Evidence(), shop)[0]

    def _advise(self, owner: HolderId, shop: Shop) -> JournalEntry:
        cents = Cents(self._chance.randint(*CENTS))
        origin = self._origin("0220", shop, cents)
        told = Advice(origin, card(owner), self._keys(origin, owner)[1], "00", "00", cents, 978)
        return self._present(told, owner, Evidence(), shop)[0]

    def _reverse(self, bought: Purchase, shop: Shop) -> JournalEntry:
        """Take a payment back, one in two only in part."""
        assert bought.card is not None
        owner = HolderId(f"h{bought.card[1:]}")
        stands = Cents(self._chance.choice((0, bought.amount // 3)))
        origin = self._origin("0420", shop, bought.amount, bought.origin)
        undone = Reversal(origin, bought.card, self._keys(origin, owner)[1], (bought.reference,), stands)
        return self._present(undone, owner, Evidence(), shop)[0]

    def _origin(self, mti: str, shop: Shop, cents: Cents, original: Origin | None = None) -> Origin:
        """Name a message: its time, its trace number, its retrieval reference."""
        self._named += 1
        at = self._instant
        named = None
        if original is not None:
            named = f"{original.mti}{original.trace}{original.transmitted}".ljust(ORIGINAL_DIGITS, "0")
        return Origin(
            mti,
            "000000",
            f"{at:%m%d%H%M%S}",
            f"{self._named % 1_000_000:06}",
            f"{at.astimezone(PARIS):%Y%m%d%H%M%S}",
            shop.house.id,
            shop.terminal,
            f"{shop.id:15}",
            f"{cents:012}",
            "978",
            f"{at:%j}{self._named:09}",
            named,
        )

    def _keys(self, origin: Origin, owner: HolderId) -> tuple[Keys, str]:
        keys = keys_of(origin, blake2b(owner.encode(), digest_size=16).digest())
        return keys, text_of(keys.reference)

    def _administer(self, command: Administration) -> JournalEntry:
        return self._write(command, passbook_of(command), command_key(f"number {self._seq}"))[0]

    def _present(
        self, command: Purchase | Completion | Advice | Reversal, owner: HolderId, evidence: Evidence, shop: Shop
    ) -> tuple[JournalEntry, bool]:
        """Decide a payment, and remember what it moved for whom."""
        keys, _ = self._keys(command.origin, owner)
        entry, decided = self._write(command, owner, keys, evidence, merchant_passbook(shop.id))
        payable, uncovered = accounts.payable(shop.house.id), accounts.exceptions(shop.house.id)
        moved = sum(
            one.amount if one.credit == payable else -one.amount
            for one in entry.transfers
            if payable in (one.credit, one.debit)
        )
        if moved:
            shortfall = sum(one.amount for one in entry.transfers if one.debit == uncovered)
            self._movements[shop.house].append(
                self._movement(entry, command.origin, shop, decided.outcome.reply.approval, moved, shortfall)
            )
        return entry, decided.outcome.reply.reason.approves

    def _movement(
        self, entry: JournalEntry, origin: Origin, shop: Shop, approval: str | None, cents: int, shortfall: int
    ) -> Movement:
        return Movement(
            partition=MAIN,
            seq=self._seq,
            at=entry.at,
            kind=entry.kind,
            acquirer=shop.house.id,
            day=self._open[shop.house],
            cents=Cents(cents),
            shortfall=Cents(shortfall),
            merchant=shop.id,
            terminal=shop.terminal,
            class_=message_class(origin.mti),
            trace=origin.trace,
            transmitted=origin.transmitted,
            local=datetime.strptime(origin.local, "%Y%m%d%H%M%S"),  # noqa: DTZ007
            retrieval=origin.retrieval_reference,
            approval=approval,
            product=PRODUCT,
            original=None if origin.original is None else origin.original[:20],
        )

    def _write(
        self,
        command: Command,
        passbook: HolderId,
        keys: Keys,
        evidence: Evidence | None = None,
        beside: HolderId | None = None,
    ) -> tuple[JournalEntry, Decided]:
        """Decide, and take it as acknowledged."""
        work = Work(
            command=command,
            kind=kind_of(command),
            holder=passbook,
            deadline=math.inf,
            evidence=evidence or Evidence(),
            card=getattr(command, "card", None) if beside is not None else None,
            merchant=beside if beside is not None else beside_of(command),
            keys=keys,
            found={},
        )
        while missing := self._desk.missing(work):
            for name in missing:
                self._desk.keep(name, None, self._desk.departures)
        while unsought := self._desk.unsought(work):
            work.found.update(dict.fromkeys(unsought))
        decided = self._desk.decide(work)
        assert isinstance(decided, Decided), "every key is a new one"
        self._seq = Seq(self._seq + 1)
        entry = decided.entry(self._seq)
        self._desk.acknowledge(Batch([decided]))
        return entry, decided
