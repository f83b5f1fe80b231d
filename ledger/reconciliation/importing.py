"""Takes files in: what acquirers and banks say goes into the reconciliation's tables, each file once and whole.

A clearing file is read into a temporary table first, where it is held to its control totals. What agrees is copied from
there in short transactions, of which the last enters the file: lines of a file that isn't in table `file` count for
nothing. So a file of up to `WINDOW_LINES` lines is in or not by one transaction; of a longer one, what a killed import
leaves behind has no row there, and is never read, for the next import takes another number.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import SEEK_END, BufferedReader
from itertools import islice
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from ledger.reconciliation import clearing, mapped, mapping, register
from ledger.reconciliation.bank.statements import Statement, read_statement
from ledger.reconciliation.files import LINE_BYTES_MAX, Bad, FileRefused, Item, Lines, Stated, checked
from ledger.reconciliation.mapping import Layout
from ledger.reconciliation.register import Entry, Imported, Kind
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import BankEntry, ClearingLine
from ledger.store import LedgerError

FILE_BYTES_MAX = 1_000_000_000
CHUNK_LINES = 10_000
"""Lines that are in memory at a time."""
WINDOW_LINES = 25_000
"""Lines of the file that one transaction copies: in well under a second, where the machine is idle."""

_SQL = statements("importing")
_LINE_COLUMNS = [name.rstrip("_") for name in ClearingLine.__struct_fields__]


class FileUnreadable(LedgerError):
    """The file can't be opened or read."""


class SourceUnknown(LedgerError):
    """Nobody says whose file it is, or the terms don't know them."""


class _Read(Struct):
    """What is known of a file whose lines wait in the temporary table."""

    bad: list[Bad]
    stated: Stated
    lines: int
    last_line: int


def layout_of(name: str, beside: Path) -> Layout | None:
    """Find a format by its name in an acquirer's terms: a mapping's path `beside` them; None: it is `clearing`.

    Raises `MappingInvalid`.
    """
    return None if name == clearing.NAME else mapping.load(beside / name)


async def import_file(
    url: str,
    path: Path,
    terms: Terms,
    source: str | None = None,
    *,
    kind: Kind = Kind.CLEARING,
    layout: Layout | None = None,
) -> Imported:
    """Take a file in, as role reconciler, or tell that it is in already.

    `source`, the acquirer, may be left open for a statement, which names its account, and for a clearing file of format
    `clearing` (`layout` None), which names its acquirer. Raises `FileRefused`, `FileUnreadable`, `SourceUnknown`,
    `StatementInvalid`, `MayNotImport`, and what the database's reader raises.
    """
    with _opened(path) as file:
        sha256 = _digest(file)
        async with register.writer(url) as connection:
            known = await register.found(connection, path, sha256, already=True)
            if known is not None:
                return _same(known, kind, source)
            try:
                if kind is Kind.STATEMENT:
                    await _import_statement(connection, path, terms, sha256)
                else:
                    clearing_file = _Clearing(file, path.name, _acquirer(file, terms, source, layout), layout, sha256)
                    await _import_clearing(connection, clearing_file)
                already = False
            except asyncpg.UniqueViolationError:
                already = True
            imported = await register.found(connection, path, sha256, already=already)
            if imported is None:
                raise FileRefused("another import was in its way: try again")
            return imported


class _Clearing(Struct, frozen=True):
    """A clearing file that isn't in yet."""

    file: BufferedReader
    name: str
    acquirer: str
    layout: Layout | None
    sha256: bytes

    def lines(self) -> Lines:
        """Its lines from the beginning, ended as its format has it."""
        self.file.seek(0)
        native = self.layout is None
        return Lines(self.file, crlf=not native, ended=native)

    def items(self, lines: Lines) -> Iterator[Item]:
        """What they say."""
        if self.layout is None:
            return checked(clearing.read(lines, self.acquirer))
        return checked(mapped.read(lines, self.layout, self.acquirer, self.name))


class _Waiting(Struct):
    """What is known of a clearing file whose lines wait in the temporary table."""

    lines: int = 0
    last: int = 0
    bad: list[Bad] = []
    stated: Stated = Stated(None, {})

    def take(self, items: Iterable[Item]) -> Sequence[tuple[object, ...]]:
        """Note what isn't a line, and return the lines as rows."""
        rows = []
        for item in items:
            match item:
                case ClearingLine():
                    rows.append(astuple(item))
                    self.last = item.line
                case Bad():
                    self.bad.append(item)
                case Stated():
                    self.stated = item
        self.lines += len(rows)
        return rows


async def _import_clearing(connection: asyncpg.Connection, file: _Clearing) -> None:
    await connection.execute(_SQL["incoming"])
    waiting = _Waiting()
    lines = file.lines()
    items = file.items(lines)
    while chunk := list(islice(items, CHUNK_LINES)):
        await connection.copy_records_to_table("incoming", records=waiting.take(chunk), columns=_LINE_COLUMNS)
    _require_same(lines.sha256, file.sha256)
    if waiting.stated.day is None:
        raise FileRefused("no line of it says its business day")
    entry = Entry(
        sha256=file.sha256,
        kind=Kind.CLEARING,
        format=clearing.NAME if file.layout is None else file.layout.name,
        name=waiting.stated.name or _printable(file.name),
        source=file.acquirer,
        day=waiting.stated.day,
        lines=waiting.lines,
        quarantined=len(waiting.bad),
        totals=_json(waiting.stated.totals),
    )
    number = await register.number_for(connection, entry)
    *before, last = list(range(0, waiting.last, WINDOW_LINES)) or [0]
    for after in before:
        await connection.execute(_SQL["copied"], number, after, after + WINDOW_LINES)
    async with connection.transaction():
        await connection.execute(_SQL["locked"])
        if waiting.stated.name is not None:
            await _require_new_name(connection, entry)
        await connection.execute(_SQL["copied"], number, last, last + WINDOW_LINES)
        await _copy(connection, "quarantined", [(number, one.line, one.reason) for one in waiting.bad])
        await register.enter(connection, entry, number)


async def _require_new_name(connection: asyncpg.Connection, entry: Entry) -> None:
    other = await connection.fetchval(_SQL["same_name"], entry.format, entry.source, entry.name, entry.sha256)
    if other is not None:
        raise FileRefused(f"{entry.name} is in already, with other content (SHA-256 {other}): ask which one holds")


async def _import_statement(connection: asyncpg.Connection, path: Path, terms: Terms, sha256: bytes) -> None:
    statement = read_statement(path)
    with path.open("rb") as file:
        _require_same(_digest(file), sha256)
    ours = {terms.accounts.voucher, terms.accounts.operating}
    if not set(statement.account.split(",")) <= ours:
        raise SourceUnknown(f"{path}: it is of an account that isn't one of the terms'")
    entry = Entry(
        sha256=sha256,
        kind=Kind.STATEMENT,
        format=statement.format,
        name=_printable(path.name),
        source=statement.account,
        day=statement.day,
        lines=len(statement.entries),
        totals=_json([{"account": one.account, "day": one.day, "closing": one.closing} for one in statement.balances]),
    )
    async with connection.transaction():
        await connection.execute(_SQL["locked"])
        await _require_new_days(connection, statement)
        number = await connection.fetchval(_SQL["entered"], *astuple(entry))
        await _copy(connection, "bank_balance", [(number, *astuple(one)) for one in statement.balances])
        rows = [(number, *astuple(one)) for one in statement.entries]
        await _copy(connection, "bank_entry", rows, ["file", *BankEntry.__struct_fields__])


async def _require_new_days(connection: asyncpg.Connection, statement: Statement) -> None:
    accounts = [one.account for one in statement.balances]
    other = await connection.fetchrow(_SQL["same_days"], accounts, [one.day for one in statement.balances])
    if other is not None:
        raise FileRefused(f"{other['name']} has the {other['day']} of account {other['account']} already")


async def _copy(
    connection: asyncpg.Connection, table: str, rows: Sequence[tuple[object, ...]], columns: list[str] | None = None
) -> None:
    await connection.copy_records_to_table(table, schema_name="reconciliation", records=rows, columns=columns)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file, and name it in what is said of it."""
    try:
        if path.exists() and not path.is_file():
            raise FileUnreadable(f"{path}: not a file")
        with path.open("rb") as file:
            yield file
    except OSError as failed:
        raise FileUnreadable(f"{path}: {failed.strerror}") from None
    except FileRefused as refused:
        raise FileRefused(f"{path}: {refused}") from None


def _acquirer(file: BufferedReader, terms: Terms, source: str | None, layout: Layout | None) -> str:
    """Tell whose file it is, where it may be told, and be someone whom the terms know."""
    file.seek(0)
    named = source if source is not None or layout is not None else clearing.acquirer_of(file.readline(LINE_BYTES_MAX))
    if named is None:
        raise FileRefused("it doesn't say whose it is: name the acquirer, with --source")
    if terms.of(named) is None:
        raise SourceUnknown(f"the terms have no acquirer {named}")
    return named


def _digest(file: BufferedReader) -> bytes:
    if file.seek(0, SEEK_END) > FILE_BYTES_MAX:
        raise FileRefused(f"larger than {FILE_BYTES_MAX:,} bytes")
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()


def _require_same(read: bytes, before: bytes) -> None:
    if read != before:
        raise FileRefused("it changed while it was read: import it when it is whole")


def _same(known: Imported, kind: Kind, source: str | None) -> Imported:
    """Require that a file that is in was taken for what it is given as now."""
    if known.kind is not kind or source not in (None, known.source):
        raise FileRefused(f"it is in already, as the {known.kind} of {known.source}")
    return known


def _printable(name: str) -> str:
    """A file's name as a text that can be stored and shown."""
    return "".join(one if one.isprintable() else "?" for one in name)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
