"""A grep over logs, error output, metrics, pages, a dump and all columns for every PAN, PIN and CVV2 finds nothing.

Keys, PIN blocks, tracks and chip data too. That the search would find one is shown by planting one, place by place.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from random import Random

import asyncpg
import iso8583
import iso8583.specs
import msgspec
import pytest
from msgspec import Struct
from psec.pinblock import encode_pinblock_iso_0

from authz.cli import main as authz
from authz.security.dukpt import KeySerial, pin_key
from authz.security.keyblock import wrap
from authz.security.keys import VaultKey
from authz.security.module import ZoneKeyUsage
from authz.security.vault import Vault
from authz.wire.message import Elements, Message
from ledger.cli import main as ledger
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.card import Card
from simulators.chip import Chip
from simulators.pinpad import DukptPinPad, PinPad
from simulators.terminal import Entry
from simulators.totals import Totals
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, running
from tests.acceptance.counter import (
    CARDS,
    CODEC,
    DEMO,
    Closed,
    Line,
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
from tests.acceptance.secrets_sought import Places, Secrets, columns, dumped, fields_of, guises

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
FRAMES_A_CONNECTION = 8
"""Fewer than the unreadable frames in a row that close one."""
PAGES = ("/metrics", "/readyz", "/healthz", "/schema", "/nothing")
SERVER_LOG_HEAD = re.compile(r"^\S+ \S+ UTC \[\d+\] ", re.MULTILINE)
"""A time and a process number stand before each line: they hold any three or four digits."""
SERVER_LOG_FIGURES = re.compile(r"^LOG:  (checkpoint|restartpoint|redo|invalid record length).*$", re.MULTILINE)
"""What PostgreSQL says of its own buffers and positions are numbers of any size."""
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'authz'"


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
    """All that the next run sends, PINs under `zpk`, new keys under `zmk`: by default a stranger's, which is refused."""
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
    fields, _ = iso8583.decode(CODEC.encode(anew(request)), iso8583.specs.default_ascii)
    for number, text in (("45", f"B{pan}^PETIT/BRUNO^2911625"), ("36", f"01{pan}=978"), ("60", pan), ("120", pan)):
        frame, _ = iso8583.encode(
            {**fields, "11": anew(request).trace, number: text}, iso8583.specs.default_ascii
        )
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


class Run:
    """Everything once, from a start to a kill, and what was said meanwhile."""

    def __init__(self, authorizer: Authorizer, places: Places) -> None:
        self.authorizer = authorizer
        self._places = places

    def pay(self, what: Sent, *, meanwhile: Iterable[str] = (), server: EmbeddedServer | None = None) -> None:
        """Everything at once, then what can't be read, over connections of its own. `meanwhile`: SQL."""
        frames = [*(CODEC.encode(request) for request in what.requests), *what.frames]
        with Line(self.authorizer.port) as line:
            for frame in frames:
                line.send(frame)
            for statement in meanwhile:
                assert server is not None
                asyncio.run(execute(server, statement))
            replies = self._replies(line)
        codes = {CODEC.decode(reply).response_code for reply in replies}
        if not meanwhile:
            assert len(replies) == len(frames)
            assert {"00", "55", "63"} <= codes
        hostile = [*malformed(what.kinds[2]), *malformed(what.payments[0]), *mutated(what.kinds, seed=len(frames))]
        for start in range(0, len(hostile), FRAMES_A_CONNECTION):
            with Line(self.authorizer.port) as line:
                for frame in hostile[start : start + FRAMES_A_CONNECTION]:
                    line.send(frame)
                self._replies(line)
        with Line(self.authorizer.port) as line:
            line.send_raw(CODEC.encode(what.kinds[0]))
            line.is_closed()

    def fail(self, server: EmbeddedServer) -> None:
        """Meet what nobody has foreseen: a vault entry that was tampered with."""
        token = Vault(VaultKey(bytes.fromhex(DEMO.vault.key))).token(UNSOUND)
        entry = ("unsound", "nobody", 0, token, UNSOUND[:6], UNSOUND[-4:], b"no seal", b"no seal")
        asyncio.run(execute(server, "INSERT INTO authz.vault VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", *entry))
        request = purchase("0014", ODD_CENTS)
        with Line(self.authorizer.port) as line:
            assert line.ask(msgspec.structs.replace(request, pan=UNSOUND)).response_code == "96"
        asyncio.run(execute(server, "DELETE FROM authz.vault WHERE card = 'unsound'"))
        assert "request failed" in self.authorizer.errors

    def end(self) -> None:
        self._places["pages"] += [self.authorizer.get(page)[1] for page in PAGES]
        self.authorizer.kill()
        self._places["output"].append(self.authorizer.output)
        self._places["errors"].append(self.authorizer.errors)

    def _replies(self, line: Line) -> list[bytes]:
        """Each reply until the line ends. They echo the card's number, as they must, and hold nothing else."""
        line.close_sending()
        replies: list[bytes] = []
        try:
            while True:
                replies.append(line.receive())
        except Closed:
            self._places["replies"] += replies
        return replies


@pytest.fixture
def left_behind(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Secrets, Places, EmbeddedServer]:
    """What runs with kills, restarts and a database that fails left behind, by place; its database runs on."""
    first, last = sent(), sent(NEW_ZPK)
    changes = sent(zmk=ZMK)
    places: Places = {name: [] for name in ("output", "errors", "pages", "replies")}
    options = ("--data", str(data), "--clock", TUESDAY)
    with running(tmp_path, *options) as authorizer:
        run = Run(authorizer, places)
        run.pay(first)
        run.end()
    with running(tmp_path, *options) as authorizer:
        run = Run(authorizer, places)
        run.pay(first)  # answered again, from the ledger
        run.fail(EmbeddedServer.start(data))
        run.pay(changes)
        run.end()
    with running(tmp_path, *options, "--json-logs") as authorizer:  # under the keys that were changed
        run = Run(authorizer, places)
        EmbeddedServer.start(data).stop("immediate")
        eventually(lambda: authorizer.get("/readyz")[0] == 503)
        with Line(authorizer.port) as line:
            assert line.ask(purchase("0014", ODD_CENTS)).response_code == "91"
        places["pages"].append(authorizer.get("/readyz")[1])
        server = EmbeddedServer.start(data)
        eventually(lambda: authorizer.get("/readyz")[0] == 200)
        run.fail(server)
        run.pay(last)
        run.pay(sent(NEW_ZPK), meanwhile=[TERMINATE] * 3, server=server)
        eventually(lambda: authorizer.get("/readyz")[0] == 200)
        run.end()
    logs = [log.read_text() for log in (data / "postgresql").glob("server.log*")]
    assert logs
    places["server log"] = [SERVER_LOG_FIGURES.sub("", SERVER_LOG_HEAD.sub("", log)) for log in logs]
    places["commands"] = [*told_by_commands(server, capsys)]
    return secrets_of([first, changes, last]), places, server


def told_by_commands(server: EmbeddedServer, capsys: pytest.CaptureFixture[str]) -> Iterator[bytes]:
    """What the tools print that read configuration and ledger. Their figures come to any number: they aren't texts."""
    url = server.url("authz", "authz")
    for main, command, *options in (
        (authz, "keys list", "--demo"),
        (authz, "vault status", "--demo"),
        (authz, "replay"),
        (ledger, "verify"),
        (ledger, "balances"),
        (ledger, "report"),
    ):
        source = server.url("finance", "authz") if main is ledger else url
        code = main([*command.split(), *options, "--database", source])
        told = capsys.readouterr()
        assert (code, bool(told.out)) == (0, True), f"{command}: {told.err}"
        yield (told.out + told.err).encode()


def test_no_secret_is_left_anywhere(left_behind: tuple[Secrets, Places, EmbeddedServer], data: Path) -> None:
    secrets, places, server = left_behind
    replies = {"replies": places.pop("replies")}
    told = msgspec.structs.replace(secrets, long=secrets.long - {one.pan for one in CARDS.values()} - {UNSOUND})
    dump = fields_of(dumped(server, "authz"))
    database = asyncio.run(columns(server.url(SUPERUSER, "authz")))
    for everything in (database, dump):
        assert {"ledger.journal_000000.request", "ledger.identity.digest", "authz.vault.sealed_pan"} <= {*everything}
        assert len(everything["authz.zone_key.sealed"]) == len(ZoneKeyUsage)
        for reason in ("PIN_WRONG", "CVV_WRONG", "ARQC_WRONG"):
            assert any(reason in str(content) for content in everything["ledger.journal_000000.reply"]), reason
    assert secrets.found(places) == []
    assert told.found(replies) == []
    assert secrets.found(dict(database)) == []
    assert secrets.found(dump) == []

    # Nor in the files of the cluster, its write-ahead log included, where short ones would be found by chance.
    asyncio.run(execute(server, "CHECKPOINT"))
    for file in (data / "postgresql").rglob("*"):
        if file.is_file():
            assert [*secrets.found_in_file(file.read_bytes().rstrip(b"\0"))] == [], file.name

    # Had there been one, in any guise, the same search would have found it, wherever it had been.
    for place, contents in (places | replies).items():
        for plant in planted(secrets):
            found = [*told.found_in(place, [contents[-1], plant])] + [*secrets.found_in(place, [contents[-1], plant])]
            assert found, (place, plant)
    asyncio.run(execute(server, "CREATE TABLE planted (note text, body json, bytes bytea)"))
