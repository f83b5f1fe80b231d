"""Which card a PAN names. What is asked for often stays in memory; the rest comes from the vault."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from authz.decision.commands import CardId
from authz.engine.loader import Loader
from authz.metrics.collectors import Hits
from authz.security.module import PinCheck, PinMethod, SecurityModule
from ledger.store import Line, require_bound
from ledger.values import HolderId, Partition

CARDS_MAX = 100_000
CARDS_A_QUERY_MAX = 100
"""Cards that the vault is asked for, or given, at once: a millisecond of sealing, behind which payments wait."""

_encode = msgspec.json.Encoder().encode


def pan_context(card: str) -> bytes:
    """What a card's sealed number is bound to."""
    return f"card number {card}".encode()


def check_context(card: str) -> bytes:
    """What the sealed check of a card is bound to."""
    return f"card check {card}".encode()


class SealedCard(Struct, frozen=True, gc=False):
    """A card in the vault: found by the keyed hash of its number, shown by six and four of its digits.

    `sealed_pan` is for making cards; `sealed_check` holds the expiry (YYMM) and the PVV, for verifying PIN and CVV2.
    """

    card: CardId
    holder: HolderId
    partition: Partition
    token: bytes
    first6: str
    last4: str
    sealed_pan: bytes
    sealed_check: bytes


class Found(Struct, frozen=True):
    """Cards by their tokens; beside them, where the vault can read these too, their holders' newest lines."""

    cards: Mapping[bytes, SealedCard]
    lines: Mapping[HolderId, Line] = {}


class Vault(Protocol):
    """Where sealed cards are kept. Every method raises `ledger.store.Unavailable` without a database."""

    async def find(self, tokens: Sequence[bytes]) -> Found:
        """Return the card of each token that has one."""

    async def add(self, card: SealedCard) -> SealedCard:
        """Keep a card, or return the one that already has its token."""

    async def named(self, cards: Sequence[CardId]) -> Mapping[CardId, SealedCard]:
        """Return the card of each id that has one: at most `CARDS_A_QUERY_MAX`."""

    async def add_many(self, cards: Sequence[SealedCard]) -> Collection[CardId]:
        """Keep those whose id and token are both new, and name them: at most `CARDS_A_QUERY_MAX`."""

    async def close(self) -> None:
        """Let go of every connection."""


class KnownCard(Struct, frozen=True, gc=False):
    """What the engine knows of a card before its holder's position is read: `check` verifies its PIN."""

    card: CardId
    holder: HolderId
    partition: Partition
    expiry: str
    check: PinCheck


class NumberedCard(Struct, frozen=True, gc=False):
    """A card with its number, to be made or to be put into a vault. `expiry` is YYMM. Its repr shows no number."""

    card: CardId
    holder: HolderId
    partition: Partition
    pan: str
    expiry: str
    check: PinCheck

    def __repr__(self) -> str:
        return f"NumberedCard({self.card!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("card", self.card)]


class CardCheck(Struct, frozen=True, gc=False):
    """What is sealed of a card to verify it by: its expiry (YYMM), and what is kept of its PIN."""

    expiry: str
    method: PinMethod
    value: str

    def __repr__(self) -> str:
        return "CardCheck(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


_decode = msgspec.json.Decoder(CardCheck).decode

TakeIn = Callable[[Partition, HolderId, Line], None]
"""Takes in what was read of a passbook."""


def _leave(_partition: Partition, _holder: HolderId, _line: Line) -> None:
    """Take in nothing."""


class Cards:
    """The cards in use: a bounded memory before the vault.

    Where a card isn't in use, its holder's passbook mostly isn't either: so both are read at once. `on_read` is called
    before each read, and what it gives back takes in the passbooks that come with it.
    """

    def __init__(self, vault: Vault, security: SecurityModule, cards_max: int = CARDS_MAX) -> None:
        self._vault = vault
        self._security = security
        self._max = cards_max
        self.on_read: Callable[[], TakeIn] = lambda: _leave
        self.looked_up = Hits()
        self._known: OrderedDict[bytes, KnownCard] = OrderedDict()
        self._loader: Loader[bytes, SealedCard]
        self.forget()

    async def find(self, token: bytes, deadline: float) -> KnownCard | None:
        """Find a card by its PAN's token. Raises `ledger.store.Unavailable`, and `TimeoutError` at the deadline."""
        known = self._known.get(token)
        self.looked_up.note(found=known is not None)
        if known is not None:
            self._known.move_to_end(token)
            return known
        async with asyncio.timeout_at(deadline):
            loader = None
            while loader is not self._loader:  # what was read before all was forgotten is read again
                loader = self._loader
                sealed = await loader.load(token)
        return None if sealed is None else self._remember(sealed)

    def forget(self) -> None:
        """Read every card from the vault again: another engine may have changed it."""
        self._known.clear()
        self._loader = Loader(self._find)

    async def add(
        self, card: CardId, holder: HolderId, partition: Partition, pan: str, expiry: str, check: PinCheck
    ) -> KnownCard:
        """Keep a new card's number, before the command that issues it; the same number again names the same card."""
        new = NumberedCard(card, holder, partition, pan, expiry, check)
        return self._remember(await self._vault.add(self._sealed(new)))

    async def add_many(self, cards: Sequence[NumberedCard]) -> Mapping[CardId, NumberedCard]:
        """Keep new cards' numbers, before the commands that issue them; return those of these cards that are there now.

        One whose id is there already stays as it is, and one whose number is another card's isn't kept: make it with
        another number. At most `CARDS_A_QUERY_MAX`, none of which memory keeps. Raises `ledger.store.Unavailable`.
        """
        await self._vault.add_many([self._sealed(card) for card in cards])
        return await self.named([card.card for card in cards])

    async def take_in(self, cards: Sequence[NumberedCard]) -> Mapping[CardId, NumberedCard | None]:
        """Keep the numbers of cards that another issuer's processor made, and return what wasn't kept.

        That is, by id: the card that is there already, or None where the number is another's. Each id and number
        stands once, in at most `CARDS_A_QUERY_MAX`, none of which memory keeps. Raises `ledger.store.Unavailable`.
        """
        kept = await self._vault.add_many([self._sealed(card) for card in cards])
        left = [card.card for card in cards if card.card not in kept]
        there = await self.named(left) if left else {}
        return {card: there.get(card) for card in left}

    async def shown(self, cards: Sequence[CardId]) -> Mapping[CardId, SealedCard]:
        """Find cards by their ids, sealed as they are: at most `CARDS_A_QUERY_MAX`. Raises `Unavailable`."""
        return await self._vault.named(cards)

    async def named(self, cards: Sequence[CardId]) -> Mapping[CardId, NumberedCard]:
        """Find cards by their ids, with their numbers: at most `CARDS_A_QUERY_MAX`.

        Raises `ledger.store.Unavailable`, and `authz.security.module.Sealed` where one doesn't open.
        """
        return {card: self._numbered(sealed) for card, sealed in (await self._vault.named(cards)).items()}

    async def _find(self, tokens: Sequence[bytes]) -> Mapping[bytes, SealedCard]:
        """Read cards, and have the passbooks that come with them taken in before anything else can happen to them."""
        take_in = self.on_read()
        found = await self._vault.find(tokens)
        for card in found.cards.values():
            if card.holder in found.lines:
                take_in(card.partition, card.holder, found.lines[card.holder])
        return found.cards

    def _sealed(self, card: NumberedCard) -> SealedCard:
        check = _encode(CardCheck(card.expiry, card.check.method, card.check.value))
        return SealedCard(
            card=card.card,
            holder=card.holder,
            partition=card.partition,
            token=self._security.token(card.pan),
            first6=card.pan[:6],
            last4=card.pan[-4:],
            sealed_pan=self._security.seal(card.pan.encode(), pan_context(card.card)),
            sealed_check=self._security.seal(check, check_context(card.card)),
        )

    def _numbered(self, sealed: SealedCard) -> NumberedCard:
        pan = self._security.unseal(sealed.sealed_pan, pan_context(sealed.card)).decode()
        kept = self._opened(sealed)
        return NumberedCard(
            sealed.card, sealed.holder, sealed.partition, pan, kept.expiry, PinCheck(kept.method, kept.value)
        )

    def _opened(self, sealed: SealedCard) -> CardCheck:
        return _decode(self._security.unseal(sealed.sealed_check, check_context(sealed.card)))

    def _remember(self, sealed: SealedCard) -> KnownCard:
        kept = self._opened(sealed)
        check = PinCheck(kept.method, kept.value)
        known = KnownCard(sealed.card, sealed.holder, sealed.partition, kept.expiry, check)
        self._known[sealed.token] = known
        if len(self._known) > self._max:
            self._known.popitem(last=False)
        return known


class MemoryVault:
    """A vault that lasts as long as the process: for tests."""

    def __init__(self) -> None:
        self._cards: dict[bytes, SealedCard] = {}
        self._by_id: dict[CardId, SealedCard] = {}

    async def find(self, tokens: Sequence[bytes]) -> Found:
        """Return the card of each token that has one."""
        return Found({token: self._cards[token] for token in tokens if token in self._cards})

    async def add(self, card: SealedCard) -> SealedCard:
        """Keep a card, or return the one that already has its token."""
        kept = self._cards.setdefault(card.token, card)
        self._by_id[kept.card] = kept
        return kept

    async def named(self, cards: Sequence[CardId]) -> Mapping[CardId, SealedCard]:
        """Return the card of each id that has one."""
        require_bound(len(cards), CARDS_A_QUERY_MAX, "cards")
        return {card: self._by_id[card] for card in cards if card in self._by_id}

    async def add_many(self, cards: Sequence[SealedCard]) -> Collection[CardId]:
        """Keep those whose id and token are both new, and name them."""
        require_bound(len(cards), CARDS_A_QUERY_MAX, "cards")
        new = [card for card in cards if card.card not in self._by_id and card.token not in self._cards]
        for card in new:
            await self.add(card)
        return [card.card for card in new]

    async def close(self) -> None:
        """There is nothing to let go of."""
