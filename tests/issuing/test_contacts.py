"""Who people are: kept sealed, found by id, erased when they ask; one suite for memory and PostgreSQL."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from authz.engine import reencryption, schema
from authz.issuing.contacts import (
    PEOPLE_A_QUERY_MAX,
    Contacts,
    MemoryContacts,
    PostgresContacts,
    holder_of,
    user_of,
)
from authz.issuing.person import Person
from authz.security.keys import IssuerKeys, VaultKeys
from authz.security.module import Sealed
from authz.security.software import SoftwareSecurityModule
from authz.security.vault import Vault
from ledger.store import Unavailable
from tests.conftest import Database

TOKEN, OLD, NEW = (bytes([digit]) * 32 for digit in (10, 1, 2))
BEFORE, DURING, AFTER = (VaultKeys(TOKEN, keys) for keys in ((OLD,), (NEW, OLD), (NEW,)))
ALICE = Person("Alice", "Quenelle-Ångström", "alice.quenelle@exemple.fr", "fr")
BRAM = Person("Bram", "Zoetekouw", "bram.zoetekouw@voorbeeld.be", "nl")


def module(keys: VaultKeys = BEFORE) -> SoftwareSecurityModule:
    return SoftwareSecurityModule(IssuerKeys(bytes(16), bytes(16), bytes(16), bytes(16)), {}, keys)


SECURITY = module()

emails = st.emails()


@pytest.fixture
async def kept(database: Database) -> Database:
    """A database that has the authorizer's schema beside the ledger's."""
    await schema.create(database.superuser_url)
    return database


@pytest.fixture(params=["memory", "postgres"])
async def contacts(request: pytest.FixtureRequest) -> AsyncIterator[Contacts]:
    """A place for people, with nobody in it."""
    contacts: Contacts = MemoryContacts()
    if request.param == "postgres":
        database = request.getfixturevalue("database")
        await schema.create(database.superuser_url)
        contacts = PostgresContacts(database.url, SECURITY)
    yield contacts
    await contacts.close()


class TestNames:
    """Of a person, by their e-mail address: the journal knows nothing else of them."""

    @given(emails)
    def test_one_address_is_one_person_in_capitals_or_not(self, email: str) -> None:
        assert holder_of(SECURITY, "apetiz", f" {email.upper()} ") == holder_of(SECURITY, "apetiz", email)
        assert user_of(SECURITY, email.upper()) == user_of(SECURITY, email)

    @given(emails, emails)
    def test_two_addresses_are_two_people(self, email: str, other: str) -> None:
        same = email.lower() == other.lower()
        assert (holder_of(SECURITY, "apetiz", email) == holder_of(SECURITY, "apetiz", other)) is same

    def test_each_programme_has_its_own(self) -> None:
        assert holder_of(SECURITY, "apetiz", ALICE.email) != holder_of(SECURITY, "pluxee-be", ALICE.email)

    def test_a_client_s_user_is_no_holder(self) -> None:
        holder, user = holder_of(SECURITY, "apetiz", ALICE.email), user_of(SECURITY, ALICE.email)
        assert (holder[0], user[0], len(holder), len(user)) == ("h", "u", 17, 17)
        assert holder[1:] != user[1:]

    def test_they_tell_nothing_without_the_key(self) -> None:
        other = module(VaultKeys(NEW, (OLD,)))
        assert holder_of(other, "apetiz", ALICE.email) != holder_of(SECURITY, "apetiz", ALICE.email)

    def test_they_hold_still(self) -> None:
        """Every record of a holder is under this name: were it made otherwise, nobody would be found again."""
        assert holder_of(SECURITY, "apetiz", "alice@exemple.fr") == "hace443eb99b4b964"
        assert user_of(SECURITY, "alice@exemple.fr") == "u2cab3d065e6c9510"


async def test_who_was_kept_is_found(contacts: Contacts) -> None:
    assert await contacts.keep({"h1": ALICE, "h2": BRAM}) == {"h1": ALICE, "h2": BRAM}
    assert await contacts.find(["h2", "h3", "h1"]) == {"h1": ALICE, "h2": BRAM}
    assert await contacts.find([]) == await contacts.keep({}) == {}


async def test_who_is_there_stays_and_is_told(contacts: Contacts) -> None:
    """Another file with another name for the same address changes nobody: whoever asked compares, and decides."""
    await contacts.keep({"h1": ALICE})
    assert await contacts.keep({"h1": BRAM, "h2": BRAM}) == {"h1": ALICE, "h2": BRAM}


async def test_who_is_forgotten_is_gone_and_may_come_again(contacts: Contacts) -> None:
    """GDPR, article 17."""
    await contacts.keep({"h1": ALICE, "h2": BRAM})
    await contacts.forget("h1")
    await contacts.forget("h1")
    assert await contacts.find(["h1", "h2"]) == {"h2": BRAM}
    assert await contacts.keep({"h1": BRAM}) == {"h1": BRAM}


async def test_many_are_kept_and_found_at_once(contacts: Contacts) -> None:
    many = {
        f"h{number:04}": Person("Zoé", f"N° {number}", f"z{number}@x.fr") for number in range(PEOPLE_A_QUERY_MAX + 2)
    }
    first = dict(list(many.items())[::2])
    assert await contacts.keep(first) == first
    assert await contacts.keep(many) == many
    assert await contacts.find(list(many)) == many


class TestInTheDatabase:
    async def test_nothing_of_a_person_can_be_read(self, kept: Database) -> None:
        contacts = PostgresContacts(kept.url, SECURITY)
        await contacts.keep({"h1": ALICE})
        await contacts.close()
        [row] = await rows(kept.url, "SELECT id, sealed FROM authz.contact")
        for secret in (*ALICE.email.split("@"), ALICE.first_name, ALICE.last_name):
            assert secret.lower().encode() not in bytes(row["sealed"]).lower()

    async def test_no_row_opens_in_another_s_place(self, kept: Database) -> None:
        contacts = PostgresContacts(kept.url, SECURITY)
        await contacts.keep({"h1": ALICE, "h2": BRAM})
        await rows(kept.url, "UPDATE authz.contact SET sealed = (SELECT sealed FROM authz.contact WHERE id = 'h1')")
        with pytest.raises(Sealed):
            await contacts.find(["h2"])
        await contacts.close()

    async def test_finance_sees_nobody(self, kept: Database) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rows(kept.finance_url, "SELECT id FROM authz.contact")

    async def test_without_a_database_it_says_so_and_nothing_else(self, database: Database) -> None:
        contacts = PostgresContacts(database.url.replace(database.name, "absent"), SECURITY)
        for attempt in (contacts.find(["h1"]), contacts.keep({"h1": ALICE}), contacts.forget("h1")):
            with pytest.raises(Unavailable, match=r"^the contacts can't be reached$"):
                await attempt
        await contacts.close()

    async def test_the_vault_s_key_is_rotated_for_people_too(
        self, kept: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`authz vault reencrypt`: what it seals again is found under the newest key alone; who is erased stays so."""
        chunked = reencryption._PEOPLE.replace(f"LIMIT {reencryption.CHUNK_ROWS}", "LIMIT 2")
        assert chunked != reencryption._PEOPLE
        monkeypatch.setattr(reencryption, "_PEOPLE", chunked)
        people = {f"h{number}": ALICE for number in range(5)}
        before, after = (PostgresContacts(kept.url, module(keys)) for keys in (BEFORE, AFTER))
        await before.keep(people)
        steps: list[tuple[int, int]] = []
        [counted] = await reencryption.reencrypt(kept.url, Vault(DURING), lambda *step: steps.append(step))
        assert (counted.place, counted.texts, counted.is_newest) == ("people", 5, True)
        assert steps == [(0, 5), (2, 5), (4, 5), (5, 5)]
        assert await after.find(list(people)) == people
        with pytest.raises(Sealed):
            await before.find(["h1"])
        for one in (before, after):
            await one.close()

    async def test_two_who_keep_the_same_people_agree(self, kept: Database) -> None:
        """The first to come prevails, and both are told."""
        one, other = PostgresContacts(kept.url, SECURITY), PostgresContacts(kept.url, SECURITY)
        assert await one.keep({"h1": ALICE}) == await other.keep({"h1": BRAM}) == {"h1": ALICE}
        for contacts in (one, other):
            await contacts.close()


def test_a_person_shows_nothing() -> None:
    for shown in (repr(ALICE), str(ALICE), pretty_repr(ALICE), repr({"h1": ALICE})):
        assert not any(part in shown for part in ("Alice", "Quenelle", "exemple"))


async def rows(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
