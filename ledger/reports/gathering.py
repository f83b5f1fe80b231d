"""Gathers a report's figures, by set operations over windows of seqs: each statement a short transaction of its own.

What is read ends at heads noted at the start. Memory holds the figures, and one line for each lot's name.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.balances import last_record
from ledger.reading import Progress, heads, reader, windows
from ledger.reconciliation.terms import Terms
from ledger.reports import newest_run
from ledger.reports.business_days import BusinessDays
from ledger.reports.figures import Clearing, Figure, Reach, Report, Section, Vouchers, ordered
from ledger.reports.trial_balance import Standing, class_of, day_end, standing
from ledger.values import Cents, Partition, Seq

ZONE = "Europe/Paris"
"""Whose days they are, where no terms say otherwise."""

WORK_MEMORY_MB = 32
"""What a statement's sorts may take in the server: those of a window of seqs need no disk."""

MESSAGES = (
    "authorization",
    "authorization_advice",
    "purchase",
    "refund",
    "inquiry",
    "advice",
    "completion",
    "reversal",
)
"""The kinds of records that answer a terminal's message about a card."""
_CLEARING = {
    "purchase": Clearing.PAYMENT,
    "completion": Clearing.CAPTURE,
    "advice": Clearing.ADVICE,
    "refund": Clearing.REFUND,
    "reversal": Clearing.REVERSAL,
}
_OF_ACQUIRERS = frozenset(map(str, Clearing))
_BROUGHT_BACK = {"exchange": Vouchers.EXCHANGE, "reactivation": Vouchers.REACTIVATION}
_VOLUME = frozenset({("clearing", "purchase"), ("clearing", "advice")})

# What a record moved, flow by flow. `given` and `taken` are words for the two accounts of a transfer. A record's
# product is its vouchers'; what no vouchers cover bears that of the record's others, or, without any, that of what it
# says to stand. LATERAL and LIMIT 1 keep the journal read by key, whatever the planner knows of a range that has just
# begun; OFFSET 0 has the words made once. `stretch` counts the places in $6, in ascending order, before a record.
_FLOWS = r"""
WITH line AS MATERIALIZED (
    SELECT seq, debit, credit, amount, given, taken,
           CASE WHEN given IN ('holder', 'hold', 'expired') THEN split_part(debit, ':', 3)
                WHEN taken IN ('holder', 'hold', 'expired') THEN split_part(credit, ':', 3)
                WHEN taken = 'client' THEN split_part(credit, ':', 4)
                WHEN given = 'client' THEN split_part(debit, ':', 4) END AS product
      FROM ledger.whole_transfer
     CROSS JOIN LATERAL (
           SELECT CASE split_part(debit, ':', 1) WHEN 'acquirer' THEN split_part(debit, ':', 3)
                       WHEN 'issuer' THEN split_part(debit, ':', 2) ELSE split_part(debit, ':', 1) END AS given,
                  CASE split_part(credit, ':', 1) WHEN 'acquirer' THEN split_part(credit, ':', 3)
                       WHEN 'issuer' THEN split_part(credit, ':', 2) ELSE split_part(credit, ':', 1) END AS taken
           OFFSET 0
     ) AS word
     WHERE partition = $1 AND seq > $2 AND seq <= $3
), moved AS (
    SELECT seq, CASE given WHEN 'settled' THEN 'settlement' WHEN 'differences' THEN 'correction' ELSE 'clearing' END
           AS flow, split_part(credit, ':', 2) AS acquirer, product, amount AS cents
      FROM line WHERE taken = 'payable'
    UNION ALL
    SELECT seq, CASE taken WHEN 'settled' THEN 'settlement' WHEN 'differences' THEN 'correction' ELSE 'clearing' END,
           split_part(debit, ':', 2), product, -amount
      FROM line WHERE given = 'payable'
    UNION ALL
    SELECT seq, 'shortfall', split_part(debit, ':', 2), product, amount FROM line WHERE given = 'exceptions'
    UNION ALL
    SELECT seq, 'shortfall', split_part(credit, ':', 2), product, -amount FROM line WHERE taken = 'exceptions'
    UNION ALL
    SELECT seq, flow.name, NULL, product, amount
      FROM line JOIN (VALUES
           ('holder', 'hold', 'hold'), ('hold', 'holder', 'release'), ('hold', 'expired', 'release'),
           ('float', 'client', 'funding'), ('float', 'holder', 'load'), ('client', 'holder', 'load'),
           ('holder', 'expired', 'expiry'), ('expired', 'holder', 'put-back'),
           ('expired', 'pool', 'forfeit'), ('expired', 'fees', 'fee')
      ) AS flow (given, taken, name) USING (given, taken)
), effect AS (
    SELECT seq, flow, acquirer, sum(cents) AS cents,
           coalesce(product, (
               SELECT max(split_part(voucher, ':', 3))
                 FROM ledger.whole_transfer AS t CROSS JOIN LATERAL (VALUES (t.debit), (t.credit)) AS side (voucher)
                WHERE t.partition = $1 AND t.seq = moved.seq AND voucher ~ '^(holder|hold|expired):'
           )) AS product
      FROM moved GROUP BY 1, 2, 3, 5
), record AS (
    SELECT effect.seq, effect.flow, j.kind, date_trunc('hour', j.at AT TIME ZONE $4) AS hour, effect.cents,
           CASE WHEN effect.acquirer IS NULL AND j.kind = ANY ($5) AND effect.flow IN ('hold', 'release')
                THEN j.request -> 'command' -> 'origin' ->> 'acquirer' ELSE effect.acquirer END AS acquirer,
           CASE WHEN effect.product IS NULL AND j.kind = ANY ($5)
                THEN j.reply -> 'standings' -> 0 ->> 3 ELSE effect.product END AS product
      FROM effect CROSS JOIN LATERAL (
           SELECT kind, at, request, reply FROM ledger.whole_journal
            WHERE partition = $1 AND seq = effect.seq LIMIT 1
      ) AS j
)
SELECT flow, kind, hour, acquirer, product, width_bucket(seq - 1, $6::bigint[]) AS stretch,
       count(*) AS records, sum(cents)::bigint AS cents
  FROM record GROUP BY 1, 2, 3, 4, 5, 6"""

_ANSWERS = """
SELECT (at AT TIME ZONE $4)::date AS day, reason, count(*) AS records FROM ledger.whole_journal
 WHERE partition = $1 AND seq > $2 AND seq <= $3 AND kind = ANY ($5) GROUP BY 1, 2"""


class _Tally(Struct):
    """What one figure is made of so far."""

    records: int = 0
    cents: int = 0


_Key = tuple[Section, date, int | None, str | None, str | None, str | None]


async def gather(
    url: str, first: date, last: date, terms: Terms | None = None, *, progress: Progress | None = None
) -> Report:
    """Gather the figures of the days from `first` to `last`, both included. Raises a `LedgerError`.

    Days are those of the terms' zone; without terms, of `ZONE`.
    """
    zone = ZoneInfo(ZONE if terms is None else terms.zone)
    async with reader(url) as connection:
        await connection.execute(f"SET work_mem = '{WORK_MEMORY_MB}MB'")
        noted = await heads(connection)
        gathering = _Gathering(connection, first, last, zone)
        reach = []
        for partition, head in noted.items():
            reach.append(await gathering.count(partition, head, progress))
        accounts = await standing(connection, {one.partition: one.through for one in reach})
        run = await newest_run.read(connection, last)
        disputed = [] if run is None else await newest_run.by_cause(connection, run)
    return Report(
        first=first,
        last=last,
        zone=zone.key,
        reach=tuple(reach),
        still_open=tuple(sorted(gathering.still_open)),
        names={} if terms is None else {one.id: one.name for one in sorted(terms.acquirer, key=lambda one: one.id)},
        figures=ordered([*gathering.figures(), *_of_accounts(accounts), *disputed]),
        run=None if run is None else run.run,
    )


class _Gathering:
    """Counts partition after partition."""

    def __init__(self, connection: asyncpg.Connection, first: date, last: date, zone: ZoneInfo) -> None:
        self._connection = connection
        self._first = first
        self._last = last
        self._zone = zone
        self._tallies: dict[_Key, _Tally] = {}
        self.still_open: set[str] = set()

    def figures(self) -> list[Figure]:
        """What was counted."""
        return [
            Figure(*key, records=one.records, cents=None if key[0] is Section.MESSAGES else Cents(one.cents))
            for key, one in self._tallies.items()
        ]

    async def count(self, partition: Partition, head: Seq, progress: Progress | None) -> Reach:
        """Count a partition's records of the period, up to its head."""
        reach = await self._calendar(partition, head)
        days = await BusinessDays.read(self._connection, partition, head, self._zone)
        self.still_open.update(days.open_on(self._last))
        after, through = days.reach(self._first, self._last, (reach.after, reach.through), head)
        for begin, end in windows(after, through):
            await self._count_flows(partition, begin, end, days)
            if progress is not None:
                progress(partition, end, through)
        for begin, end in windows(reach.after, reach.through):
            await self._count_answers(partition, begin, end)
        return reach

    async def _calendar(self, partition: Partition, head: Seq) -> Reach:
        """Find the records of the calendar's days."""
        over, begun = day_end(self._last, self._zone), day_end(self._first - timedelta(days=1), self._zone)
        through = await last_record(self._connection, partition, head, lambda at: at < over)
        after = await last_record(self._connection, partition, through, lambda at: at < begun)
        return Reach(partition, after, through)

    async def _count_flows(self, partition: Partition, begin: Seq, end: Seq, days: BusinessDays) -> None:
        places = [begin, *days.places(begin, end)]
        for row in await self._connection.fetch(_FLOWS, partition, begin, end, self._zone.key, MESSAGES, places[1:]):
            flow, kind, acquirer, product = row["flow"], row["kind"], row["acquirer"], row["product"]
            day, hour = row["hour"].date(), row["hour"].hour
            if flow == "clearing" or flow in _OF_ACQUIRERS:
                name = _CLEARING.get(kind, kind) if flow == "clearing" else flow
                business_day = days.day(acquirer, places[row["stretch"]], day)
                self._add((Section.CLEARING, business_day, None, acquirer, product, name), row)
            else:
                name = _BROUGHT_BACK.get(kind, flow) if flow == Vouchers.PUT_BACK else flow
                self._add((Section.VOUCHERS, day, None, None, product, name), row)
            if (flow, kind) in _VOLUME or flow == Clearing.HOLD:
                self._add((Section.VOLUME, day, hour, None, product, None), row)

    async def _count_answers(self, partition: Partition, begin: Seq, end: Seq) -> None:
        for row in await self._connection.fetch(_ANSWERS, partition, begin, end, self._zone.key, MESSAGES):
            self._add((Section.MESSAGES, row["day"], None, None, None, row["reason"]), row)

    def _add(self, key: _Key, row: asyncpg.Record) -> None:
        if self._first <= key[1] <= self._last:
            tally = self._tallies.setdefault(key, _Tally())
            tally.records += row["records"]
            tally.cents += row.get("cents", 0)


def vintage(lot: str) -> str:
    """Say when a lot is of: a vintage's year, or the month of its last day.

    >>> vintage("2026"), vintage("2027-05-12"), vintage("2027-05-12-reactivated")
    ('2026', '2027-05', '2027-05')
    """
    words = lot.split("-")
    return "-".join(words[:2]) if len(words) > 2 else words[0]


def _of_accounts(accounts: Standing) -> list[Figure]:
    """What is unspent, what waits, and the trial balance, of what all accounts stand at."""
    held: Counter[tuple[Section, str, str]] = Counter()
    classes: Counter[str] = Counter()
    for account, cents in accounts.items():
        classes[class_of(account)] += cents
        word, *rest = account.split(":")
        if word in _HELD:
            held[_HELD[word], rest[1], vintage(rest[2])] += cents
    figures = [
        Figure(section, product=product, name=name, cents=Cents(cents))
        for (section, product, name), cents in held.items()
        if cents
    ]
    return figures + [
        Figure(Section.TRIAL_BALANCE, name=account, cents=Cents(cents)) for account, cents in classes.items() if cents
    ]


_HELD: Mapping[str, Section] = {
    "holder": Section.UNSPENT,
    "hold": Section.UNSPENT,
    "expired": Section.WAITING,
}
