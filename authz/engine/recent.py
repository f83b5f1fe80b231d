"""What was decided here a short while ago, found by every key that its record has."""

from collections import deque

from msgspec import Struct

from authz.engine.inputs import decode_inputs, decode_reply
from authz.engine.requests import Answer
from ledger.store import Answer as StoredAnswer
from ledger.values import Identity, Seq

SHELVES = 64
"""Many small tables of keys: a single one, of 131,000, is made anew as often as its room is used up, in 15 ms."""


class Known(Struct, gc=False):
    """A request that was decided, and its keys. `seq` is its record's: 0 until it is sent.

    From then on its answer is kept as the record has it, as texts: 0.9 KB instead of 2.3, and few are asked for again.
    """

    kept: Answer | StoredAnswer
    keys: tuple[Identity, ...] = ()
    seq: Seq = Seq(0)

    @property
    def answer(self) -> Answer:
        """How it is answered."""
        return self.kept if isinstance(self.kept, Answer) else answer_of(self.kept)

    def sent(self, stored: StoredAnswer) -> None:
        """Note the record that it becomes."""
        self.kept = stored
        self.seq = stored.seq


def answer_of(stored: StoredAnswer) -> Answer:
    """Read the answer that a record has."""
    return Answer(decode_inputs(stored.request).command, decode_reply(stored.reply))


class Recent:
    """The newest `remembered_max` requests that are in the ledger, and all that aren't acknowledged yet."""

    def __init__(self, remembered_max: int) -> None:
        self._max = remembered_max
        self._acknowledged: deque[Known] = deque()
        self._shelves: tuple[dict[Identity, Known], ...] = tuple({} for _ in range(SHELVES))

    def __len__(self) -> int:
        return len(self._acknowledged)

    def get(self, key: Identity) -> Known | None:
        """Find a request by one of its keys."""
        return self._shelf(key).get(key)

    def add(self, known: Known) -> None:
        """Remember a request that has been decided."""
        for key in known.keys:
            self._shelf(key)[key] = known

    def acknowledge(self, known: Known) -> None:
        """Take a request for one that is in the ledger, and forget the oldest beyond the limit.

        What memory has dropped doesn't count.
        """
        if self.get(known.keys[0]) is known:
            self._acknowledged.append(known)
            if len(self._acknowledged) > self._max:
                self.forget(self._acknowledged.popleft())

    def forget(self, known: Known) -> None:
        """Forget a request that was rolled back, or that nobody will ask for again."""
        for key in known.keys:
            self._shelf(key).pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._acknowledged.clear()
        for shelf in self._shelves:
            shelf.clear()

    def _shelf(self, key: Identity) -> dict[Identity, Known]:
        return self._shelves[key.digest[0] % SHELVES]
