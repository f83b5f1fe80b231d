"""Finding a place in the journal by time: instants of records never run backward."""

from datetime import datetime

from ledger.store import Store
from ledger.values import Partition, Seq


async def last_before(store: Store, partition: Partition, instant: datetime) -> Seq:
    """Find the last record made before an instant, by halving; 0 where there is none. Raises `Unavailable`."""
    low, high = 0, int((await store.fence(partition)).head)
    while low < high:
        middle = (low + high + 1) // 2
        at = await store.instant_of(partition, Seq(middle))
        if at is not None and at < instant:
            low = middle
        else:
            high = middle - 1
    return Seq(low)
