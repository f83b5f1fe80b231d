"""The command `ledger import`: takes in what acquirers and banks have sent, and says what of it was left out."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import Struct
from rich.table import Column

from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.reconciliation import terms as agreed
from ledger.reconciliation.bank.statements import StatementInvalid
from ledger.reconciliation.files import FileRefused
from ledger.reconciliation.importing import SourceUnknown, import_file, layout_of
from ledger.reconciliation.mapping import Layout
from ledger.reconciliation.register import Imported, Kind
from ledger.reconciliation.terms import Terms
from ledger.schema import RECONCILER_ROLE
from ledger.source import Source, address
from ledger.values import Cents

SOUND, FINDING = 0, 1


class Refused(Struct, frozen=True):
    """A file of which nothing was taken in, and why."""

    path: str
    reason: str


class Result(Struct, frozen=True):
    """What became of the files, each in the order in which they were named."""

    imported: list[Imported]
    refused: list[Refused]


def import_(
    files: tuple[Path, ...],
    /,
    *,
    terms: Path,
    source: Source | None = None,
    acquirer: Annotated[str | None, Parameter(name="--source", show_default=False)] = None,
    kind: Kind = Kind.CLEARING,
    form: Annotated[str | None, Parameter(name="--format", show_default=False)] = None,
    as_json: AsJson = False,
) -> int:
    """Take in clearing files or bank statements: each once, and whole or not at all.

    Exit 1 where a file was refused or lines of one were left out; the other files are in all the same.

    Parameters
    ----------
    files
        What the acquirer or the bank has sent.
    terms
        What was agreed with acquirers and banks, as a TOML file.
    source
        Where the ledger is: as role `reconciler`.
    acquirer
        Whose clearing files they are. Files of format `clearing` say so themselves.
    kind
        Whether they are clearing files or bank statements.
    form
        `clearing`, or a mapping's file, instead of the one that the terms name for the acquirer.
    as_json
        Print what became of them as JSON, in cents.
    """
    agreement = agreed.read(terms)
    layout = _layout(agreement, terms.parent, acquirer, form) if kind is Kind.CLEARING else None
    with address(source, RECONCILER_ROLE) as url:
        result = asyncio.run(_import_all(url, files, agreement, acquirer, kind, layout))
    if as_json:
        print_json(result)
    else:
        _show(result)
    for one in result.refused:
        sys.stderr.write(f"ledger: {one.reason}\n")
    return FINDING if result.refused or any(one.quarantined for one in result.imported) else SOUND


def _layout(terms: Terms, beside: Path, acquirer: str | None, form: str | None) -> Layout | None:
    if form is not None:
        return layout_of(form, Path())
    if acquirer is None:
        return None
    known = terms.of(acquirer)
    if known is None:
        raise SourceUnknown(f"the terms have no acquirer {acquirer}")
    return layout_of(known.format, beside)


async def _import_all(
    url: str, files: Sequence[Path], terms: Terms, acquirer: str | None, kind: Kind, layout: Layout | None
) -> Result:
    result = Result([], [])
    for path in files:
        try:
            result.imported.append(await import_file(url, path, terms, acquirer, kind=kind, layout=layout))
        except (FileRefused, StatementInvalid) as refused:
            result.refused.append(Refused(str(path), str(refused)))
    return result


def _show(result: Result) -> None:
    if result.imported:
        shown = table("Imported", Column("file", overflow="fold"), "source", "day")
        for name in ("lines", "left out", "debits, €", "credits, €"):
            shown.add_column(name, justify="right", no_wrap=True)
        shown.add_column("")
        for one in result.imported:
            said = "was in already" if one.already else ""
            amounts = (euros(Cents(one.debits)), euros(Cents(one.credits)))
            counts = (f"{one.lines:,}", f"{len(one.quarantined):,}")
            shown.add_row(one.name, one.source, one.day.isoformat(), *counts, *amounts, said)
        print_table(shown)
    left_out = [(one.name, bad) for one in result.imported for bad in one.quarantined]
    if left_out:
        shown = table("Left out", Column("file", overflow="fold"), Column("line", justify="right"), "reason")
        for name, bad in left_out:
            shown.add_row(name, f"{bad.line:,}", bad.reason)
        print_table(shown)
