"""The newest line of every active passbook, in memory: a bounded cache of what the ledger holds."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice
from sys import intern

import msgspec
from msgspec.structs import replace

from authz.decision.configuration import TERMS, LinkInForce
from authz.decision.issuing.states import (
    Access,
    Adjustment,
    Agent,
    CardRequest,
    Client,
    Followed,
    Lines,
    Offer,
    Order,
    Run,
)
from authz.decision.outcomes import State
from authz.decision.position import Position
from authz.decision.programme import Programme
from authz.decision.reference import BusinessDay, Employer, LinkKeys, Merchant, Swept, Walked
from ledger.store import LedgerError, Line
from ledger.values import HolderId, Manifest, Seq

_REFERENCES: dict[str, Callable[[str], State]] = {
    "merchant": msgspec.json.Decoder(Merchant).decode,
    "employer": msgspec.json.Decoder(Employer).decode,
    "programme": msgspec.json.Decoder(Programme).decode,
    "acquirer": msgspec.json.Decoder(BusinessDay).decode,
    "sweep": msgspec.json.Decoder(Swept).decode,
    "link": msgspec.json.Decoder(LinkKeys).decode,
    TERMS: msgspec.json.Decoder(LinkInForce).decode,
    "walk": msgspec.json.Decoder(Walked).decode,
    "range": msgspec.json.Decoder(Manifest).decode,
    "client": msgspec.json.Decoder(Client).decode,
    "agent": msgspec.json.Decoder(Agent).decode,
    "offer": msgspec.json.Decoder(Offer).decode,
    "order": msgspec.json.Decoder(Order).decode,
    "lines": msgspec.json.Decoder(Lines).decode,
    "request": msgspec.json.Decoder(CardRequest).decode,
    "run": msgspec.json.Decoder(Run).decode,
    "access": msgspec.json.Decoder(Access).decode,
    "adjustment": msgspec.json.Decoder(Adjustment).decode,
    "follow": msgspec.json.Decoder(Followed).decode,
}
DEPARTED_MAX = 4_096
"""How many that left are known by name: more than leave while a read lasts."""

_position = msgspec.json.Decoder(Position).decode
encode_state = msgspec.json.Encoder().encode


class RecordUnreadable(LedgerError):
    """A record can't be read: a newer program has written it."""


def decode_state(holder: HolderId, text: str) -> State:
    """Read a line. What it says follows from whose passbook it is in. Raises `RecordUnreadable`."""
    kind, separator, _ = holder.partition(":")
    try:
        return _REFERENCES[kind](text) if separator else _sharing(_position(text))
    except (KeyError, msgspec.MsgspecError):  # its words would hold what the record holds
        raise RecordUnreadable(
            f"the newest record of {holder} can't be read: a newer program has written it; run that one"
        ) from None


def _sharing(position: Position) -> Position:
    """Give back the same position, with one string in memory for what many holders have in common."""
    purse = position.purse
    lots = [replace(one, product=intern(one.product), name=intern(one.name)) for one in purse.lots]
    cards = [replace(one, programme=intern(one.programme), expiry=intern(one.expiry)) for one in position.cards]
    return replace(
        position,
        purse=replace(purse, lots=tuple(lots)),
        cards=tuple(cards),
        products=tuple(map(intern, position.products)),
        employer=intern(position.employer),
        employers=tuple(map(intern, position.employers)),
    )


class Passbook:
    """One holder's newest line. `seq` is 0 and `state` None where nothing was ever written.

    `pins` counts the records that are decided and not acknowledged: a pinned passbook stays in memory.
    While there are any, `seq` is behind `state`; the writer brings it up when the batch is sent.
    """

    __slots__ = ("holder", "pins", "seq", "state")

    def __init__(self, holder: HolderId, seq: Seq, state: State | None) -> None:
        self.holder = holder
        self.seq = seq
        self.state = state
        self.pins = 0


class Passbooks:
    """At most `passbooks_max` passbooks, the least recently used going first; pinned ones never go.

    Beside them are guests: what bulk work reads once, and what would only push out the passbooks of those who pay.

    `departures` counts those that have left. One that left since it was read may have been written meanwhile: what was
    read is then too old.
    """

    def __init__(self, passbooks_max: int) -> None:
        self.departures = 0
        self._max = passbooks_max
        self._books: OrderedDict[HolderId, Passbook] = OrderedDict()
        self._guests: dict[HolderId, Passbook] = {}
        self._invited: frozenset[HolderId] = frozenset()
        self._departed: deque[HolderId] = deque(maxlen=DEPARTED_MAX)

    def __len__(self) -> int:
        return len(self._books) + len(self._guests)

    def get(self, holder: HolderId) -> Passbook | None:
        """Find a passbook, and count this as a use of it."""
        book = self._books.get(holder)
        if book is None:
            return self._guests.get(holder)
        self._books.move_to_end(holder)
        return book

    def put(self, holder: HolderId, line: Line | None) -> Passbook:
        """Keep what the ledger holds of a passbook, unless it is here already."""
        book = self._books.get(holder) or self._guests.get(holder)
        if book is None:
            state = None if line is None else decode_state(holder, line.position)
            book = Passbook(holder, Seq(0) if line is None else line.seq, state)
            if holder in self._invited:
                self._guests[holder] = book
            else:
                self._keep(book)
        return book

    def has_left(self, holder: HolderId, departures: int) -> bool:
        """Tell whether a passbook has left, or may have, since so many had."""
        since = self.departures - departures
        return since > len(self._departed) or holder in islice(reversed(self._departed), since)

    def invite(self, holders: Iterable[HolderId]) -> None:
        """Have these passbooks be guests, if they aren't here yet."""
        self._invited = frozenset(holders)

    def keep(self, holder: HolderId) -> None:
        """Make a guest one of those that stay: somebody pays."""
        book = self._guests.pop(holder, None)
        if book is not None:
            self._keep(book)

    def dismiss(self) -> None:
        """Drop the guests, but for pinned ones, and invite no more."""
        self._invited = frozenset()
        for holder in [holder for holder, book in self._guests.items() if not book.pins]:
            self.forget(holder)

    def forget(self, holder: HolderId) -> None:
        """Drop a passbook: it was not to stay, or its newest lines were rolled back."""
        self._books.pop(holder, None)
        self._guests.pop(holder, None)
        self._departed.append(holder)
        self.departures += 1

    def clear(self) -> None:
        """Drop all, and whatever is being read."""
        self._books.clear()
        self._guests.clear()
        self._departed.clear()
        self.departures += 1

    def _keep(self, book: Passbook) -> None:
        self._books[book.holder] = book
        for _ in range(len(self._books) - self._max):
            holder, oldest = next(iter(self._books.items()))
            if oldest.pins:
                self._books.move_to_end(holder)
            else:
                self.forget(holder)
