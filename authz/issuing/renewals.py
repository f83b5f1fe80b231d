"""Cards that soon end are made anew, unasked: valid for four years, they are reissued for as long as they are used.

Once a month every holder is come by. The card that ends goes on paying until the new one is activated, or until its
last day. Which card comes after another follows from the two, so a walk that is cut off begins again, and finds done
what was done; that a month is through is a record.
"""

from collections.abc import Sequence
from datetime import date

from authz.decision.issuing.commands import RemakeCard
from authz.decision.issuing.needs import ENDS_SOON_MONTHS, months_left, needs_card
from authz.decision.position import Card, CardId, CardStatus, Position
from authz.engine.bulk import Errand
from authz.engine.passbooks import decode_state
from authz.issuing.cardmaking import make_cards
from authz.issuing.cards import remake_key
from authz.issuing.following import Follower
from authz.issuing.issuer import Issuer
from authz.programmes import SHIPPED
from ledger.store import Line
from ledger.values import HolderId, Partition

PASSBOOKS_A_LOOK = 64
"""Passbooks that are read together: what the event loop is kept from payments for."""

Ending = tuple[HolderId, Card]
"""A card that ends soon, and whose it is."""


class Renewals:
    """Renews the cards of one partition's holders."""

    def __init__(self, issuer: Issuer, partition: Partition) -> None:
        self._issuer = issuer
        self._partition = partition
        self._through = ""

    async def renew(self) -> None:
        """Do what the month that has begun asks for, unless that is done. Raises what store, lane and vault raise."""
        day = min(self._issuer.day(programme) for programme in SHIPPED)
        month = f"renewals {day:%Y-%m}"
        if self._through == month:
            return
        walker = Follower(self._issuer, self._partition, month)
        if await walker.noted() is None:
            if not await self._walk(day):
                return
            await walker.note(walker.head())
        self._through = month

    async def _walk(self, day: date) -> bool:
        """Come by everybody. False: there is nobody, and nothing is noted of that."""
        lane, after = self._issuer.engine.lane(self._partition), ""
        while True:
            async with lane.turn():
                page = await self._issuer.store.passbooks(self._partition, after, PASSBOOKS_A_LOOK)
                ending = [(holder, card) for holder, line in page for card in self._ending(holder, line, day)]
            await lane.carry_out(await self._errands(ending))
            if len(page) < PASSBOOKS_A_LOOK:
                return bool(page or after)
            after = page[-1][0]

    def _ending(self, holder: HolderId, line: Line, day: date) -> Sequence[Card]:
        position = decode_state(holder, line.position)
        assert isinstance(position, Position), "references are passed over"
        return [card for card in position.cards if self._ends(card, position, day)]

    def _ends(self, card: Card, position: Position, day: date) -> bool:
        """Tell whether a card is in use, ends soon, and has no other to come after it."""
        soon = 0 <= months_left(card.expiry, day) < ENDS_SOON_MONTHS
        if card.status is not CardStatus.ACTIVE or not soon:
            return False
        return needs_card(position, self._issuer.programme(card.programme), day)

    async def _errands(self, ending: Sequence[Ending]) -> Sequence[Errand]:
        errands = []
        for programme in sorted({card.programme for _, card in ending}):
            olds = {holder: card for holder, card in ending if card.programme == programme}
            keys = {holder: remake_key(CardId(card.id)) for holder, card in olds.items()}
            made = await make_cards(self._issuer, programme, keys)
            errands += [
                Errand(RemakeCard(holder, CardId(olds[holder].id), new), keys[holder], olds[holder].last_month)
                for holder, new in made.items()
            ]
        return errands
