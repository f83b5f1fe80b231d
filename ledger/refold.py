"""Balances folded again from the transfers of records, and held against the money that positions claim."""

from collections import defaultdict

import msgspec
from msgspec import Struct

from ledger.accounts import claimed
from ledger.values import Account, Entry, HolderId, Purse


class _Position(Struct, frozen=True, array_like=True):
    """The first element of a holder's position. What stands behind it is the authorizer's own affair."""

    purse: Purse


_position = msgspec.json.Decoder(_Position)


class Refold:
    """Every balance of a partition, in cents, as its records make it."""

    def __init__(self) -> None:
        self._purses: defaultdict[HolderId, dict[Account, int]] = defaultdict(dict)
        self._others: dict[Account, int] = {}

    @property
    def accounts(self) -> int:
        """How many accounts stand at other than 0."""
        return len(self._others) + sum(map(len, self._purses.values()))

    @property
    def total(self) -> int:
        """The trial balance: 0, or debits and credits aren't equal."""
        return sum(self._others.values()) + sum(sum(purse.values()) for purse in self._purses.values())

    def fold(self, entry: Entry) -> str | None:
        """Fold one more record; say what is wrong with the money after it, if anything is."""
        touched: dict[Account, int] = {}
        for transfer in entry.transfers:
            touched[transfer.debit] = self._post(transfer.debit, -transfer.amount)
            touched[transfer.credit] = self._post(transfer.credit, transfer.amount)
        for account, balance in touched.items():
            if balance * sign(account) < 0:
                return f"it leaves {account} at {balance} cents, on the wrong side of 0"
            if (owner := owner_of(account)) not in (None, entry.holder):
                return f"it moves money of holder {owner}, whose line it isn't"
        if entry.holder is None or entry.position is None or ":" in entry.holder:
            return None
        return self._compare(entry.holder, entry.position)

    def _post(self, account: Account, cents: int) -> int:
        owner = owner_of(account)
        accounts = self._others if owner is None else self._purses[owner]
        balance = accounts.get(account, 0) + cents
        if balance:
            accounts[account] = balance
        else:
            accounts.pop(account, None)
        return balance

    def _compare(self, holder: HolderId, position: str) -> str | None:
        try:
            claim = claimed(holder, _position.decode(position).purse)
        except msgspec.MsgspecError:
            return "its position doesn't begin with a purse"
        held = self._purses.get(holder, {})
        for account in sorted(claim.keys() | held.keys()):
            said, made = claim.get(account, 0), held.get(account, 0)
            if said != made:
                return f"its position says {said} cents in {account}, the transfers up to it make {made}"
        return None


def owner_of(account: Account) -> HolderId | None:
    """Name the holder in whose purse an account is.

    >>> owner_of(Account("hold:h1:90:2026"))
    'h1'
    >>> owner_of(Account("issuer:float:90"))
    """
    kind, _, rest = account.partition(":")
    return HolderId(rest.partition(":")[0]) if kind in ("holder", "hold", "expired") else None


def sign(account: Account) -> int:
    """Tell on which side of 0 an account must be: 1 never below, -1 never above, 0 either.

    >>> sign(Account("holder:h1:90:2026")), sign(Account("acquirer:970001:exceptions")), sign(Account("issuer:pool:90"))
    (1, -1, 0)
    """
    kind, _, rest = account.partition(":")
    if kind in ("holder", "hold", "expired"):
        return 1
    if kind == "acquirer":
        return {"payable": 1, "exceptions": -1}.get(rest.rpartition(":")[2], 0)
    return 0
