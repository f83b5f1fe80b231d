"""The command line: `simulate`. Exit 0: approved, 1: refused (a finding), 2: wrong use, or nobody answered."""

import asyncio
import re
import signal
import sys
from collections.abc import Sequence
from getpass import getpass
from typing import Annotated

import msgspec
from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from authz.wire.codec import Unsendable
from authz.wire.dialect import DialectUnreadable, shipped
from simulators import pay as payment
from simulators.acquirer import AcquirerError, LinkLost, NoConnection, NoReply
from simulators.card import CardInvalid
from simulators.faults import PER_MILLE, FaultProxy, Faults, NoListening
from simulators.parameters import ParametersInvalid
from simulators.pay import PayOptions, WrongUse
from simulators.pinpad import KeyUnfit, PinUnfit
from simulators.receipt import REVERSED, Decision, render
from simulators.terminal import AmountUnfit
from simulators.wording import Language

APPROVED, FINDING, WRONG = 0, 1, 2
MISTAKES = (
    WrongUse,
    CardInvalid,
    PinUnfit,
    KeyUnfit,
    AmountUnfit,
    ParametersInvalid,
    DialectUnreadable,
    Unsendable,
    AcquirerError,
    NoListening,
)
"""What a user can put right; each says how in one line, and holds no secret."""
DIGITS_SHOWN_MAX = 2
"""Longer runs of digits in a message about wrong options may be a card's number or a PIN, and are left out."""

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))]
PerMille = Annotated[int, Parameter(validator=Number(gte=0, lte=PER_MILLE))]
Milliseconds = Annotated[int, Parameter(validator=Number(gte=1))]

app = App(
    name="simulate",
    help="Payment hardware, acted: pay at a terminal, over good lines and bad, to any authorizer of ISO 8583.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)


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
    _print(payment.report(slip) if options.json else render(slip, Language(options.language)))
    if made.differing is not None:
        _complain(
            f"a repeat was answered otherwise: {made.differing.response_code} {made.differing.reason or ''}".rstrip()
        )
        return FINDING
    good = slip.decision is not Decision.REFUSED and slip.reversal in (None, REVERSED)
    return APPROVED if good else FINDING


@app.command
def faults(
    *,
    upstream: str,
    listen: Port = 0,
    drop: PerMille = 20,
    duplicate: PerMille = 20,
    reorder: PerMille = 20,
    delay: PerMille = 20,
    delay_max_ms: Milliseconds = 200,
    cut: PerMille = 1,
    seed: int = 1,
    dialect: str = "iso87ascii",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Stand between hosts and an authorizer and spoil their line, until SIGINT or SIGTERM; then say what was done.

    Parameters
    ----------
    upstream
        Where the authorizer is, HOST:PORT.
    listen
        The port that hosts connect to instead; 0 picks a free one, which the ready line names.
    drop
        Frames lost, in parts per 1,000.
    duplicate
        Frames sent twice, in parts per 1,000.
    reorder
        Frames that the next one overtakes, in parts per 1,000.
    delay
        Frames that come late, in parts per 1,000.
    delay_max_ms
        How late at most, in milliseconds.
    cut
        Frames at which the connection is ended, in parts per 1,000.
    seed
        Makes a run repeatable.
    dialect
        The dialect whose framing the hosts use.
    as_json
        Say at the end what was done as one JSON object.
    """
    chances = Faults(drop=drop, duplicate=duplicate, reorder=reorder, delay=delay, delay_max_ms=delay_max_ms, cut=cut)
    proxy = FaultProxy(("127.0.0.1", listen), _address(upstream), shipped(dialect).framing, chances, seed)
    asyncio.run(_until_told(proxy, upstream))
    _print(msgspec.json.encode(proxy.counts).decode() if as_json else str(proxy.counts))
    return APPROVED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `simulate` and return its exit code. Errors are one line on standard error."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        _complain(f"{_one_line(str(wrong))}; see simulate --help")
        return WRONG
    except MISTAKES as wrong:
        _complain(str(wrong))
        return WRONG
    return code if isinstance(code, int) else APPROVED


async def _until_told(proxy: FaultProxy, upstream: str) -> None:
    """Run until SIGINT or SIGTERM."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with proxy:
        _print(f"ready listen=127.0.0.1:{proxy.port} upstream={upstream}")
        await told.wait()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise WrongUse("--upstream: the authorizer's address, such as 127.0.0.1:8583")
    return host, int(port)


def _ask(name: str) -> str:
    """Ask at the keyboard without echo, or read a line of standard input where that is no keyboard."""
    return getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()


def _one_line(text: str) -> str:
    without_numbers = re.sub(rf"[0-9]{{{DIGITS_SHOWN_MAX + 1},}}", "…", text)
    return " ".join(without_numbers.split()).rstrip(".")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(f"simulate: {text}\n")
