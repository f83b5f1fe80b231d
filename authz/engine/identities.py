"""Same request, same answer: the keys by which a request and its repeats are one.

A request has two: its *identity*, which a repeat shares, and the *reference*, by which a reversal or completion
names it (docs/interface.md, "Same request, same answer"). The PAN enters as its keyed token, so that no key can be
searched for the number behind it.
"""

from collections import OrderedDict
from hashlib import blake2b

from msgspec import Struct

from authz.decision.commands import Command, Origin, Payment
from authz.engine.requests import Answer
from ledger.values import Identity

_SEPARATOR = b"\x1f"


class Keys(Struct, frozen=True):
    """The two keys of a request."""

    identity: Identity
    reference: Identity

    def all(self) -> tuple[Identity, ...]:
        """What a record stores: both, or the one that is both."""
        return (self.identity,) if self.identity == self.reference else (self.identity, self.reference)


def message_class(mti: str) -> str:
    """The MTI without its last digit; the two reversal messages count as one.

    >>> message_class("0201"), message_class("0421")
    ('020', '040')
    """
    return "040" if mti[:3] == "042" else mti[:3]


def keys_of(origin: Origin, token: bytes) -> Keys:
    """Make both keys of the request that `origin` describes, on the card whose token is given."""
    kind = message_class(origin.mti)
    place = (origin.acquirer, origin.terminal.rstrip(), origin.merchant.rstrip())
    identity = _digest(b"identity", token, kind, *place, origin.trace, origin.local)
    reference = _digest(b"reference", token, kind, *place, origin.trace, origin.transmitted)
    return Keys(
        Identity(int(origin.local[2:]), identity),
        Identity(_year_of_transmission(origin) * 10**10 + int(origin.transmitted), reference),
    )


def content_of(command: Command) -> object:
    """What must be the same in a repeat, beside its identity: DE 3 and DE 4, or the whole of an issuer's command."""
    if isinstance(command, Payment):
        return command.origin.processing_code, command.origin.amount
    return command


def command_key(key: str) -> Keys:
    """Make the key of an issuer's command, which names it without a date. It is its own reference."""
    identity = Identity(0, blake2b(key.encode(), digest_size=16, person=b"command").digest())
    return Keys(identity, identity)


def _year_of_transmission(origin: Origin) -> int:
    """The two-digit year of DE 7: the one that brings it nearest the acceptor's own date.

    >>> origin = Origin("0200", "000000", "1231230001", "000001", "20260101000001", "1", "T", "M")
    >>> _year_of_transmission(origin)
    25
    """
    months_ahead = int(origin.transmitted[:2]) - int(origin.local[4:6])
    return (int(origin.local[2:4]) - (months_ahead > 6) + (months_ahead < -6)) % 100


def _digest(kind: bytes, token: bytes, *fields: str) -> bytes:
    plain = token + _SEPARATOR.join([field.encode() for field in fields])
    return blake2b(plain, digest_size=16, person=kind).digest()


class Known(Struct, frozen=True):
    """A request that was decided here a short while ago, and what it came to."""

    keys: Keys
    answer: Answer


class Recent:
    """The newest `remembered_max` requests by both keys. Those not yet acknowledged are among them: they are fewer."""

    def __init__(self, remembered_max: int) -> None:
        self._max = remembered_max
        self._by_identity: OrderedDict[Identity, Known] = OrderedDict()
        self._references: set[Identity] = set()

    def get(self, identity: Identity) -> Known | None:
        """Find a request by its identity."""
        return self._by_identity.get(identity)

    def names(self, reference: Identity) -> bool:
        """Tell whether some request here has this reference."""
        return reference in self._references

    def add(self, known: Known) -> None:
        """Remember a request, and forget the oldest beyond the limit."""
        self._by_identity[known.keys.identity] = known
        self._references.add(known.keys.reference)
        while len(self._by_identity) > self._max:
            _, oldest = self._by_identity.popitem(last=False)
            self._references.discard(oldest.keys.reference)

    def forget(self, known: Known) -> None:
        """Forget a request that was rolled back."""
        self._by_identity.pop(known.keys.identity, None)
        self._references.discard(known.keys.reference)

    def clear(self) -> None:
        """Forget all."""
        self._by_identity.clear()
        self._references.clear()
