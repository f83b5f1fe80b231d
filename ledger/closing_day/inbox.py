"""What lies in the inbox: a folder for each acquirer, named by its id, and `bank` for statements. Files stay there."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ledger.reconciliation.bank.statements import StatementInvalid
from ledger.reconciliation.files import FileRefused
from ledger.reconciliation.importing import FileUnreadable, SourceUnknown, import_file, layout_of
from ledger.reconciliation.mapping import Layout
from ledger.reconciliation.register import Imported, Kind
from ledger.reconciliation.terms import Terms
from ledger.store import LedgerError

BANK = "bank"
FILES_MAX = 10_000
"""Files that an inbox may hold: take those of past years elsewhere."""
UNFINISHED = (".part", ".tmp")
"""How names of files end that are still being written; so are those that begin with a dot."""

REFUSALS = (FileRefused, FileUnreadable, SourceUnknown, StatementInvalid)


class InboxInvalid(LedgerError):
    """The inbox isn't a folder, or holds too much."""


class Refused(Struct, frozen=True):
    """What wasn't taken in, by its name in the inbox, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: refused, {self.why}"


async def take_in(url: str, inbox: Path, terms: Terms, beside: Path) -> AsyncIterator[Imported | Refused]:
    """Take in every file of an inbox, in the order of their names; paths are those in the inbox.

    `beside` is the folder in which mappings that the terms name lie. Raises `InboxInvalid`, and a `LedgerError` that
    isn't about one file.
    """
    formats = {one.id: layout_of(one.format, beside) for one in terms.acquirer}
    for path in _files(inbox):
        name = path.relative_to(inbox).as_posix()
        try:
            taken = await _take(url, path, name.partition("/")[0], terms, formats)
        except REFUSALS as wrong:
            yield Refused(name, str(wrong).removeprefix(f"{path}: "))
        else:
            yield replace(taken, path=name)


async def _take(url: str, path: Path, sender: str, terms: Terms, formats: Mapping[str, Layout | None]) -> Imported:
    if sender == BANK:
        return await import_file(url, path, terms, kind=Kind.STATEMENT)
    if sender not in formats:
        raise SourceUnknown(f"its folder is neither {BANK} nor an acquirer of the terms")
    return await import_file(url, path, terms, sender, layout=formats[sender])


def _files(inbox: Path) -> Iterator[Path]:
    try:
        found = sorted(path for path in inbox.rglob("*") if path.is_file() and not _is_unfinished(path, inbox))
    except OSError as failed:
        raise InboxInvalid(f"{inbox} can't be read: {failed.strerror}") from None
    if not inbox.is_dir():
        raise InboxInvalid(f"{inbox} is no folder: name the one in which files arrive by --inbox")
    if len(found) > FILES_MAX:
        raise InboxInvalid(f"{inbox} holds more than {FILES_MAX:,} files: move those of past months elsewhere")
    yield from found


def _is_unfinished(path: Path, inbox: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(inbox).parts)
    return hidden or path.name.endswith(UNFINISHED)
