"""The vault's key is rotated on a real PostgreSQL: rows change, names don't, and cards are known all the while."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from authz.decision.commands import CardId
from authz.engine import reencryption, schema
from authz.engine.cards import Cards
from authz.engine.reencryption import SealedTexts, is_named_by, reencrypt, status
from authz.engine.vault import PostgresVault
from authz.engine.zone_keys import PostgresZoneKeys
from authz.security.keyblock import check_value, wrap
from authz.security.keys import IssuerKeys, VaultKeys, ZoneKeys
from authz.security.module import PinCheck, PinMethod, Sealed, ZoneKeyUsage
from authz.security.software import SoftwareSecurityModule
from authz.security.vault import Vault
from ledger.schema import AddressInvalid
from ledger.store import Unavailable
from ledger.values import HolderId, Partition
from tests.conftest import Database

LINK = "970001"
CARDS = 12
ZONE = ZoneKeys(bytes(range(16)), bytes(range(16)), bytes(range(16)))
TOKEN, OLD, NEW = (bytes([digit]) * 32 for digit in (10, 1, 2))
BEFORE, DURING, AFTER = (VaultKeys(TOKEN, keys) for keys in ((OLD,), (NEW, OLD), (NEW,)))
SOON_S = 30


def pan_of(number: int) -> str:
    return f"92501000{number:08}"


class Engine:
    """What an engine has of the vault: its keys, and cards in a memory of its own."""

    def __init__(self, url: str, keys: VaultKeys) -> None:
        self.security = SoftwareSecurityModule(
            IssuerKeys(bytes(16), bytes(16), bytes(16), bytes(16)), {LINK: ZONE}, keys
        )
        self.vault, self.zone_keys = PostgresVault(url), PostgresZoneKeys(url)
        self.cards = Cards(self.vault, self.security)

    async def issue(self, *numbers: int) -> None:
        for number in numbers:
            card = CardId(f"c{number:04}")
            await self.cards.add(
                card,
                HolderId(f"h{number}"),
                Partition(0),
                pan_of(number),
                "2806",
                PinCheck(PinMethod.PVV, f"{number:04}"),
            )

    async def change_key(self, usage: ZoneKeyUsage, key: bytes) -> None:
        await self.zone_keys.put(LINK, await self.security.import_key(LINK, wrap(ZONE.zmk, usage, key)))

    async def knows(self, *numbers: int) -> bool:
        """Whether a cold engine finds these cards, with what verifies them."""
        deadline = asyncio.get_running_loop().time() + SOON_S
        found = [await self.cards.find(self.security.token(pan_of(number)), deadline) for number in numbers]
        return [card and (card.card, card.check.value) for card in found] == [
            (f"c{number:04}", f"{number:04}") for number in numbers
        ]

    async def close(self) -> None:
        await self.vault.close()
        await self.zone_keys.close()


class House:
    """A database, and engines that come and go."""

    def __init__(self, database: Database) -> None:
        self.url = database.url
        self._engines: list[Engine] = []

    def engine(self, keys: VaultKeys) -> Engine:
        self._engines.append(Engine(self.url, keys))
        return self._engines[-1]

    async def rows(self, query: str) -> Sequence[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()


@pytest.fixture
async def house(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Twelve cards and two changed keys of a link, sealed under the old key; chunks of five rows."""
    chunked = reencryption._CARDS.replace(f"LIMIT {reencryption.CHUNK_ROWS}", "LIMIT 5")
    assert chunked != reencryption._CARDS
    monkeypatch.setattr(reencryption, "_CARDS", chunked)
    await schema.create(database.superuser_url)
    house = House(database)
    engine = house.engine(BEFORE)
    await engine.issue(*range(CARDS))
    await engine.change_key(ZoneKeyUsage.PIN, bytes(range(1, 17)))
    await engine.change_key(ZoneKeyUsage.MAC, bytes(range(2, 18)))
    yield house
    await house.close()


def texts(counted: Sequence[SealedTexts], *, newest: bool) -> dict[str, int]:
    return {one.place: one.texts for one in counted if one.is_newest is newest}


ALL = {"card numbers": CARDS, "card checks": CARDS, "link keys": 2}


def quietly(done: int, total: int) -> None:
    assert 0 <= done <= total


async def test_everything_comes_under_the_newest_key(house: House) -> None:
    assert texts(await status(house.url, Vault(DURING)), newest=False) == ALL
    counted = await reencrypt(house.url, Vault(DURING), quietly)
    assert (texts(counted, newest=True), texts(counted, newest=False)) == (ALL, {})
    assert counted == await status(house.url, Vault(AFTER))


async def test_the_older_key_isn_t_needed_any_more(house: House) -> None:
    await reencrypt(house.url, Vault(DURING), quietly)
    after = house.engine(AFTER)
    assert await after.knows(*range(CARDS))
    for zone, key in await after.zone_keys.all():
        await after.security.restore_key(zone, key)


async def test_names_and_what_people_see_stay_as_they_are(house: House) -> None:
    kept = "SELECT card, holder, partition, token, first6, last4 FROM authz.vault ORDER BY card"
    keys = "SELECT zone, usage, check_value, since FROM authz.zone_key ORDER BY usage"
    sealed = "SELECT sealed_pan AS text FROM authz.vault UNION SELECT sealed_check FROM authz.vault"
    before = [await house.rows(query) for query in (kept, keys)]
    texts_before = set(await house.rows(sealed))
    await reencrypt(house.url, Vault(DURING), quietly)
    assert [await house.rows(query) for query in (kept, keys)] == before
    assert texts_before.isdisjoint(await house.rows(sealed))


async def test_an_engine_with_both_keys_knows_every_card_at_any_step(house: House) -> None:
    running = asyncio.get_running_loop()
    checks: list[asyncio.Task[bool]] = []

    def step(done: int, total: int) -> None:
        checks.append(running.create_task(house.engine(DURING).knows(*range(CARDS))))

    await reencrypt(house.url, Vault(DURING), step)
    assert len(checks) >= 5
    assert all(await asyncio.gather(*checks))


async def test_broken_off_it_is_begun_again_and_does_only_what_is_left(house: House) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 2:
            raise Stopped

    with pytest.raises(Stopped):
        await reencrypt(house.url, Vault(DURING), stop)
    left = texts(await status(house.url, Vault(DURING)), newest=False)
    assert left == {"card numbers": CARDS - 5, "card checks": CARDS - 5}
    assert await house.engine(DURING).knows(*range(CARDS))

    steps: list[tuple[int, int]] = []
    counted = await reencrypt(house.url, Vault(DURING), lambda done, total: steps.append((done, total)))
    assert steps == [(0, 14), (10, 14), (14, 14)]
    assert texts(counted, newest=False) == {}


async def test_done_already_it_writes_nothing(house: House) -> None:
    await reencrypt(house.url, Vault(DURING), quietly)
    everything = "SELECT xmin::text, vault.* FROM authz.vault ORDER BY card"
    before = await house.rows(everything)
    await reencrypt(house.url, Vault(DURING), quietly)
    assert await house.rows(everything) == before


async def test_cards_made_and_keys_changed_meanwhile_are_kept(house: House) -> None:
    """The engine seals under the newest; one that still seals under the older is found out by the count."""
    loop = asyncio.get_running_loop()
    work: list[asyncio.Task[None]] = []

    async def meanwhile() -> None:
        await house.engine(DURING).issue(100, 101)
        await house.engine(DURING).change_key(ZoneKeyUsage.PIN, bytes(range(3, 19)))

    def step(done: int, total: int) -> None:
        if not work:
            work.append(loop.create_task(meanwhile()))

    await reencrypt(house.url, Vault(DURING), step)
    await asyncio.gather(*work)
    await house.engine(BEFORE).issue(102)
    await reencrypt(house.url, Vault(DURING), quietly)
    assert await house.engine(AFTER).knows(*range(CARDS), 100, 101, 102)
    [changed] = await house.rows("SELECT check_value FROM authz.zone_key WHERE usage = 'P0'")
    [(_, _), (zone, kept)] = await house.engine(AFTER).zone_keys.all()
    assert (zone, kept.check_value) == (LINK, changed[0])


async def test_a_key_that_changes_between_reading_and_writing_is_not_undone(house: House) -> None:
    """The row is written only as it was read."""

    class Slow(Vault):
        """Lets a change of the key in, just after the row was read."""

        def unseal(self, sealed: bytes, context: bytes) -> bytes:
            plain = super().unseal(sealed, context)
            if context == b"zone key P0 970001":
                thread.submit(asyncio.run, change()).result()
            return plain

    async def change() -> None:
        engine = Engine(house.url, DURING)
        await engine.change_key(ZoneKeyUsage.PIN, bytes(range(4, 20)))
        await engine.close()

    with ThreadPoolExecutor(1) as thread:
        counted = await reencrypt(house.url, Slow(DURING), quietly)
    after = house.engine(AFTER)
    _, (_, kept) = await after.zone_keys.all()
    assert kept.check_value == check_value(bytes(range(4, 20)))
    await after.security.restore_key(LINK, kept)
    assert texts(counted, newest=False) == {}


async def test_a_key_that_is_missing_is_named_and_nothing_of_the_row_changes(house: House) -> None:
    strange = Vault(VaultKeys(TOKEN, (NEW,)))
    counted = await status(house.url, strange)
    assert [one.opens for one in counted] == [False] * 3
    with pytest.raises(Sealed, match=r"^what is sealed for zone key M3 970001 doesn't open: it was sealed under key "):
        await reencrypt(house.url, strange, quietly)
    assert await house.engine(BEFORE).knows(*range(CARDS))


async def test_a_row_put_in_anothers_place_is_named(house: House) -> None:
    """Who writes in the database can't give one card another's number or verification values."""
    connection = await asyncpg.connect(house.url)
    await connection.execute(
        "UPDATE authz.vault SET sealed_pan = (SELECT sealed_pan FROM authz.vault WHERE card = 'c0001') "
        "WHERE card = 'c0007'"
    )
    await connection.close()
    with pytest.raises(Sealed, match=r"^what is sealed for card number c0007 doesn't open: another key, "):
        await reencrypt(house.url, Vault(DURING), quietly)


async def test_another_key_for_the_cards_names_is_found_out(house: House) -> None:
    """Under it no card would be found, and every payment refused as of an unknown card."""
    assert await is_named_by(house.url, Vault(DURING))
    assert not await is_named_by(house.url, Vault(VaultKeys(NEW, (NEW, OLD))))
    assert await is_named_by(house.url, Vault(AFTER))  # which opens none: the count says so


async def test_nothing_in_the_tables_opens_without_the_key(house: House) -> None:
    sealed = [
        bytes(text) for row in await house.rows("SELECT sealed_pan, sealed_check FROM authz.vault") for text in row
    ] + [bytes(row[0]) for row in await house.rows("SELECT sealed FROM authz.zone_key")]
    assert len(sealed) == sum(ALL.values())
    contexts = [*(f"c{number:04}".encode() for number in range(CARDS)), b"zone key P0 970001", b"zone key M3 970001"]
    for guess in (VaultKeys(TOKEN, (TOKEN,)), VaultKeys(TOKEN, (bytes(32),)), VaultKeys(NEW, (NEW,))):
        for text in sealed:
            for context in contexts:
                with pytest.raises(Sealed):
                    Vault(guess).unseal(text, context)
    dump = b"".join(repr(tuple(row)).encode() for row in await house.rows("SELECT * FROM authz.vault"))
    assert not any(pan_of(number).encode() in dump for number in range(CARDS))


async def test_without_a_database_it_says_so(database: Database) -> None:
    for attempt in (status, reencrypt):
        arguments = (Vault(DURING), quietly)[: 1 if attempt is status else 2]
        with pytest.raises(AddressInvalid):
            await attempt("mysql://there/x", *arguments)
        with pytest.raises(Unavailable, match=r"^the vault can't be reached$"):
            await attempt(database.url.replace(database.name, "absent"), *arguments)
