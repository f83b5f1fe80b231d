"""The money of a partition, folded from its transfers and held against what positions claim, in flat memory.

Of a holder, one number is kept: what the purse weighs that their newest line claims, which is the sum of its cents,
each times a random weight of its account. Transfers move it by what they move, so the purse on the next line must weigh
what the purse before it does and what was transferred. Weights, of 96 bits, are drawn anew in each run: nobody who
changes a ledger can aim at two purses that weigh the same, and they do by chance once in 2⁹⁶.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from ledger.accounts import claimed
from ledger.frames import Move
from ledger.values import Account, Cents, Hold, HolderId, Purse, unpack_identities

WEIGHT_BYTES = 12

PURSE_KINDS = ("holder", "hold", "expired")
"""The first word of the accounts that are a holder's."""

_OTHER_SIGNS = {
    ("issuer", "pool"): 1,
    ("issuer", "fees"): 1,
    ("issuer", "vat"): 1,
    ("client", "funds"): 1,
}
"""Of accounts that aren't here either side is right: what an acquirer was paid for, or what was written off, may be
taken back afterwards, and a settlement is posted in one partition for all of them."""


Line = tuple[HolderId | None, str | None, Sequence[Move], bytes]
"""Of a record its holder, their position after it, its transfers and its packed identities."""


class _Position(Struct, frozen=True, array_like=True, gc=False):
    """The first element of a holder's position. What stands behind it is the authorizer's own affair."""

    purse: Purse


_position = msgspec.json.Decoder(_Position).decode


class _Weights(dict[tuple[str, str], int]):
    """A random weight for each product's lot in one kind of account, made when it is first asked for."""

    def __init__(self, key: bytes, kind: str) -> None:
        self._key = key
        self._kind = kind

    def __missing__(self, lot: tuple[str, str]) -> int:
        weight = self[lot] = _drawn(self._key, self._kind, ":".join(lot))
        return weight


class Money:
    """What stands behind the last record that was folded.

    `key` is random. `others` are the balances that aren't holders', in cents; None where they aren't known, so that
    their signs can't be judged.
    """

    def __init__(self, key: bytes, others: Mapping[str, int] | None) -> None:
        self._key = key
        self._weights = {kind: _Weights(key, kind) for kind in PURSE_KINDS}
        self._spendable = self._weights["holder"]
        self.others = dict(others or {})
        self._signs = dict.fromkeys(self.others, 0) if others is None else {one: sign(one) for one in self.others}
        self._sign = sign if others is not None else lambda _: 0
        self._purses: dict[HolderId, int] = {}
        self._holds: dict[HolderId, tuple[str, ...]] = {}

    @property
    def holders(self) -> int:
        """How many holders have a line."""
        return len(self._purses)

    @property
    def known(self) -> Iterable[HolderId]:
        """The holders who have a line."""
        return self._purses.keys()

    def weigh(self, account: str, cents: int) -> int:
        """What so many cents in a holder's account add to the worth of all purses."""
        kind, _, rest = account.partition(":")
        owner, _, lot = rest.partition(":")
        product, _, name = lot.partition(":")
        return cents * self._weights[kind][product, name] * self._share(HolderId(owner))

    def is_worth(self, worth: int) -> bool:
        """Tell whether the purses of all holders have this worth: so much weighs what is in them."""
        return sum(purse * self._share(holder) for holder, purse in self._purses.items()) == worth

    def _share(self, holder: HolderId) -> int:
        """A random weight of a holder's own, which isn't kept."""
        return _drawn(self._key, "share", holder)

    def unknown(self, holders: Iterable[HolderId | None]) -> set[HolderId]:
        """Pick out the holders of whom no line was seen."""
        return {one for one in holders if one is not None and ":" not in one} - self._purses.keys()

    def know(self, holder: HolderId, position: str | None) -> None:
        """Believe a holder's line from before the first record that is folded. None: there is none."""
        purse = Purse() if position is None else _purse_of(position) or Purse()
        self._purses[holder] = self._weight_of(purse) or 0
        if held := _open(purse):
            self._holds[holder] = held

    def fold(self, records: Iterable[Line]) -> int:
        """Fold records, and count them up to the first whose money isn't right: `what` says what is wrong with it."""
        others, signs, weights, right = self.others, self._signs, self._weights, 0
        for holder, position, moves, identities in records:
            moved, crossed = 0, False
            for debit, credit, amount in moves:
                for account, cents in (debit, -amount), (credit, amount):
                    balance = others.get(account)
                    if balance is None:
                        words = account.split(":", 3)
                        if words[0] in weights:
                            if len(words) != 4 or words[1] != holder:
                                return right
                            moved += cents * weights[words[0]][words[2], words[3]]
                            continue
                        balance, signs[account] = 0, self._sign(account)
                    others[account] = balance = balance + cents
                    if balance * signs[account] < 0:
                        crossed = True
            if crossed and any(others.get(one, 0) * signs.get(one, 0) < 0 for move in moves for one in move[:2]):
                return right
            if holder is None or position is None or ":" in holder or self._turn(holder, position, moved, identities):
                right += 1
            else:
                return right
        return right

    def _turn(self, holder: HolderId, position: str, moved: int, identities: bytes) -> bool:
        """Turn a passbook to its next line."""
        try:
            purse = _position(position).purse
        except msgspec.MsgspecError:
            return False
        now = self._weight_of(purse)
        if now is None or now != self._purses.get(holder, 0) + moved:
            return False
        if purse.holds or holder in self._holds:
            before = self._holds.pop(holder, ())
            if held := _open(purse):
                if held != before and _resurrected(purse.holds, before, identities):
                    return False
                self._holds[holder] = held
        self._purses[holder] = now
        return True

    def _weight_of(self, purse: Purse) -> int | None:
        """None where something in the purse has no money in it, or less than none."""
        total = 0
        weights = self._spendable
        for lot in purse.lots:
            amount = lot.amount
            if amount <= 0:
                return None
            total += amount * weights[lot.product, lot.name]
        if holds := purse.holds:
            weights = self._weights["hold"]
            for hold in holds:
                for part in hold.parts:
                    if part.amount <= 0:
                        return None
                    total += part.amount * weights[hold.product, part.lot]
        if expired := purse.expired:
            weights = self._weights["expired"]
            for lot in expired:
                if lot.amount <= 0:
                    return None
                total += lot.amount * weights[lot.product, lot.name]
        return total

    def what(
        self,
        holder: HolderId | None,
        before: str | None,
        position: str | None,
        moves: Sequence[Move],
        identities: bytes,
    ) -> str:
        """Say what is wrong with a record that `fold` found wrong. `before` is the position before it."""
        purse = _purse_of(before) if before is not None else Purse()
        balances: dict[str, int] = {}
        if holder is not None and purse is not None:
            balances.update((account, cents) for account, cents in claimed(holder, purse).items())
        touched: dict[str, int] = {}
        for debit, credit, amount in moves:
            for account, cents in ((debit, -amount), (credit, amount)):
                balances[account] = balances.get(account, 0) + cents
                touched[account] = self.others.get(account, balances[account])
        for account, balance in touched.items():
            owner = owner_of(Account(account))
            if owner not in (None, holder):
                return f"it moves money of holder {owner}, whose line it isn't"
            if balance * (self._sign(account) if owner is None else 1) < 0:
                return f"it leaves {account} at {balance} cents, on the wrong side of 0"
        claim = _purse_of(position) if position is not None else None
        if holder is None or claim is None:
            return "its position doesn't begin with a purse"
        return _differences(holder, balances, claim) or _resurrected_or_empty(claim, purse, identities)


def _drawn(key: bytes, kind: str, name: str) -> int:
    """Draw a weight that nobody can foresee who doesn't have the key: above 0."""
    return 1 + int.from_bytes(blake2b(name.encode(), key=key, person=kind.encode(), digest_size=WEIGHT_BYTES).digest())


def balances_of(holder: HolderId, position: str) -> Mapping[Account, Cents]:
    """What a position says is in a holder's accounts; accounts at 0 are left out."""
    return claimed(holder, _purse_of(position) or Purse())


def owner_of(account: Account) -> HolderId | None:
    """Name the holder in whose purse an account is.

    >>> owner_of(Account("hold:h1:90:2026"))
    'h1'
    >>> owner_of(Account("issuer:float:90"))
    """
    kind, _, rest = account.partition(":")
    return HolderId(rest.partition(":")[0]) if kind in PURSE_KINDS else None


def sign(account: str) -> int:
    """Tell on which side of 0 an account must be: 1 never below, -1 never above, 0 either.

    >>> sign("holder:h1:90:2026"), sign("acquirer:970001:payable"), sign("issuer:pool:90"), sign("issuer:float:90")
    (1, 0, 1, 0)
    >>> sign("client:c1:funds:90"), sign("issuer:vat"), sign("issuer:operating"), sign("issuer:settled")
    (1, 1, 0, 0)
    """
    kind, _, rest = account.partition(":")
    if kind in PURSE_KINDS:
        return 1
    first, _, last = rest.partition(":")
    return _OTHER_SIGNS.get((kind, first if kind == "issuer" else last.partition(":")[0]), 0)


def _purse_of(position: str) -> Purse | None:
    try:
        return _position(position).purse
    except msgspec.MsgspecError:
        return None


def _open(purse: Purse) -> tuple[str, ...]:
    """Name the holds that have money set aside."""
    return tuple([hold.id for hold in purse.holds if hold.parts])


def _resurrected(holds: Sequence[Hold], before: Sequence[str], identities: bytes) -> str | None:
    """Name an open hold that neither stood on the line before nor is this record's own request.

    A key can exist once: so a hold can come in once, and once it is out it stays out.
    """
    new = [hold.id for hold in holds if hold.parts and hold.id not in before]
    if new:
        own = {f"{one.stamp:012}{one.digest.hex()}" for one in unpack_identities(identities)}
        for hold in new:
            if hold not in own:
                return hold
    return None


def _empty(purse: Purse) -> bool:
    """Tell whether something in a purse has no money in it, or less than none: only what lapsed may, without parts."""
    return (
        any(lot.amount <= 0 for lot in purse.lots)
        or any(part.amount <= 0 for hold in purse.holds for part in hold.parts)
        or any(lot.amount <= 0 for lot in purse.expired)
    )


def _differences(holder: HolderId, balances: Mapping[str, int], purse: Purse) -> str | None:
    claim: Mapping[Account, int] = claimed(holder, purse)
    mine = {account for account in balances if owner_of(Account(account)) == holder}
    for account in sorted(claim.keys() | mine):
        said, made = claim.get(Account(account), 0), balances.get(account, 0)
        if said != made:
            return f"its position says {said} cents in {account}, the transfers up to it make {made}"
    return None


def _resurrected_or_empty(purse: Purse, before: Purse | None, identities: bytes) -> str:
    if hold := _resurrected(purse.holds, _open(before or Purse()), identities):
        return f"its position has the open hold {hold}, which isn't its own and didn't stand on the line before"
    return "its position has something of 0 cents or less in it" if _empty(purse) else "its money doesn't add up"
