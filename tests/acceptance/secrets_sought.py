"""What must never be found outside of memory: requests that bear it, and a search in everything that a run leaves.

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
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from random import Random

import asyncpg
import iso8583
import iso8583.specs
import msgspec
from msgspec import Struct
from psec.pinblock import encode_pinblock_iso_0

from authz.security.dukpt import KeySerial, pin_key
from authz.security.keyblock import wrap
from authz.security.keys import VaultKey
from authz.security.module import ZoneKeyUsage
from authz.wire.message import Elements, Message
from ledger.embedded import PORT, SUPERUSER, EmbeddedServer
from simulators.acquirer.totals import Totals
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip
from simulators.terminal.messages import Entry
from simulators.terminal.pinpad import DukptPinPad, PinPad
from tests.acceptance.counter import (
    CARDS,
    CODEC,
    DEMO,
    card,
    cvv2,
    network,
    online,
    purchase,
    signed,
    terminal,
    totals,
    wrong_pin,
)

WRONG_CVV2 = "947"
ODD_CENTS = 13
NEW_ZPK, NEW_ZAK = "5D6E7F8091A2B3C4D5E6F708192A3B4C5D6E7F8091A2B3C4", "6E7F8091A2B3C4D5E6F708192A3B4C5D"
INITIAL_KEY, KEY_SERIAL = "6AC292FAA1315B4D858AB3A3D7D5933A", "FFFF9876543210E00001"
"""ANSI X9.24-1:2009, annex A: a device under the demo's `bdk`."""
ZMK = bytes.fromhex(DEMO.link.zmk)
UNSOUND = "9250100000000998"
"""A card whose vault entry doesn't open: what nobody has foreseen happens inside."""
MUTATIONS = 6
"""Of each kind of message."""

Places = dict[str, list[bytes | str]]
"""What stands where. In bytes, only long secrets are sought."""

TABLES = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'm', 'v') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
"""
DUMP_MAX_S = 60

_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{16,}")
"""Every long secret that is a text is one of these, or has one in it that is sought for itself."""
JOURNALS = ("ledger.journal", "ledger.whole_journal", "ledger_archive.journal")
_COUNTED = re.compile(r"(?<=[:,\[])-?\d+(?=[,\]}])")
"""An integer in JSON."""
_TABLE = re.compile(r"^CREATE TABLE (\S+) \(\n(.*?)\n\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r'^    "?(\w+)"? ([a-z]+)', re.MULTILINE)
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
        texts = b"\n".join(_HEXADECIMAL.findall(content)).lower()
        for secret in self.long:
            if secret.lower().encode() in texts or any(raw in content for raw in _raw(secret)):
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


@cache
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
            for name, field in zip(names.replace('"', "").split(", "), line.split("\t"), strict=True):
                content = _field(table, kinds[table][name], field)
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
    return _COUNTED.sub("0", text) if table.startswith(JOURNALS) and text.startswith(("{", "[")) else text


class Sent(Struct, frozen=True):
    """What a run sends: requests, of `kinds` the ones that are sent mutated too."""

    payments: list[Message]
    kinds: list[Message]
    frames: list[bytes]
    """As bytes, since the codec doesn't write them: with a MAC, or with fields that no message has."""

    @property
    def requests(self) -> list[Message]:
        return self.payments + self.kinds


def sent(zpk: str = DEMO.link.zpk, zmk: bytes = ZMK[::-1]) -> Sent:
    """All that a run sends, PINs under `zpk`, new keys under `zmk`: by default a stranger's, which is refused."""
    kinds = list(of_every_kind(zpk, zmk))
    return Sent(list(payments(zpk)), kinds, [signed(kinds[0]), *with_track1(kinds[0])])


def payments(zpk: str) -> Iterator[Message]:
    """Approvals and refusals of every card, with right and wrong PINs and CVV2, as track 2 and as a PAN."""
    pad = PinPad(zpk)
    for last4, demo in CARDS.items():
        site = "PAR00001" if demo.employer != "E3" else "BRU00001"
        right, wrong = pad.block(demo.pin, demo.pan), pad.block(wrong_pin(last4), demo.pan)
        paying = msgspec.structs.replace(purchase(last4, ODD_CENTS, site), pin_block=right)
        yield paying
        yield msgspec.structs.replace(purchase(last4, 500_013, site, takes_partial=True), pin_block=right)
        yield msgspec.structs.replace(purchase(last4, ODD_CENTS, site), pin_block=wrong)
        yield purchase(last4, ODD_CENTS, site, entry=Entry.CONTACTLESS, pin=None)
        yield msgspec.structs.replace(terminal(site).authorization(card(last4), ODD_CENTS), pin_block=right)
        yield msgspec.structs.replace(terminal(site).inquiry(card(last4)), pin_block=right)
        yield online(last4, ODD_CENTS, cvv2(last4))
        yield online(last4, ODD_CENTS, WRONG_CVV2)
        yield msgspec.structs.replace(anew(paying), pan=None, track2=card(last4).track2)
        yield msgspec.structs.replace(anew(paying), pin_block="0123456789ABCDEF")


def of_every_kind(zpk: str, zmk: bytes) -> Iterator[Message]:
    """One of each, with all that it can bear: PIN, CVV2, track, chip, key block, key serial number."""
    till, holder = terminal(), chipped("0022", counter=Random(zpk).randrange(1_000, 60_000))
    block = PinPad(zpk).block(str(holder.pin), holder.pan)
    dukpt = DukptPinPad(INITIAL_KEY, KEY_SERIAL).block(str(holder.pin), holder.pan)
    typed = Elements(cvv2=cvv2("0022"), key_block=wrap(zmk, ZoneKeyUsage.PIN, bytes.fromhex(NEW_ZPK)))
    everything = {"track2": holder.track2, "pin_block": block, "elements": typed}
    held = till.authorization(holder, ODD_CENTS)
    bought = till.purchase(holder, ODD_CENTS)
    yield from (msgspec.structs.replace(one, **everything) for one in (bought, held))
    yield msgspec.structs.replace(anew(bought), chip=None, card_sequence=None, pin_block=block)
    yield msgspec.structs.replace(
        till.purchase(holder, ODD_CENTS), pin_block=dukpt.block, elements=Elements(key_serial=dukpt.key_serial)
    )
    told = (till.completion(holder, held, ODD_CENTS), till.advice(holder, ODD_CENTS), till.hold_advice(holder, 13))
    taken_back = (till.reversal(bought, stands=0), till.reversal_advice(held), till.refund(holder, bought, ODD_CENTS))
    yield from (msgspec.structs.replace(one, **everything) for one in (*told, *taken_back))
    yield totals(Totals(debits_number=1, debits_amount=ODD_CENTS), date(2026, 5, 12))
    yield msgspec.structs.replace(totals(Totals(), date(2026, 5, 12), mti="0520"), pan=holder.pan, elements=typed)
    for usage, key in ((ZoneKeyUsage.PIN, NEW_ZPK), (ZoneKeyUsage.MAC, NEW_ZAK)):
        elements = Elements(key_block=wrap(zmk, usage, bytes.fromhex(key)))
        yield network("161", elements=elements)
    yield msgspec.structs.replace(network("201"), **everything)
    yield msgspec.structs.replace(network("301"), pan=holder.pan, **everything)


def chipped(last4: str, counter: int) -> Card:
    return card(last4, chip=Chip(DEMO.issuer_keys["imk_ac"], CARDS[last4].pan, counter=counter))


def anew(request: Message) -> Message:
    """The same under another trace number."""
    return msgspec.structs.replace(request, trace=purchase("0014", ODD_CENTS).trace)


def with_track1(request: Message) -> Iterator[bytes]:
    """Fields that nothing reads, with a card's number where one could stand: track 1, track 3, private data."""
    pan = CARDS["0022"].pan
    for number, text in (("45", f"B{pan}^PETIT/BRUNO^2911625"), ("36", f"01{pan}=978"), ("60", pan), ("120", pan)):
        fields, _ = iso8583.decode(CODEC.encode(anew(request)), iso8583.specs.default_ascii)
        frame, _ = iso8583.encode({**fields, number: text}, iso8583.specs.default_ascii)
        yield bytes(frame)


def malformed(request: Message) -> Iterator[bytes]:
    """Frames that carry secrets where nobody can read them, or in the wrong place."""
    frame = CODEC.encode(request)
    assert request.pan is not None
    yield frame.replace(b"0000000000013", b"000000000001X")
    yield frame[:-8]
    yield frame + request.pan.encode()
    yield b"0200" + b"F" * 16 + frame[20:]
    yield b"9925" + frame[4:]
    yield request.pan.encode() + b" is no message"
    yield CODEC.encode(msgspec.structs.replace(request, mti="0600"))
    yield CODEC.encode(msgspec.structs.replace(request, mti="0210"))
    yield CODEC.encode(msgspec.structs.replace(request, mac="0123456789ABCDEF"))
    yield CODEC.encode(
        msgspec.structs.replace(request, retrieval_reference=request.pan[:12], acquirer=request.pan[:11])
    )


def mutated(requests: Iterable[Message], seed: int) -> Iterator[bytes]:
    """Frames with bytes changed, dropped, doubled or cut off behind the message type, bitmaps included."""
    chance = Random(seed)
    for request in requests:
        frame = CODEC.encode(request)
        for _ in range(MUTATIONS):
            at, to = chance.randrange(4, len(frame)), chance.choice(b"0123456789ABCDEF =")
            yield chance.choice(
                (
                    frame[:at] + bytes([to]) + frame[at + 1 :],
                    frame[:at] + frame[at + 1 :],
                    frame[:at] + frame[at : at + 1] + frame[at:],
                    frame[:at],
                )
            )


def secrets_of(runs: Iterable[Sent]) -> Secrets:
    """All that these requests, the demo's cards and its keys hold."""
    requests = [request for run in runs for request in run.requests]
    long = {one.pan for one in CARDS.values()} | {UNSOUND, INITIAL_KEY, NEW_ZPK, NEW_ZAK}
    long |= {DEMO.link.zpk, DEMO.link.zak, DEMO.link.zmk, DEMO.vault.key, *DEMO.issuer_keys.values()}
    vault, serial = VaultKey(bytes.fromhex(DEMO.vault.key)), KeySerial.parse(KEY_SERIAL)
    assert serial is not None
    long |= {key.hex() for key in (vault.token, *vault.keys, pin_key(bytes.fromhex(INITIAL_KEY), serial))}
    for one in CARDS.values():
        long |= {encode_pinblock_iso_0(pin, one.pan).hex() for pin in (one.pin, wrong_pin(one.pan[-4:]))}
    for request in requests:
        long |= {text for text in (request.pin_block, request.chip) if text}
        if request.chip:
            long.add(request.chip.partition("9F2608")[2][:16])
        if request.track2:
            long |= {request.track2, request.track2.replace("=", "D")}
        if request.elements and request.elements.key_block:
            long |= {request.elements.key_block, request.elements.key_block[16:]}
    pins = {one.pin for one in CARDS.values()} | {wrong_pin(last4) for last4 in CARDS}
    return Secrets(frozenset(long), frozenset(pins | {cvv2(last4) for last4 in CARDS} | {WRONG_CVV2}))
