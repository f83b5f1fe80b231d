"""Who people are: names, e-mail addresses and languages, sealed outside the journal so that they can be erased.

The journal and every position know a person by an id alone, a keyed hash of their programme and e-mail address.
Erasing the row (GDPR, article 17) leaves the records whole and says no longer whom they were about.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from authz.decision.issuing.states import ContactId
from authz.engine.connections import Connections
from authz.issuing.person import Person
from authz.security.module import SecurityModule
from authz.security.vault import contact_context
from ledger.primary import Primary
from ledger.values import HolderId

PEOPLE_A_QUERY_MAX = 100
"""People that are read or written at once: a millisecond of sealing, behind which payments wait."""

_ID_DIGITS = 16
"""Hexadecimal digits of a keyed hash in an id: 64 bits, among which a programme's million people don't meet."""

# One index read for each: a plan made while the table was small, and kept, would read all of it.
_FIND = """
    SELECT id, sealed FROM unnest($1::text[]) AS asked (name)
     CROSS JOIN LATERAL (SELECT * FROM authz.contact WHERE id = asked.name OFFSET 0) AS found
"""
_KEEP = """
    INSERT INTO authz.contact (id, sealed) SELECT * FROM unnest($1::text[], $2::bytea[])
        ON CONFLICT (id) DO NOTHING
"""
_FORGET = "DELETE FROM authz.contact WHERE id = $1"

_encode = msgspec.json.Encoder().encode


_decode = msgspec.json.Decoder(Person).decode


def holder_of(security: SecurityModule, programme: str, email: str) -> HolderId:
    """Name the holder of a programme whose e-mail address that is, in capitals or not: one person, one passbook."""
    return HolderId("h" + security.token(f"person {programme} {_address(email)}").hex()[:_ID_DIGITS])


def user_of(security: SecurityModule, email: str) -> ContactId:
    """Name the user of a client's account, or the agent, whose e-mail address that is."""
    return ContactId("u" + security.token(f"user {_address(email)}").hex()[:_ID_DIGITS])


class Contacts(Protocol):
    """Where people are kept, by id. Every method raises `ledger.store.Unavailable` without a database."""

    async def find(self, ids: Sequence[str]) -> Mapping[str, Person]:
        """Return the person of each id that has one. Many are read `PEOPLE_A_QUERY_MAX` at a time."""

    async def keep(self, people: Mapping[str, Person]) -> Mapping[str, Person]:
        """Keep those who aren't there yet; return who is there now for each id, which may be somebody kept before."""

    async def forget(self, contact: str) -> None:
        """Erase a person: nothing tells any longer who the id was."""

    async def close(self) -> None:
        """Let go of every connection."""


class PostgresContacts:
    """People in the application's database, sealed; `primary`: where the ledger's writer is."""

    def __init__(self, url: str, security: SecurityModule, primary: Primary | None = None) -> None:
        self._connections = Connections(url, "contacts", primary)
        self._security = security

    async def find(self, ids: Sequence[str]) -> Mapping[str, Person]:
        """Return the person of each id that has one. Raises `Unavailable`, and `Sealed` where a key is missing."""
        found: dict[str, Person] = {}
        for some in _chunks(ids):
            found.update(await self._find(some))
        return found

    async def keep(self, people: Mapping[str, Person]) -> Mapping[str, Person]:
        """Keep those who aren't there yet; return who is there now. Raises `Unavailable` and `Sealed`."""
        there: dict[str, Person] = {}
        for some in _chunks(list(people)):
            there.update(await self._find(some))
            new = sorted(contact for contact in some if contact not in there)  # so that no two wait for each other
            if new:
                await self._add(new, [self._sealed(contact, people[contact]) for contact in new])
                there.update(await self._find(new))
        return there

    async def forget(self, contact: str) -> None:
        """Erase a person. Raises `Unavailable`."""
        await self._connections.fetch(_FORGET, contact)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()

    async def _find(self, ids: Sequence[str]) -> Mapping[str, Person]:
        rows = await self._connections.fetch(_FIND, ids)
        return {contact: _decode(self._security.unseal(sealed, contact_context(contact))) for contact, sealed in rows}

    async def _add(self, ids: Sequence[str], sealed: Sequence[bytes]) -> None:
        await self._connections.fetch(_KEEP, ids, sealed)

    def _sealed(self, contact: str, person: Person) -> bytes:
        return self._security.seal(_encode(person), contact_context(contact))


class MemoryContacts:
    """People who are kept as long as the process lasts: for tests."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}

    async def find(self, ids: Sequence[str]) -> Mapping[str, Person]:
        """Return the person of each id that has one."""
        return {contact: self._people[contact] for contact in ids if contact in self._people}

    async def keep(self, people: Mapping[str, Person]) -> Mapping[str, Person]:
        """Keep those who aren't there yet; return who is there now."""
        return {contact: self._people.setdefault(contact, person) for contact, person in people.items()}

    async def forget(self, contact: str) -> None:
        """Erase a person."""
        self._people.pop(contact, None)

    async def close(self) -> None:
        """There is nothing to let go of."""


def _address(email: str) -> str:
    return email.strip().lower()


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[first : first + PEOPLE_A_QUERY_MAX] for first in range(0, len(ids), PEOPLE_A_QUERY_MAX))
