"""What a program that makes many small values asks of the garbage collector."""

import gc

COLLECTOR_THRESHOLDS = (20_000, 20, 100)
"""Objects made between young collections, young ones between middle ones, middle ones between full ones.

More than all requests in hand consist of: what is in flight isn't walked through with every batch.
"""


def spare_the_collector() -> None:
    """Keep what start-up made out of garbage collections, and have the full ones come rarely.

    Values are structs that the collector doesn't follow; what it would walk through, over and over, are modules.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
