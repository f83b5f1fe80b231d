"""Seals again, under the newest key, what the vault's older keys have sealed: in small steps, while engines run.

Tables `authz.vault`, `authz.contact` and `authz.zone_key` are walked by their primary keys. A row is changed only if it
is still as it was read, so that a key change in between is never undone; what is under the newest key already is passed
over, so that a walk that was cut off is simply begun again. Every engine must have the newest key by then, to open with
it what was sealed here, and the older ones, for what wasn't reached yet.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from msgspec import Struct

from authz.engine.cards import check_context, pan_context
from authz.security.module import Sealed, ZoneKeyUsage
from authz.security.sealing import HEADER_BYTES, Seals, key_of
from authz.security.vault import Vault, contact_context, zone_key_context
from ledger.schema import require_address
from ledger.store import Unavailable

CHUNK_ROWS: Final = 500
"""Rows that are sealed again in one transaction: some 20 ms of it."""
CONNECT_TIMEOUT_S: Final = 5

_HEADER = f"substr({{0}}, 1, {HEADER_BYTES})"

# The constants in these are numbers and column names, ours.
_COUNT = f"""
    SELECT place, {_HEADER.format("sealed")} AS header, count(*)
      FROM (SELECT 'card numbers', sealed_pan FROM authz.vault
            UNION ALL SELECT 'card checks', sealed_check FROM authz.vault
            UNION ALL SELECT 'people', sealed FROM authz.contact
            UNION ALL SELECT 'link keys', sealed FROM authz.zone_key) AS texts (place, sealed)
     GROUP BY place, header
"""  # noqa: S608
_ANY_CARD = f"""
    SELECT card, token, sealed_pan FROM authz.vault
     WHERE {_HEADER.format("sealed_pan")} = ANY ($1::bytea[]) LIMIT 1
"""  # noqa: S608
_CARDS = f"""
    SELECT card, sealed_pan, sealed_check FROM authz.vault
     WHERE card > $1
       AND ({_HEADER.format("sealed_pan")} <> $2 OR {_HEADER.format("sealed_check")} <> $2)
     ORDER BY card LIMIT {CHUNK_ROWS}
"""  # noqa: S608
_CHANGE_CARDS = """
    UPDATE authz.vault SET sealed_pan = new.pan, sealed_check = new.check
      FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
           AS new (card, read_pan, read_check, pan, "check")
     WHERE vault.card = new.card AND (sealed_pan, sealed_check) = (new.read_pan, new.read_check)
"""
_PEOPLE = f"""
    SELECT id, sealed FROM authz.contact
     WHERE id > $1 AND {_HEADER.format("sealed")} <> $2
     ORDER BY id LIMIT {CHUNK_ROWS}
"""  # noqa: S608
_CHANGE_PEOPLE = """
    UPDATE authz.contact SET sealed = new.sealed
      FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS new (id, read, sealed)
     WHERE contact.id = new.id AND contact.sealed = new.read
"""
_LINK_KEYS = f"""
    SELECT zone, usage, sealed FROM authz.zone_key
     WHERE {_HEADER.format("sealed")} <> $1
     ORDER BY zone, usage
"""  # noqa: S608
_CHANGE_LINK_KEY = "UPDATE authz.zone_key SET sealed = $4 WHERE (zone, usage, sealed) = ($1, $2, $3)"

Progress = Callable[[int, int], None]
"""Is told how many sealed texts are done, and of how many."""


class SealedTexts(Struct, frozen=True, gc=False):
    """How many texts of one place one key has sealed. `key` is its check value; None before keys were named."""

    place: str
    key: str | None
    texts: int
    is_newest: bool
    opens: bool
    """Whether the key is among those that were given."""


async def status(url: str, seals: Seals) -> Sequence[SealedTexts]:
    """Count what is sealed, by place and key. Raises `AddressInvalid` and `Unavailable`."""
    async with _connected(url) as connection:
        return await _count(connection, seals)


async def is_named_by(url: str, vault: Vault) -> bool:
    """Tell, from one card whose number it opens, whether this vault names the cards there; true where there is none.

    Under another key for their names no card would be found. Raises `AddressInvalid`, `Unavailable` and `Sealed`.
    """
    async with _connected(url) as connection:
        found = await connection.fetchrow(_ANY_CARD, [vault.newest, *vault.older])
    return (
        found is None
        or vault.token(vault.unseal(found["sealed_pan"], pan_context(found["card"])).decode()) == found["token"]
    )


async def reencrypt(url: str, seals: Seals, progress: Progress) -> Sequence[SealedTexts]:
    """Seal everything under the newest key; return what `status` says afterwards.

    Raises `AddressInvalid`, `Unavailable`, and `Sealed` where a text doesn't open: what was done until then stays
    done.
    """
    async with _connected(url) as connection:
        total = sum(one.texts for one in await _count(connection, seals) if not one.is_newest)
        done = 0
        progress(done, total)
        for step in (_reseal_link_keys, _reseal_cards, _reseal_people):
            async for texts in step(connection, seals):
                done += texts
                progress(done, max(done, total))
        return await _count(connection, seals)


async def _count(connection: asyncpg.Connection, seals: Seals) -> Sequence[SealedTexts]:
    counted = [
        SealedTexts(place, key_of(header), texts, header == seals.newest, seals.opens(header))
        for place, header, texts in await connection.fetch(_COUNT)
    ]
    return sorted(counted, key=lambda one: (one.place, not one.is_newest, one.key or ""))


async def _reseal_link_keys(connection: asyncpg.Connection, seals: Seals) -> AsyncIterator[int]:
    for zone, usage, sealed in await connection.fetch(_LINK_KEYS, seals.newest):
        context = zone_key_context(zone, ZoneKeyUsage(usage))
        anew = _anew(seals, sealed, context)
        await connection.execute(_CHANGE_LINK_KEY, zone, usage, sealed, anew)
        yield 1


async def _reseal_cards(connection: asyncpg.Connection, seals: Seals) -> AsyncIterator[int]:
    """Go through the cards, `CHUNK_ROWS` at a time."""
    last = ""
    while chunk := await connection.fetch(_CARDS, last, seals.newest):
        cards, pans, checks = zip(*chunk, strict=True)
        pans_anew = [_anew(seals, pan, pan_context(card)) for card, pan in zip(cards, pans, strict=True)]
        checks_anew = [_anew(seals, check, check_context(card)) for card, check in zip(cards, checks, strict=True)]
        await connection.execute(_CHANGE_CARDS, cards, pans, checks, pans_anew, checks_anew)
        last = cards[-1]
        yield 2 * len(chunk)


async def _reseal_people(connection: asyncpg.Connection, seals: Seals) -> AsyncIterator[int]:
    """Go through the people, `CHUNK_ROWS` at a time. Who is erased meanwhile stays erased."""
    last = ""
    while chunk := await connection.fetch(_PEOPLE, last, seals.newest):
        ids, sealed = zip(*chunk, strict=True)
        anew = [_anew(seals, text, contact_context(contact)) for contact, text in chunk]
        await connection.execute(_CHANGE_PEOPLE, ids, sealed, anew)
        last = ids[-1]
        yield len(chunk)


def _anew(seals: Seals, sealed: bytes, context: bytes) -> bytes:
    try:
        return seals.seal(seals.unseal(sealed, context), context)
    except Sealed as error:
        raise Sealed(f"what is sealed for {context.decode()} doesn't open: {error}") from None


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect, and turn the driver's errors into ours: they may quote a statement's arguments."""
    require_address(url)
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "authz vault"}
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("the vault can't be reached") from None
