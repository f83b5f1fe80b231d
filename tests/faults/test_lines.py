"""The socket to PostgreSQL cut or silent around an append: failing is closed (docs/ledger.md, "Append, take, beat")."""

import asyncio

import pytest

from authz.decision.outcomes import Reason
from authz.engine.requests import Answer
from ledger.postgres import PostgresStore
from tests.engine.world import WRONG_PIN, holder_of
from tests.faults.proxy import Cut
from tests.faults.sites import CALM, Site, furnished


@pytest.mark.parametrize(
    ("cut", "reason"), [(Cut.BEFORE, Reason.UNAVAILABLE), (Cut.AFTER, Reason.APPROVED)], ids=["before", "after"]
)
async def test_a_line_cut_at_an_append(site: Site, cut: Cut, reason: Reason) -> None:
    house = await site.open(**CALM)
    [alice] = await furnished(house)
    site.proxy.cut = cut
    request = site.world.request(alice, 100)
    answer = await house.engine.pay(request)
    assert site.proxy.was_cut.is_set()
    assert isinstance(answer, Answer)
    assert answer.reply.reason is reason
    await site.check(request, answer)
    assert (await house.pay(site.world.request(alice, 50))).reason is Reason.APPROVED


async def test_a_line_cut_while_the_append_waits_on_the_server(site: Site) -> None:
    """Nobody can know whether it will be in: until the new epoch, which ends the old session, says so."""
    house = await site.open(**CALM)
    [alice] = await furnished(house)
    request = site.world.request(alice, 100)
    holding = site.direct.transaction()
    await holding.start()
    await site.direct.execute("SELECT 1 FROM ledger.fence WHERE partition = 0 FOR UPDATE")
    paying = house.begin(request)
    while not await site.direct.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        pass
    site.proxy.cut_writer()
    await holding.rollback()
    answer = await paying
    await house.engine.is_ready()
    await site.check(request, answer)
    assert (await house.pay(site.world.request(alice, 50))).reason is Reason.APPROVED


async def test_a_frozen_database_is_91_at_once_and_what_was_in_flight_is_settled(site: Site) -> None:
    house = await site.open(silence_max_ms=100)
    alice, bruno = await furnished(house, 2)
    site.proxy.freeze()
    flying = site.world.request(alice, 100, deadline=asyncio.get_running_loop().time() + 60)
    paying = house.begin(flying)
    while not house.engine.unready():
        await house.writer.gate._changed.wait()
    for pan in (alice, bruno):
        assert (await house.pay(site.world.request(pan, 50))).reason is Reason.UNAVAILABLE
    assert not paying.done()
    site.proxy.thaw()
    await site.check(flying, await paying)
    await house.engine.is_ready()
    assert (await house.pay(site.world.request(alice, 50))).reason is Reason.APPROVED


async def test_wrong_pins_across_cut_lines_never_get_an_extra_try(site: Site) -> None:
    house = await site.open(**CALM)
    [alice] = await furnished(house)
    reasons = []
    for cut in (Cut.AFTER, Cut.AFTER, Cut.AFTER, None):
        site.proxy.cut = cut
        reasons.append((await house.pay(site.world.request(alice, pin=WRONG_PIN if cut else "1234"))).reason)
    assert reasons == [Reason.PIN_WRONG, Reason.PIN_WRONG, Reason.PIN_LOCKED, Reason.PIN_LOCKED]


async def test_a_repeat_after_kill_9_gets_the_same_reply_and_has_no_effect(site: Site) -> None:
    house = await site.open()
    [alice] = await furnished(house)
    request = site.world.request(alice, 100)
    first = await house.pay(request)
    await house.crash()
    site.proxy.cut_writer()
    house = await site.open()
    assert await house.pay(request) == first
    position = [one for one in await site.records() if one.entry.holder == holder_of(1)][-1].entry.position
    assert position is not None
    assert '"2026","2026-01-01","2027-02-28",9900' in position


async def test_of_two_engines_only_one_writes(site: Site) -> None:
    house = await site.open()
    [alice] = await furnished(house)
    other = site.world.prepare(PostgresStore(site.proxy.url))
    await other.store.take(0, await other.store.fence(0))
    request = site.world.request(alice, 100)
    answer = await house.engine.pay(request)
    assert isinstance(answer, Answer)
    assert answer.reply.reason is Reason.UNAVAILABLE
    await site.check(request, answer)
