"""Every record that somebody is to be told of becomes a letter to them: at least once, whatever dies or is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from email.message import EmailMessage
from itertools import count
from typing import Any

import pytest
import structlog
from msgspec import structs

from authz.decision.commands import Load, StopCard
from authz.decision.issuing.commands import ChangeClient, MoveRun, OpenClient, RegisterAgent, Remind, StartRun
from authz.decision.issuing.states import ClientId, ContactId, RequestKind, Run, RunStatus
from authz.decision.outcomes import Reason
from authz.decision.position import CardId
from authz.engine.bulk import Interrupted
from authz.issuing import following
from authz.issuing.access import Gate
from authz.issuing.contacts import MemoryContacts
from authz.issuing.outbox import outbox as module
from authz.issuing.outbox.outbox import RECORDS_A_NOTE, TRIES_MAX, Outbox
from authz.issuing.outbox.sending import Line
from authz.issuing.person import Person
from ledger.memory import MemoryStore
from ledger.postgres import PostgresStore
from ledger.values import Cents, HolderId, Partition, Seq
from tests.conftest import Database
from tests.engine.world import MAIN, World, holder_of, pan_of
from tests.issuing.office import BY, LEA, Office
from tests.issuing.ordering import DURAND, FIRST, LEROY, SECOND, Desk, row, rows
from tests.issuing.outbox.mailroom import HASTE, LINK, MailServer, text_of

NOA = Person("Noa", "Blanc", "noa.blanc@example.org", "nl")
ZOE = Person("Zoé", "Martin", "zoe.martin@example.org", "fr")
MAX = Person("Max", "Petit", "max.petit@example.org", "en")
H1, H2 = holder_of(1), holder_of(2)
C1, C2 = CardId("c1"), CardId("c2")
PARTITIONS = 2


class Mailroom:
    """An office with an outbox for each partition, and the server that they send to."""

    def __init__(self, office: Office, server: MailServer) -> None:
        self.office = office
        self.server = server
        self.outboxes = server.outboxes(office.issuer, office.house.metrics, PARTITIONS)

    async def send(self) -> None:
        for outbox in self.outboxes:
            await outbox.send()

    async def told(self) -> list[EmailMessage]:
        """Send, and return what has come since the last time."""
        before = len(self.server.letters)
        await self.send()
        return self.server.letters[before:]

    async def reopened(self) -> "Mailroom":
        return Mailroom(await self.office.reopened(), self.server)

    def count(self, outcome: str) -> float:
        return self.office.house.metrics.registry.get_sample_value("authz_letters_total", {"outcome": outcome}) or 0

    def age_s(self) -> float:
        name = "authz_outbox_age_seconds"
        ages = [
            self.office.house.metrics.registry.get_sample_value(name, {"partition": str(number)})
            for number in range(PARTITIONS)
        ]
        return max(age for age in ages if age is not None)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def room(server: MailServer) -> AsyncIterator[Mailroom]:
    """Two holders of E1, with 35.00 each and a card; the outboxes are switched on."""
    office = Office(await World(PARTITIONS).open())
    await furnish(office)
    room = Mailroom(office, server)
    await room.send()
    assert not server.letters, "nobody is told of what was before"
    yield room
    office.world.audit()
    await office.world.close()


async def furnish(office: Office) -> None:
    await office.house.furnish()
    for number in (1, 2):
        await office.house.enrol(number, 35_00)
    user = ContactId("u1")
    opening = OpenClient(ClientId("E1"), "Atelier Durand", "apetiz", "FR-75", user, ())
    await office.issuer.do(opening, "account E1", BY)
    await office.contacts.keep({H1: ZOE, H2: MAX, user: LEA})


class TestAccounts:
    async def test_a_new_account_is_welcomed_with_an_access_that_opens_it(self, room: Mailroom) -> None:
        client = await room.office.clients.accept(await room.office.offer(), None, BY, "acceptance")
        [letter] = await room.told()
        assert (letter["To"], letter["Subject"]) == (
            "Léa Roy <lea.roy@example.org>",
            "Votre compte Atelier Durand est ouvert",
        )
        assert f"n° {client.id}" in text_of(letter)
        assert await self.opens(room, letter) == client.id

    async def test_contracts_that_are_added_are_told_to_each_of_its_users(self, room: Mailroom) -> None:
        client = await room.office.clients.accept(await room.office.offer(), None, BY, "acceptance")
        await room.office.clients.add_user(client.id, NOA, BY, "user")
        [_, joined] = await room.told()
        assert (joined["To"], joined["Subject"]) == (
            "Noa Blanc <noa.blanc@example.org>",
            "Uw toegang tot het account Atelier Durand",
        )
        assert await self.opens(room, joined) == client.id
        await room.office.clients.accept(await room.office.offer("more"), client.id, BY, "addition")
        assert [one["Subject"] for one in await room.told()] == [
            "De nouveaux contrats sur votre compte Atelier Durand",
            "Nieuwe contracten op uw account Atelier Durand",
        ]

    async def test_a_user_is_told_once_whatever_else_changes(self, room: Mailroom) -> None:
        client = await room.office.clients.accept(await room.office.offer(), None, BY, "acceptance")
        await room.office.clients.add_user(client.id, NOA, BY, "user")
        await room.office.clients.change(client.id, BY, "alerts", load_alerts=True)
        await room.office.clients.add_user(client.id, NOA, BY, "again")
        await room.office.clients.add_user(client.id, MAX, BY, "other")
        assert [str(one["To"]).split()[0] for one in await room.told()] == ["Léa", "Noa", "Max"]

    async def test_an_agent_is_told_once(self, room: Mailroom) -> None:
        agent = await room.office.clients.register_agent("Secrétariat X", NOA, BY, "agent")
        await room.office.clients.register_agent("Secrétariat X", NOA, BY, "agent")
        await room.office.issuer.do(RegisterAgent(structs.replace(agent, name="Secrétariat Y")), "other name", BY)
        [letter] = await room.told()
        assert await self.opens(room, letter) == agent.id

    async def opens(self, room: Mailroom, letter: EmailMessage) -> str:
        """Follow the letter's link: whose is it?"""
        [token] = [line.partition("#access=")[2] for line in text_of(letter).splitlines() if line.startswith(LINK)]
        return (await Gate(room.office.issuer).who(token)).subject


class TestHolders:
    async def test_a_payment_that_leaves_little_is_told_once(self, room: Mailroom) -> None:
        """Apetiz: below 20.00 the holder is told; what is low already gets no lower."""
        for amount in (15_00, 3_00, 50):
            await room.office.house.pay(room.office.world.request(pan_of(1), amount))
        [letter] = await room.told()
        left = room.office.world.available(H1)
        assert (letter["To"], left) == ("Zoé Martin <zoe.martin@example.org>", 16_50)
        assert letter["Subject"] == "Il vous reste 17,00\N{NO-BREAK SPACE}€"

    async def test_what_soon_expires_is_told_unless_it_is_spent_meanwhile(self, room: Mailroom) -> None:
        later = Load(H2, "90", "2027", date(2027, 1, 1), date(2028, 2, 28), Cents(9_00))
        await room.office.house.administer(later, "another lot")
        await room.office.issuer.do(Remind(H2, "90", "2026"), "reminder", BY)
        [letter] = await room.told()
        assert letter["Subject"] == "€35.00 to be spent until 28 February 2027"
        pan = await room.office.house.enrol(3, 15_00)
        await room.office.contacts.keep({holder_of(3): NOA})
        await room.office.issuer.do(Remind(holder_of(3), "90", "2026"), "reminder of the third", BY)
        assert (await room.office.house.pay(room.office.world.request(pan, 15_00))).reason is Reason.APPROVED
        assert not await room.told()

    async def test_an_opposition_is_confirmed_and_a_replacement_is_not(self, room: Mailroom) -> None:
        await room.office.cards.oppose(H1, C1, "stolen", BY, "opposition")
        await room.office.issuer.do(StopCard(H2, C2, "replaced"), "replaced", BY)
        [letter] = await room.told()
        assert "(volée) est bloquée définitivement depuis le 12 mai 2026, 12:30" in text_of(letter)

    async def test_a_card_is_told_of_when_it_is_sent(self, room: Mailroom) -> None:
        """3 to 5 working days: 14 May 2026 is Ascension Day."""
        run = Run(1, (Seq(0), Seq(0)), (C1, C2), (), "0" * 64)
        await room.office.issuer.do(StartRun(run), "run", BY)
        assert not await room.told()
        await room.office.issuer.do(MoveRun(1, RunStatus.SENT), "sent", BY)
        zoe, max_ = await room.told()
        assert "entre le 18 mai 2026 et le 20 mai 2026" in text_of(zoe)
        assert "between 18 May 2026 and 20 May 2026" in text_of(max_)

    async def test_a_request_is_told_to_the_employer_and_its_refusal_to_the_holder(self, room: Mailroom) -> None:
        asked = await room.office.cards.ask(H2, C2, RequestKind.PIN, ClientId("E1"), BY, "ask")
        [letter] = await room.told()
        assert (letter["Subject"], letter["To"]) == (
            "Une demande à valider pour Atelier Durand",
            "Léa Roy <lea.roy@example.org>",
        )
        assert asked.id in text_of(letter)
        await room.office.cards.answer(ClientId("E1"), asked.id, BY, "answer", validated=False)
        [letter] = await room.told()
        assert "refused what you asked for: the PIN again" in text_of(letter)

    async def test_what_the_employer_starts_or_validates_is_told_to_nobody(self, room: Mailroom) -> None:
        await room.office.cards.start(ClientId("E1"), H1, C1, RequestKind.PIN, BY, "start")
        assert not await room.told()
        asked = await room.office.cards.ask(H2, C2, RequestKind.PIN, ClientId("E1"), BY, "ask")
        assert len(await room.told()) == 1
        await room.office.cards.answer(ClientId("E1"), asked.id, BY, "answer", validated=True)
        assert not await room.told()

    async def test_who_was_erased_gets_nothing(self, room: Mailroom) -> None:
        """GDPR, article 17."""
        await room.office.contacts.forget(H1)
        await room.office.cards.oppose(H1, C1, "lost", BY, "opposition")
        assert not await room.told()
        assert (room.count("gone"), room.age_s()) == (1, 0)


async def test_a_load_is_told_where_the_employer_has_alerts(server: MailServer) -> None:
    world = World()
    desk = Desk(world, await world.open(), MemoryContacts())
    await desk.furnish()
    [outbox] = server.outboxes(desk.issuer, desk.house.metrics)
    await outbox.send()
    for client, order in ((DURAND, FIRST), (LEROY, SECOND)):
        await desk.draft(client, order, rows(1, 2))
        await desk.pay(client, order)
    await desk.issuer.do(ChangeClient(DURAND, load_alerts=True), "alerts", BY)
    await desk.release()
    await outbox.send()
    assert sorted(server.recipients) == [row(number).person.email for number in (1, 2)]
    assert set(server.subjects) == {"Votre carte est rechargée : 180,00\N{NO-BREAK SPACE}€"}
    assert "Durand a chargé" in text_of(server.letters[0])
    world.audit()
    await world.close()


async def test_a_low_balance_is_found_in_postgresql_too(server: MailServer, database: Database) -> None:
    world = World()
    store = PostgresStore(database.url)
    office = Office(await world.open(store))
    await furnish(office)
    [outbox] = server.outboxes(office.issuer, office.house.metrics)
    await outbox.send()
    for pan in (pan_of(1), pan_of(2)):
        await office.house.pay(world.request(pan, 15_00 if pan == pan_of(1) else 15_50))
    await outbox.send()
    await outbox.send()
    assert server.subjects == ["You have €19.50 left"]
    await world.close()
    await store.close()


class TestTheServer:
    async def test_while_it_is_down_letters_wait_and_are_seen_to(self, room: Mailroom) -> None:
        await room.server.stop()
        await room.office.cards.oppose(H1, C1, "lost", BY, "opposition")
        await room.send()
        room.office.world.clock.wait_at(room.office.world.clock() + timedelta(minutes=7))
        assert (room.age_s(), room.server.letters) == (7 * 60, [])
        await room.server.start()
        [letter] = await room.told()
        assert str(letter["To"]).startswith("Zoé")
        assert (room.age_s(), room.count("sent")) == (0, 1)
        assert not await room.told()

    async def test_a_letter_that_is_refused_for_good_holds_nobody_up(self, room: Mailroom) -> None:
        room.server.answers[ZOE.email] = [f"550 no {ZOE.email} here"]
        await self.oppose_both(room)
        with structlog.testing.capture_logs() as lines:
            [letter] = await room.told()
        assert str(letter["To"]).startswith("Max")
        assert (room.count("refused"), room.count("sent"), room.age_s()) == (1, 1, 0)
        assert [(one["event"], one["code"]) for one in lines] == [("a letter was refused", 550)]
        assert "@" not in str(lines)

    async def test_one_that_is_refused_for_now_is_tried_again_so_often(self, room: Mailroom) -> None:
        room.server.answers[ZOE.email] = ["450 later"] * (TRIES_MAX - 1)
        await self.oppose_both(room)
        for _ in range(TRIES_MAX):
            assert room.server.recipients.count(ZOE.email) == 0
            await room.send()
        assert sorted(room.server.recipients) == [MAX.email, ZOE.email]
        room.server.answers[ZOE.email] = ["450 later"] * TRIES_MAX
        await room.office.cards.ask(H1, C1, RequestKind.REMAKE, ClientId("E1"), BY, "ask")
        await room.office.issuer.do(Remind(H1, "90", "2026"), "reminder", BY)
        for _ in range(TRIES_MAX):
            await room.send()
        assert (room.count("refused"), room.count("deferred")) == (1, 2 * (TRIES_MAX - 1))

    async def test_letters_of_one_record_that_were_taken_are_not_sent_again(
        self, room: Mailroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run of cards: the server ends the connection in its middle, again and again."""
        monkeypatch.setattr(module, "LETTERS_A_CONNECTION_MAX", 1)
        room.server.answers[MAX.email] = ["421 going down"] * 3
        await room.office.issuer.do(StartRun(Run(1, (Seq(0), Seq(0)), (C1, C2), (), "0" * 64)), "run", BY)
        await room.office.issuer.do(MoveRun(1, RunStatus.SENT), "sent", BY)
        for _ in range(5):
            await room.send()
        assert room.server.recipients == [ZOE.email, MAX.email]

    async def oppose_both(self, room: Mailroom) -> None:
        await room.office.cards.oppose(H1, C1, "lost", BY, "opposition 1")
        await room.office.cards.oppose(H2, C2, "lost", BY, "opposition 2")


class TestFollowing:
    async def test_what_was_sent_is_not_sent_again_by_the_next_process(self, room: Mailroom) -> None:
        await room.office.cards.oppose(H1, C1, "lost", BY, "opposition")
        assert len(await room.told()) == 1
        room = await room.reopened()
        assert not await room.told()
        await room.office.issuer.do(Remind(H1, "90", "2026"), "reminder", BY)
        assert len(await room.told()) == 1
        await room.office.world.close()

    async def test_nothing_to_tell_writes_nothing(self, room: Mailroom) -> None:
        before = room.office.kinds()
        await room.send()
        await room.send()
        assert room.office.kinds() == before

    @pytest.mark.parametrize("once", [1, 2, 3])
    async def test_full_answers_of_the_store_leave_nothing_out(
        self, room: Mailroom, monkeypatch: pytest.MonkeyPatch, once: int
    ) -> None:
        monkeypatch.setattr(following, "EVENTS_A_CALL_MAX", once)
        monkeypatch.setattr(following, "HOLDERS_WINDOW_SEQS_MAX", 5)
        for number in range(4):
            await room.office.cards.ask(H1, C1, RequestKind.PIN, ClientId("E1"), BY, f"ask {number}")
            await room.office.house.pay(room.office.world.request(pan_of(1), 100))
        await room.office.house.pay(room.office.world.request(pan_of(2), 15_50))
        assert len(await room.told()) == 5
        assert len(set(room.server.names)) == 5
        assert not await room.told()

    async def test_long_stretches_without_letters_are_noted(
        self, room: Mailroom, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "PASSED_A_NOTE", 6)
        before = room.office.kinds().count("followed")
        for _ in range(4):
            await room.office.house.pay(room.office.world.request(pan_of(1), 100))
            await room.office.house.pay(room.office.world.request(pan_of(2), 100))
            await room.send()
        assert 0 < room.office.kinds().count("followed") - before <= 3

    async def test_where_another_engine_writes_nothing_is_sent(self, room: Mailroom) -> None:
        other = Office(room.office.world.prepare(MemoryStore(room.office.world.ledger)), room.office.contacts)
        [outbox, _] = room.server.outboxes(other.issuer, other.house.metrics, PARTITIONS)
        with pytest.raises(Interrupted):
            await outbox.send()


class DeadlyPost:
    """A post that takes letters, and whose process dies just before or after one of them."""

    def __init__(self, taken: list[str], step: Any) -> None:
        self._taken = taken
        self._step = step

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        await self._step()
        yield self

    async def send(self, message: EmailMessage) -> None:
        await self._step()
        self._taken.append(message["Message-ID"])
        await self._step()


STEPS_MAX = 100


async def test_each_letter_is_sent_at_least_once_wherever_the_process_is_killed() -> None:
    """Before and after each connection, letter, and append: the names are the same ones, and at most a note repeats."""
    whole: set[str] = set()
    for fatal in range(STEPS_MAX):
        office = Office(await World().open())
        taken: list[str] = []
        await furnish(office)
        await outbox_of(office, DeadlyPost(taken, never)).send()
        for number in range(3):
            await office.cards.ask(H1, C1, RequestKind.PIN, ClientId("E1"), BY, f"ask {number}")
        died = await dies(office, taken, fatal)
        before = list(taken)
        office = await office.reopened()
        await outbox_of(office, DeadlyPost(taken, never)).send()
        whole = whole or set(taken)
        assert set(taken) == whole
        assert len(whole) == 3
        assert len(taken) - len(set(taken)) <= min(len(before), RECORDS_A_NOTE)
        office.world.audit()
        await office.world.close()
        if not died:
            assert taken == before, "what was noted isn't sent again"
            return
    raise AssertionError("it took more steps than it may")


async def never() -> None:
    """Where nobody dies."""


def outbox_of(office: Office, post: DeadlyPost) -> Outbox:
    settings = MailServer().settings()
    return Outbox(office.issuer, MAIN, settings, office.house.metrics, post, HASTE)


async def dies(office: Office, taken: list[str], fatal: int) -> bool:
    """Kill the process at its `fatal`th step. False: it was done before it came to that."""
    steps, dead, append = count(), asyncio.Event(), office.house.store.append

    async def step() -> None:
        if next(steps) == fatal:
            dead.set()
            await asyncio.Event().wait()

    async def deadly(*arguments: Any) -> None:
        await step()
        await append(*arguments)
        await step()

    office.house.store.append = deadly
    begun = asyncio.ensure_future(outbox_of(office, DeadlyPost(taken, step)).send())
    death = asyncio.ensure_future(dead.wait())
    await asyncio.wait([begun, death], return_when=asyncio.FIRST_COMPLETED)
    await office.house.crash()
    for task in (begun, death):
        task.cancel()
    await asyncio.gather(begun, death, return_exceptions=True)
    return dead.is_set()


async def test_ending_the_process_does_not_wait_for_the_ledger(room: Mailroom) -> None:
    """Cancelled while a letter is on its way: nothing is noted any more."""
    started = asyncio.Event()

    async def stuck() -> None:
        started.set()
        await asyncio.Event().wait()

    await room.office.cards.oppose(H1, C1, "lost", BY, "opposition")
    partition = room.office.issuer.engine.partition_of(HolderId(H1))
    settings = room.server.settings()
    outbox = Outbox(
        room.office.issuer, Partition(partition), settings, room.office.house.metrics, DeadlyPost([], stuck), HASTE
    )
    task = asyncio.ensure_future(outbox.send())
    await started.wait()
    before = room.office.kinds()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert room.office.kinds() == before
