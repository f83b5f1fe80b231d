"""The command line: `authz`. Exit 0: done, 1: a finding, 2: wrong use. Errors are one line on standard error.

Each command is imported when it is asked for: to import an authorizer takes a second.
"""

import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

DONE, FINDING, WRONG, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="authz",
    help="Authorizes payments with prepaid voucher cards: ISO 8583 over TCP, durable in a PostgreSQL ledger.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)
app.command("authz.cli.serve:serve", name="serve", help="Run the authorizer.")
app.command("authz.cli.serve:create", name="create", help="Create the ledger in a database, or bring it up to date.")
app.command("authz.cli.replay:replay", name="replay", help="Decide every record of a ledger again, and compare.")
app.command(
    "authz.cli.demo:demo", name="demo", help="Show the main job in one go: a lunch of payments, then the books."
)
app.command("authz.config.command:config", name="config", help="The configuration: checked, and shown.")
app.command("authz.show.command:show", name="show", help="One payment's whole story.")
app.command("authz.cli.keys:keys", name="keys", help="The configuration's keys: listed, sealed, generated.")
app.command("authz.cli.keys:vault", name="vault", help="The card vault: what is sealed under which key.")
app.command("authz.issue_cli.app:issue", name="issue", help="Issuing, through the API of an authorizer that runs.")

MISTAKES = (
    ("authz.cli.keys", "WrongKey"),
    ("authz.cli.serve", "WrongUse"),
    ("authz.config.command", "WrongUse"),
    ("authz.config.faults", "ConfigInvalid"),
    ("authz.issue_cli", "NotAsked"),
    ("authz.issuing.cardfiles", "FolderUnusable"),
    ("authz.security.module", "SecurityError"),
    ("authz.service", "NotStarted"),
    ("ledger.embedded", "EmbeddedError"),
    ("ledger.signing", "KeyUnusable"),
    ("ledger.source", "NoLedgerNamed"),
    ("ledger.store", "LedgerError"),
)
"""Exceptions whose message is a line to the user, by module and name."""

REFUSED = (("authz.issue_cli", "NotDone"),)
"""What the API has found."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `authz` and return its exit code."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        from authz.security.keys import masked

        return _complain(f"{masked(' '.join(str(wrong).split()).rstrip('.'))}; see authz --help")
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as wrong:
        if isinstance(wrong, _imported(MISTAKES)):
            return _complain(str(wrong))
        if isinstance(wrong, _imported(REFUSED)):
            return _report(wrong)
        raise
    return code if isinstance(code, int) else DONE


def _imported(names: Sequence[tuple[str, str]]) -> tuple[type[Exception], ...]:
    """Those of these classes whose modules are there: of any other, nothing can have been raised."""
    return tuple(getattr(sys.modules[module], name) for module, name in names if module in sys.modules)


def _report(refused: Any) -> int:
    """Say what the API found: every fault of a list, and in one line what that means."""
    if refused.errors:
        from authz.issue_cli.showing import show_faults  # there already, where something was refused

        show_faults(refused.errors, as_json=refused.as_json)
    sys.stderr.write(f"authz: {refused}\n")
    return FINDING


def _complain(text: str) -> int:
    sys.stderr.write(f"authz: {text}\n")
    return WRONG
