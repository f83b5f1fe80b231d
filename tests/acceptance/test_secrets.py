"""A grep over logs, error output, metrics and all columns for every PAN, PIN and CVV2 finds nothing.

Keys and PIN blocks too. That the search would find one is shown by planting one.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from psec.pinblock import encode_pinblock_iso_0

from authz.wire.message import Message
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.terminal import Entry
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, running
from tests.acceptance.counter import CARDS, CODEC, DEMO, Line, card, cvv2, online, purchase, terminal, wrong_pin
from tests.acceptance.secrets_sought import Secrets, columns

WRONG_CVV2 = "947"
ODD_CENTS = 13
"""Amounts are chosen so that none, and no sum of them, is a PIN."""
PAGES = ("/metrics", "/readyz", "/healthz", "/schema", "/nothing")
SERVER_LOG_HEAD = re.compile(r"^\S+ \S+ UTC \[\d+\] ", re.MULTILINE)
"""A time and a process number stand before each line: they hold any three or four digits."""
SERVER_LOG_FIGURES = re.compile(r"^LOG:  (checkpoint|restartpoint|redo|invalid record length).*$", re.MULTILINE)
"""What PostgreSQL says of its own buffers and positions are numbers of any size."""


def payments() -> Iterator[Message]:
    """Approvals and refusals of every card, with right and wrong PINs and CVV2, as track 2 and as a PAN."""
    for last4, demo in CARDS.items():
        site = "PAR00001" if demo.employer != "E3" else "BRU00001"
        yield purchase(last4, ODD_CENTS, site)
        yield purchase(last4, 500_013, site, takes_partial=True)
        yield purchase(last4, ODD_CENTS, site, pin=wrong_pin(last4))
        yield purchase(last4, ODD_CENTS, site, entry=Entry.CONTACTLESS, pin=None)
        yield terminal(site).authorization(card(last4), ODD_CENTS)
        yield terminal(site).inquiry(card(last4))
        yield online(last4, ODD_CENTS, cvv2(last4))
        yield online(last4, ODD_CENTS, WRONG_CVV2)
        yield msgspec.structs.replace(purchase(last4, ODD_CENTS, site), pan=None, track2=card(last4).track2)
        yield msgspec.structs.replace(purchase(last4, ODD_CENTS, site), pin_block="0123456789ABCDEF")


def malformed() -> Iterator[bytes]:
    """Frames that carry secrets where nobody can read them, or in the wrong place."""
    request = purchase("0014", ODD_CENTS)
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


def used(requests: list[Message]) -> Secrets:
    """All that these requests, the demo's cards and its keys hold."""
    blocks = {request.pin_block for request in requests if request.pin_block}
    clear = {encode_pinblock_iso_0(pin, one.pan).hex() for one in CARDS.values() for pin in (one.pin, "0000")}
    tracks = {request.track2.replace("=", "D") for request in requests if request.track2}
    keys = {DEMO.link.zpk, DEMO.link.zak, DEMO.link.zmk, DEMO.vault.key, *DEMO.issuer_keys.values()}
    pins = {one.pin for one in CARDS.values()} | {wrong_pin(last4) for last4 in CARDS}
    codes = {cvv2(last4) for last4 in CARDS} | {WRONG_CVV2}
    return Secrets(
        long=frozenset({one.pan for one in CARDS.values()} | blocks | clear | tracks | keys),
        short=frozenset(pins | codes),
    )


def pay(authorizer: Authorizer, requests: list[Message]) -> None:
    """Everything at once, then what can't be read, over connections of its own."""
    with Line(authorizer.port) as line:
        for request in requests:
            line.send(CODEC.encode(request))
        codes = {CODEC.decode(line.receive()).response_code for _ in requests}
    assert {"00", "55", "63"} <= codes
    for frame in malformed():
        with Line(authorizer.port) as line:
            line.send(frame)
            line.close_sending()
            line.is_closed()


@pytest.fixture
def left_behind(data: Path, tmp_path: Path) -> tuple[Secrets, dict[str, list[bytes | str]], EmbeddedServer]:
    """What a run with a kill, a restart and a database that fails left behind, by place; its database runs on."""
    requests = list(payments())
    pages: list[bytes | str] = []
    outputs: list[bytes | str] = []
    for _ in range(2):  # the second answers the same requests again from the ledger
        with running(tmp_path, "--data", str(data), "--clock", TUESDAY) as authorizer:
            pay(authorizer, requests)
            pages += [authorizer.get(page)[1] for page in PAGES]
            authorizer.kill()
            outputs += [authorizer.output, authorizer.errors]
    with running(tmp_path, "--data", str(data), "--clock", TUESDAY, "--json-logs") as authorizer:
        EmbeddedServer.start(data).stop("immediate")
        eventually(lambda: authorizer.get("/readyz")[0] == 503)
        with Line(authorizer.port) as line:
            assert line.ask(purchase("0014", ODD_CENTS)).response_code == "91"
        pages.append(authorizer.get("/readyz")[1])
        server = EmbeddedServer.start(data)
        eventually(lambda: authorizer.get("/readyz")[0] == 200)
        pay(authorizer, list(payments()) + requests[:1])
        authorizer.kill()
        outputs += [authorizer.output, authorizer.errors]
    logs = [log.read_text() for log in (data / "postgresql").glob("server.log*")]
    assert logs
    places: dict[str, list[bytes | str]] = {
        "output": outputs,
        "pages": pages,
        "server log": [SERVER_LOG_FIGURES.sub("", SERVER_LOG_HEAD.sub("", log)) for log in logs],
        **asyncio.run(columns(server.url(SUPERUSER, "authz"))),
    }
    return used(requests), places, server


def found(secrets: Secrets, places: dict[str, list[bytes | str]]) -> list[str]:
    return sorted({hit for place, contents in places.items() for hit in secrets.found_in(place, contents)})


def test_no_secret_is_left_anywhere(
    left_behind: tuple[Secrets, dict[str, list[bytes | str]], EmbeddedServer], data: Path
) -> None:
    secrets, places, server = left_behind
    assert {"ledger.journal_000000.request", "ledger.identity.digest", "authz.vault.sealed_pan", "pages"} <= set(places)
    assert any("PIN_WRONG" in str(content) for content in places["ledger.journal_000000.reply"])
    assert any("CVV_WRONG" in str(content) for content in places["ledger.journal_000000.reply"])
    assert found(secrets, places) == []

    # Nor in the files of the cluster, its write-ahead log included, where short ones would be found by chance.
    asyncio.run(execute(server, "CHECKPOINT"))
    for file in (data / "postgresql").rglob("*"):
        if file.is_file():
            assert [*secrets.found_in_file(file.read_bytes().rstrip(b"\0"))] == [], file.name

    # Had there been one, in any of these guises and places, the same search would have found it.
    pan, pin, code = CARDS["0014"].pan, CARDS["0014"].pin, cvv2("0014")
    plants = [
        ("note", f"card {pan} refused"),
        ("note", f"card {pan.encode().hex()} refused"),
        ("note", base64.b64encode(f"..{pan}".encode()).decode()),
        ("note", f"PIN {pin}"),
        ("note", f"cvv2={code}."),
        ("body", json.dumps({"pin": pin})),
        ("body", json.dumps({"cvv2": int(code)})),
        ("bytes", pan.encode()),
        ("bytes", bytes(3) + bytes.fromhex(pan)),
        ("bytes", bytes.fromhex(DEMO.link.zpk)),
    ]
    asyncio.run(execute(server, "CREATE TABLE planted (note text, body json, bytes bytea)"))
    for column, value in plants:
        asyncio.run(execute(server, f"INSERT INTO planted ({column}) VALUES ($1)", value))
        everything = asyncio.run(columns(server.url(SUPERUSER, "authz")))
        planted = {place: contents for place, contents in everything.items() if place.startswith("public.planted")}
        assert found(secrets, planted) != [], (column, value)
        asyncio.run(execute(server, "TRUNCATE planted"))
    for place in ("output", "pages", "server log"):
        assert found(secrets, {place: [*places[place], f"PIN {pin}"]}) != []


async def execute(server: EmbeddedServer, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(server.url(SUPERUSER, "authz"))
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()
