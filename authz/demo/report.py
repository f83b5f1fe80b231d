"""What the demo shows when the lunch is over: the decisions, the latencies, and whether the books hold."""

from collections.abc import Mapping

import asyncpg
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from authz.decision.outcomes import Reason
from authz.demo.lunch import Lunch
from authz.links.codes import RESPONSE_CODES
from authz.replay import Difference, Replayed, replay
from ledger.verify import Finding, Report, verify

_DECISIONS = """
SELECT reason, count(*) AS count FROM ledger.journal
 WHERE request -> 'command' -> 'origin' IS NOT NULL GROUP BY reason ORDER BY count DESC, reason"""

_TERMINALS = """
SELECT rtrim(request -> 'command' -> 'origin' ->> 'terminal') AS terminal,
       sum(amount * ((credit LIKE 'acquirer:%:payable')::integer - (debit LIKE 'acquirer:%:payable')::integer))::bigint
           AS owed,
       sum(amount * (starts_with(credit, 'hold:')::integer - starts_with(debit, 'hold:')::integer))::bigint AS held
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE request -> 'command' -> 'origin' IS NOT NULL GROUP BY 1"""

_TRIAL_BALANCE = """
SELECT split_part(account, ':', 1) AS class, count(*) AS accounts, sum(balance)::bigint AS balance
  FROM ledger.balance GROUP BY 1 ORDER BY 1"""

_NEXT = Text("\nTo order cards and vouchers: authz serve --demo tells a token for each role; then authz issue --help")

_CLASSES = {
    "acquirer": "owed to acquirers",
    "hold": "set aside by authorizations",
    "holder": "what holders can spend",
    "client": "paid in, not yet on cards",
    "expired": "waits to be exchanged",
    "issuer": "vouchers outstanding",
}


class Books(Struct, frozen=True):
    """What the ledger says. `balances` are number of accounts and cents, by class of account."""

    decisions: Mapping[str, int]
    balances: Mapping[str, tuple[int, int]]
    terminals: Mapping[str, tuple[int, int]]
    verified: Report | Finding
    replayed: Replayed | Difference


async def audit(url: str, console: Console) -> Books:
    """Ask the ledger itself. Nothing here comes from the engine's memory."""
    connection = await asyncpg.connect(url)
    try:
        decisions = {row["reason"]: row["count"] for row in await connection.fetch(_DECISIONS)}
        balances = {row["class"]: (row["accounts"], row["balance"]) for row in await connection.fetch(_TRIAL_BALANCE)}
        terminals = {row["terminal"]: (row["owed"], row["held"]) for row in await connection.fetch(_TERMINALS)}
    finally:
        await connection.close()
    with console.status("walking the hash chain …"):
        verified = await verify(url)
    with console.status("deciding everything again …"):
        replayed = await replay(url)
    return Books(decisions, balances, terminals, verified, replayed)


def show(console: Console, lunch: Lunch, books: Books) -> bool:
    """Print the report; True if all of it held."""
    console.print()
    console.print(_decisions(books))
    console.print(_latencies(lunch))
    console.print(_trial_balance(books))
    answered = not lunch.unanswered and sum(books.decisions.values()) == lunch.payments + lunch.told
    balanced = sum(cents for _, cents in books.balances.values()) == 0
    paid = {name: totals for name, totals in lunch.terminals.items() if totals != (0, 0)}
    agreed = paid == {name: totals for name, totals in books.terminals.items() if totals != (0, 0)}
    held = [
        (answered, f"each of {lunch.payments:,} payments, and {lunch.told:,} completions and reversals, is one record"),
        (balanced, "the trial balance is 0.00"),
        (isinstance(books.verified, Report), _verified(books.verified)),
        (isinstance(books.replayed, Replayed), _replayed(books.replayed)),
        (agreed, f"{len(paid)} terminals' money, {_euros(_total(paid))} in all, equals the ledger's"),
        (lunch.agreed, "the acquirer's totals of the day (0500) are the ledger's"),
    ]
    for good, what in held:
        console.print(Text.assemble(("✓ " if good else "✗ ", "bold green" if good else "bold red"), what))
    console.print(_NEXT)
    return all(good for good, _ in held)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _decisions(books: Books) -> Table:
    table = _table("Decisions by reason")
    for name in ("reason", "DE 39"):
        table.add_column(name)
    for name in ("requests", "share"):
        table.add_column(name, justify="right")
    total = sum(books.decisions.values())
    for reason, count in books.decisions.items():
        table.add_row(reason, RESPONSE_CODES[Reason(reason)], f"{count:,}", f"{count / total:.1%}")
    return table


def _latencies(lunch: Lunch) -> Table:
    table = _table(f"Latency at {lunch.rate:,.0f} requests/s")
    for name in lunch.latencies_us:
        table.add_column(f"p{name:g}", justify="right")
    table.add_row(*(f"{microseconds / 1000:.1f} ms" for microseconds in lunch.latencies_us.values()))
    return table


def _trial_balance(books: Books) -> Table:
    table = _table("Trial balance")
    for name in ("accounts", "what they are"):
        table.add_column(name)
    for name in ("number", "balance"):
        table.add_column(name, justify="right")
    for name, (number, cents) in books.balances.items():
        table.add_row(f"{name}:…", _CLASSES.get(name, ""), f"{number:,}", _euros(cents))
    table.add_section()
    table.add_row("sum", "", "", _euros(sum(cents for _, cents in books.balances.values())))
    return table


def _verified(verified: Report | Finding) -> str:
    if isinstance(verified, Finding):
        return str(verified)
    return f"the chain of {verified.records:,} records is unbroken, every position equals its accounts"


def _replayed(replayed: Replayed | Difference) -> str:
    if isinstance(replayed, Difference):
        return str(replayed)
    return f"decided again from the journal, all {replayed.records:,} records come out the same"


def _total(terminals: Mapping[str, tuple[int, int]]) -> int:
    return sum(owed + held for owed, held in terminals.values())


def _euros(cents: int) -> str:
    """Write an amount.

    >>> _euros(-123456)
    '-1,234.56 €'
    """
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02} €"
