"""The programmes that an authorizer has: those that ship, and its configuration's own."""

from collections.abc import Iterable, Sequence

from authz.decision.programme import Programme
from authz.programmes import SHIPPED, shipped


class Rulebook:
    """Each programme by its id, in the version of the configuration where that has one. It changes by `take` alone.

    Payments are decided by what the ledger has of them; this is what is put there, and what issuing and bookkeeping
    go by.
    """

    def __init__(self, own: Iterable[Programme] = ()) -> None:
        self.take(own)

    def take(self, own: Iterable[Programme]) -> None:
        """Have these beside those that ship, or in their place."""
        self._programmes = {name: shipped(name) for name in SHIPPED} | {one.id: one for one in own}

    def all(self) -> Sequence[Programme]:
        """Give all of them, those that ship first."""
        return tuple(self._programmes.values())

    def named(self, name: str) -> Programme:
        """Find a programme by its id. Raises `KeyError`."""
        return self._programmes[name]
