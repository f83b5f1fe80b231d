"""The balance sums to 0, and each holder's newest position equals it account by account, at every moment."""

import asyncio
import random
from collections import Counter

import asyncpg

from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost
from tests.acceptance.authorizer import Authorizer
from tests.acceptance.counter import CARDS, CODEC, card, purchase, terminal, wrong_pin

PAYMENTS = 600
IN_FLIGHT = 48
SAMPLES_MIN = 10

SAMPLE = """
WITH line AS (
    SELECT DISTINCT ON (partition, holder) holder, position
    FROM ledger.journal WHERE holder IS NOT NULL AND holder NOT LIKE '%:%'
    ORDER BY partition, holder, seq DESC
),
claim AS (
    SELECT 'holder:' || holder || ':' || (lot ->> 0) || ':' || (lot ->> 1) AS account, (lot ->> 4)::bigint AS cents
    FROM line, json_array_elements(position -> 0 -> 0) AS lot
    UNION ALL
    SELECT 'hold:' || holder || ':' || (hold ->> 1) || ':' || (part ->> 0), (part ->> 3)::bigint
    FROM line, json_array_elements(position -> 0 -> 1) AS hold, json_array_elements(hold -> 5) AS part
),
claimed AS (SELECT account, sum(cents) AS cents FROM claim GROUP BY account HAVING sum(cents) <> 0),
booked AS (
    SELECT account, balance FROM ledger.balance
    WHERE (account LIKE 'holder:%' OR account LIKE 'hold:%') AND balance <> 0
)
SELECT
    (SELECT sum(balance)::bigint FROM ledger.balance) AS total,
    (SELECT count(*) FROM claimed FULL JOIN booked USING (account) WHERE cents IS DISTINCT FROM balance) AS differing,
    (SELECT count(*) FROM claimed) AS accounts,
    (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE 'acquirer:%:payable') AS payable,
    (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE 'hold:%') AS held,
    (SELECT head FROM ledger.fence) = (SELECT max(seq) FROM ledger.journal) AS fence_is_head
"""
"""One statement, hence one snapshot. It reads the positions by itself, not through the product's own reading."""


def lunch(seed: int) -> list[Message]:
    """Payments of every kind: debits and holds, partial, over the cap, without funds, wrong PINs, stopped cards."""
    chance = random.Random(seed)
    requests = []
    for _ in range(PAYMENTS):
        last4 = chance.choice(list(CARDS))
        pin = wrong_pin(last4) if chance.random() < 0.02 else CARDS[last4].pin
        till, product = ("PAR00001", "00") if last4 not in ("0010", "0028") else ("BRU00001", "91")
        cents = chance.choice([1, 7, 30, 45, 250, 1900, 3000])
        partial = chance.random() < 0.3
        if chance.random() < 0.3:
            one = card(last4, pin=pin)
            requests.append(terminal(till).authorization(one, cents, product=product, takes_partial=partial))
        else:
            requests.append(purchase(last4, cents, till, product=product, takes_partial=partial, pin=pin))
    return requests


async def test_balances_and_positions_agree_at_every_moment(authorizer: Authorizer) -> None:
    approved: Counter[str] = Counter()
    samples: list[asyncpg.Record] = []
    load_is_over = asyncio.Event()
    places = asyncio.Semaphore(IN_FLIGHT)
    host = await AcquirerHost.connect("127.0.0.1", authorizer.port, CODEC)
    reader = await asyncpg.connect(authorizer.database)

    async def pay(request: Message) -> None:
        async with places:
            reply = await host.exchange(request)
        if reply.response_code in ("00", "10"):
            assert reply.amount is not None
            approved[request.mti] += int(reply.amount)

    async def sample() -> None:
        while not load_is_over.is_set():
            samples.extend(await reader.fetch(SAMPLE))

    sampling = asyncio.create_task(sample())
    await asyncio.gather(*map(pay, lunch(seed=12)))
    load_is_over.set()
    await sampling
    [last] = await reader.fetch(SAMPLE)
    await reader.close()
    await host.close()

    assert {(one["total"], one["differing"], one["fence_is_head"]) for one in [*samples, last]} == {(0, 0, True)}
    assert last["accounts"] >= len(CARDS)
    assert (last["payable"], last["held"]) == (approved["0200"], approved["0100"])
    assert approved["0200"] > 0
    assert approved["0100"] > 0
    moments = {(one["payable"], one["held"]) for one in samples}
    assert len(samples) >= SAMPLES_MIN
    assert len(moments) > SAMPLES_MIN / 2, "the samples didn't see the money move: they prove nothing"


async def test_the_sample_would_find_a_difference(authorizer: Authorizer) -> None:
    """The statement that the test above rests on, over balances that were made to differ by a cent each."""
    doctored = SAMPLE.replace("ledger.balance", "doctored").replace(
        "WITH line",
        "WITH doctored AS (SELECT account, currency, balance + (account LIKE 'holder:%')::int AS balance"
        " FROM ledger.balance WHERE balance <> 0), line",
    )
    connection = await asyncpg.connect(authorizer.database)
    try:
        [found] = await connection.fetch(doctored)
    finally:
        await connection.close()
    assert found["differing"] == found["total"] == found["accounts"] > 0
