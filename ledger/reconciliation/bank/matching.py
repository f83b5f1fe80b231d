"""Matches the bank's entries: with payouts, with net positions, and with what clients were recorded to have paid in.

Part of a reconciliation, behind the stages of clearing: it adds to the same work tables (`joined`, `joined_entry`,
`joined_movement`, `finding`), by statements that are short transactions each. An entry that could be of two things is
of neither: it stays open, and is named.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.balances import last_record
from ledger.reading import windows
from ledger.reconciliation.bank.payouts import named_by
from ledger.reconciliation.bank.positions import PublishedRun, positions_of
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Cause, Stage
from ledger.values import Partition, Seq

RECORDED_LATE_DAYS = 4
"""Finance enters a client's payment once the statement shows it: after a long weekend at the latest."""
LEFT_OPEN = (Cause.MISSING_IN_BANK, Cause.AMOUNT_DIFFERS)
"""Why a run leaves a client's payment open for the next one."""

_sql = statements("bank")


class Considered(Struct, frozen=True, kw_only=True):
    """What a run looks at: statements' files by id, and of them those that the run before didn't know yet.

    `heads` are how far it reads the journal; `day_before` and `heads_before` are the run's before: None and empty,
    where there was none. With no statement at all there is nothing to match.
    """

    day: date
    files: Sequence[int]
    new: Sequence[int]
    heads: Mapping[Partition, Seq]
    day_before: date | None = None
    heads_before: Mapping[Partition, Seq]


async def bank_matches(connection: asyncpg.Connection, run: Considered, terms: Terms) -> None:
    """Add a run's bank stages to its work tables: matches, and what doesn't agree.

    `connection` has the work tables of `sql/work.sql`, `carried` filled in. Nothing of the journal behind `run.heads`
    is read. What is missing is named once a statement covers its day: until then the bank may still say it.
    """
    if not run.files:
        return
    await connection.execute(_sql["create"])
    await connection.execute(_sql["take_entries"], run.day, run.day_before, list(run.files), list(run.new))
    await _take_payments(connection, run, terms)
    await _match_payouts(connection, run, terms)
    await _match_positions(connection, run, terms)
    await _match_payments(connection, terms)
    for partition, head in run.heads.items():
        await connection.execute(_sql["claim_adjusted"], partition, head)
        await _adopt(connection, Stage.ADJUSTMENT)
    voucher = terms.accounts.voucher
    covered = await connection.fetchval(_sql["covered"], voucher, list(run.files), run.day)
    if covered is not None:
        await connection.execute(_sql["missing_payouts"], Cause.MISSING_IN_BANK, covered)
        await connection.execute(_sql["missing_payments"], Cause.MISSING_IN_BANK, covered, voucher)
    await connection.execute(_sql["unexplained"], Cause.UNEXPLAINED_ENTRY, voucher)


async def _match_payouts(connection: asyncpg.Connection, run: Considered, terms: Terms) -> None:
    days = [one.settled_days for one in terms.acquirer]
    await connection.execute(_sql["payouts"], run.day, [one.id for one in terms.acquirer], days)
    await connection.execute(_sql["claim_payouts"])
    await _adopt(connection, Stage.PAYOUT)
    await connection.execute(_sql["differing_payouts"], Cause.AMOUNT_DIFFERS)
    await connection.execute(_sql["settle"])


async def _match_positions(connection: asyncpg.Connection, run: Considered, terms: Terms) -> None:
    """Match what acquirers settled by themselves. Positions are added up only where an entry names an acquirer."""
    rows = await connection.fetch(_sql["counterparties"])
    named = [(row["counterparty"], named_by(row["counterparty"], terms)) for row in rows]
    found = [(counterparty, acquirer) for counterparty, acquirer in named if acquirer is not None]
    if not found:
        return
    settled_days = {one.id: one.settled_days for one in terms.acquirer}
    begin = run.day - timedelta(days=max(settled_days[acquirer] for _, acquirer in found))
    nets: dict[tuple[str, date], int] = {}
    for row in await connection.fetch(_sql["runs_between"], begin, run.day):
        published = PublishedRun(row["id"], row["key"], row["day"])
        for one in await positions_of(connection, published, terms):
            if one.acquirer not in row["paid"]:
                nets[one.acquirer, one.day] = nets.get((one.acquirer, one.day), 0) + one.net
    owed = sorted((acquirer, day, net, settled_days[acquirer]) for (acquirer, day), net in nets.items() if net)
    await connection.execute(_sql["claim_positions"], *_columns(found, 2), *_columns(owed, 4))
    await _adopt(connection, Stage.NET_POSITION)


async def _match_payments(connection: asyncpg.Connection, terms: Terms) -> None:
    """Match what clients paid: one by one first, then all that is left of a reference."""
    await connection.execute(_sql["name_payments"])
    for claim in ("claim_payments", "claim_groups"):
        await connection.execute(_sql[claim])
        await _adopt(connection, Stage.FUNDING)
    await connection.execute(_sql["differing_payments"], Cause.AMOUNT_DIFFERS, terms.accounts.voucher)
    await connection.execute(_sql["settle"])


async def _adopt(connection: asyncpg.Connection, stage: Stage) -> None:
    await connection.execute(_sql["adopt"], stage)
    await connection.execute(_sql["settle"])


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> Sequence[list[object]]:
    return [[row[at] for row in rows] for at in range(width)]


async def _take_payments(connection: asyncpg.Connection, run: Considered, terms: Terms) -> None:
    """Copy the payments that are new, those that were open, and those that were entered soon after the day.

    New are all that the run before couldn't say of that the bank lacks them: no statement had come to their day yet.
    """
    zone = ZoneInfo(terms.zone)
    known = sorted(set(run.files) - set(run.new))
    behind = await connection.fetchval(_sql["covered"], terms.accounts.voucher, known, run.day)
    if behind is None:
        first = await connection.fetchval(_sql["first_covered"], list(run.files))
        behind = (first or run.day) - timedelta(days=1)
    of_window = _sql["payments_of_window"] + _sql["take_payments"]
    of_carried = _sql["payments_of_carried"] + _sql["take_payments"]
    for partition, head in run.heads.items():
        after = await _through(connection, partition, head, behind, zone)
        late = await _through(connection, partition, head, run.day + timedelta(days=RECORDED_LATE_DAYS), zone)
        for begin, end in windows(min(after, run.heads_before.get(partition, after)), late):
            await connection.execute(of_window, terms.zone, partition, begin, end)
        await connection.execute(of_carried, terms.zone, partition, head, list(LEFT_OPEN))
    await connection.execute(_sql["whole_payments"], terms.accounts.operating, list(run.files))
    await connection.execute("ANALYZE bank_entry_here; ANALYZE bank_payment")


async def _through(connection: asyncpg.Connection, partition: Partition, head: Seq, day: date, zone: ZoneInfo) -> Seq:
    """Find the last record up to the end of a calendar day."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return await last_record(connection, partition, head, lambda made: made < midnight)
