"""The generator beside a host that does nothing but answer. How fast it is on a machine, benchmarks say."""

import asyncio

from benchmarks.load_generator import answering, pull
from simulators.load.run import precise_loop

SECONDS = 0.4
RATES = (500, 4_000)


def test_eight_times_the_rate_costs_less_than_eight_times_the_processor():
    """Nothing is lost at a rate at which requests go out in bursts, and a request costs less there than alone."""

    async def measured():
        async with answering() as port:
            return [await pull(port, rate, SECONDS, warm_up_seconds=0.2) for rate in RATES]

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        slow, fast = runner.run(measured())
    assert slow.unanswered == fast.unanswered == 0
    assert fast.cpu < slow.cpu * RATES[1] / RATES[0]
