"""The books of a few holders and their acquirers as a child would keep them, by the words of docs/interface.md.

Plain dictionaries of cents, and nothing of the product but the names of its reasons. `answer` is told of one message
after another, in the order of the journal.
"""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from authz.decision.outcomes import Reason
from tests.properties.book import Book, Fate, Key

TRIES, HOLD_DAYS, LATE_DAYS, DAYS_AHEAD = 3, 7, 3, 7
SMALL_HOURS, ALL_OVER = timedelta(hours=6), timedelta(hours=12)
HOLIDAYS = [date(2027, 3, 29), date(2027, 5, 1), date(2027, 5, 6), date(2027, 5, 8), date(2027, 5, 17)]
PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Ask:
    """One message. `amount` is DE 4, of a reversal DE 95; `names` the request that DE 90 or 38 names."""

    kind: str
    key: Key
    amount: int
    day: date
    names: Key | None = None
    pin: str = "right"
    takes_partial: bool = False
    declined: bool = False

    @property
    def acquirer(self) -> str:
        return self.key[0]

    @property
    def holder(self) -> int:
        return self.key[1]


@dataclass(frozen=True)
class Told:
    """A reply: `left` is what DE 54 says, the balance and what is left of the day's cap."""

    reason: Reason
    amount: int | None = None
    left: tuple[int, int] | None = None
    tries_left: int | None = None


class Model:
    """Every book, what acquirers are owed, what they advised that nobody could pay, and their business days."""

    def __init__(self) -> None:
        self.books: dict[int, Book] = {}
        self.payable: Counter[str] = Counter()
        self.exceptions: Counter[str] = Counter()
        self.pool = 0
        self.walked: date | None = None
        """The day for which the newest walk was through."""
        self.asked: dict[Key, Ask] = {}
        self.told: dict[Key, Told] = {}
        self.opened: dict[str, date] = {}
        self.sums: dict[tuple[str, date], Counter[str]] = {}

    def answer(self, ask: Ask, at: datetime) -> Told:
        """Decide a message that is new. What is due by the date is posted with what moves money, and only then."""
        assert ask.key not in self.asked, "decided twice"
        today, book = at.astimezone(PARIS).date(), self.books[ask.holder]
        refused = self._card(ask, book)
        if refused is None:
            undoes = ask.kind == "reversal"
            later = deepcopy(book) if undoes or book.is_due(today) else book
            later.lapse(today)
            if undoes:
                later.expire(today)
            told, moved = self._decide(ask, later, at)
            book.tombstones = later.tombstones
            if moved:
                book = self.books[ask.holder] = later
        else:
            told = refused
        book.fates.setdefault(ask.key, None)
        self.asked[ask.key], self.told[ask.key] = ask, told
        return told

    def age(self, kind: str, holder: int, vintage: str, cents: int, at: datetime) -> None:
        """What is due by the date is posted by itself, and before a load or an exchange."""
        today, book = at.astimezone(PARIS).date(), self.books[holder]
        book.lapse((at - ALL_OVER).date())
        book.expire(today)
        match kind:
            case "load":
                book.vouchers[vintage] += cents
            case "forfeit":
                assert self.walked is not None, "the ledger's first walk lets nothing fall"
                self.pool += book.forfeit(self.walked, today)
            case "exchange":
                assert book.exchange(vintage, today)

    def _decide(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        """The reply, and whether anything has moved."""
        match ask.kind:
            case "purchase":
                return self._purchase(ask, book, at)
            case "advice":
                return self._advice(ask, book, at)
            case "completion":
                return self._completion(ask, book, at)
            case "refund":
                return self._refund(ask, book, at)
            case _:
                return self._reversal(ask, book, at)

    def _card(self, ask: Ask, book: Book) -> Told | None:
        """A card that is presented: is it locked, and is the PIN right? What was told of has happened already."""
        if ask.kind not in ("purchase", "refund"):
            return None
        if book.wrong >= TRIES:
            return Told(Reason.PIN_LOCKED)
        if ask.pin == "wrong":
            book.wrong += 1
            left = TRIES - book.wrong
            return Told(Reason.PIN_WRONG, tries_left=left) if left else Told(Reason.PIN_LOCKED)
        if ask.pin == "right":
            book.wrong = 0
        return Told(Reason.PIN_MISSING) if ask.pin == "none" and ask.kind == "purchase" else None

    def _purchase(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        """0200 pays, 0100 holds: the calendar, then the cap, then the funds."""
        today = at.astimezone(PARIS).date()
        if today.isoweekday() == 7:
            return Told(Reason.SUNDAY), False
        if today in HOLIDAYS:
            return Told(Reason.HOLIDAY), False
        have, of_cap = left = book.left(today)
        wanted = min(ask.amount, of_cap)
        if wanted < ask.amount and not (ask.takes_partial and wanted):
            return Told(Reason.DAILY_CAP, left=left), False
        paid = min(wanted, have)
        if paid < wanted and not (ask.takes_partial and paid):
            covered = have + book.waiting(today) >= wanted
            return Told(Reason.VINTAGE_EXPIRED if covered else Reason.NO_FUNDS, left=left), False
        fate = book.fates[ask.key] = Fate(today, book.take(today, paid))
        book.spent[today] += paid
        if ask.key[2] == "010":
            fate.until = today + timedelta(days=HOLD_DAYS)
        else:
            self._pay(ask, fate, at)
        if paid < ask.amount:
            return Told(Reason.PARTIAL, paid, book.left(today)), True
        return Told(Reason.APPROVED, left=book.left(today)), True

    def _advice(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        if ask.declined:
            return Told(Reason.APPROVED), False
        book.fates[ask.key] = self._offline(ask, book, at, holds=ask.key[2] == "012")
        return Told(Reason.APPROVED, left=book.left(at.astimezone(PARIS).date())), True

    def _offline(self, ask: Ask, book: Book, at: datetime, *, holds: bool) -> Fate:
        """It has happened, on its own day if that isn't long ago: what the balance can't cover is a shortfall."""
        today = at.astimezone(PARIS).date()
        day = ask.day if 0 <= (today - ask.day).days <= LATE_DAYS else today
        covered = min(ask.amount, book.available(day))
        fate = Fate(day, book.take(day, covered))
        book.spent[day] += covered
        if holds:
            fate.until = day + timedelta(days=HOLD_DAYS)
        else:
            fate.shortfall = ask.amount - covered
            self._pay(ask, fate, at)
        return fate

    def _completion(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        """Ends its hold: captures up to it, releases the rest. One that has lapsed is posted as an offline advice."""
        today = at.astimezone(PARIS).date()
        hold = book.fates.get(ask.names) if ask.names else None
        if hold is None or hold.until is None:
            return Told(Reason.NO_ORIGINAL), False
        book.fates[ask.key] = hold
        lapsed, hold.until = hold.until < today, None
        if lapsed and ask.amount:
            offline = self._offline(ask, book, at, holds=False)
            hold.day, hold.vouchers, hold.shortfall = offline.day, offline.vouchers, offline.shortfall
        elif not lapsed:
            captured = min(ask.amount, hold.amount)
            released, _ = hold.lower(captured)
            book.spent[hold.day] -= sum(released.values())
            book.give_back(released, today)
            hold.shortfall = ask.amount - captured
            self._pay(ask, hold, at)
        return Told(Reason.APPROVED, left=book.left(today)), True

    def _refund(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        """Back to the very lots; the cap stays as it is."""
        today = at.astimezone(PARIS).date()
        payment = book.fates.get(ask.names) if ask.names else None
        if payment is None or payment.until is not None or payment.of is not None or payment.amount < ask.amount:
            return Told(Reason.REFUND_NOT_ALLOWED), False
        vouchers, shortfall = payment.lower(payment.amount - ask.amount)
        book.give_back(vouchers, today)
        book.fates[ask.key] = Fate(today, vouchers, shortfall, of=payment)
        self._move(ask, "credits", -ask.amount, -shortfall, at)
        return Told(Reason.APPROVED, left=book.left(today)), True

    def _reversal(self, ask: Ask, book: Book, at: datetime) -> tuple[Told, bool]:
        """What stands goes only down, to DE 95's amount or 0."""
        today = at.astimezone(PARIS).date()
        if ask.names is None:
            return Told(Reason.NO_ORIGINAL), False
        if ask.names not in book.fates:
            book.tombstones.add(ask.names)
            return Told(Reason.NO_ORIGINAL), False
        fate = book.fates[ask.names]
        ends = fate is not None and fate.until is not None and not ask.amount
        if fate is None:
            return Told(Reason.APPROVED), False
        if fate.amount <= ask.amount and not ends:
            return Told(Reason.APPROVED, left=book.left(today)), False
        if ends:
            fate.until, holds = None, True
        else:
            holds = fate.until is not None
        vouchers, shortfall = fate.lower(ask.amount)
        undone = sum(vouchers.values()) + shortfall
        if fate.of is not None:
            taken = book.take(today, min(sum(vouchers.values()), book.available(today)))
            uncovered = undone - sum(taken.values())
            for vintage, cents in taken.items():
                fate.of.vouchers[vintage] = fate.of.vouchers.get(vintage, 0) + cents
            fate.of.shortfall += uncovered
            self._move(ask, "credits_reversal", undone, uncovered, at)
        else:
            book.spent[fate.day] -= sum(vouchers.values())
            book.give_back(vouchers, today)
            if not holds:
                self._move(ask, "debits_reversal", -undone, -shortfall, at)
        return Told(Reason.APPROVED, left=book.left(today)), True

    def _pay(self, ask: Ask, fate: Fate, at: datetime) -> None:
        self._move(ask, "debits", fate.amount, fate.shortfall, at)

    def _move(self, ask: Ask, column: str, cents: int, uncovered: int, at: datetime) -> None:
        """Owe the acquirer more or less, of which some is nobody's; count it on the business day."""
        self.payable[ask.acquirer] += cents
        self.exceptions[ask.acquirer] -= uncovered
        if cents:
            sums = self.sums_of(ask.acquirer, self.business_day(ask.acquirer, at))
            sums[f"{column}_number"] += 1
            sums[f"{column}_amount"] += abs(cents)

    def sums_of(self, acquirer: str, day: date) -> Counter[str]:
        return self.sums.setdefault((acquirer, day), Counter())

    def business_day(self, acquirer: str, at: datetime) -> date:
        """The one that the newest cutover began; before the first, the calendar's."""
        return self.opened.get(acquirer, at.astimezone(PARIS).date())

    def cut_over(self, acquirer: str, begins: date | None, at: datetime) -> Reason:
        """The day named begins, or the next one, at most 7 days ahead; before six the day before is what closes."""
        today, closes = at.astimezone(PARIS).date(), (at - SMALL_HOURS).astimezone(PARIS).date()
        is_first, open_now = acquirer not in self.opened, self.opened.get(acquirer, closes)
        begins = max(open_now, closes) + timedelta(days=1) if begins is None else max(begins, open_now)
        if (begins - today).days > DAYS_AHEAD:
            return Reason.TRANSACTION
        self.opened[acquirer] = begins
        if is_first and closes < today:  # to which belongs what has been paid since midnight
            self.sums_of(acquirer, closes).update(self.sums.pop((acquirer, today), {}))
        return Reason.APPROVED

    def unrecorded(self, ask: Ask) -> Told:
        """What is told to a message that has no record: a repeat, another's identity, one whose reversal came first."""
        if ask.key in self.asked:
            first = self.asked[ask.key]
            same = replace(first, day=ask.day, pin=ask.pin) == ask
            return self.told[ask.key] if same else Told(Reason.IDENTITY_REUSED)
        reversed_before = ask.key in self.books[ask.holder].tombstones
        return Told(Reason.REVERSED_BEFORE if reversed_before else Reason.UNAVAILABLE)
