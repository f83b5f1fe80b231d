"""Production runs: the cards that were issued go to the embosser, and their PINs, 48 hours later, to the PIN printer.

A run has every card issued in the journal behind the run before it, so that none is made twice and none is left out;
and the cards whose PIN an employer had sent again. Its file is made once: before the run is journaled, which names it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from authz import logs
from authz.decision.commands import Administration, IssueCard
from authz.decision.issuing.commands import (
    AnswerRequest,
    AskRequest,
    Fulfil,
    MoveRun,
    RemakeCard,
    StartRun,
)
from authz.decision.issuing.states import (
    RUN_CARDS_MAX,
    CardRequest,
    Client,
    ClientId,
    RequestKind,
    Run,
    RunStatus,
    client_passbook,
    run_passbook,
)
from authz.decision.position import CardId
from authz.decision.refused import Refused
from authz.engine.cards import CARDS_A_QUERY_MAX, NumberedCard
from authz.engine.inputs import decode_inputs
from authz.issuing.cardfiles import Addressee, CardFiles, CardLine, CardRecipients, FileKind, PinLine
from authz.issuing.following import window
from authz.issuing.issuer import HOME, Issuer, KeyReused, NotNow, NotThere
from authz.security.module import PinUnknown
from ledger.store import Event
from ledger.values import HolderId, Partition, Seq

CARDS_A_TURN = 25
"""Lines made before payments have the loop again: some milliseconds."""

_KINDS = tuple(
    str(command.__struct_config__.tag) for command in (Fulfil, RemakeCard, IssueCard, AskRequest, AnswerRequest)
)


class _Batch(Struct):
    """What a run is to have: `full` once nothing more goes in."""

    cards: dict[CardId, None] = {}
    reissued: dict[CardId, None] = {}

    @property
    def full(self) -> bool:
        return len(self.cards) + len(self.reissued) >= RUN_CARDS_MAX

    def run(self, number: int, through: Sequence[Seq]) -> Run:
        """Make the run of it. A card that is made has its PIN sent anyway."""
        again = tuple(card for card in self.reissued if card not in self.cards)
        return Run(number, tuple(through), tuple(self.cards), again, card_file="")


class Production:
    """Makes runs, and takes them through their steps. One at a time."""

    def __init__(self, issuer: Issuer, folder: Path, recipients: CardRecipients) -> None:
        self._issuer = issuer
        self._files = CardFiles(folder, recipients)
        self._one_at_a_time = asyncio.Lock()
        self._last_seen = 0

    async def start(self, by: str, key: str = "") -> Run | None:
        """Make a run of the cards that are waiting, at most `RUN_CARDS_MAX`; None where none is. Once for each `key`.

        Raises `NotNow` and `ledger.store.Unavailable`: then it can be tried again; and `FolderUnusable`.
        """
        async with self._one_at_a_time:
            last = await self._last()
            if last is not None:
                await self._adopt(FileKind.CARDS, last.number, last.card_file)
            if (done := await self._done(key)) is not None:
                return done
            run = await self._waiting(last)
            if run is None:
                return None
            lines = [line async for line in self._card_lines(run.cards)]
            return await self._file(
                FileKind.CARDS,
                run.number,
                lines,
                lambda digest: StartRun(msgspec.structs.replace(run, card_file=digest)),
                by,
                key,
            )

    async def send(self, number: int, by: str, key: str = "") -> Run:
        """Note that the cards are on their way: the 48 hours count from now on. Raises as `make_pins`."""
        return await self._move(number, RunStatus.SENT, by, key)

    async def make_pins(self, number: int, by: str, key: str = "") -> Run:
        """Make the file of the PIN letters. Raises `NotThere`, `Refused` where it is too early or made, `NotNow`."""
        async with self._one_at_a_time:
            run = await self._run(number)
            if run.pin_file is not None and (done := await self._done(key)) is not None:
                await self._adopt(FileKind.PINS, number, run.pin_file)
                return done
            if run.status is not RunStatus.SENT:  # the core says why not
                return await self._move(number, RunStatus.PINS_MADE, by, key)
            lines = [line async for line in self._pin_lines([*run.cards, *run.reissued])]
            if len(lines) < len(run.cards) + len(run.reissued):
                logs.warning(
                    "PINs that aren't natural can't be mailed: make these cards anew",
                    run=number,
                    cards=len(run.cards) + len(run.reissued) - len(lines),
                )
            return await self._file(
                FileKind.PINS,
                number,
                lines,
                lambda digest: MoveRun(number, RunStatus.PINS_MADE, digest),
                by,
                key,
            )

    async def pins_sent(self, number: int, by: str, key: str = "") -> Run:
        """Note that the PINs are on their way. Raises as `make_pins`."""
        return await self._move(number, RunStatus.PINS_SENT, by, key)

    async def runs(self, after: int = 0) -> Sequence[Run]:
        """List runs in their order, behind a number: a page of them."""
        page = await self._issuer.named("run:", run_passbook(after))
        return [run for _, run in page if isinstance(run, Run)]

    async def card_file(self, number: int) -> bytes:
        """Read a run's encrypted card file. Raises `NotThere`, `FileMissing` and `FolderUnusable`."""
        run = await self._run(number)
        return await asyncio.to_thread(self._files.read, FileKind.CARDS, number, run.card_file)

    async def pin_file(self, number: int) -> bytes:
        """Read a run's encrypted PIN file. Raises `NotThere` until it is made, `FileMissing` and `FolderUnusable`."""
        run = await self._run(number)
        if run.pin_file is None:
            raise NotThere
        return await asyncio.to_thread(self._files.read, FileKind.PINS, number, run.pin_file)

    async def _file(
        self,
        kind: FileKind,
        number: int,
        lines: Iterable[CardLine | PinLine],
        command: Callable[[str], Administration],
        by: str,
        key: str,
    ) -> Run:
        """Write a file, then journal it by the command that names its digest, then give it its name."""
        digest = await asyncio.to_thread(self._files.write, kind, number, lines)
        try:
            await self._issuer.do(command(digest), key or f"run {number} {kind} {digest}", by)
        except Refused:
            await asyncio.to_thread(self._files.discard, kind, number, digest)
            raise
        await self._adopt(kind, number, digest)
        return await self._run(number)

    async def _adopt(self, kind: FileKind, number: int, digest: str) -> None:
        await asyncio.to_thread(self._files.adopt, kind, number, digest)

    async def _move(self, number: int, status: RunStatus, by: str, key: str) -> Run:
        await self._run(number)
        await self._issuer.do(MoveRun(number, status), key or f"run {number} {status}", by)
        return await self._run(number)

    async def _done(self, key: str) -> Run | None:
        """Find the run that was made, or taken a step, under a key. Raises `KeyReused`."""
        match await self._issuer.done(key) if key else None:
            case None:
                return None
            case StartRun(run=Run(number=number)) | MoveRun(number=number):
                return await self._run(number)
            case _:
                raise KeyReused

    async def _run(self, number: int) -> Run:
        run = await self._issuer.state(run_passbook(number))
        if not isinstance(run, Run):
            raise NotThere
        return run

    async def _last(self) -> Run | None:
        """Find the newest run. Numbers have no gaps, and what was seen isn't walked over again."""
        while page := await self.runs(self._last_seen):
            self._last_seen = page[-1].number
        return await self._run(self._last_seen) if self._last_seen else None

    async def _waiting(self, last: Run | None) -> Run | None:
        """Follow the journal from where the last run came to."""
        heads = self._issuer.engine.acknowledged()
        partitions = await self._issuer.store.partitions()
        if any(partition not in heads for partition in partitions):
            raise NotNow
        through = [Seq(0) for _ in partitions] if last is None else list(last.through)
        batch = _Batch()
        for partition in partitions:
            async for event in self._events(partition, through[partition], heads[partition].head):
                await self._put(batch, partition, event)
                if batch.full:
                    through[partition] = event.seq
                    return batch.run(_after(last), through)
            through[partition] = heads[partition].head
        return batch.run(_after(last), through) if batch.cards or batch.reissued else None

    async def _put(self, batch: _Batch, partition: Partition, event: Event) -> None:
        """Take in what a record says of cards: one issued, one whose PIN is sent again."""
        match command := decode_inputs(event.request).command:
            case Fulfil(card=new) if new is not None:
                batch.cards[new.card] = None
            case RemakeCard(new=new):
                batch.cards[new.card] = None
            case IssueCard(card=card, active=False):
                batch.cards[card] = None
            case AskRequest(validated=True) | AnswerRequest(validated=True) if partition == HOME:  # they are in each
                request = await self._issuer.state(command.passbook)
                if isinstance(request, CardRequest) and request.kind is RequestKind.PIN:
                    batch.reissued[request.card] = None

    async def _events(self, partition: Partition, after: Seq, through: Seq) -> AsyncIterator[Event]:
        """Go through what concerns runs in a partition, `after` < seq <= `through`."""
        while after < through:
            after, events = await window(self._issuer, partition, _KINDS, after, through)
            for event in events:
                yield event

    async def _card_lines(self, cards: Sequence[CardId]) -> AsyncIterator[CardLine]:
        async for one, to in self._addressed(cards):
            digits = await self._issuer.security.card_verification(one.pan, one.expiry)
            yield CardLine(one.card, one.pan, one.expiry, digits.service_code, digits.cvv, digits.icvv, digits.cvv2, to)

    async def _pin_lines(self, cards: Sequence[CardId]) -> AsyncIterator[PinLine]:
        """Make the letters; a card whose PIN isn't its natural one has none."""
        async for one, to in self._addressed(cards):
            try:
                pin = await self._issuer.security.pin_mailer(one.pan, one.check)
            except PinUnknown:
                continue
            yield PinLine(one.card, one.pan[-4:], pin, to)

    async def _addressed(self, cards: Sequence[CardId]) -> AsyncIterator[tuple[NumberedCard, Addressee]]:
        """Go through cards, with whom they are sent to."""
        for first in range(0, len(cards), CARDS_A_QUERY_MAX):
            some = cards[first : first + CARDS_A_QUERY_MAX]
            numbered = await self._issuer.cards.named(some)
            addressees = await self._addressees(numbered.values())
            for place, card in enumerate(some, 1):
                yield numbered[card], addressees[numbered[card].holder]
                if place % CARDS_A_TURN == 0:
                    await asyncio.sleep(0)

    async def _addressees(self, cards: Iterable[NumberedCard]) -> Mapping[HolderId, Addressee]:
        holders = list({card.holder: None for card in cards})
        people = await self._issuer.contacts.find(holders)
        territories = await self._territories(holders)
        addressees: dict[HolderId, Addressee] = {}
        for holder in holders:
            person = people.get(holder)
            names = ("", "", "") if person is None else (person.first_name, person.last_name, person.language)
            addressees[holder] = Addressee(*names, territories.get(holder, ""))
        return addressees

    async def _territories(self, holders: Sequence[HolderId]) -> Mapping[HolderId, str]:
        """Find where the clients have the cards sent of those holders who have one."""
        positions = self._issuer.positions(holders)
        employers = {holder: position.employer async for holder, position in positions if position is not None}
        territories: dict[str, str] = {}
        for employer in set(employers.values()):
            client = await self._issuer.state(client_passbook(ClientId(employer)))
            territories[employer] = client.territory if isinstance(client, Client) else ""
        return {holder: territories[employer] for holder, employer in employers.items()}


def _after(last: Run | None) -> int:
    return 1 if last is None else last.number + 1
