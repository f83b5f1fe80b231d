"""New cards: numbers that nobody has, in the vault before they are issued; asked for again, the same cards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import date

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.pretty import pretty_repr

from authz.decision.commands import CardId, IssueCard
from authz.decision.outcomes import Reason
from authz.engine import schema
from authz.engine import vault as engine_vault
from authz.engine.cards import CARDS_A_QUERY_MAX, Cards, MemoryVault, NumberedCard, SealedCard, Vault
from authz.engine.vault import PostgresVault
from authz.issuing import cardmaking, contacts
from authz.issuing.cardmaking import NumbersUsedUp, draw_number, expiry_on, make_cards, with_check_digit
from authz.issuing.contacts import MemoryContacts
from authz.issuing.issuer import Issuer, NotThere
from authz.programmes import shipped
from authz.security.module import PinCheck, PinMethod
from ledger.store import Unavailable
from ledger.values import HolderId, Partition
from tests.conftest import Database
from tests.engine.world import House, World, holder_of, module

ALICE, BRUNO = HolderId("h1"), HolderId("h2")


def issuer_of(house: House) -> Issuer:
    return Issuer(house.engine, house.store, house.cards, house.world.security, MemoryContacts(), house.world.clock)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def house(world: World) -> House:
    house = await world.open()
    await house.furnish()
    return house


@pytest.fixture
def issuer(house: House) -> Issuer:
    return issuer_of(house)


@pytest.fixture(params=["memory", "postgres"])
async def vault(request: pytest.FixtureRequest) -> AsyncIterator[Vault]:
    """A vault with no card in it."""
    vault: Vault = MemoryVault()
    if request.param == "postgres":
        database: Database = request.getfixturevalue("database")
        await schema.create(database.superuser_url)
        vault = PostgresVault(database.url)
    yield vault
    await vault.close()


def numbered(number: int, pan: str | None = None) -> NumberedCard:
    check = PinCheck(PinMethod.PVV, f"{number:04}")
    return NumberedCard(
        CardId(f"c{number}"), holder_of(number), Partition(0), pan or f"92501{number:011}", "3005", check
    )


class TestNumbers:
    @given(st.text("0123456789", min_size=11, max_size=18))
    def test_the_check_digit_is_luhns(self, digits: str) -> None:
        """ISO/IEC 7812-1, annex B: from the right, with every second digit doubled, a multiple of 10."""
        number = with_check_digit(digits)
        added = sum(
            int(one) for place, digit in enumerate(reversed(number)) for one in str(int(digit) * (1 + place % 2))
        )
        assert (number[:-1], added % 10) == (digits, 0)

    @pytest.mark.parametrize("name", ["apetiz", "pluxee-be"])
    def test_each_is_the_programme_s_and_no_two_follow_each_other(self, name: str) -> None:
        prefix = shipped(name).bin
        assert prefix is not None
        drawn = [draw_number(prefix) for _ in range(200)]
        assert all(len(one) == 16 and one.startswith(prefix) and one == with_check_digit(one[:-1]) for one in drawn)
        assert len(set(drawn)) >= 199
        assert max(Counter(one[6:8] for one in drawn).values()) < 20

    @pytest.mark.parametrize(("day", "expiry"), [(date(2026, 5, 12), "3005"), (date(2099, 12, 31), "0312")])
    def test_a_card_is_valid_for_four_years(self, day: date, expiry: str) -> None:
        """The issuer's documents: 4 years, to the end of the month."""
        assert expiry_on(day) == expiry


class TestTheVault:
    """Many cards at once, in memory and in PostgreSQL alike."""

    async def test_what_is_kept_is_found_by_name_and_number(self, vault: Vault) -> None:
        security = module()
        cards = Cards(vault, security)
        many = [numbered(number) for number in range(CARDS_A_QUERY_MAX)]
        assert await cards.add_many(many) == {one.card: one for one in many}
        assert await cards.named([one.card for one in many[:3]] + [CardId("c999")]) == {
            one.card: one for one in many[:3]
        }
        known = await cards.find(security.token(many[7].pan), asyncio.get_running_loop().time() + 5)
        assert known is not None
        assert (known.card, known.holder, known.expiry, known.check) == ("c7", "h7", "3005", many[7].check)

    async def test_a_number_that_is_taken_and_a_card_that_is_there_stay_as_they_are(self, vault: Vault) -> None:
        cards = Cards(vault, module())
        first, taken, again = numbered(1), numbered(2, numbered(1).pan), numbered(1, numbered(3).pan)
        assert await cards.add_many([first]) == {"c1": first}
        assert await cards.add_many([taken, again, numbered(4)]) == {"c1": first, "c4": numbered(4)}
        assert await cards.add_many([numbered(5), numbered(6, numbered(5).pan)]) == {"c5": numbered(5)}

    async def test_nothing_and_too_much(self, vault: Vault) -> None:
        cards = Cards(vault, module())
        assert await cards.add_many([]) == await cards.named([]) == {}
        many = [numbered(number) for number in range(CARDS_A_QUERY_MAX + 1)]
        with pytest.raises(ValueError, match=f"^{len(many)} cards asked for at once, at most {CARDS_A_QUERY_MAX}$"):
            await cards.add_many(many)
        with pytest.raises(ValueError, match=f"^{len(many)} cards asked for at once, at most {CARDS_A_QUERY_MAX}$"):
            await cards.named([one.card for one in many])

    @pytest.mark.parametrize("query", [engine_vault._FIND, engine_vault._NAMED, contacts._FIND])
    async def test_it_is_read_by_index_though_it_was_small_at_first(self, database: Database, query: str) -> None:
        """A kept plan that reads the whole table made an order slower with each card: 100 ms a chunk at 15,000."""
        await schema.create(database.superuser_url)
        connection = await asyncpg.connect(database.superuser_url)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE asked AS {query}")
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN EXECUTE asked ('{}')"))
        await connection.close()
        assert "Index" in plan
        assert "Seq Scan" not in plan

    async def test_two_who_add_the_same_cards_at_once_keep_one_of_each(self, database: Database) -> None:
        await schema.create(database.superuser_url)
        vaults = [PostgresVault(database.url) for _ in range(4)]
        houses = [Cards(vault, module()) for vault in vaults]
        tries = [[numbered(number, f"92501{attempt}{number:010}") for number in range(50)] for attempt in range(4)]
        kept = await asyncio.gather(
            *(
                house.add_many(cards[:: 1 - 2 * (place % 2)])
                for place, (house, cards) in enumerate(zip(houses, tries, strict=True))
            )
        )
        assert kept[0] == kept[1] == kept[2] == kept[3]
        assert len(kept[0]) == 50
        for vault in vaults:
            await vault.close()


async def test_each_holder_gets_a_card_that_can_be_issued_and_pays(issuer: Issuer, house: House) -> None:
    made = await make_cards(issuer, "apetiz", {ALICE: "order c1 o1", BRUNO: "order c1 o1"})
    assert [(one.generation, one.expiry) for one in made.values()] == [(2, "3005")] * 2
    await house.enrol(1)
    new = made[ALICE]
    assert (await issuer.engine.administer(IssueCard(ALICE, new.card, "apetiz", 2, new.expiry), "card")).reason.approves
    numbered = (await issuer.cards.named([new.card]))[new.card]
    pin = await issuer.security.pin_mailer(numbered.pan, numbered.check)
    request = house.world.request(numbered.pan, 100, pin=pin)
    assert (await house.pay(request)).reason is Reason.APPROVED
    others = (f"{(int(pin) + step) % 10_000:04}" for step in range(1, 10))
    checks = {one: await issuer.security.make_pin_check(PinMethod.PVV, numbered.pan, one) for one in others}
    wrong = next(one for one, check in checks.items() if check != numbered.check)
    assert (await house.pay(house.world.request(numbered.pan, 100, pin=wrong))).reason is Reason.PIN_WRONG


async def test_nothing_is_kept_of_a_pin_that_is_natural(issuer: Issuer) -> None:
    """It is derived from the number each time; what is kept only verifies it."""
    made = await make_cards(issuer, "apetiz", {ALICE: "order c1 o1"})
    [one] = (await issuer.cards.named([made[ALICE].card])).values()
    assert one.check == await issuer.security.make_natural_check(PinMethod.PVV, one.pan)


async def test_asked_again_it_is_the_same_card_also_years_later(issuer: Issuer, house: House) -> None:
    """Whoever was cut off asks again; a new purpose is a new card."""
    first = await make_cards(issuer, "apetiz", {ALICE: "order c1 o1"})
    others = {HolderId(f"h{number}"): "order c1 o1" for number in range(20)}
    house.world.clock.wait_at(house.world.clock().replace(year=2027))
    again = await make_cards(issuer, "apetiz", others)
    assert again[ALICE] == first[ALICE]
    assert again[BRUNO].expiry == "3105"
    remade = await make_cards(issuer, "apetiz", {ALICE: f"remake {first[ALICE].card}"})
    assert remade[ALICE].card != first[ALICE].card
    assert len({one.card for one in again.values()}) == 20


async def test_cut_off_in_the_middle_what_was_made_is_found(issuer: Issuer, house: House) -> None:
    wanted = {HolderId(f"h{number}"): "order c1 o1" for number in range(2 * CARDS_A_QUERY_MAX)}
    made: list[Sequence[SealedCard]] = []

    class Cut(MemoryVault):
        async def add_many(self, cards: Sequence[SealedCard]) -> None:
            await house.world.vault.add_many(cards)
            made.append(cards)
            raise Unavailable("cut")

        async def named(self, cards: Sequence[CardId]) -> dict[CardId, SealedCard]:
            return dict(await house.world.vault.named(cards))

    cut = Issuer(
        issuer.engine, issuer.store, Cards(Cut(), issuer.security), issuer.security, MemoryContacts(), house.world.clock
    )
    with pytest.raises(Unavailable):
        await make_cards(cut, "apetiz", wanted)
    whole = await make_cards(issuer, "apetiz", wanted)
    assert {one.card for one in made[0]} < {one.card for one in whole.values()}
    again = await house.world.vault.named([one.card for one in made[0]])
    assert set(again.values()) == set(made[0])
    assert await make_cards(issuer, "apetiz", wanted) == whole


async def test_a_number_that_is_taken_is_drawn_again(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["9250100000000014", "9250100000000014", "9250100000000014", "9250100000000022"])
    monkeypatch.setattr(cardmaking, "draw_number", lambda prefix: next(drawn))
    made = await make_cards(issuer, "apetiz", {ALICE: "a", BRUNO: "b"})
    pans = [one.pan for one in (await issuer.cards.named([one.card for one in made.values()])).values()]
    assert sorted(pans) == ["9250100000000014", "9250100000000022"]


async def test_where_no_number_is_free_it_says_so(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cardmaking, "draw_number", lambda prefix: "9250100000000014")
    with pytest.raises(NumbersUsedUp):
        await make_cards(issuer, "apetiz", {ALICE: "a", BRUNO: "b"})


async def test_a_programme_without_a_bin_makes_no_cards(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "programme", lambda name: replace(shipped(name), bin=None))
    with pytest.raises(NumbersUsedUp):
        await make_cards(issuer, "apetiz", {ALICE: "a"})


async def test_a_programme_that_isn_t_there(issuer: Issuer) -> None:
    with pytest.raises(NotThere):
        await make_cards(issuer, "nothing", {ALICE: "a"})
    assert await make_cards(issuer, "apetiz", {}) == {}


async def test_others_have_the_loop_meanwhile(issuer: Issuer) -> None:
    """A long order is made beside payments, which wait for no more than a few cards."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await make_cards(issuer, "apetiz", {HolderId(f"h{number}"): "order" for number in range(500)})
    task.cancel()
    assert turns >= 500 / cardmaking.CARDS_A_TURN


def test_a_numbered_card_shows_no_number() -> None:
    one = numbered(1)
    for shown in (repr(one), str(one), pretty_repr(one), repr({one.card: one})):
        assert one.pan not in shown
        assert one.check.value not in shown
