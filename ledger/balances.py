"""The balance of every account, added up range by range up to the head noted at the start."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ledger.reading import partitions, reader
from ledger.values import Account, Cents

WINDOW_SEQS = 100_000

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
        for partition in await partitions(connection):
            head = await connection.fetchval("SELECT head FROM ledger.fence WHERE partition = $1", partition)
            for after in range(0, head, WINDOW_SEQS):
                last = min(after + WINDOW_SEQS, head)
                for row in await connection.fetch(_SUMS, partition, after, last, prefix):
                    totals[Account(row["account"]), row["currency"]] += row["balance"]
    return [Balance(account, currency, Cents(totals[account, currency])) for account, currency in sorted(totals)]
