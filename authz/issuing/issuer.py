"""What every desk of issuing works with: commands go to the engine, states come from the ledger's newest lines."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime

from authz.clock import Now
from authz.decision.calendar import local_day
from authz.decision.commands import Administration, Command
from authz.decision.outcomes import Reason, State
from authz.decision.position import Position
from authz.decision.programme import Product, Programme
from authz.engine.cards import Cards
from authz.engine.engine import Engine
from authz.engine.identities import command_key
from authz.engine.inputs import decode_inputs
from authz.engine.passbooks import decode_state
from authz.issuing.contacts import Contacts
from authz.security.module import SecurityModule
from ledger.store import HOLDERS_A_CALL_MAX, LedgerError, Store
from ledger.values import HolderId, Partition

HOME = Partition(0)
"""Where passbooks that aren't holders' are read: they stand in every partition."""
PAGE_MAX = 200
"""Things of a kind in one answer."""


class NotThere(Exception):
    """There is no such thing, or it isn't yours."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class NotNow(LedgerError):
    """The ledger can't be written now, and nothing was changed: try again."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class KeyReused(Exception):
    """The idempotency key was used for something else."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Issuer:
    """The engine, and what issuing needs beside it."""

    def __init__(
        self, engine: Engine, store: Store, cards: Cards, security: SecurityModule, contacts: Contacts, now: Now
    ) -> None:
        self.engine = engine
        self.store = store
        self.cards = cards
        self.security = security
        self.contacts = contacts
        self._now = now

    @property
    def instant(self) -> datetime:
        """The engine's time: never behind a record."""
        return max(self._now(), self.engine.instant)

    def programme(self, name: str) -> Programme:
        """Give a programme's rules. Raises `NotThere`."""
        try:
            return self.engine.rulebook.named(name)
        except KeyError:
            raise NotThere from None

    def product(self, code: str) -> tuple[Programme, Product]:
        """Give a product's rules, and the programme that has it. Raises `NotThere`."""
        for programme in self.engine.rulebook.all():
            product = programme.product(code)
            if product is not None:
                return programme, product
        raise NotThere

    def day(self, programme: str) -> date:
        """Give the programme's local date."""
        return local_day(self.instant, self.programme(programme).zone)

    async def do(self, command: Administration, key: str, by: str) -> None:
        """Carry out a command, once for each `key`; `by` is whose access it came by.

        Raises `authz.decision.refused.Refused` where it makes no sense, `KeyReused` and `NotNow`.
        """
        require_done((await self.engine.administer(command, key, by)).reason)

    async def state(self, passbook: HolderId, partition: Partition = HOME) -> State | None:
        """Read the newest line of a passbook that isn't a holder's. Raises `LedgerError`."""
        line = (await self.store.newest(partition, [passbook])).get(passbook)
        return None if line is None else decode_state(passbook, line.position)

    async def position(self, holder: HolderId) -> Position | None:
        """Read a holder's newest line. Raises `LedgerError`."""
        state = await self.state(holder, self.engine.partition_of(holder))
        return state if isinstance(state, Position) else None

    async def positions(self, holders: Sequence[HolderId]) -> AsyncIterator[tuple[HolderId, Position | None]]:
        """Read many holders' newest lines, partition by partition, a few in a turn. Raises `LedgerError`."""
        places = defaultdict[Partition, list[HolderId]](list)
        for holder in holders:
            places[self.engine.partition_of(holder)].append(holder)
        for partition, mine in places.items():
            for first in range(0, len(mine), HOLDERS_A_CALL_MAX):
                some = mine[first : first + HOLDERS_A_CALL_MAX]
                lines = await self.store.newest(partition, some)
                for holder in some:
                    state = decode_state(holder, lines[holder].position) if holder in lines else None
                    yield holder, state if isinstance(state, Position) else None
                await asyncio.sleep(0)

    async def done(self, key: str) -> Command | None:
        """Find the command that was carried out under a key, in every partition. Raises `LedgerError`."""
        identity = command_key(key).identity
        stored = (await self.store.find(HOME, [identity])).get(identity)
        return None if stored is None else decode_inputs(stored.request).command

    async def named(self, prefix: str, after: str = "", most: int = PAGE_MAX) -> Sequence[tuple[HolderId, State]]:
        """Walk over the passbooks whose names begin with `prefix`, behind the name `after`. Raises `LedgerError`."""
        lines = await self.store.references(HOME, prefix, after, most)
        return [(name, decode_state(name, line.position)) for name, line in lines]


def require_done(reason: Reason) -> None:
    """Raise `KeyReused` or `NotNow` unless a command was carried out."""
    if reason is Reason.IDENTITY_REUSED:
        raise KeyReused
    if not reason.approves:
        raise NotNow
