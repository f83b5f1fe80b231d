"""Making a world at an issuer's: employers and merchants one by one, holders in chunks, all by writes that repeat well.

Whatever is cut off is begun again from the start: what is there already is found there, and nothing is doubled.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from simulators.terminal.pinpad import PinPad
from simulators.world.crowd import PRODUCT, PROGRAMME, Member, member_of
from simulators.world.issuer import Issuer
from simulators.world.merchants import merchant_of

REFUSED_KEPT_MAX = 20
"""Refusals that are told one by one; the rest are counted."""
OFFERED_UNTIL = "9999-12-31"
OFFERED_HOLDERS, OFFERED_CENTS = 100_000, 20_000
EMPLOYERS_MAX = 1_000
SUNDAYS_HOLIDAYS_IN = 4
"""One employer in so many lets holders who work Sundays and holidays spend then."""
TERRITORY: Final = "FR-75"

_encode = msgspec.json.Encoder().encode


class Plan(Struct, frozen=True):
    """What a world is to have. `vintage` is the year of its vouchers; `link` the acquirer whose key PINs are under."""

    seed: int
    holders: int
    employers: int
    merchants: int
    vintage: int
    link: str
    chunk: int
    connections: int


class Refused(Struct, frozen=True):
    """A holder whom the issuer didn't take over, and why."""

    reference: str
    why: str


class Built(Struct, frozen=True):
    """What is there: holders who were taken over, by this run or before; `reasons` tells the first who weren't."""

    holders: int
    employers: int
    merchants: int
    refused: int
    reasons: tuple[Refused, ...] = ()


class _Card(Struct, frozen=True, gc=False):
    pan: str
    expiry: str
    generation: int
    activated: bool
    pin_block: str

    def __repr__(self) -> str:
        return "_Card(…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return []


class _Lot(Struct, frozen=True, gc=False):
    product: str
    lot: str
    amount_cents: int


class _Holder(Struct, frozen=True, gc=False):
    reference: str
    employer: str
    works_sundays_holidays: bool
    cards: tuple[_Card, ...]
    lots: tuple[_Lot, ...]


class _Chunk(Struct, frozen=True, gc=False):
    programme: str
    link: str
    holders: list[_Holder]


class _TakenOver(Struct, frozen=True):
    taken_over: int
    refused: tuple[Refused, ...]


class _Named(Struct, frozen=True):
    id: str


class Builder:
    """Makes one world. `furnished` hears of each employer and merchant, `done` of how many more holders.

    What is answered for is in the ledger, or refused.
    """

    def __init__(
        self,
        issuer: Issuer,
        plan: Plan,
        pin_pad: PinPad,
        furnished: Callable[[], object],
        done: Callable[[int], object],
    ) -> None:
        self._issuer = issuer
        self._plan = plan
        self._pin_pad = pin_pad
        self._furnished = furnished
        self._done = done
        self._taken_over = 0
        self._refused: list[Refused] = []
        self._refusals = 0

    async def build(self) -> Built:
        """Make it, as far as it isn't there. Raises `NoIssuer`, `TokenRefused`, `IssuerRefused`."""
        plan = self._plan
        employers = [await self._employer(number) for number in range(plan.employers)]
        for number in range(plan.merchants):
            merchant = merchant_of(plan.seed, number)
            await self._issuer.write("/v1/merchants", _encode(merchant), self._key("merchant", number), _Named)
            self._furnished()
        chunks = iter(range(0, plan.holders, plan.chunk))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.connections):
                    group.create_task(self._take_over(chunks, employers))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        reasons = tuple(self._refused[:REFUSED_KEPT_MAX])
        return Built(self._taken_over, plan.employers, plan.merchants, self._refusals, reasons)

    async def _employer(self, number: int) -> str:
        """Open an employer's account, by an offer that it accepts; return its id."""
        wanted = {"product": PRODUCT, "format": "electronic", "holders": OFFERED_HOLDERS, "amount": OFFERED_CENTS}
        offer = {
            "programme": PROGRAMME,
            "company": f"Société {self._plan.seed}-{number}",
            "territory": TERRITORY,
            "contact": {
                "first_name": "Bureau",
                "last_name": f"Société {number}",
                "email": f"office.{number}@world-{self._plan.seed}.example",
            },
            "wanted": [wanted],
            "tariff": {"commission": 250, "card": 300, "vat": 2_000},
            "until": OFFERED_UNTIL,
        }
        made = await self._issuer.write("/v1/offers", _encode(offer), self._key("offer", number), _Named)
        accepting = f"/v1/offers/{made.id}/acceptance"
        account = await self._issuer.write(accepting, b"{}", self._key("acceptance", number), _Named)
        self._furnished()
        return account.id

    async def _take_over(self, chunks: Iterator[int], employers: Sequence[str]) -> None:
        """Have one chunk after the other taken over, while there are any."""
        plan = self._plan
        for first in chunks:
            numbers = range(first, min(first + plan.chunk, plan.holders))
            holders = [self._holder(member_of(plan.seed, number, len(employers)), employers) for number in numbers]
            body = _encode(_Chunk(PROGRAMME, plan.link, holders))
            taken = await self._issuer.write("/v1/portfolio", body, self._key("holders", first), _TakenOver)
            self._taken_over += taken.taken_over
            self._refusals += len(taken.refused)
            self._refused += taken.refused[: REFUSED_KEPT_MAX - len(self._refused)]
            self._done(len(numbers))

    def _holder(self, member: Member, employers: Sequence[str]) -> _Holder:
        card = member.card
        assert card.expiry is not None, "a world's cards have one"
        assert card.pin is not None, "and a PIN"
        block = self._pin_pad.block(card.pin, card.pan)
        return _Holder(
            member.reference,
            employers[member.employer],
            member.works_days_off,
            (_Card(card.pan, card.expiry, card.generation, True, block),),
            (_Lot(PRODUCT, str(self._plan.vintage), member.cents),),
        )

    def _key(self, kind: str, number: int) -> str:
        return f"world {self._plan.seed} {kind} {number}"
