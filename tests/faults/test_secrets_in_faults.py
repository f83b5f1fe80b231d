"""Nothing that goes wrong shows a secret: not the error, not its traceback, not a drawing of the values around it.

docs/security.md, "What leaks are kept in by". The values hold marks that stand nowhere else: a card's number, its PIN,
CVV2, PIN block, chip data, tracks and keys.
"""

import asyncio
import importlib
import io
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from prometheus_client import generate_latest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from authz.demo_data.data import DemoCard
from authz.demo_data.data import read as read_demo
from authz.links.translation import request_of, totals_of
from authz.security.keyblock import wrap
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.module import PinMethod, ZoneKeyUsage
from authz.security.software import SoftwareSecurityModule
from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.dialect import shipped, shipped_names
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.rules import check_mandatory
from authz.wire.track2 import Track2
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip
from simulators.terminal.pinpad import DukptPinPad, PinPad
from tests.acceptance import secrets_sought
from tests.links.lines import ACQUIRER, NOON, approve, financial, line_of, network, purchase, until

PAN, PIN, CVV2, EXPIRY = "4929381705528361", "7391", "583", "2911"
ZPK, ZAK, ZMK = (
    "5D6E7F8091A2B3C45D6E7F8091A2B3C5",
    "6E7F8091A2B3C4D56E7F8091A2B3C4D6",
    "7F8091A2B3C4D5E67F8091A2B3C4D5E7",
)
MASTER, ISSUER, NEW_KEY = "8091A2B3" * 8, "91A2B3C4D5E6F70891A2B3C4D5E6F709", "A2B3C4D5E6F70819A2B3C4D5E6F7081A"
KEY_SERIAL = "FFFF9876543210E00001"
TRACK2 = f"{PAN}={EXPIRY}625"
BLOCK = PinPad(ZPK).block(PIN, PAN)
DUKPT = DukptPinPad(NEW_KEY, KEY_SERIAL).block(PIN, PAN)
KEY_BLOCK = wrap(bytes.fromhex(ZMK), ZoneKeyUsage.PIN, bytes.fromhex(NEW_KEY))
CHIP_DATA = "9F26088F1D3A5C7E9B2D4F9F3704A1B2C3D4"
ELEMENTS = Elements(cvv2=CVV2, key_block=KEY_BLOCK, key_serial=KEY_SERIAL)

LONG = {
    "a card's number": PAN,
    "a track": TRACK2,
    "a PIN block": BLOCK,
    "a PIN block of a pad with a key for each transaction": DUKPT.block,
    "chip data": CHIP_DATA,
    "a zone PIN key": ZPK,
    "a MAC key": ZAK,
    "a key for keys": ZMK,
    "a vault's key": MASTER,
    "an issuer's key": ISSUER,
    "a new key": NEW_KEY,
    "a wrapped key": KEY_BLOCK[16:],
}
SHORT = {"a PIN": PIN, "a CVV2": CVV2}
SOUGHT = secrets_sought.Secrets(long=frozenset(LONG.values()), short=frozenset(SHORT.values()))

MARKED = {"pan": PAN, "track2": TRACK2, "pin_block": BLOCK, "chip": CHIP_DATA, "elements": ELEMENTS, "expiry": EXPIRY}
MESSAGES = [
    *(
        msgspec.structs.replace(financial(mti), **MARKED)
        for mti in ("0100", "0120", "0200", "0220", "0400", "0420", "0500", "0520", "0600")
    ),
    *(network(code, **MARKED) for code in ("001", "161", "201", "301")),
]
DIALECTS = {name: Codec(shipped(name)) for name in shipped_names()}

PAYMENT = msgspec.structs.replace(purchase(), **MARKED)
REQUEST = request_of(PAYMENT, ACQUIRER, NOON, 0.0)
CHIP = Chip(ISSUER, PAN)
ZONE = ZoneKeys.from_hex({"zpk": ZPK, "zak": ZAK, "zmk": ZMK})
ISSUER_KEYS = IssuerKeys.from_hex(dict.fromkeys(("pvk", "cvk", "imk_ac", "bdk"), ISSUER))
MODULE = SoftwareSecurityModule(ISSUER_KEYS, {ACQUIRER: ZONE}, VaultKey(bytes.fromhex(MASTER)))
DEMO_DATA = msgspec.structs.replace(
    read_demo(),
    card=(DemoCard(PAN, "Bruno Petit", "E1", 1, "N+2-06", PIN, ()),),
    issuer_keys=dict.fromkeys(("pvk", "cvk", "imk_ac", "bdk"), ISSUER),
    vault=msgspec.structs.replace(read_demo().vault, key=MASTER),
)
VALUES: Mapping[str, object] = {
    "a message": PAYMENT,
    "elements": ELEMENTS,
    "a track": Track2.parse(TRACK2),
    "what a request hides": REQUEST.secrets,
    "a request": REQUEST,
    "its command": REQUEST.command,
    "a link's keys": ZONE,
    "an issuer's keys": ISSUER_KEYS,
    "a vault's key": VaultKey(bytes.fromhex(MASTER)),
    "a security module": MODULE,
    "an imported key": asyncio.run(MODULE.import_key(ACQUIRER, KEY_BLOCK)),
    "what is kept of a PIN": msgspec.structs.replace(
        asyncio.run(MODULE.make_pin_check(PinMethod.PVV, PAN, PIN)), value=PIN
    ),
    "the demo's data": DEMO_DATA,
    "the demo's vault key": DEMO_DATA.vault,
    "the demo's configuration": DEMO_DATA.config(),
    "a card in hand": Card(pan=PAN, expiry=EXPIRY, pin=PIN, cvv2=CVV2, chip=CHIP),
    "a chip": CHIP,
    "a PIN pad": PinPad(ZPK),
    "a PIN pad with a key for each transaction": DukptPinPad(NEW_KEY, KEY_SERIAL),
    "an enciphered PIN": DUKPT,
}


def leaked(text: str) -> list[str]:
    return [*SOUGHT.found_in("the text", [text])]


def told_by(error: BaseException) -> str:
    """All that a logger could tell of an error, and of those behind it, hidden by `from None` or not."""
    texts = [*traceback.format_exception(error)]
    behind: BaseException | None = error
    while behind is not None:
        texts += [str(behind), repr(behind), repr(behind.args), repr(vars(behind)), drawn(vars(behind))]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(texts)


def drawn(value: object) -> str:
    """A value as rich draws it, wide enough that nothing is broken into lines."""
    page = io.StringIO()
    Console(file=page, width=4_000).print(value)
    return page.getvalue()


def defect(held: list[object]) -> None:
    """What nobody has foreseen, in the midst of secrets."""
    first, *others = held
    raise ZeroDivisionError(f"{type(first).__name__} and {len(others)} others")


def caught_from(function: Callable[..., object], *arguments: object) -> BaseException:
    """What a function raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is
        function(*arguments)
    return caught.value


class Careless(Struct, frozen=True):
    """Shows what it holds, as a struct does."""

    value: str


class TestTheSearch:
    @pytest.mark.parametrize("secret", (LONG | SHORT).values(), ids=LONG | SHORT)
    def test_finds_every_mark_in_each_kind_of_text(self, secret: str) -> None:
        def hide() -> None:
            try:
                int(f"{secret} is no number")
            except ValueError:
                raise LookupError from None

        for text in (repr(Careless(secret)), drawn(Careless(secret)), told_by(caught_from(hide))):
            assert leaked(text)
        error = caught_from(defect, [Careless(secret)])
        assert leaked("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        assert leaked(drawn(traceback_with_locals(error)))


class TestWhatIsDrawn:
    def structs(self) -> Iterator[type[Struct]]:
        """Every struct of the product that masks its repr."""
        for package in ("authz", "ledger", "simulators"):
            for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
                importlib.import_module(module.name)
        classes = list(Struct.__subclasses__())
        for one in classes:
            classes += one.__subclasses__()
            if (
                one.__module__.split(".")[0] in ("authz", "ledger", "simulators")
                and one.__repr__ is not Struct.__repr__
            ):
                yield one

    def test_who_masks_a_repr_masks_richs_too(self) -> None:
        """A msgspec struct has a `__rich_repr__` of its own, which shows every field."""
        masking = [*self.structs()]
        assert Message in masking
        richs = Struct.__rich_repr__
        assert [one for one in masking if one.__rich_repr__ is richs] == []

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_no_value_shows_what_it_holds(self, value: object) -> None:
        for text in (repr(value), str(value), f"{[value]!r}", pretty_repr(value), drawn(value)):
            assert leaked(text) == []

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_nor_does_a_traceback_that_shows_local_variables(self, value: object) -> None:
        error = caught_from(defect, [value])
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        for text in (told, drawn(traceback_with_locals(error))):
            assert "held = [" in text
            assert leaked(text) == []


def traceback_with_locals(error: BaseException) -> Traceback:
    """A traceback as rich draws it, with every local variable at full length, of the innermost function."""
    assert error.__traceback__ is not None
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    return Traceback.from_exception(
        type(error), error, innermost, width=4_000, show_locals=True, locals_max_length=1_000, locals_max_string=100_000
    )


def understood(codec: Codec, frame: bytes) -> object:
    """What a link makes of a frame before it asks the engine."""
    message = codec.decode(frame)
    check_mandatory(message)
    match message.mti[1]:
        case "5":
            return message, totals_of(message, ACQUIRER, NOON, 0.0)
        case "8":
            return message
        case _:
            return message, request_of(message, ACQUIRER, NOON, 0.0)


class TestWhatCannotBeRead:
    @given(
        st.sampled_from(MESSAGES),
        st.sampled_from([*DIALECTS.values()]),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=2)), min_size=1, max_size=3),
        st.booleans(),
    )
    def test_is_refused_without_a_word_of_its_content(
        self, message: Message, codec: Codec, changes: list[tuple[float, bytes]], cut: bool
    ) -> None:
        """Frames of all kinds of messages in all dialects, changed anywhere; bytes are replaced, put in or left out."""
        frame = codec.encode(message)
        for where, what in changes:
            at = int(where * len(frame))
            frame = frame[:at] + what + (b"" if cut else frame[at + 1 :])
        try:
            told = repr(understood(codec, frame))
        except (Malformed, Unreadable) as error:
            told = told_by(error)
        assert leaked(told) == []

    @pytest.mark.parametrize("name", sorted({*ATTRIBUTES.values()} - {"elements"}))
    def test_nor_does_what_cannot_be_written(self, name: str) -> None:
        with pytest.raises(Unsendable) as caught:
            DIALECTS["iso87ascii"].encode(msgspec.structs.replace(PAYMENT, **{name: f"{PAN} {PIN} {CVV2} {ZPK}é"}))
        assert leaked(told_by(caught.value)) == []


class TestADefectInside:
    @pytest.mark.parametrize("where", ["engine", "security", "codec"])
    async def test_costs_its_own_request_and_is_told_without_content(
        self,
        where: str,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Whatever the exception says, its type alone is logged."""
        async with line_of() as line:
            client = await line.connect()
            broken, name = {
                "engine": (line.engine, "pay"),
                "security": (line.security, "verify_mac"),
                "codec": (line.codec, "decode"),
            }[where]

            def fail(*arguments: object) -> None:
                raise RuntimeError(arguments, PAYMENT.pan, PIN, CVV2, BLOCK)

            mac = "0123456789ABCDEF" if where == "security" else None
            frame = client.frame(msgspec.structs.replace(PAYMENT, mac=mac))
            with monkeypatch.context() as patched:
                patched.setattr(broken, name, fail)
                client.writer.write(frame)
                await until(lambda: line.logged)
            if where != "codec":
                reply = await client.hear()
                assert (reply.response_code, reply.reason) == ("96", "INTERNAL")
                assert leaked(repr(line.codec.encode(msgspec.structs.replace(reply, pan=None)))) == []
            said = "request not answered" if where == "codec" else "request failed"
            assert line.logged == [(said, {"error": "RuntimeError"})]
            line.engine.script = approve
            assert (await client.ask(purchase(2))).response_code == "00", "the next one is served"
            metrics = generate_latest(line.metrics.registry).decode()
        assert leaked(repr(line.logged) + metrics + "".join(capfd.readouterr()) + caplog.text) == []
