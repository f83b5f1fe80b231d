"""A grep over logs, error output, metrics, pages, a dump and all columns for every PAN, PIN and CVV2 finds nothing.

Keys, PIN blocks, tracks and chip data too. That the search would find one is shown by planting one, place by place.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from psec.pinblock import encode_pinblock_iso_0

from authz.cli import main as authz
from authz.security.keys import VaultKey
from authz.security.module import ZoneKeyUsage
from authz.security.vault import Vault
from ledger.cli import main as ledger
from ledger.embedded import SUPERUSER, EmbeddedServer
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, running
from tests.acceptance.counter import (
    CARDS,
    CODEC,
    DEMO,
    Closed,
    Line,
    cvv2,
    purchase,
)
from tests.acceptance.secrets_sought import (
    NEW_ZPK,
    ODD_CENTS,
    UNSOUND,
    ZMK,
    Places,
    Secrets,
    Sent,
    columns,
    dumped,
    fields_of,
    malformed,
    mutated,
    secrets_of,
    sent,
)

KINDS = {"purchase", "authorization", "authorization_advice", "advice", "completion", "reversal", "refund", "inquiry"}
KINDS |= {"totals", "cutover", "key"}
FRAMES_A_CONNECTION = 8
"""Fewer than the unreadable frames in a row that close one."""
PAGES = ("/metrics", "/readyz", "/healthz", "/schema", "/nothing")
SERVER_LOG_HEAD = re.compile(r"^\S+ \S+ UTC \[\d+\] ", re.MULTILINE)
"""A time and a process number stand before each line: they hold any three or four digits."""
_FIGURES = "acquirer|epoch|head|http|links|suppressed|timestamp|trace"
LOG_FIGURES = re.compile(rf'^\S+Z |(?<= )({_FIGURES})=\S+|"({_FIGURES})": "?[^",}}]*', re.MULTILINE)
"""So do a time, a place in the ledger and ports."""
SERVER_LOG_FIGURES = re.compile(r"^LOG:  (checkpoint|restartpoint|redo|invalid record length).*$", re.MULTILINE)
"""What PostgreSQL says of its own buffers and positions are numbers of any size."""
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'authz'"


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
        self._places["errors"].append(LOG_FIGURES.sub("", self.authorizer.errors))

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
        (ledger, "report shortfalls"),
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
        records = {name: everything[f"ledger.journal_000000.{name}"] for name in ("kind", "request", "reply")}
        assert set(records["kind"]) >= KINDS
        for reason in ("PIN_WRONG", "CVV_WRONG", "ARQC_WRONG"):
            assert any(reason in str(reply) for reply in records["reply"]), reason
        for finding in ('"pin":"right"', '"pin":"garbled"', '"cvv2":"right"', '"arqc":"right"', '"unused":[[0,0]]'):
            assert any(finding in str(request) for request in records["request"]), finding
    assert secrets.found(places) == []
    assert told.found(replies) == []
    assert secrets.found(dict(database)) == []
    assert secrets.found(dump) == []

    # Nor in the files of the cluster, its write-ahead log included, where short ones would be found by chance.
    asyncio.run(execute(server, "CHECKPOINT"))
    files = {file.read_bytes().rstrip(b"\0"): file for file in (data / "postgresql").rglob("*") if file.is_file()}
    for content, file in files.items():  # most are copies of a template's
        assert [*secrets.found_in_file(content)] == [], file

    # Had there been one, in any of these guises and places, the same search would have found it.
    for place in places:
        for plant in PLANTS if place != "commands" else LONG_PLANTS:
            assert secrets.found({place: [*places[place][-1:], plant]}) != [], (place, plant)
    for plant in KEY_PLANTS:
        assert told.found({"replies": [*replies["replies"][-1:], plant]}) != [], plant
    for stored in (CARDS["0014"].pan.encode(), bytes.fromhex(DEMO.link.zpk)):
        assert [*secrets.found_in_file(bytes(100) + stored)] != [], stored
    asyncio.run(execute(server, "CREATE TABLE planted (note text, body json, bytes bytea)"))
    for plant in PLANTS:
        column = "bytes" if isinstance(plant, bytes) else "body" if plant.startswith("{") else "note"
        asyncio.run(execute(server, f"INSERT INTO planted ({column}) VALUES ($1)", plant))
    for read in (asyncio.run(columns(server.url(SUPERUSER, "authz"))), fields_of(dumped(server, "authz"))):
        planted = {place: contents for place, contents in read.items() if place.startswith("public.planted.")}
        contents = [one for column in planted.values() for one in column if one not in ("None", r"\N")]
        assert len(contents) == len(PLANTS)
        for one in contents:
            assert secrets.found({"planted": [one]}) != [], one


def encoded(plain: bytes, offset: int = 0) -> str:
    """Base64 of bytes that begin at an offset in something longer."""
    return base64.b64encode(b"." * offset + plain).decode()


PAN, ZPK = CARDS["0014"].pan, DEMO.link.zpk
KEY_PLANTS: list[bytes | str] = [
    f"key {ZPK}",
    f"key {ZPK.lower()}",
    f"key {ZPK.encode().hex()}",
    *(encoded(bytes.fromhex(ZPK), offset) for offset in range(3)),
    b"..." + bytes.fromhex(ZPK),
]
LONG_PLANTS: list[bytes | str] = [
    *KEY_PLANTS,
    f"card {PAN} refused",
    f"card {PAN.encode().hex()} refused",
    *(encoded(PAN.encode(), offset) for offset in range(3)),
    b"..." + bytes.fromhex(PAN),
    f"PIN block {encode_pinblock_iso_0(CARDS['0014'].pin, PAN).hex()}",
]
PLANTS: list[bytes | str] = [
    *LONG_PLANTS,
    f"PIN {CARDS['0014'].pin}",
    f"cvv2={cvv2('0014')}.",
    json.dumps({"pin": CARDS["0014"].pin}),
    json.dumps({"cvv2": int(cvv2("0014"))}),
]


async def execute(server: EmbeddedServer, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(server.url(SUPERUSER, "authz"))
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()
