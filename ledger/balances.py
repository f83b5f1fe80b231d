"""The balance of every account, added up window by window up to the heads noted at the start."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ledger.reading import heads, reader, windows
from ledger.values import Account, Cents, Seq

_SUMS = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (
       SELECT credit AS account, currency, amount FROM ledger.transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND starts_with(credit, $4)
        UNION ALL
       SELECT debit, currency, -amount FROM ledger.transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND starts_with(debit, $4)
  ) AS movement
 GROUP BY account, currency"""


class Balance(Struct, frozen=True):
    """Credits less debits of an account, in cents; `currency` is ISO 4217's number."""

    account: Account
    currency: int
    balance: Cents


async def balances(url: str, prefix: str = "") -> Sequence[Balance]:
    """Return the balances of all accounts whose name begins with `prefix`, in the order of their names.

    What view `ledger.balance` says, without its one long statement. Raises a `LedgerError`.
    """
    totals: Counter[tuple[Account, int]] = Counter()
    async with reader(url) as connection:
        for partition, head in (await heads(connection)).items():
            for after, through in windows(Seq(0), head):
                for row in await connection.fetch(_SUMS, partition, after, through, prefix):
                    totals[Account(row["account"]), row["currency"]] += row["balance"]
    return [Balance(account, currency, Cents(totals[account, currency])) for account, currency in sorted(totals)]
