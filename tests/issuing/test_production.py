"""Production runs: every card that was issued goes into one file, once; its PIN into another, 48 hours later."""

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest
from pyrage import x25519
from rich.pretty import pretty_repr

from authz import logs
from authz.config import configuration as config
from authz.decision.commands import CardId, Enrol, IssueCard, StopCard
from authz.decision.issuing.commands import AnswerRequest, AskRequest, OpenClient, RemakeCard
from authz.decision.issuing.states import ClientId, ContactId, RequestId, RequestKind, Run, RunStatus
from authz.decision.refused import Refused
from authz.issuing import cardfiles, following, production
from authz.issuing.cardfiles import (
    Addressee,
    CardFiles,
    CardLine,
    CardRecipients,
    FileKind,
    FileMissing,
    FolderUnusable,
    PinLine,
    RecipientInvalid,
)
from authz.issuing.cardmaking import make_cards
from authz.issuing.contacts import MemoryContacts
from authz.issuing.issuer import Issuer, KeyReused, NotNow, NotThere
from authz.issuing.person import Person
from authz.issuing.production import Production
from authz.security.module import PinMethod
from tests.engine.world import House, World, holder_of

EMBOSSER, PRINTER = x25519.Identity.generate(), x25519.Identity.generate()
RECIPIENTS = CardRecipients(str(EMBOSSER.to_public()), str(PRINTER.to_public()))
CLIENT = ClientId("c1")
BY = "access a1"
TWO_DAYS = timedelta(hours=48)


class Workshop:
    """An engine with one client, whose holders get cards; and the production of these."""

    def __init__(self, house: House, folder: Path) -> None:
        world = house.world
        self.house = house
        self.world = world
        self.folder = folder
        self.contacts = MemoryContacts()
        self.issuer = Issuer(house.engine, house.store, house.cards, world.security, self.contacts, world.clock)
        self.production = self.again()

    def again(self) -> Production:
        """A production that knows nothing of the one before: as after a restart."""
        return Production(self.issuer, self.folder, RECIPIENTS)

    async def open(self) -> None:
        opening = OpenClient(CLIENT, "Atelier Durand", "apetiz", "FR-974", ContactId("u1"), ())
        await self.issuer.do(opening, "client", BY)

    async def issue(self, *numbers: int, purpose: str = "order c1 o1") -> list[CardId]:
        """Issue a card to each of these holders, enrolled for it unless they were."""
        holders = [holder_of(number) for number in numbers]
        made = await make_cards(self.issuer, "apetiz", dict.fromkeys(holders, purpose))
        for holder in holders:
            await self.contacts.keep({holder: Person("Zoé", f"Tremblay-{holder}", f"{holder}@exemple.fr", "fr")})
        for holder, new in made.items():
            if await self.issuer.position(holder) is None:
                await self.issuer.do(Enrol(holder, CLIENT), f"enrolment {holder}", BY)
            issue = IssueCard(holder, new.card, "apetiz", new.generation, new.expiry, active=False)
            await self.issuer.do(issue, f"card {new.card}", BY)
        return [made[holder].card for holder in holders]

    async def ask(self, number: int, card: CardId, kind: RequestKind, *, validated: bool) -> RequestId:
        asked = RequestId(f"r{number}{kind}")
        day = self.issuer.day("apetiz")
        request = AskRequest(CLIENT, asked, kind, holder_of(number), card, day, validated=validated)
        await self.issuer.do(request, f"request {asked}", BY)
        return asked

    def wait(self, time: timedelta) -> None:
        self.world.clock.wait_at(self.issuer.instant + time)

    async def cards_in(self, number: int) -> list[dict[str, Any]]:
        return opened(await self.production.card_file(number), EMBOSSER)

    async def pins_in(self, number: int) -> list[dict[str, Any]]:
        return opened(await self.production.pin_file(number), PRINTER)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir()) if self.folder.exists() else []


def opened(encrypted: bytes, identity: x25519.Identity) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pyrage.decrypt(encrypted, [identity]).splitlines()]


def names(lines: Sequence[dict[str, Any]]) -> list[str]:
    return [line["card"] for line in lines]


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workshop]:
    world = World(request.param)
    house = await world.open()
    await house.furnish()
    shop = Workshop(house, tmp_path / "production")
    await shop.open()
    yield shop
    world.audit()
    await world.close()


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Workshop]:
    """A workshop of one partition, where the number of them changes nothing."""
    world = World()
    house = await world.open()
    await house.furnish()
    shop = Workshop(house, tmp_path / "production")
    await shop.open()
    yield shop
    await world.close()


class TestTheCardFile:
    async def test_it_has_every_card_issued_with_all_that_it_is_made_of(self, shop: Workshop) -> None:
        cards = await shop.issue(1, 2, 3)
        run = await shop.production.start(BY)
        assert run is not None
        assert (run.number, run.status, set(run.cards), run.reissued) == (1, RunStatus.MADE, set(cards), ())
        lines = await shop.cards_in(1)
        assert names(lines) == list(run.cards)
        numbered = await shop.issuer.cards.named(cards)
        for line in lines:
            own = numbered[line["card"]]
            digits = await shop.issuer.security.card_verification(own.pan, own.expiry)
            assert line == {
                "card": own.card,
                "pan": own.pan,
                "expiry": "3005",
                "service_code": "221",
                "cvv": digits.cvv,
                "icvv": digits.icvv,
                "cvv2": digits.cvv2,
                "to": {
                    "first_name": "Zoé",
                    "last_name": f"Tremblay-{own.holder}",
                    "language": "fr",
                    "territory": "FR-974",
                },
            }
            assert await shop.issuer.security.verify_cvv2(own.pan, own.expiry, line["cvv2"])

    async def test_no_card_is_in_two_runs_and_none_is_in_no_run(self, shop: Workshop) -> None:
        first = await shop.issue(1, 2)
        await shop.production.start(BY)
        assert await shop.production.start(BY) is None
        second = await shop.issue(3)
        later = await shop.again().start(BY)
        assert later is not None
        assert (later.number, list(later.cards)) == (2, second)
        assert await shop.again().start(BY) is None
        assert [set(run.cards) for run in await shop.production.runs()] == [set(first), set(second)]
        assert [run.number for run in await shop.production.runs(after=1)] == [2]

    async def test_the_same_key_makes_one_run(self, shop: Workshop) -> None:
        await shop.issue(1)
        made = await shop.production.start(BY, "k")
        await shop.issue(2)
        assert await shop.again().start(BY, "k") == made
        await shop.house.administer(Enrol(holder_of(9), CLIENT), "another's")
        with pytest.raises(KeyReused):
            await shop.production.start(BY, "another's")
        assert await shop.production.start(BY, "k2") != made

    async def test_a_remade_card_is_in_it_and_one_that_pays_already_is_not(self, shop: Workshop) -> None:
        await shop.house.administer(Enrol(holder_of(9), CLIENT), "enrolment")
        made = await make_cards(shop.issuer, "apetiz", {holder_of(9): "demo"})
        old = made[holder_of(9)]
        await shop.house.administer(IssueCard(holder_of(9), old.card, "apetiz", 2, old.expiry), "card")
        await shop.house.administer(StopCard(holder_of(9), old.card, "lost"), "lost")
        new = (await make_cards(shop.issuer, "apetiz", {holder_of(9): f"remake {old.card}"}))[holder_of(9)]
        await shop.house.administer(RemakeCard(holder_of(9), old.card, new), "remake")
        run = await shop.production.start(BY)
        assert run is not None
        assert run.cards == (new.card,)

    async def test_a_run_is_bounded_and_the_next_goes_on_behind_it(
        self, shop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(production, "RUN_CARDS_MAX", 3)
        monkeypatch.setattr(following, "EVENTS_A_CALL_MAX", 2)
        monkeypatch.setattr(following, "HOLDERS_WINDOW_SEQS_MAX", 5)
        cards = await shop.issue(*range(8))
        runs = [await shop.production.start(BY) for _ in range(4)]
        assert runs[3] is None
        sizes = [len(run.cards) for run in runs if run is not None]
        assert sizes == [3, 3, 2]
        made = [card for run in runs if run is not None for card in run.cards]
        assert sorted(made) == sorted(cards)

    async def test_who_was_erased_has_no_name_and_the_card_is_made(self, one: Workshop) -> None:
        """GDPR, article 17: the embosser learns no more than the issuer knows."""
        await one.issue(1)
        await one.contacts.forget("h1")
        await one.production.start(BY)
        [line] = await one.cards_in(1)
        assert line["to"] == {"first_name": "", "last_name": "", "language": "", "territory": "FR-974"}

    async def test_its_record_names_who_asked_and_its_digest(self, one: Workshop) -> None:
        await one.issue(1)
        run = await one.production.start(BY)
        assert run is not None
        assert run.card_file == hashlib.sha256(await one.production.card_file(1)).hexdigest()
        [record] = [record for record in one.world.records() if record.entry.kind == "run"]
        assert json.loads(record.entry.request)["by"] == BY
        assert msgspec.json.decode(record.entry.position or "", type=Run) == run

    async def test_only_the_embosser_opens_it(self, one: Workshop) -> None:
        await one.issue(1)
        await one.production.start(BY)
        encrypted = await one.production.card_file(1)
        for stranger in (PRINTER, x25519.Identity.generate()):
            with pytest.raises(pyrage.DecryptError):
                pyrage.decrypt(encrypted, [stranger])

    async def test_it_is_its_owner_s_alone(self, one: Workshop) -> None:
        await one.issue(1)
        await one.production.start(BY)
        assert one.files() == ["run-000001-cards.age"]
        assert stat.S_IMODE(one.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((one.folder / "run-000001-cards.age").stat().st_mode) == 0o600


class TestThePinFile:
    async def test_the_same_key_takes_one_step(self, shop: Workshop) -> None:
        await shop.issue(1)
        await shop.production.start(BY)
        sent = await shop.production.send(1, BY, "sending")
        assert await shop.production.send(1, BY, "sending") == sent
        shop.wait(TWO_DAYS)
        made = await shop.production.make_pins(1, BY, "pins")
        assert await shop.again().make_pins(1, BY, "pins") == made
        assert shop.files() == ["run-000001-cards.age", "run-000001-pins.age"]

    async def test_it_has_the_pins_that_the_cards_take_and_not_their_numbers(self, shop: Workshop) -> None:
        cards = await shop.issue(1, 2)
        await shop.production.start(BY)
        await shop.production.send(1, BY)
        shop.wait(TWO_DAYS)
        run = await shop.production.make_pins(1, BY)
        assert run.status is RunStatus.PINS_MADE
        assert run.pin_file == hashlib.sha256(await shop.production.pin_file(1)).hexdigest()
        lines = await shop.pins_in(1)
        assert set(names(lines)) == set(cards)
        numbered = await shop.issuer.cards.named(cards)
        for line in lines:
            own = numbered[line["card"]]
            assert set(line) == {"card", "last4", "pin", "to"}
            assert (line["last4"], line["to"]["last_name"]) == (own.pan[-4:], f"Tremblay-{own.holder}")
            assert await shop.issuer.security.make_pin_check(PinMethod.PVV, own.pan, line["pin"]) == own.check
        assert (await shop.production.pins_sent(1, BY)).status is RunStatus.PINS_SENT

    async def test_it_is_made_48_hours_after_the_cards_were_sent_at_the_earliest(self, one: Workshop) -> None:
        """The issuer's documents: the PIN 48 hours after the card. Until then there is no file."""
        await one.issue(1)
        await one.production.start(BY)
        for wait in (timedelta(0), TWO_DAYS - timedelta(seconds=1)):
            if wait:
                await one.production.send(1, BY)
                one.wait(wait)
            with pytest.raises(Refused):
                await one.production.make_pins(1, BY)
            assert one.files() == ["run-000001-cards.age"]
            with pytest.raises(NotThere):
                await one.production.pin_file(1)
        one.wait(timedelta(seconds=1))
        await one.production.make_pins(1, BY)
        assert one.files() == ["run-000001-cards.age", "run-000001-pins.age"]

    async def test_it_is_made_once(self, one: Workshop) -> None:
        await one.issue(1)
        await one.production.start(BY)
        await one.production.send(1, BY)
        one.wait(TWO_DAYS)
        await one.production.make_pins(1, BY)
        first = await one.production.pin_file(1)
        with pytest.raises(Refused):
            await one.again().make_pins(1, BY)
        assert await one.production.pin_file(1) == first

    async def test_only_the_printer_opens_it(self, one: Workshop) -> None:
        await one.issue(1)
        await one.production.start(BY)
        await one.production.send(1, BY)
        one.wait(TWO_DAYS)
        await one.production.make_pins(1, BY)
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(await one.production.pin_file(1), [EMBOSSER])

    async def test_a_card_whose_pin_isn_t_natural_has_no_letter_and_somebody_is_told(
        self, one: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[dict[str, Any]] = []
        monkeypatch.setattr(logs, "warning", lambda name, **fields: said.append(fields))
        [natural] = await one.issue(1)
        pan = "9250100000000030"
        natural_pin = await one.issuer.security.pin_mailer(
            pan, await one.issuer.security.make_natural_check(PinMethod.PVV, pan)
        )
        check = await one.issuer.security.make_pin_check(PinMethod.PVV, pan, "1234")
        assert natural_pin != "1234"
        chosen = CardId("chosen")
        await one.house.cards.add(chosen, holder_of(1), one.house.engine.partition_of(holder_of(1)), pan, "3005", check)
        await one.house.administer(IssueCard(holder_of(1), chosen, "apetiz", 2, "3005", active=False), "card")
        await one.production.start(BY)
        await one.production.send(1, BY)
        one.wait(TWO_DAYS)
        await one.production.make_pins(1, BY)
        assert names(await one.pins_in(1)) == [natural]
        assert said == [{"run": 1, "cards": 1}]


class TestPinsSentAgain:
    """`réédition du code`: asked by the holder and validated by the employer, or started by the employer."""

    async def test_they_are_in_the_next_run_s_pin_file_alone(self, shop: Workshop) -> None:
        [card, other] = await shop.issue(1, 2)
        await shop.production.start(BY)
        asked = await shop.ask(1, card, RequestKind.PIN, validated=False)
        assert await shop.production.start(BY) is None
        await shop.issuer.do(AnswerRequest(CLIENT, asked, validated=True), "answer", BY)
        [new] = await shop.issue(3)
        run = await shop.production.start(BY)
        assert run is not None
        assert (run.cards, run.reissued) == ((new,), (card,))
        assert names(await shop.cards_in(2)) == [new]
        await shop.production.send(2, BY)
        shop.wait(TWO_DAYS)
        await shop.production.make_pins(2, BY)
        assert names(await shop.pins_in(2)) == [new, card]
        assert other not in names(await shop.pins_in(2))

    async def test_an_employer_starts_it(self, shop: Workshop) -> None:
        [card] = await shop.issue(1)
        await shop.production.start(BY)
        await shop.ask(1, card, RequestKind.PIN, validated=True)
        run = await shop.production.start(BY)
        assert run is not None
        assert (run.cards, run.reissued) == ((), (card,))
        assert await shop.cards_in(2) == []

    async def test_what_was_refused_or_asks_for_a_card_is_not(self, shop: Workshop) -> None:
        [card] = await shop.issue(1)
        await shop.production.start(BY)
        asked = await shop.ask(1, card, RequestKind.PIN, validated=False)
        await shop.issuer.do(AnswerRequest(CLIENT, asked, validated=False), "answer", BY)
        await shop.ask(1, card, RequestKind.REMAKE, validated=True)
        assert await shop.production.start(BY) is None

    async def test_a_card_that_is_just_being_made_has_one_letter(self, shop: Workshop) -> None:
        [card] = await shop.issue(1)
        await shop.ask(1, card, RequestKind.PIN, validated=True)
        run = await shop.production.start(BY)
        assert run is not None
        assert (run.cards, run.reissued) == ((card,), ())


class TestCutOff:
    """A kill at any moment: no run without its file, and no file in the place of another."""

    async def test_between_the_file_and_its_record_the_next_attempt_replaces_it(
        self, one: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await one.issue(1)

        class Killed(Exception):
            pass

        async def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(one.issuer, "do", killed)
            with pytest.raises(Killed):
                await one.production.start(BY)
        assert [name[:18] for name in one.files()] == [".run-000001-cards-"]
        assert await one.again().runs() == []
        run = await one.again().start(BY)
        assert run is not None
        assert one.files() == ["run-000001-cards.age"]
        assert names(await one.cards_in(1)) == list(run.cards)

    async def test_between_the_record_and_its_name_the_file_is_found(
        self, one: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await one.issue(1)

        class Killed(Exception):
            pass

        def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(CardFiles, "adopt", killed)
            with pytest.raises(Killed):
                await one.production.start(BY)
        [run] = await one.again().runs()
        assert [name[:18] for name in one.files()] == [".run-000001-cards-"]
        assert await one.again().start(BY) is None
        assert one.files() == ["run-000001-cards.age"]
        assert names(await one.cards_in(1)) == list(run.cards)

    async def test_a_record_of_which_nobody_heard_keeps_its_own_file(
        self, one: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The ledger took the run, and whoever asked was told that it can't be written: they ask again."""
        await one.issue(1)
        do = one.issuer.do

        async def deaf(*arguments: Any) -> None:
            await do(*arguments)
            raise NotNow

        with monkeypatch.context() as patch:
            patch.setattr(one.issuer, "do", deaf)
            with pytest.raises(NotNow):
                await one.production.start(BY)
        again = one.again()

        async def blind() -> None:  # and doesn't see the run yet when it begins
            return None

        with monkeypatch.context() as patch:
            patch.setattr(again, "_last", blind)
            with pytest.raises(Refused):
                await again.start(BY)
        [run] = await one.production.runs()
        assert names(await one.cards_in(1)) == list(run.cards)
        assert one.files() == ["run-000001-cards.age"]

    async def test_two_who_start_at_once_make_one_run(self, one: Workshop) -> None:
        cards = await one.issue(1, 2)
        runs = await asyncio.gather(one.production.start(BY), one.production.start(BY))
        assert [run and set(run.cards) for run in runs] == [set(cards), None]

    async def test_an_engine_that_doesn_t_write_makes_none(self, one: Workshop) -> None:
        """What it would read may not stand: a run follows acknowledged records alone."""
        await one.issue(1)
        idle = Workshop(one.world.prepare(), one.folder)
        with pytest.raises(NotNow):
            await idle.production.start(BY)
        assert one.files() == []

    async def test_a_file_that_was_altered_or_taken_away_is_not_handed_out(self, one: Workshop) -> None:
        await one.issue(1)
        await one.production.start(BY)
        file = one.folder / "run-000001-cards.age"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        with pytest.raises(FileMissing):
            await one.production.card_file(1)
        file.unlink()
        with pytest.raises(FileMissing):
            await one.production.card_file(1)

    async def test_a_run_that_isn_t_there(self, one: Workshop) -> None:
        for attempt in (
            one.production.card_file(7),
            one.production.pin_file(7),
            one.production.send(7, BY),
            one.production.make_pins(7, BY),
            one.production.pins_sent(7, BY),
        ):
            with pytest.raises(NotThere):
                await attempt

    async def test_a_folder_that_others_can_read_is_refused(self, one: Workshop) -> None:
        await one.issue(1)
        one.folder.mkdir()
        one.folder.chmod(0o750)
        with pytest.raises(FolderUnusable, match=r"is open to others than its owner: chmod 700 "):
            await one.production.start(BY)
        assert (await one.production.runs(), one.files()) == ([], [])

    async def test_a_folder_that_can_t_be_written(self, one: Workshop) -> None:
        await one.issue(1)
        one.folder.write_text("a file")
        with pytest.raises(FolderUnusable, match=r"can't be written: "):
            await one.production.start(BY)


class TestSecrets:
    """Numbers, PINs, verification values and names are in the encrypted files, and nowhere else."""

    async def test_the_journal_and_the_folder_have_none(self, one: Workshop) -> None:
        cards = await one.issue(1, 2)
        await one.production.start(BY)
        await one.production.send(1, BY)
        one.wait(TWO_DAYS)
        await one.production.make_pins(1, BY)
        numbered = (await one.issuer.cards.named(cards)).values()
        secrets = {card.pan for card in numbered} | {"Tremblay", "Zoé", "exemple.fr"}
        records = [
            f"{record.entry.request} {record.entry.reply} {record.entry.position}" for record in one.world.records()
        ]
        raw = b"".join(file.read_bytes() for file in one.folder.iterdir())
        assert not [secret for secret in secrets if any(secret in text for text in records)]
        assert not [secret for secret in secrets if secret.encode() in raw]
        short = {line["pin"] for line in await one.pins_in(1)} | {line["cvv2"] for line in await one.cards_in(1)}
        quoted = {f'"{secret}"' for secret in short}
        assert not [secret for secret in quoted if any(secret in text for text in records)]

    def test_lines_show_nothing(self) -> None:
        to = Addressee("Zoé", "Tremblay", "fr", "FR-75")
        card = CardLine(CardId("c1"), "9250100000000014", "3005", "221", "123", "456", "789", to)
        pin = PinLine(CardId("c1"), "0014", "4711", to)
        for value in (to, card, pin, [card, pin]):
            for shown in (repr(value), str(value), pretty_repr(value)):
                hidden = ("Zoé", "Tremblay", "925010", "3005", "123", "456", "789", "0014", "4711")
                assert not any(part in shown for part in hidden)


class TestADemosOwnRecipients:
    def test_they_are_made_once_and_open_its_files(self, tmp_path: Path) -> None:
        made = cardfiles.own_recipients(tmp_path / "keys")
        assert made == cardfiles.own_recipients(tmp_path / "keys")
        files = CardFiles(tmp_path / "production", made)
        for kind, name in ((FileKind.CARDS, "embosser.key"), (FileKind.PINS, "printer.key")):
            key = tmp_path / "keys" / name
            assert stat.S_IMODE(key.stat().st_mode) == 0o600
            encrypted = files.read(kind, 1, files.write(kind, 1, []))
            assert opened(encrypted, x25519.Identity.from_str(key.read_text().strip())) == []

    def test_what_is_no_key_is_named_and_not_shown(self, tmp_path: Path) -> None:
        (tmp_path / "embosser.key").write_text("AGE-SECRET-KEY-1BROKEN")
        with pytest.raises(FolderUnusable, match=r"embosser\.key isn't an age key") as refused:
            cardfiles.own_recipients(tmp_path)
        assert "BROKEN" not in str(refused.value)


class TestConfiguration:
    """`[production]`: the folder, and two age public keys."""

    @pytest.mark.parametrize(
        ("cards", "pins"),
        [
            ("age1nonsense", RECIPIENTS.pins),
            (RECIPIENTS.cards, ""),
            (RECIPIENTS.cards, str(PRINTER)),
            (RECIPIENTS.cards, RECIPIENTS.cards),
        ],
        ids=["no key", "nothing", "a private key", "one for both"],
    )
    def test_what_is_no_pair_of_recipients_is_refused(self, tmp_path: Path, cards: str, pins: str) -> None:
        with pytest.raises(config.ConfigInvalid, match="An age recipient begins with") as refused:
            self.read(tmp_path, cards, pins)
        assert str(PRINTER) not in str(refused.value)
        with pytest.raises(RecipientInvalid):
            CardRecipients(cards, pins)

    def test_the_folder_stands_beside_the_file(self, tmp_path: Path) -> None:
        settings = self.read(tmp_path, RECIPIENTS.cards, RECIPIENTS.pins).production
        assert settings == config.ProductionSettings(tmp_path / "made", RECIPIENTS)

    def read(self, folder: Path, cards: str, pins: str) -> config.Config:
        key = "00112233445566778899AABBCCDDEEFF"
        text = f"""
            [vault]
            key = "{key * 2}"
            [issuer_keys]
            pvk = "{key}"
            cvk = "{key}"
            imk_ac = "{key}"
            bdk = "{key}"
            [production]
            folder = "made"
            cards_recipient = "{cards}"
            pins_recipient = "{pins}"
            [[link]]
            acquirer = "970001"
            zpk = "{key}"
            zak = "{key}"
            zmk = "{key}"
        """
        (folder / "authz.toml").write_text(text)
        return config.read(folder / "authz.toml", demo=True)
