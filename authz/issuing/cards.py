"""What holders and employers do about a card: activate it, stop it, have it made anew, have its PIN sent again.

A holder asks, their employer validates, or starts it. What was validated is done at once; where that was cut off,
`Remakes` does it behind the journal, and what was done is found done.
"""

import contextlib
from collections.abc import Sequence
from typing import Literal

from authz.decision.commands import LiftOnlineLock, StopCard
from authz.decision.issuing.commands import (
    ActivateCard,
    AnswerRequest,
    AskRequest,
    FinishRequest,
    RemakeCard,
)
from authz.decision.issuing.needs import USABLE, is_locked
from authz.decision.issuing.states import (
    CardRequest,
    ClientId,
    RequestId,
    RequestKind,
    RequestStatus,
    request_passbook,
)
from authz.decision.position import Card, CardId, Position
from authz.decision.programme import Programme
from authz.decision.refused import CardIssued, CardUnknown, HolderUnknown, Refused
from authz.issuing.cardmaking import make_cards
from authz.issuing.following import Follower, window
from authz.issuing.issuer import PAGE_MAX, Issuer, NotThere
from authz.issuing.names import new_id
from ledger.values import HolderId, Partition, Seq

Opposition = Literal["lost", "stolen", "fraud"]
"""Why a holder stops a card."""
CardAdministration = ActivateCard | StopCard | LiftOnlineLock

_VALIDATING = tuple(str(one.__struct_config__.tag) for one in (AskRequest, AnswerRequest))
"""Kinds of records by which a request may come to be validated."""


class PinOfDeadCard(Refused):
    """The PIN of a card that is stopped or locked isn't sent again: ask for a new card."""


class CardSucceeded(Refused):
    """A newer card has been made already: ask about that one."""


def remake_key(old: CardId) -> str:
    """Name the making of the card that comes after another: there is one, whoever asks for it, and how often."""
    return f"remake {old}"


class CardDesk:
    """What is done about a card at once, and what is asked about it."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def activate(self, holder: HolderId, card: CardId, by: str, key: str) -> None:
        """Have a card pay; the holder's others of its programme are replaced. Raises `NotThere`, as `Issuer.do`."""
        await self._do(ActivateCard(holder, card), key, by)

    async def oppose(self, holder: HolderId, card: CardId, because: Opposition, by: str, key: str) -> None:
        """Stop a card, for good, even if it is found again: the very next authorization is refused.

        When this returns, it is in the ledger, and in the memory by which payments are decided. Raises `NotThere`,
        and as `Issuer.do`.
        """
        await self._do(StopCard(holder, card, because), key, by)

    async def lift_online_lock(self, holder: HolderId, card: CardId, by: str, key: str) -> None:
        """Let a card be used online again. Raises `NotThere`, and as `Issuer.do`."""
        await self._do(LiftOnlineLock(holder, card), key, by)

    async def ask(
        self, holder: HolderId, card: CardId, kind: RequestKind, client: ClientId, by: str, key: str
    ) -> CardRequest:
        """Ask an employer of the holder's for a new card, or for the PIN again.

        Raises `NotThere`, `PinOfDeadCard`, `CardSucceeded`, and as `Issuer.do`.
        """
        return await self._ask(client, holder, card, kind, by, key, validated=False)

    async def start(
        self, client: ClientId, holder: HolderId, card: CardId, kind: RequestKind, by: str, key: str
    ) -> CardRequest:
        """Have the same done at an employer's own request: it is validated at once. Raises as `ask`."""
        asked = await self._ask(client, holder, card, kind, by, key, validated=True)
        return await self._carried_out(asked, by)

    async def answer(self, client: ClientId, request: RequestId, by: str, key: str, *, validated: bool) -> CardRequest:
        """Validate what a holder asked, or refuse it. Raises `NotThere`, and as `Issuer.do`."""
        await self.request(client, request)
        await self._issuer.do(AnswerRequest(client, request, validated), key, by)
        return await self._carried_out(await self.request(client, request), by)

    async def request(self, client: ClientId, request: RequestId) -> CardRequest:
        """Give what was asked of a client. Raises `NotThere`."""
        state = await self._issuer.state(request_passbook(client, request))
        if not isinstance(state, CardRequest):
            raise NotThere
        return state

    async def requests(self, client: ClientId, after: str = "", most: int = PAGE_MAX) -> Sequence[CardRequest]:
        """List what was asked of a client, in the order of ids, behind one."""
        first = request_passbook(client, RequestId(""))
        found = await self._issuer.named(first, request_passbook(client, RequestId(after)), most)
        return [state for _, state in found if isinstance(state, CardRequest)]

    async def _do(self, command: CardAdministration, key: str, by: str) -> None:
        try:
            await self._issuer.do(command, key, by)
        except (HolderUnknown, CardUnknown):
            raise NotThere from None

    async def _ask(
        self,
        client: ClientId,
        holder: HolderId,
        card: CardId,
        kind: RequestKind,
        by: str,
        key: str,
        *,
        validated: bool,
    ) -> CardRequest:
        request = RequestId(new_id("request", client, key))
        before = await self._issuer.state(request_passbook(client, request))
        if isinstance(before, CardRequest):
            day = before.asked_on
        else:
            position, mine = await self._of_client(client, holder, card)
            rules = self._issuer.programme(mine.programme)
            _require_sense(kind, mine, position, rules)
            day = self._issuer.day(rules.id)
        await self._issuer.do(AskRequest(client, request, kind, holder, card, day, validated), key, by)
        return await self.request(client, request)

    async def _of_client(self, client: ClientId, holder: HolderId, card: CardId) -> tuple[Position, Card]:
        position = await self._issuer.position(holder)
        mine = None if position is None else position.card(card)
        if position is None or mine is None or client not in position.employers:
            raise NotThere
        return position, mine

    async def _carried_out(self, request: CardRequest, by: str) -> CardRequest:
        if request.status is RequestStatus.VALIDATED:
            await carry_out(self._issuer, request, by)
        return await self.request(request.client, request.id)


async def carry_out(issuer: Issuer, request: CardRequest, by: str) -> None:
    """Do what was validated; done twice, it is done once. The PIN is in the next run's file.

    Raises what `Issuer.do` and `make_cards` raise.
    """
    new = await _remade(issuer, request, by) if request.kind is RequestKind.REMAKE else None
    await issuer.do(FinishRequest(request.client, request.id, new), f"done {request.client} {request.id}", by)


async def _remade(issuer: Issuer, request: CardRequest, by: str) -> CardId:
    position = await issuer.position(request.holder)
    old = None if position is None else position.card(request.card)
    if old is None:
        raise CardUnknown
    key = remake_key(request.card)
    new = (await make_cards(issuer, old.programme, {request.holder: key}))[request.holder]
    with contextlib.suppress(CardIssued):  # in the course of renewals, meanwhile
        await issuer.do(RemakeCard(request.holder, request.card, new), key, by)
    return new.card


def _require_sense(kind: RequestKind, card: Card, position: Position, programme: Programme) -> None:
    dead = card.status not in USABLE or is_locked(card, programme)
    if kind is RequestKind.PIN and dead:
        raise PinOfDeadCard
    newest = [one.id for one in position.cards if one.programme == card.programme][-1]
    if kind is RequestKind.REMAKE and card.id != newest:
        raise CardSucceeded


class Remakes:
    """Does what was validated and, for whatever reason, not done: of the holders of one partition.

    It follows the journal; how far it has come is a record too.
    """

    def __init__(self, issuer: Issuer, partition: Partition) -> None:
        self._issuer = issuer
        self._partition = partition
        self._follower = Follower(issuer, partition, "remakes")

    async def remake(self) -> None:
        """Go as far as the journal goes. Raises what the store, the lane and `make_cards` raise."""
        after, last = await self._follower.noted() or Seq(0), self._follower.head()
        while after < last:
            async with self._follower.lane.turn():
                after, found = await window(self._issuer, self._partition, _VALIDATING, after, last)
            for passbook in dict.fromkeys(one.holder for one in found):
                await self._finish(passbook)
            if found or after < last:  # what has nothing in it is soon followed again
                await self._follower.note(after)

    async def _finish(self, passbook: HolderId | None) -> None:
        assert passbook is not None, "a request has a passbook"
        request = await self._issuer.state(passbook)
        if not isinstance(request, CardRequest) or request.status is not RequestStatus.VALIDATED:
            return
        if self._issuer.engine.partition_of(request.holder) == self._partition:
            with contextlib.suppress(Refused):  # it stays validated, for people to look at
                await carry_out(self._issuer, request, by="")
