"""Closing a day: what lies in the inbox is taken in, the ledger proved, the day reconciled, paid out, and reported on.

Each step may be done again: what is recorded is recorded once, and the files that it writes are the same for the same
ledger and the same inbox, byte for byte. So a close that was stopped is begun anew. `close.json` is written last, and
names every file by its SHA-256: where it is there, and so says, the folder is whole.
"""

import hashlib
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from ledger.closing_day import published
from ledger.closing_day.inbox import Refused, take_in
from ledger.export.output import PARTS, output
from ledger.findings import Finding, Flaw, Scope
from ledger.printing import euros
from ledger.reading import Progress, partitions, reader
from ledger.reconciliation import runs
from ledger.reconciliation.bank.payouts import payouts
from ledger.reconciliation.reconciling import reconcile
from ledger.reconciliation.terms import Terms
from ledger.reports import day as of_day
from ledger.reports import formats
from ledger.reports.command_funds import Form, encoded
from ledger.reports.forecast import forecast
from ledger.reports.funds import Funds, stated
from ledger.reports.trial_balance import Standing, day_end, ends, of_standing, standing
from ledger.store import LedgerError
from ledger.values import Cents, Seq
from ledger.verify import verify

MANIFEST = "close.json"


class StepFailed(LedgerError):
    """A step couldn't be done: the message names it, and says what to do before the close is run again."""


class OutputUnusable(LedgerError):
    """The folder can't be written to: name another by --output."""


class Step(StrEnum):
    """The steps of a close, in their order."""

    IMPORT = "import"
    VERIFY = "verify"
    RECONCILE = "reconcile"
    PAYOUTS = "payouts"
    FUNDS = "funds"
    REPORTS = "reports"


class Done(Struct, frozen=True):
    """What came of a step, in a line; and what somebody has to look at, a line each."""

    step: Step
    said: str
    findings: tuple[str, ...] = ()


class Closing(Struct, frozen=True):
    """A day's close, as far as it came: up to a step that stops it, or to the end (`is_whole`)."""

    day: date
    done: tuple[Done, ...]
    is_whole: bool

    @property
    def findings(self) -> Sequence[str]:
        """The short list."""
        return [f"{one.step}: {finding}" for one in self.done for finding in one.findings]


Prove = Callable[[str, Progress | None], Awaitable[Finding | int]]
"""Proves the ledger at an address: the first bad record, or how many are sound."""


class Order(Struct, frozen=True, kw_only=True):
    """What is to be closed, and where what it needs is.

    `beside` is the folder in which mappings that the terms name lie. `prove` proves the ledger; None: only its chain
    is proved, from the newest reconciliation of an earlier day on. Files are written to `folder`.
    """

    day: date
    terms: Terms
    beside: Path
    folder: Path
    inbox: Path | None = None
    prove: Prove | None = None


class Close:
    """One close of one day. `told` hears what comes of each step, as soon as it does."""

    def __init__(self, url: str, order: Order, told: Callable[[Done], None], progress: Progress | None = None) -> None:
        self._url = url
        self._order = order
        self._told = told
        self._progress = progress
        self._end = day_end(order.day, ZoneInfo(order.terms.zone))
        self._accounts: Standing = {}
        self._files: dict[str, str] = {}
        self._steps: Mapping[Step, Callable[[], Awaitable[Done]]] = {
            Step.IMPORT: self._import,
            Step.VERIFY: self._verify,
            Step.RECONCILE: self._reconcile,
            Step.PAYOUTS: self._pay,
            Step.FUNDS: self._state_funds,
            Step.REPORTS: self._report,
        }

    async def run(self) -> Closing:
        """Do the steps in their order, up to one that finds that no other should be done. Raises `StepFailed`."""
        self._begin()
        done: list[Done] = []
        for step, work in self._steps.items():
            try:
                done.append(await work())
            except LedgerError as failed:
                raise StepFailed(f"{step}: {failed}; then run the close again") from None
            self._told(done[-1])
            if step is Step.VERIFY and done[-1].findings:
                return Closing(self._order.day, tuple(done), is_whole=False)
        closing = Closing(self._order.day, tuple(done), is_whole=True)
        manifest = {"day": closing.day, "findings": closing.findings, "files": dict(sorted(self._files.items()))}
        self._write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        return closing

    def _begin(self) -> None:
        """Make the folder. What an earlier close says of it holds no longer; what a killed one was writing goes."""
        try:
            self._order.folder.mkdir(parents=True, exist_ok=True)
            (self._order.folder / MANIFEST).unlink(missing_ok=True)
            for left in self._order.folder.glob(PARTS):
                left.unlink(missing_ok=True)
        except OSError as failed:
            raise OutputUnusable(f"{self._order.folder} can't be written to: {failed.strerror}") from None

    async def _import(self) -> Done:
        """Take in what lies in the inbox; a file that is refused stops no other."""
        order = self._order
        if order.inbox is None:
            return Done(Step.IMPORT, "no inbox was named")
        taken = [one async for one in take_in(self._url, order.inbox, order.terms, order.beside)]
        refused = [str(one) for one in taken if isinstance(one, Refused)]
        files = [one for one in taken if not isinstance(one, Refused)]
        new = sum(not one.already for one in files)
        lines = sum(one.lines for one in files)
        said = f"{len(files)} files with {lines:,} lines, {new} of them new"
        return Done(Step.IMPORT, said, tuple(refused))

    async def _verify(self) -> Done:
        """Prove that the ledger is what was written."""
        proved = await (self._order.prove or self._chain)(self._url, self._progress)
        if isinstance(proved, Finding):
            finding = f"{proved}; nothing was reconciled or paid: stop paying out and compare with a backup"
            return Done(Step.VERIFY, "a bad record", (finding,))
        return Done(Step.VERIFY, f"{proved:,} records are sound")

    async def _chain(self, url: str, progress: Progress | None) -> Finding | int:
        """Prove the chain behind what the newest reconciliation of an earlier day was made of."""
        async with reader(url) as connection:
            known = await partitions(connection)
            before = await published.heads_before(connection, self._order.day)
            now = {one: await runs.head_of(connection, one, head.seq) for one, head in before.items()}
        for one, head in before.items():
            if now[one] != head:
                return Finding(one, head.seq, Flaw.HASH, "it isn't what an earlier day was reconciled with")
        records = 0
        for one in known:
            first = Seq(before[one].seq + 1 if one in before else 1)
            proved = await verify(url, Scope(partition=one, first=first, chain_only=True), progress=progress)
            if isinstance(proved, Finding):
                return proved
            records += proved.records
        return records

    async def _reconcile(self) -> Done:
        """Match the day's payments, files and statements; write what doesn't agree."""
        run = await reconcile(self._url, self._order.day, self._order.terms, self._progress)
        async with reader(self._url) as connection:
            found = await runs.listed(connection, run)
            left_out = await published.left_out(connection, self._order.day)
        self._write("breaks.csv", published.as_csv(found))
        matches = sum(one.number for one in run.summary.matched.values())
        return Done(
            Step.RECONCILE, f"{matches:,} matches, {len(found):,} breaks", (*left_out, *published.summed(found))
        )

    async def _pay(self) -> Done:
        """Make the payment file of what is matched; write all of the day's."""
        made = await payouts(self._url, self._order.day, self._order.terms)
        async with reader(self._url) as connection:
            files = await published.payment_files(connection, self._order.day)
        for message, content in files:
            self._write(f"{message}.xml", content)
        net = Cents(sum(one.net for one in made.payouts))
        return Done(Step.PAYOUTS, f"{len(made.payouts)} payouts of {euros(net)} € in {len(files)} files")

    async def _state_funds(self) -> Done:
        """Hold the bank's balance of the voucher account against the ledger."""
        day, terms = self._order.day, self._order.terms
        async with reader(self._url) as connection:
            upto = await ends(connection, self._end)
            self._accounts = await standing(connection, upto)
            found = await stated(connection, day, terms, upto, self._accounts)
        for form in (Form.CSV, Form.JSON):
            self._write(f"funds.{form}", encoded(found, form))
        return Done(
            Step.FUNDS, f"{euros(found.expected)} € expected on the voucher account", tuple(_disagreement(found))
        )

    async def _report(self) -> Done:
        """Write what is kept of the day."""
        order = self._order
        books = of_standing(order.day, self._accounts)
        expiring = await forecast(self._url, order.day, self._end)
        for name, statement in (("trial-balance", books), ("forecast", expiring)):
            for form in (Form.CSV, Form.JSON):
                self._write(f"{name}.{form}", encoded(statement, form))
        found = await of_day.report(self._url, order.day, order.terms, progress=self._progress)
        for written in (formats.Format.JSON, formats.Format.HTML):
            sink = io.BytesIO()
            formats.write(found, of_day.parts(found), written, sink)
            self._write(f"day.{written}", sink.getvalue())
        uneven = f"the books don't balance: debits {euros(books.debit)} €, credits {euros(books.credit)} €"
        return Done(Step.REPORTS, f"{len(self._files)} files in {order.folder}", () if books.is_even else (uneven,))

    def _write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, and note its hash."""
        with output(self._order.folder / name) as sink:
            sink.write(content)
        self._files[name] = hashlib.sha256(content).hexdigest()


def _disagreement(found: Funds) -> Iterator[str]:
    """Say why the funds don't agree, if they don't."""
    if found.bank is None or found.difference is None:
        yield f"no statement says what {found.account} stood at on {found.day}: import it, and run the close again"
    elif found.difference:
        yield (
            f"the bank says {euros(found.bank)} €, expected are {euros(found.expected)} €, a difference of "
            f"{euros(found.difference)} €; entries that nothing accounts for come to {euros(found.unmatched_cents)} €"
        )
