"""Sessions ended at random moments under load: what a client saw is what the ledger has, and nothing is there twice."""

import asyncio
import os
from random import Random

import pytest

from authz.decision.commands import Inquiry
from authz.decision.outcomes import Reason
from authz.engine.requests import Answer, NoAnswer, Request
from tests.engine.world import WRONG_PIN, House
from tests.faults.sites import Site, furnished

CLIENTS = 12
HOLDERS = 6
A_KILL_EVERY = 23
"""Payments from one termination to the next."""

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE $1 AND pid <> pg_backend_pid()
"""


class Crowd:
    """Clients that pay, mistype, ask and repeat, while sessions end under them."""

    def __init__(self, site: Site, house: House, pans: list[str], seed: int) -> None:
        self.seen: list[tuple[Request, Answer | NoAnswer]] = []
        self._site = site
        self._house = house
        self._pans = pans
        self._random = Random(seed)
        self._killing = asyncio.Lock()

    async def client(self, payments: int) -> None:
        for _ in range(payments):
            request = self._request()
            answer = await self._house.engine.pay(request)
            self.seen.append((request, answer))
            if len(self.seen) % A_KILL_EVERY == 0:
                await self._kill()
            if isinstance(answer, Answer) and answer.reply.reason is Reason.UNAVAILABLE:
                await self._house.engine.is_ready()

    def _request(self) -> Request:
        world, pan = self._site.world, self._random.choice(self._pans)
        if self.seen and self._random.random() < 0.2:
            return self._random.choice(self.seen)[0]
        if self._random.random() < 0.1:
            return world.request(pan, 0, kind=Inquiry, processing_code="309000", amount=None)
        pin = WRONG_PIN if self._random.random() < 0.02 else "1234"
        return world.request(pan, self._random.randint(1, 120), pin=pin)

    async def _kill(self) -> None:
        async with self._killing:
            whom = self._random.choice(["ledger writer%", "ledger writer%", "ledger reader%", "authz vault"])
            await self._site.direct.fetch(KILL, whom)


async def _run(site: Site, payments: int, seed: int) -> None:
    house = await site.open()
    crowd = Crowd(site, house, await furnished(house, HOLDERS), seed)
    loop = asyncio.get_running_loop()
    _extend_patience(site, loop.time() + 600)
    await asyncio.gather(*(crowd.client(payments // CLIENTS) for _ in range(CLIENTS)))
    for request, answer in _final(crowd.seen):
        await site.check(request, answer)
    approved = [answer for _, answer in crowd.seen if isinstance(answer, Answer) and answer.reply.reason.approves]
    assert approved


def _extend_patience(site: Site, deadline: float) -> None:
    """No deadline passes: what is tested is what is said, not when."""
    make = site.world.request
    site.world.request = lambda *words, **changes: make(*words, **{"deadline": deadline} | changes)  # type: ignore[method-assign]


def _final(seen: list[tuple[Request, Answer | NoAnswer]]) -> list[tuple[Request, Answer | NoAnswer]]:
    """Each request's decisive answer: a repeat may find it in where its first sending was answered 91."""
    decisive: dict[str, tuple[Request, Answer | NoAnswer]] = {}
    for request, answer in seen:
        trace = request.command.origin.trace
        known = decisive.get(trace)
        unavailable = isinstance(answer, Answer) and answer.reply.reason is Reason.UNAVAILABLE
        if known is not None and not unavailable and _is_decided(known[1]):
            assert known[1] == answer, "two answers to one request"
        if known is None or not unavailable:
            decisive[trace] = (request, answer)
    return list(decisive.values())


def _is_decided(answer: Answer | NoAnswer) -> bool:
    return isinstance(answer, Answer) and answer.reply.reason is not Reason.UNAVAILABLE


async def test_sessions_terminated_under_load(site: Site) -> None:
    await _run(site, 360, seed=1)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 12))
async def test_sessions_terminated_under_load_for_long(site: Site, seed: int) -> None:
    await _run(site, 6_000, seed)
