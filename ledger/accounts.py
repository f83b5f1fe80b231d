"""Account names, and what a purse claims that its holder's accounts hold."""

from collections import Counter
from collections.abc import Mapping

from ledger.values import Account, Cents, HolderId, Purse


def of_holder(holder: HolderId, product: str, lot: str) -> Account:
    """Vouchers of one lot that a holder can spend.

    >>> of_holder(HolderId("h1"), "90", "2026")
    'holder:h1:90:2026'
    """
    return Account(f"holder:{holder}:{product}:{lot}")


def of_hold(holder: HolderId, product: str, lot: str) -> Account:
    """Vouchers of one lot that authorizations have set aside."""
    return Account(f"hold:{holder}:{product}:{lot}")


def expired(holder: HolderId, product: str, lot: str) -> Account:
    """Vouchers of one lot that expired unspent and wait to be exchanged."""
    return Account(f"expired:{holder}:{product}:{lot}")


def payable(acquirer: str) -> Account:
    """What is owed to an acquirer; below 0, what it owes: a refund of what it has been paid for already."""
    return Account(f"acquirer:{acquirer}:payable")


def exceptions(acquirer: str) -> Account:
    """What an acquirer advised and no balance could cover, below 0 until it is given back or written off."""
    return Account(f"acquirer:{acquirer}:exceptions")


def issuer_float(product: str) -> Account:
    """Where vouchers of a product come from: what ever came in for them, as a negative balance."""
    return Account(f"issuer:float:{product}")


def pool(product: str) -> Account:
    """Where vouchers of a product fall that expired and were asked for by nobody in time."""
    return Account(f"issuer:pool:{product}")


def fees(product: str) -> Account:
    """What holders paid, out of expired vouchers of a product, for having them reactivated."""
    return Account(f"issuer:fees:{product}")


def settled() -> Account:
    """What left the bank account behind the vouchers: acquirers were paid, and the issuer took its fees."""
    return Account("issuer:settled")


def differences() -> Account:
    """What was written off or corrected, and is the issuer's loss: below 0. Above 0 it is its gain."""
    return Account("issuer:differences")


def client_funds(client: str, product: str) -> Account:
    """What a client has paid in for vouchers of a product and its holders weren't loaded yet: never below 0.

    >>> client_funds("c1", "90")
    'client:c1:funds:90'
    """
    return Account(f"client:{client}:funds:{product}")


def operating() -> Account:
    """The issuer's own bank account, where its fees come in from clients and acquirers: as a negative balance."""
    return Account("issuer:operating")


def commission() -> Account:
    """What the issuer earned: commissions and cards of orders, fees of acquirers."""
    return Account("issuer:commission")


def vat() -> Account:
    """VAT on what the issuer earned, owed to the state."""
    return Account("issuer:vat")


def claimed(holder: HolderId, purse: Purse) -> Mapping[Account, Cents]:
    """The balance, account by account, that a purse claims; accounts at 0 are left out."""
    balances: Counter[Account] = Counter()
    for lot in purse.lots:
        balances[of_holder(holder, lot.product, lot.name)] += lot.amount
    for hold in purse.holds:
        for part in hold.parts:
            balances[of_hold(holder, hold.product, part.lot)] += part.amount
    for lot in purse.expired:
        balances[expired(holder, lot.product, lot.name)] += lot.amount
    return {account: Cents(cents) for account, cents in balances.items() if cents}
