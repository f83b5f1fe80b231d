"""Same request, same answer: the keys under which a record is found again, each of which can exist once.

A request has two: its *identity*, which a repeat shares, and its *reference*, by which a reversal, a completion or a
refund names it (docs/interface.md, "Same request, same answer"). What such a request does to its original is a
numbered *step* with a key of its own, so that no two can undo the same cents; and a reversal that comes before its
original takes the original's reference. The PAN enters as its keyed token, so that no key can be searched for the
number behind it.
"""

from hashlib import blake2b

from msgspec import Struct

from authz.decision.commands import Command, Origin, Payment, Totals
from authz.decision.outcomes import Outcome
from authz.engine.requests import Named
from ledger.values import Identity

YEARS_BACK_MAX = 3
"""DE 90 has no year: how many earlier ones are tried. A card lives four years."""
JANUARY_FROM_DECEMBER = -11

_SEPARATOR = "\x1f"
_NAMEABLE = frozenset({"010", "012", "020", "022"})


class Keys(Struct, frozen=True, gc=False):
    """The two keys of a request.

    `earlier` is the identity that a repeat may have had: DE 13 has no year, and when the repeat comes, after more than
    half a year, the year nearest the engine's instant may have become the next.
    """

    identity: Identity
    reference: Identity
    earlier: Identity | None = None

    def answering(self) -> tuple[Identity, ...]:
        """The identities under which the answer may be stored already."""
        return (self.identity,) if self.earlier is None else (self.identity, self.earlier)

    def all(self, outcome: Outcome) -> tuple[Identity, ...]:
        """What a record stores: these, and the keys of what it does to others. Where both are one, that one."""
        own = (self.identity,) if self.identity == self.reference else (self.identity, self.reference)
        return (*own, *effects_of(outcome))


def message_class(mti: str) -> str:
    """The MTI without its last digit; the two reversal messages count as one.

    >>> message_class("0201"), message_class("0421")
    ('020', '040')
    """
    return "040" if mti[:3] == "042" else mti[:3]


def keys_of(origin: Origin, token: bytes, *, repeat: bool = False) -> Keys:
    """Make both keys of the request that `origin` describes, on the card whose token is given."""
    reference = _digest(
        b"reference", token, message_class(origin.mti), *_place(origin), origin.trace, origin.transmitted
    )
    return Keys(
        _identity(origin, token, origin.local),
        Identity(_stamp(_year_of_transmission(origin), origin.transmitted), reference),
        _identity(origin, token, f"{int(origin.local[:4]) - 1:04}{origin.local[4:]}") if repeat else None,
    )


def keys_of_totals(command: Totals) -> Keys:
    """Make the key of an acquirer's totals, which have neither card nor place. It is its own reference."""
    kind = message_class(command.mti)
    digest = _digest(b"identity", b"", kind, command.acquirer, command.trace, command.transmitted)
    identity = Identity(int(command.transmitted[2:]), digest)
    return Keys(identity, identity)


def command_key(key: str) -> Keys:
    """Make the key of an issuer's command, which names it without a date. It is its own reference."""
    identity = Identity(0, blake2b(key.encode(), digest_size=16, person=b"command").digest())
    return Keys(identity, identity)


def originals_of(origin: Origin, named: Named, token: bytes) -> tuple[str, ...]:
    """Give the references that DE 90 can mean, the newest first: one a year. None: no payment of this acquirer's."""
    kind = message_class(named.mti)
    if kind not in _NAMEABLE or named.acquirer != origin.acquirer.zfill(len(named.acquirer)):
        return ()
    digest = _digest(b"reference", token, kind, *_place(origin), named.trace, named.transmitted)
    year = _last_year(named.transmitted, origin)
    stamps = (_stamp((year - back) % 100, named.transmitted) for back in range(YEARS_BACK_MAX + 1))
    return tuple(text_of(Identity(stamp, digest)) for stamp in stamps)


def text_of(reference: Identity) -> str:
    """Write a reference as records hold it: twelve digits of date and time, then the digest.

    >>> key_of(text_of(Identity(260512103000, bytes(16)))).stamp
    260512103000
    """
    return f"{reference.stamp:012}{reference.digest.hex()}"


def key_of(reference: str) -> Identity:
    """Undo `text_of`."""
    return Identity(int(reference[:12]), bytes.fromhex(reference[12:]))


def names(reference: str, key: Identity) -> bool:
    """Tell whether a reference is this key's, without making the key again.

    >>> key = Identity(260512103000, bytes(16))
    >>> names(text_of(key), key), names(text_of(key), Identity(260512103001, bytes(16)))
    (True, False)
    """
    return reference[12:] == key.digest.hex() and int(reference[:12]) == key.stamp


def step_key(original: str, step: int) -> Identity:
    """Make the key of a step of a request."""
    plain = f"{original}{_SEPARATOR}{step}".encode()
    return Identity(int(original[:12]), blake2b(plain, digest_size=16, person=b"step").digest())


def effects_of(outcome: Outcome) -> tuple[Identity, ...]:
    """Make the keys of what an outcome does to other requests: a step of each, or that one never came."""
    steps = [step_key(one.original, one.step) for one in outcome.reply.standings if one.step]
    return tuple(steps) if outcome.never_came is None else (*steps, key_of(outcome.never_came))


def content_of(command: Command) -> object:
    """What must be the same in a repeat, beside its identity: DE 3, 4, 90 and 95, or the whole of another command."""
    if isinstance(command, Payment):
        origin = command.origin
        return origin.processing_code, origin.amount, origin.original, origin.replacement
    return (command.day, command.counted, command.net) if isinstance(command, Totals) else command


def _identity(origin: Origin, token: bytes, local: str) -> Identity:
    digest = _digest(b"identity", token, message_class(origin.mti), *_place(origin), origin.trace, local)
    return Identity(int(local[2:]), digest)


def _place(origin: Origin) -> tuple[str, str, str]:
    return origin.acquirer, origin.terminal.rstrip(), origin.merchant.rstrip()


def _stamp(year: int, transmitted: str) -> int:
    return year * 10**10 + int(transmitted)


def _year_of_transmission(origin: Origin) -> int:
    """The two-digit year of DE 7: the one that brings it nearest the acceptor's own date.

    >>> origin = Origin("0200", "000000", "1231230001", "000001", "20260101000001", "1", "T", "M")
    >>> _year_of_transmission(origin)
    25
    """
    months_ahead = _months_ahead(origin.transmitted, origin)
    return (int(origin.local[:4]) - (months_ahead > 6) + (months_ahead < -6)) % 100


def _last_year(transmitted: str, origin: Origin) -> int:
    """The last year in which a DE 7 isn't ahead of the acceptor's own date by more than a clock can be wrong."""
    months_ahead = _months_ahead(transmitted, origin)
    return int(origin.local[:4]) + (months_ahead == JANUARY_FROM_DECEMBER) - (months_ahead > 1)


def _months_ahead(transmitted: str, origin: Origin) -> int:
    return int(transmitted[:2]) - int(origin.local[4:6])


def _digest(kind: bytes, token: bytes, *fields: str) -> bytes:
    return blake2b(token + _SEPARATOR.join(fields).encode(), digest_size=16, person=kind).digest()
