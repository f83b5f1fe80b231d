"""What was decided here a short while ago, found by every key that its record has."""

from collections import OrderedDict

from msgspec import Struct

from authz.engine.inputs import decode_inputs, decode_reply
from authz.engine.requests import Answer
from ledger.store import Answer as StoredAnswer
from ledger.values import Identity, Seq


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
        self._acknowledged = 0
        self._records: OrderedDict[Identity, Known] = OrderedDict()
        self._by_key: dict[Identity, Known] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Identity) -> Known | None:
        """Find a request by one of its keys."""
        return self._by_key.get(key)

    def add(self, known: Known) -> None:
        """Remember a request that has been decided."""
        self._records[known.keys[0]] = known
        self._by_key.update(dict.fromkeys(known.keys, known))

    def acknowledge(self, known: Known) -> None:
        """Count a request as one that is in the ledger, and forget the oldest beyond the limit.

        Requests are acknowledged in the order in which they were decided. What memory has dropped doesn't count.
        """
        if self._records.get(known.keys[0]) is known:
            self._acknowledged += 1
        if self._acknowledged > self._max:
            self._acknowledged -= 1
            self._drop(self._records.popitem(last=False)[1])

    def forget(self, known: Known) -> None:
        """Forget a request that was rolled back."""
        if self._records.pop(known.keys[0], None) is not None:
            self._drop(known)

    def clear(self) -> None:
        """Forget all."""
        self._acknowledged = 0
        self._records.clear()
        self._by_key.clear()

    def _drop(self, known: Known) -> None:
        for key in known.keys:
            self._by_key.pop(key, None)
