"""A shop's counter: the demo's cards and terminals, and a plain blocking line to an authorizer."""

import itertools
import socket
from collections import deque
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from types import TracebackType
from typing import Any

import msgspec
from psec.cvv import generate_cvv

from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoCard, expiry_in
from authz.security.mac import RetailMac
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.frames import Framer
from authz.wire.message import Message
from simulators.acquirer.totals import Totals
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry, Terminal
from simulators.terminal.pinpad import PinPad
from tests.acceptance.authorizer import TUESDAY

DEMO = demo_data.read()
SIMULATED = parameters.demo()
DIALECTS = ("iso87ascii", "iso87ascii4", "iso87bcd", "iso87ebcdic")
YEAR = 2026
"""N: the year of every `--clock` here."""
CARDS: Mapping[str, DemoCard] = {card.pan[-4:]: card for card in DEMO.card}
"""The demo's cards by their last four digits."""
REPLY_MAX_S = 8

_traces = itertools.count(1)


@cache
def codec_of(dialect: str) -> Codec:
    """Reads and writes a shipped dialect."""
    return Codec(shipped(dialect))


CODEC = codec_of("iso87ascii")


def cvv2(last4: str) -> str:
    """The CVV2 on the back of a card: demo.toml says how it is made."""
    card = CARDS[last4]
    made: str = generate_cvv(bytes.fromhex(DEMO.issuer_keys["cvk"]), card.pan, expiry_in(card.expiry, YEAR), "000")
    return made


def wrong_pin(last4: str) -> str:
    """A PIN that isn't the card's."""
    return "0000" if CARDS[last4].pin != "0000" else "1111"


def terminal(name: str = "PAR00001", at: str = TUESDAY, *, first_trace: int | None = None) -> Terminal:
    """A terminal whose next request has a trace number that none of this run had, unless told otherwise."""
    site = SIMULATED.site(name)
    assert site is not None
    clock = datetime.fromisoformat(at)
    return Terminal(
        site,
        SIMULATED.acquirer,
        PinPad(SIMULATED.zone_pin_key),
        lambda: clock,
        first_trace=first_trace or next(_traces),
    )


def card(last4: str, **changes: Any) -> Card:
    """A card in its holder's hand, who types the right PIN unless told otherwise."""
    demo = CARDS[last4]
    known = Card(pan=demo.pan, expiry=expiry_in(demo.expiry, YEAR), pin=demo.pin, generation=demo.generation)
    return msgspec.structs.replace(known, **changes)


def purchase(
    last4: str,
    cents: int,
    at_terminal: str = "PAR00001",
    *,
    at: str = TUESDAY,
    entry: Entry = Entry.CHIP,
    product: str = "00",
    takes_partial: bool = False,
    **changes: Any,
) -> Message:
    """A 0200 of a demo card at a demo terminal. `changes` are the card's: `pin`, `cvv2`."""
    return terminal(at_terminal, at).purchase(
        card(last4, **changes), cents, entry=entry, product=product, takes_partial=takes_partial
    )


def online(last4: str, cents: int, code: str, *, at: str = TUESDAY) -> Message:
    """A 0200 in the demo's web shop, with DE 22 = 812 and a CVV2."""
    return purchase(last4, cents, "WEB00001", at=at, entry=Entry.ONLINE, cvv2=code)


def stamped(mti: str, at: str = TUESDAY, **fields: Any) -> Message:
    """A message that the acquirer's host sends by itself: with a time, and a trace number that none of this run had."""
    transmitted = f"{datetime.fromisoformat(at).astimezone(UTC):%m%d%H%M%S}"
    return Message(mti=mti, transmitted=transmitted, trace=f"{next(_traces):06}", **fields)


def network(code: str, *, at: str = TUESDAY, **fields: Any) -> Message:
    """An 0800."""
    return stamped("0800", at, network_code=code, **fields)


def totals(counted: Totals, day: date, *, mti: str = "0500", at: str = TUESDAY) -> Message:
    """What an acquirer counted on a business day."""
    return stamped(mti, at, acquirer=SIMULATED.acquirer, **counted.fields(day))


def framed(payload: bytes) -> bytes:
    """A payload behind its length."""
    return Framer().frame(payload)


def signed(request: Message, codec: Codec = CODEC, zak: str = DEMO.link.zak) -> bytes:
    """A message with a right MAC."""
    frame = codec.encode_unsigned(request)
    return codec.signed(frame, mac_of(frame, codec, zak))


def mac_of(frame: bytes, codec: Codec = CODEC, zak: str = DEMO.link.zak) -> str:
    """The MAC of a frame that has a place for one, under the demo link's key unless told otherwise."""
    return RetailMac(bytes.fromhex(zak)).of(codec.covered(frame))


class Closed(Exception):
    """The authorizer closed the connection."""


class Line:
    """A blocking connection to an authorizer, in messages of a dialect or in bytes."""

    def __init__(self, port: int, codec: Codec = CODEC) -> None:
        self._codec = codec
        self._framer = Framer(codec.dialect.framing)
        self._arrived: deque[bytes] = deque()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_MAX_S)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, payload: bytes) -> None:
        self.send_raw(self._framer.frame(payload))

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close_sending(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """The next frame that isn't empty. Raises `Closed`, and `TimeoutError` after `REPLY_MAX_S`."""
        while not self._arrived:
            self._arrived += self._framer.feed(self._read())
        return self._arrived.popleft()

    def ask_bytes(self, payload: bytes) -> bytes:
        """Send a request and wait for its reply. On a line that was idle the engine's own echo tests come before it."""
        self.send(payload)
        reply = self.receive()
        while self._codec.decode(reply).mti == "0800":
            reply = self.receive()
        return reply

    def ask(self, request: Message) -> Message:
        return self._codec.decode(self.ask_bytes(self._codec.encode(request)))

    def is_closed(self) -> bool:
        """Wait for the other end's next byte, which must be its end."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionError:
            return True

    def _read(self) -> bytes:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed
        return data


def ask(port: int, request: Message) -> Message:
    """One request over a connection of its own."""
    with Line(port) as line:
        return line.ask(request)
