"""A till that never rests: requests of a mix, each with a card, a trace number and the time at which it is due.

A request is written whole once for each of its shapes; the next of that shape is the same bytes with other values in
their places. So a run makes its requests as it goes, and memory doesn't grow with their number.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from authz.wire.codec import Codec
from authz.wire.frames import Framer
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.original import OriginalElements
from simulators.load.mix import FOLLOWS, Kind, Mix, Popularity
from simulators.load.places import Places, Template
from simulators.load.run import Prepared
from simulators.load.skim import Skimmed, Skimmer
from simulators.mistakes import Mistake
from simulators.terminal.card import Card
from simulators.terminal.messages import ANY_PRODUCT, TRACE_MAX, Entry, Site, Terminal
from simulators.terminal.parameters import Parameters
from simulators.terminal.pinpad import PinPad

CARDS_KEPT_MAX = 50_000
"""Cards whose number and PIN block are at hand; others are made again."""
ORIGINALS_KEPT_MAX = 10_000
"""Approved requests of a kind that may still be completed, reversed or refunded."""
VARYING = (2, 4, 7, 11, 12, 13, 14, 48, 52, 90)
"""Fields that differ between requests of one shape."""
APPROVED = ("00", "10")

CardOf = Callable[[int], Card]
"""Gives the card of a number, from 0: always the same."""


class NoTerminal(Mistake):
    """The parameters have no such terminal."""


class Shop(Struct, frozen=True):
    """Where all requests come from."""

    site: Site
    acquirer: str
    pin_pad: PinPad

    @classmethod
    def of(cls, known: Parameters, terminal: str | None = None) -> Self:
        """One of the parameters' terminals; the first, where none is named. Raises `NoTerminal`, `KeyUnfit`."""
        site = known.terminal[0] if terminal is None and known.terminal else known.site(terminal or "")
        if site is None:
            raise NoTerminal(f"--terminal: one of {', '.join(one.terminal for one in known.terminal)}")
        return cls(site, known.acquirer, PinPad(known.pin_pad_key))


class Basket(Struct, frozen=True):
    """What is bought: a product (DE 3), and from how many to how many cents, evenly."""

    cents_min: int = 1
    cents_max: int = 20
    product: str = ANY_PRODUCT


class Original(Struct, frozen=True, gc=False):
    """What later requests must know of an earlier one. `card` is its number."""

    kind: Kind
    card: int
    cents: int
    trace: str
    transmitted: str


class Traffic:
    """Requests, made as they are asked for; the same for the same seed and the same replies."""

    def __init__(
        self,
        codec: Codec,
        shop: Shop,
        card_of: CardOf,
        popularity: Popularity,
        mix: Mix[Kind],
        entries: Mix[Entry],
        *,
        basket: Basket = Basket(),  # noqa: B008 - frozen
        seed: int = 1,
        begun: datetime | None = None,
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - reproducible requests, not a secret
        self._codec = codec
        self._shop = shop
        self._places = Places(codec.dialect)
        self._skimmer = Skimmer(self._places)
        self._head = codec.dialect.framing.length_bytes
        self._basket = basket
        self._begun = begun or datetime.now(UTC)
        self._kind = mix.drawn_by(chance)
        self._entry = entries.drawn_by(chance)
        self._card_number = popularity.drawn_by(chance)
        self._draw = chance.random
        self._trace = chance.randrange(TRACE_MAX)
        self._held = lru_cache(CARDS_KEPT_MAX)(lambda number: _Held.of(card_of(number), shop.pin_pad))
        self._templates: dict[tuple[object, ...], Template] = {}
        self._originals = {kind: deque[Original](maxlen=ORIGINALS_KEPT_MAX) for kind in FOLLOWS.values()}
        self._second: int | None = None
        self._times = ("", "", "")

    def along(self, arrivals: Iterable[float]) -> Iterator[Prepared]:
        """One request for each arrival (seconds), made when it is asked for."""
        return map(self._request, arrivals)

    def heard(self, request: Prepared, reply: Skimmed) -> None:
        """Keep what was approved, for what may follow it."""
        original = request.about
        if original is not None and reply.response_code in APPROVED:
            self._originals[original.kind].append(original)

    def _request(self, at: float) -> Prepared:
        kind = self._kind()
        followed = FOLLOWS.get(kind)
        if followed is not None:
            originals = self._originals[followed]
            if originals:
                return self._following(kind, originals.popleft(), at)
            kind = followed
        return self._first(kind, at)

    def _first(self, kind: Kind, at: float) -> Prepared:
        entry, number = self._entry(), self._card_number()
        held = self._held(number)
        low, high = self._basket.cents_min, self._basket.cents_max
        cents = low + int(self._draw() * (high - low + 1))
        texts, original = self._texts(kind, number, held, cents, at)
        frame = self._template(kind, entry, held).fill(texts)
        about = original if kind in self._originals else None
        return Prepared(frame, self._key(frame), f"{kind} {entry}", about)

    def _following(self, kind: Kind, original: Original, at: float) -> Prepared:
        held = self._held(original.card)
        texts, _ = self._texts(kind, original.card, held, original.cents, at)
        mti = "0100" if original.kind is Kind.AUTHORIZATION else "0200"
        texts[90] = OriginalElements(mti, original.trace, original.transmitted, self._shop.acquirer).text
        frame = self._template(kind, Entry.CHIP, held).fill(texts)
        return Prepared(frame, self._key(frame), str(kind))

    def _texts(self, kind: Kind, number: int, held: "_Held", cents: int, at: float) -> tuple[dict[int, str], Original]:
        self._trace = self._trace % TRACE_MAX + 1
        trace = f"{self._trace:06d}"
        transmitted, local_time, local_date = self._time(at)
        texts = held.texts | {4: f"{cents:012d}", 7: transmitted, 11: trace, 12: local_time, 13: local_date}
        return texts, Original(kind, number, cents, trace, transmitted)

    def _time(self, at: float) -> tuple[str, str, str]:
        second = int(at // 1)
        if second != self._second:
            now = self._begun + timedelta(seconds=second)
            local = now.astimezone(self._shop.site.zone)
            self._second = second
            self._times = f"{now.astimezone(UTC):%m%d%H%M%S}", f"{local:%H%M%S}", f"{local:%m%d}"
        return self._times

    def _key(self, frame: bytes) -> bytes:
        return self._skimmer.skim(frame[self._head :]).key

    def _template(self, kind: Kind, entry: Entry, held: "_Held") -> Template:
        shape = (kind, entry, *held.shape)
        template = self._templates.get(shape)
        if template is None:
            message = self._message(kind, entry, held.card)
            frame = Framer(self._codec.dialect.framing).frame(self._codec.encode(message))
            fields = [number for number in VARYING if getattr(message, ATTRIBUTES[number]) is not None]
            template = self._templates[shape] = Template(self._places, frame, fields)
        return template

    def _message(self, kind: Kind, entry: Entry, card: Card) -> Message:
        """What a terminal would send."""
        shop, product = self._shop, self._basket.product
        till = Terminal(shop.site, shop.acquirer, shop.pin_pad, lambda: self._begun)
        paying = card.without_pin() if entry is Entry.CONTACTLESS else card
        cents = self._basket.cents_min
        match kind:
            case Kind.PURCHASE:
                return till.purchase(paying, cents, entry=entry, product=product)
            case Kind.AUTHORIZATION:
                return till.authorization(paying, cents, entry=entry, product=product)
            case Kind.INQUIRY:
                return till.inquiry(paying, entry=entry, product=product)
            case Kind.COMPLETION:
                return till.completion(card, till.authorization(card, cents, product=product), cents)
            case Kind.REVERSAL:
                return till.reversal(till.purchase(card, cents, product=product))
            case Kind.REFUND:
                return till.refund(card, till.purchase(card, cents, product=product), cents)


class _Held(Struct, frozen=True):
    """A card, its texts by field number, and what makes the shape of its requests. Its repr shows the masked PAN."""

    card: Card
    texts: dict[int, str]
    shape: tuple[object, ...]

    @classmethod
    def of(cls, card: Card, pin_pad: PinPad) -> Self:
        card = replace(card, chip=None)  # a cryptogram covers the amount: it can't be a template's
        texts = {2: card.pan}
        if card.expiry is not None:
            texts[14] = card.expiry
        if card.cvv2 is not None:
            texts[48] = Elements(cvv2=card.cvv2).text
        if card.pin is not None:
            texts[52] = pin_pad.block(card.pin, card.pan)
        return cls(card, texts, (len(card.pan), *texts))

    def __repr__(self) -> str:
        return repr(self.card)

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return self.card.__rich_repr__()
