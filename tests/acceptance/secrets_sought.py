"""What must never be found outside of memory, and a search for it in everything that a run leaves behind.

Card numbers, track data, keys and PIN blocks are long: they are sought anywhere, in every guise that software gives
bytes (text, hexadecimal, base64, packed decimal, raw). PINs and CVV2 are three or four digits and stand by chance
inside any longer number, hash or time: they are sought in text only, and only as a whole, which is neither a part of a
word, number or decimal fraction. Neither a random byte string nor an integer column is a text, nor is an integer in
the journal's JSON: what the ledger counts (seqs, epochs, amounts, times) comes to any number sooner or later. PINs and
CVV2 are texts wherever the product holds them, and JSON's strings are sought.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache

import asyncpg
from msgspec import Struct

from ledger.embedded import PORT, SUPERUSER, EmbeddedServer

Places = dict[str, list[bytes | str]]
"""What stands where. In bytes, only long secrets are sought."""

TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'm', 'v') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
"""
DUMP_MAX_S = 60

_COUNTED = re.compile(r"(?<=[:,\[])-?\d+(?=[,\]}])")
"""An integer in JSON."""
_TABLE = re.compile(r"^CREATE TABLE (\S+) \(\n(.*?)\n\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (\w+) ([a-z]+)", re.MULTILINE)
_COPY = re.compile(r"^COPY (\S+) \((.*?)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)
_NUMBERS = ("integer", "bigint", "smallint", "numeric", "timestamp")


class Secrets(Struct, frozen=True):
    """Of one run: `long` as text (digits or hexadecimal, or else text only), `short` PINs and CVV2."""

    long: frozenset[str]
    short: frozenset[str]

    def found_in(self, place: str, contents: Iterable[bytes | str]) -> Iterator[str]:
        """Name each secret that stands in a place, by its last characters."""
        texts = "\n".join({one for one in contents if isinstance(one, str)})
        raw = b"\n".join({one for one in contents if isinstance(one, bytes)}) + b"\n" + texts.encode()
        lowered = raw.lower()
        for secret in self.long:
            letters, exact = guises(secret)
            if any(guise in lowered for guise in letters) or any(guise in raw for guise in exact):
                yield f"…{secret[-4:]} in {place}"
        for secret in re.findall(rf"(?<!\w)(?<!\d\.)({'|'.join(self.short)})(?!\w)(?!\.\d)", texts):
            yield f"{secret} in {place}"

    def found_in_file(self, content: bytes) -> Iterator[str]:
        """Name each long secret that a database's file holds as it is stored: as text, or in its own bytes."""
        for secret in self.long:
            if any(guise in content for guise in {secret.encode(), secret.lower().encode(), *_raw(secret)}):
                yield f"…{secret[-4:]}"

    def found(self, places: Places) -> list[str]:
        """Name each secret with the place where it stands."""
        return sorted({hit for place, contents in places.items() for hit in self.found_in(place, contents)})


@cache
def guises(secret: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The bytes that a long secret can hide in: in lower case where letter case means nothing, and exactly."""
    plains = (secret.encode(), *_raw(secret))
    exact = [*_raw(secret)]
    for plain in plains:
        for shift in range(3):  # base64 looks different at each of three offsets; its edges depend on the neighbours
            encoded = base64.b64encode(bytes(shift) + plain)
            exact.append(encoded[-(-shift * 8 // 6) : len(encoded) // 4 * 4 - 4])
    return (secret.lower().encode(), *(plain.hex().encode() for plain in plains)), tuple(exact)


def _raw(secret: str) -> tuple[bytes, ...]:
    """The bytes that hexadecimal digits, or packed decimal ones, stand for."""
    return (bytes.fromhex(secret),) if re.fullmatch("(?:[0-9A-Fa-f]{2})+", secret) else ()


async def columns(superuser_url: str) -> Mapping[str, list[bytes | str]]:
    """Every value of every column of every table and view in a database, by column."""
    connection = await asyncpg.connect(superuser_url)
    contents: Places = {}
    try:
        for (table,) in await connection.fetch(TABLES):
            for row in await connection.fetch(f"SELECT * FROM {table}"):
                for name, value in row.items():
                    contents.setdefault(f"{table}.{name}", []).append(_content(table, value))
    finally:
        await connection.close()
    return contents


def dumped(server: EmbeddedServer, database: str) -> str:
    """What `pg_dump` makes of a database: all that is in it, as SQL."""
    where = ("-h", str(server.socket_folder), "-p", str(PORT), "-U", SUPERUSER, database)
    done = server.account.run([server.bin / "pg_dump", *where], timeout_s=DUMP_MAX_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fields_of(dump: str) -> Places:
    """Take a dump apart: each column of each table's data, and all the rest as `statements`. The whole is there too."""
    kinds = {name: dict(_COLUMN.findall(columns)) for name, columns in _TABLE.findall(dump)}
    contents: Places = {"the dump": [dump.encode()], "statements": [_COPY.sub("", dump)]}
    for table, names, lines in _COPY.findall(dump):
        for line in lines.splitlines():
            for name, field in zip(names.split(", "), line.split("\t"), strict=True):
                content = _field(table, kinds[table][name.strip('"')], field)
                contents.setdefault(f"{table}.{name}", []).append(content)
    return contents


def _field(table: str, kind: str, text: str) -> bytes | str:
    if kind == "bytea" and text != r"\N":
        return bytes.fromhex(text.removeprefix(r"\\x"))
    return text.encode() if kind in _NUMBERS else _text(table, text)


def _content(table: str, value: object) -> bytes | str:
    if isinstance(value, int | Decimal | datetime):
        return str(value).encode()
    if not isinstance(value, bytes):
        return _text(table, str(value))
    return value.decode() if value.isascii() and value.decode().isprintable() and value else value


def _text(table: str, text: str) -> str:
    return _COUNTED.sub("0", text) if table.startswith("ledger.journal") and text.startswith(("{", "[")) else text
