"""What a program that makes many small values asks of the garbage collector."""

import asyncio
import gc
from itertools import count

COLLECTOR_THRESHOLDS = (20_000, 20, 100)
"""Objects made between young collections, young ones between middle ones, middle ones between full ones.

More than all requests in hand consist of: what is in flight isn't walked through with every batch.
"""

YOUNG_EVERY_MS = 200
"""Between young collections of a program that runs. Each walks through what is in hand, and what was made since.

Left to the thresholds they come rarely, for in the long run as many objects go as come, and each walks through all
that was made in seconds: 15 ms, at a busy moment a pause that takes a tenth of a second to catch up with. Every 50 ms,
what is in hand is walked through so often that it takes 11 µs of each request's time.
"""
MIDDLE_EVERY = 50
FULL_EVERY = 3_000
"""Young collections between those that walk through what has stayed for seconds, and through all: 10 s, 10 minutes.

All takes 29 ms where 100,000 passbooks are in memory: without it, what a lost connection leaves would stay for good.
"""


def spare_the_collector() -> None:
    """Keep what start-up made out of garbage collections, and have the full ones come rarely.

    Values are structs that the collector doesn't follow; what it would walk through, over and over, are modules.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def collect_often() -> None:
    """Collect a little at a time, until cancelled: in each collection what is young, in some what is older too."""
    for number in count(1):
        await asyncio.sleep(YOUNG_EVERY_MS / 1_000)
        gc.collect((number % MIDDLE_EVERY == 0) + (number % FULL_EVERY == 0))
