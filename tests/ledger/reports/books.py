"""Books of a few days, made by chance from a seed, and what each record means: said when it is made."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from ledger import accounts
from ledger.chain import extend
from ledger.postgres import PostgresStore
from ledger.reports.figures import Section
from ledger.values import Account, Cents, Entry, HolderId, Partition, Transfer

PARIS = ZoneInfo("Europe/Paris")
DAYS = [date(2026, 3, 27) + timedelta(days=number) for number in range(6)]
"""With the night in which summer time begins, and the end of a month."""
FIRST, LAST = DAYS[0], DAYS[-1]
PRODUCTS = ("90", "91")
LOTS = {"90": ("2025", "2026"), "91": ("2027-03-01", "2027-03-30", "2027-04-02-reactivated")}
VINTAGES = {"2027-03-01": "2027-03", "2027-03-30": "2027-03", "2027-04-02-reactivated": "2027-04"}
PUNCTUAL, LATE, NEVER = "970001", "970002", "97"
"""Acquirers: one cuts over at 23:30, one begins to in the small hours of the third day, one doesn't."""

PAYMENTS = ("purchase", "purchase", "refused", "hold", "capture", "advice", "uncovered", "refund", "reversal", "late")
KINDS = (*PAYMENTS, "undone", "lapse", "load", "loaded", "expiry", "exchange", "reactivation", "forfeit", "settled")
"""What a record can be made as: `late` is a payment out of a lot that has expired, `undone` a hold's reversal."""

Key = tuple[Section, date | None, int | None, str | None, str | None, str | None]


class Meaning(Struct, frozen=True):
    """What a record is to finance: `name` of a section, told apart by what is set."""

    section: Section
    name: str | None
    cents: int = 0
    acquirer: str | None = None
    product: str | None = None


class Made(Struct, frozen=True):
    """A record and its meanings."""

    entry: Entry
    meanings: Sequence[Meaning]
    partition: Partition


class Books:
    """Makes records in the order of their instants, and keeps what they mean."""

    def __init__(self, seed: int, partitions: int, records: int) -> None:
        self._random = Random(seed)
        self._made: list[Made] = []
        self._open: dict[tuple[int, str], date] = {}
        self._closed_first: dict[tuple[int, str], date] = {}
        self._days: dict[int, dict[str, date | None]] = {}
        self.partitions = partitions
        begin = datetime.combine(FIRST, datetime.min.time(), PARIS).astimezone(UTC) - timedelta(hours=3)
        end = datetime.combine(LAST, datetime.min.time(), PARIS).astimezone(UTC) + timedelta(hours=30)
        instants = sorted(begin + (end - begin) * self._random.random() for _ in range(records))
        cutovers = self._cutovers()
        for at in instants:
            while cutovers and cutovers[0][0] <= at:
                self._cut_over(*cutovers.pop(0))
            for partition in range(partitions):
                if self._random.random() < 0.7:
                    self._make(at, Partition(partition))

    def of(self, partition: int) -> Sequence[Entry]:
        return [one.entry for one in self._made if one.partition == partition]

    async def write(self, url: str) -> None:
        """Append all of it, and close the full ranges of the first partition."""
        store = PostgresStore(url)
        for number in range(self.partitions):
            partition = Partition(number)
            fence = await store.take(partition, await store.fence(partition))
            records = list(extend(partition, fence.epoch, fence.head, fence.hash, self.of(number)))
            head, last = fence.head, fence.hash
            for begin in range(0, len(records), 100):
                batch = records[begin : begin + 100]
                await store.append(partition, fence.epoch, head, last, batch)
                head, last = batch[-1].seq, batch[-1].hash
                await store.add_range()
        while await store.close_range(Partition(0)) is not None:
            pass
        await store.close()

    def figures(self, first: date, last: date) -> dict[Key, tuple[int, int]]:
        """Fold record by record: how many, and cents, of what is told apart by day."""
        folded: dict[Key, tuple[int, int]] = {}
        for number, one in enumerate(self._made):
            local = one.entry.at.astimezone(PARIS)
            for meaning in one.meanings:
                day = local.date()
                if meaning.section is Section.CLEARING and meaning.acquirer is not None:
                    day = self._business_day(number, meaning.acquirer)
                if not first <= day <= last:
                    continue
                hour = local.hour if meaning.section is Section.VOLUME else None
                key = (meaning.section, day, hour, meaning.acquirer, meaning.product, meaning.name)
                records, cents = folded.get(key, (0, 0))
                folded[key] = (records + 1, cents + meaning.cents)
        return folded

    def standing(self, last: date) -> Counter[tuple[Section, str | None, str]]:
        """Fold account by account, up to the end of a day."""
        folded: Counter[tuple[Section, str | None, str]] = Counter()
        for one in self._made:
            if one.entry.at.astimezone(PARIS).date() > last:
                continue
            for moved in one.entry.transfers:
                for account, cents in ((moved.credit, moved.amount), (moved.debit, -moved.amount)):
                    word, *rest = account.split(":")
                    owned = word in ("holder", "hold", "expired")
                    name = f"{word}:*:{rest[1]}" if owned else f"client:*:{':'.join(rest[1:])}"
                    folded[Section.TRIAL_BALANCE, None, name if owned or word == "client" else account] += cents
                    if owned:
                        section = Section.WAITING if word == "expired" else Section.UNSPENT
                        folded[section, rest[1], VINTAGES.get(rest[2], rest[2])] += cents
        return Counter({key: cents for key, cents in folded.items() if cents})

    def _business_day(self, number: int, acquirer: str) -> date:
        partition = self._made[number].partition
        opened = self._days[number].get(acquirer)
        if opened is not None:
            return opened
        calendar = self._made[number].entry.at.astimezone(PARIS).date()
        return min(calendar, self._closed_first.get((partition, acquirer), calendar))

    # What is made

    def _cutovers(self) -> list[tuple[datetime, str, date]]:
        """When who begins which day; in the evening of the fourth day nobody does."""
        found = []
        for day in DAYS:
            if day != DAYS[3]:
                at = datetime.combine(day, datetime.min.time(), PARIS) + timedelta(hours=23, minutes=30)
                found.append((at, PUNCTUAL, day + timedelta(days=1)))
            if day >= DAYS[2]:
                at = datetime.combine(day, datetime.min.time(), PARIS) + timedelta(minutes=40)
                found.append((at, LATE, day))
        return sorted((at.astimezone(UTC), acquirer, day) for at, acquirer, day in found)

    def _cut_over(self, at: datetime, acquirer: str, day: date) -> None:
        for partition in range(self.partitions):
            if self._random.random() < 0.5:
                self._make(at, Partition(partition))
            place = (partition, acquirer)
            self._closed_first.setdefault(place, day - timedelta(days=1))
            for kind in ("cutover", "carry"):
                self._add(at, Partition(partition), kind, f"acquirer:{acquirer}", f'{{"open":"{day}"}}')
            self._open[place] = day

    def _make(self, at: datetime, partition: Partition) -> None:
        kind = self._random.choice(KINDS)
        random, holder = self._random, HolderId(f"h{self._random.randint(1, 9)}")
        acquirer, product = random.choice((PUNCTUAL, LATE, NEVER)), random.choice(PRODUCTS)
        lot, other = random.sample(LOTS[product], 2)
        cents, more = random.randint(1, 5_000), random.randint(1, 500)
        has, next_, held = (
            accounts.of_holder(holder, product, lot),
            accounts.of_holder(holder, product, other),
            accounts.of_hold(holder, product, lot),
        )
        waits, payable = accounts.expired(holder, product, lot), accounts.payable(acquirer)
        exceptions = accounts.exceptions(acquirer)

        def clearing(name: str, amount: int) -> Meaning:
            return Meaning(Section.CLEARING, name, amount, acquirer, product)

        def voucher(name: str, amount: int) -> Meaning:
            return Meaning(Section.VOUCHERS, name, amount, None, product)

        def volume(amount: int) -> Meaning:
            return Meaning(Section.VOLUME, None, amount, None, product)

        request = {"command": {"origin": {"acquirer": acquirer}, "product": "00"}}
        reply = {"standings": [["a payment's name", 0, "debit", product]]}
        granted = Meaning(Section.MESSAGES, "APPROVED")

        def add(
            kind: str, *moved: tuple[Account, Account, int], means: Sequence[Meaning], reason: str = "APPROVED"
        ) -> None:
            transfers = tuple(Transfer(debit, credit, Cents(amount)) for debit, credit, amount in moved)
            self._add(at, partition, kind, holder, "[]", request, reply, reason, transfers, means)

        moved: Sequence[tuple[Account, Account, int]]
        match kind:
            case "purchase":
                partial = random.choice(("APPROVED", "PARTIAL"))
                means = [clearing("payment", cents + more), volume(cents + more), Meaning(Section.MESSAGES, partial)]
                add("purchase", (has, payable, cents), (next_, payable, more), means=means, reason=partial)
            case "refused":
                reason = random.choice(("DAILY_CAP", "NO_FUNDS", "PIN_WRONG"))
                add(random.choice(("purchase", "inquiry")), means=[Meaning(Section.MESSAGES, reason)], reason=reason)
            case "hold":
                means = [clearing("hold", cents), volume(cents), granted]
                add(random.choice(("authorization", "authorization_advice")), (has, held, cents), means=means)
            case "capture":
                moved = (held, payable, cents), (held, has, 7), (exceptions, payable, more)
                means = [
                    clearing("capture", cents + more),
                    clearing("release", 7),
                    clearing("shortfall", more),
                    granted,
                ]
                add("completion", *moved, means=means)
            case "advice":
                means = [clearing("advice", cents), volume(cents), granted]
                add("advice", (has, payable, cents), means=means)
            case "uncovered":
                means = [clearing("advice", more), volume(more), clearing("shortfall", more), granted]
                add("advice", (exceptions, payable, more), means=means)
            case "refund":
                add("refund", (payable, has, cents), means=[clearing("refund", -cents), granted])
            case "reversal":
                means = [clearing("reversal", -cents - more), clearing("shortfall", -more), voucher("expiry", cents)]
                moved = (payable, exceptions, more), (payable, has, cents), (has, waits, cents)
                add("reversal", *moved, means=[*means, granted])
            case "undone":
                add("reversal", (held, has, cents), means=[clearing("release", cents), granted])
            case "lapse":
                release = Meaning(Section.CLEARING, "release", cents, None, product)
                add("lapse", (held, has, cents), means=[release])
            case "load":
                add("load", (accounts.issuer_float(product), has, cents), means=[voucher("load", cents)])
            case "loaded":
                funds = accounts.client_funds(f"c{more}", product)
                moved = (accounts.issuer_float(product), funds, cents), (funds, has, cents)
                add("fulfilment", *moved, means=[voucher("funding", cents), voucher("load", cents)])
            case "expiry":
                add("expiry", (has, waits, cents), (next_, waits, more), means=[voucher("expiry", cents + more)])
            case "exchange":
                add("exchange", (waits, next_, cents), means=[voucher("exchange", cents)])
            case "reactivation":
                moved = (waits, accounts.fees(product), more), (waits, next_, cents)
                add("reactivation", *moved, means=[voucher("reactivation", cents), voucher("fee", more)])
            case "forfeit":
                add("forfeit", (waits, accounts.pool(product), cents), means=[voucher("forfeit", cents)])
            case "late":
                means = [voucher("put-back", cents), clearing("advice", cents), volume(cents), granted]
                add("advice", (waits, has, cents), (has, payable, cents), means=means)
            case _:
                settled, lost = Account("issuer:settled"), Account("issuer:differences")
                moved = (payable, settled, cents), (settled, payable, 2), (lost, payable, more), (lost, exceptions, 9)
                amounts = {"settlement": 2 - cents, "correction": more, "shortfall": -9}
                means = [Meaning(Section.CLEARING, name, one, acquirer, None) for name, one in amounts.items()]
                add("adjustment", *moved, means=means)

    def _add(
        self,
        at: datetime,
        partition: Partition,
        kind: str,
        passbook: str,
        position: str,
        request: object = None,
        reply: object = None,
        reason: str = "APPROVED",
        transfers: tuple[Transfer, ...] = (),
        means: Sequence[Meaning] = (),
    ) -> None:
        asked, told = (msgspec.json.encode(one or {}).decode() for one in (request, reply))
        entry = Entry(at, kind, HolderId(passbook), asked, told, reason, position, transfers)
        self._days[len(self._made)] = {
            acquirer: day for (number, acquirer), day in self._open.items() if number == partition
        }
        self._made.append(Made(entry, means, partition))
