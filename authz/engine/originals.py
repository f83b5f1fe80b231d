"""What became of the request that another one names: read from the records that its keys find.

The request's own record says what stood at first, each step's what stood after it. Steps are numbered without gaps, so
the newest is the last one that is there.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from authz.decision.commands import UNDOING, Command, Reversal
from authz.decision.evidence import Original
from authz.decision.standing import Standing
from authz.engine.identities import key_of, step_key
from authz.engine.recent import Known
from ledger.values import Identity

STEPS_A_LOOK = 8
"""Steps of a request that are looked up together, and again as many once they are all there."""


class Trail(Struct, frozen=True, gc=False):
    """An original, and the records that say what stands of it."""

    original: Original
    records: tuple[Known, ...]


class Sight:
    """Records by their keys: those in memory, then those found in the ledger. Keys never looked for are `unsought`."""

    def __init__(self, recent: Callable[[Identity], Known | None], found: Mapping[Identity, Known | None]) -> None:
        self.unsought: list[Identity] = []
        self._recent = recent
        self._found = found

    def see(self, keys: Sequence[Identity]) -> list[Known | None]:
        """Look at each key. While one of them is unsought, what is seen means nothing."""
        return [self._see(key) for key in keys]

    def _see(self, key: Identity) -> Known | None:
        known = self._recent(key)
        if known is None:
            if key in self._found:
                return self._found[key]
            self.unsought.append(key)
        return known


def named_by(command: Command) -> tuple[str, ...]:
    """The references of the request by which a command is decided, the likeliest first; none where it is by none."""
    return command.originals if isinstance(command, UNDOING) else ()


def follow(originals: Sequence[str], sight: Sight) -> Trail | None:
    """Find the first of `originals` that is there, and what stands of it. None: none is, or some keys are unsought."""
    seen = zip(originals, sight.see([key_of(one) for one in originals]), strict=True)
    found = next((known for _, known in seen if known is not None), None)
    if found is None:
        return None
    if isinstance(found.answer.command, Reversal):
        return Trail(Original(never_came=True), (found,))
    first = found.answer.reply.standings[:1]
    if not first:
        return Trail(Original(), (found,))
    standing, record = _newest(first[0], found, sight)
    if not standing.of:
        return Trail(Original(standing), (found, record))
    payment, last = _newest(_of(standing.of, found), found, sight)
    return Trail(Original(standing, payment), (found, record, last))


def _newest(standing: Standing, record: Known, sight: Sight) -> tuple[Standing, Known]:
    """Follow the steps of a request to the last one."""
    while True:
        width = max(STEPS_A_LOOK, standing.step)
        steps = range(standing.step + 1, standing.step + 1 + width)
        taken = 0
        for known in sight.see([step_key(standing.original, step) for step in steps]):
            if known is None:
                break
            record, taken = known, taken + 1
        if taken:
            standing = _of(standing.original, record)
        if sight.unsought or taken < width:
            return standing, record


def _of(original: str, record: Known) -> Standing:
    """What a record says of a request."""
    return next(one for one in record.answer.reply.standings if one.original == original)
