"""The command line of finance: `ledger`. Exit 0: sound, 1: a finding, 2: wrong use, or the ledger can't be read."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError

from ledger.cli_anchor import anchor, keypair
from ledger.cli_archive import archive
from ledger.cli_balances import balances
from ledger.cli_export import export
from ledger.cli_verify import verify
from ledger.embedded import EmbeddedError
from ledger.printing import NobodyReads, discard_output
from ledger.report import report
from ledger.signing import KeyUnusable
from ledger.source import NoLedgerNamed
from ledger.store import LedgerError

SOUND, WRONG, INTERRUPTED, UNREAD = 0, 2, 130, 141
NICENESS = 10
"""The last two as a shell has them of programs that a signal ended: SIGINT; SIGPIPE, where nobody reads."""
MISTAKES = (NoLedgerNamed, KeyUnusable, EmbeddedError, LedgerError)

app = App(
    name="ledger",
    help="Reads an authorizer's ledger for finance. Needs no running authorizer.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)
for command in (verify, anchor, keypair, balances, report, export, archive):
    app.command(command)
# Loaded when they are asked for: what they need costs more to import than most other commands take.
for name, where, what in (
    (
        "import",
        "reconciliation.cli_import:import_",
        "Take in acquirers' clearing files and the bank's statements, each once.",
    ),
    ("reconcile", "reconciliation.cli_reconcile:reconcile", "Match a business day's movements, lines and entries."),
    ("breaks", "reconciliation.cli_reconcile:breaks", "List what doesn't agree, with its likely cause."),
    ("positions", "reconciliation.bank.cli_payouts:positions", "Print what each acquirer is owed for a day, and why."),
    ("payouts", "reconciliation.bank.cli_payouts:payouts", "Write the payment file of what agrees, less fees."),
    ("close", "reconciliation.cli_close:close", "Do finance's day in order, and say what must be looked at."),
):
    app.command(f"ledger.{where}", name=name, help=what)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ledger` and return its exit code. As a program of its own, it lets payments on its machine go first."""
    if arguments is None:
        with suppress(PermissionError):  # where a hardened system forbids it
            os.nice(NICENESS)
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except CycloptsError as wrong:
        return _complain(f"{' '.join(str(wrong).split()).rstrip('.')}; see ledger --help")
    except MISTAKES as wrong:
        return _complain(str(wrong))
    except (BrokenPipeError, NobodyReads):
        discard_output()
        return UNREAD
    except OSError as wrong:
        discard_output()
        return _complain(f"its output can't be written: {wrong.strerror}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else SOUND


def _complain(text: str) -> int:
    sys.stderr.write(f"ledger: {text}\n")
    return WRONG
