"""The command line: `simulate`. Exit 0: approved, 1: refused (a finding), 2: wrong use, or nobody answered."""

import asyncio
import re
import sys
from collections.abc import Sequence
from getpass import getpass

from cyclopts import App, CycloptsError

from authz.wire.codec import Unsendable
from authz.wire.dialect import DialectUnreadable
from simulators import pay as payment
from simulators.command_line import APPROVED, FINDING, WRONG, complain, say
from simulators.link import LinkLost, NoConnection, NoReply
from simulators.mistakes import Mistake
from simulators.pay import PayOptions
from simulators.terminal.receipt import REVERSED, Decision, render
from simulators.terminal.wording import Language

MISTAKES = (Mistake, DialectUnreadable, Unsendable)
"""What a user can put right; each says how in one line, and holds no secret."""
DIGITS_SHOWN_MAX = 2
"""Longer runs of digits in a message about wrong options may be a card's number or a PIN, and are left out."""

app = App(
    name="simulate",
    help="Payment hardware, acted: pay at a terminal, over good lines and bad, to any authorizer of ISO 8583.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)


# Loaded when they are asked for: a screen and plots cost more to import than a payment takes.
for name, where, what in (
    ("terminal", "screen", "A payment terminal to touch: keys, cards, receipts, messages."),
    ("acquirer", "acquirer", "A host between terminals and an authorizer."),
    ("load", "load", "Ask for payments at times fixed beforehand, and measure from them."),
    ("faults", "faults", "Stand between hosts and an authorizer, and spoil their line."),
    ("run", "scenarios", "Play scenarios, and print what was answered otherwise."),
    ("world", "world", "Create holders, cards and merchants from a seed."),
):
    app.command(f"simulators.{where}.command:{name}", name=name, help=what)


@app.command
def pay(options: PayOptions) -> int:
    """Make one payment over TCP and print the receipt that the terminal would.

    Exit 0 if it is approved, in full or in part, 1 if it is refused, 2 on wrong use or if nobody answers. With
    --reverse, exit 0 also means that it was taken back.
    """
    attempt = payment.prepare(options, _ask)
    try:
        made = asyncio.run(payment.make(attempt, options.host, options.port, options.repeat))
    except NoConnection as failed:
        raise NoConnection(f"{failed}: start the authorizer, or give the --host and --port of its ready line") from None
    except (NoReply, LinkLost) as failed:
        again = f"--trace {int(attempt.request.trace or 0)} --clock {attempt.at.isoformat()}"
        raise type(failed)(f"{failed}; ask again, without paying twice, by adding {again}") from None
    slip = made.slip
    say(payment.report(slip) if options.json else render(slip, Language(options.language)))
    if made.differing is not None:
        complain(
            f"a repeat was answered otherwise: {made.differing.response_code} {made.differing.reason or ''}".rstrip()
        )
        return FINDING
    good = slip.decision is not Decision.REFUSED and slip.reversal in (None, REVERSED)
    return APPROVED if good else FINDING


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `simulate` and return its exit code. Errors are one line on standard error."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        complain(f"{_one_line(str(wrong))}; see simulate --help")
        return WRONG
    except MISTAKES as wrong:
        complain(str(wrong))
        return WRONG
    return code if isinstance(code, int) else APPROVED


def _ask(name: str) -> str:
    """Ask at the keyboard without echo, or read a line of standard input where that is no keyboard."""
    return getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()


def _one_line(text: str) -> str:
    without_numbers = re.sub(rf"[0-9]{{{DIGITS_SHOWN_MAX + 1},}}", "…", text)
    return " ".join(without_numbers.split()).rstrip(".")
