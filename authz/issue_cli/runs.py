"""`authz issue run …`: production runs, from cards that wait to PIN letters on their way."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from authz.issue_cli import NotAsked
from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.showing import Facts, show_list, show_one
from authz.issuing.bodies.runs import RunView
from ledger.printing import instant

run = App(name="run", help="Production runs: cards are made, sent, and their PINs 48 hours later.")

Number_ = Annotated[int, Parameter(name="number", help="The run's number.", validator=Number(gte=1))]


@run.command(name="list")
def list_runs(*, ask: Ask | None = None) -> None:
    """List runs."""
    with Api(ask or Ask()) as api:
        found = api.all("/runs", RunView)
    columns = {
        "run": lambda one: one.number,
        "status": lambda one: one.status,
        "cards": lambda one: one.cards,
        "PINs sent again": lambda one: one.reissued,
        "cards sent at": lambda one: None if one.sent_at is None else instant(one.sent_at),
    }
    show_list(ask, "Runs", found, columns)


@run.command
def start(*, ask: Write | None = None) -> None:
    """Make a run of the cards that are waiting, and its card file."""
    _step(ask, "/runs")


@run.command
def send(number: Number_, *, ask: Write | None = None) -> None:
    """Note that a run's cards are on their way."""
    _step(ask, f"/runs/{number}/sending")


@run.command
def pins(number: Number_, *, ask: Write | None = None) -> None:
    """Make the file of the PIN letters: 48 hours after the cards were sent, at the earliest."""
    _step(ask, f"/runs/{number}/pins")


@run.command
def send_pins(number: Number_, *, ask: Write | None = None) -> None:
    """Note that a run's PIN letters are on their way."""
    _step(ask, f"/runs/{number}/pins-sending")


@run.command
def download(number: Number_, what: Literal["cards", "pins"], *, output: Path, ask: Ask | None = None) -> None:
    """Fetch a run's encrypted file, which only whoever makes the cards or prints the PINs can open.

    Parameters
    ----------
    number
        The run's number.
    what
        The embosser's file, or the PIN printer's.
    output
        The file to write; it mustn't be there yet.
    ask
        Where the API is.
    """
    with Api(ask or Ask()) as api:
        content = api.file(f"/runs/{number}/{what}")
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise NotAsked(f"{output} can't be written: {error.strerror}") from None
    written: Facts = {"file": str(output), "bytes": len(content)}
    show_one(ask, f"Run {number}", written, written)


def _step(ask: Write | None, path: str) -> None:
    with Api(ask or Write()) as api:
        made = api.write("POST", path, RunView)
    facts: Facts = {
        "run": made.number,
        "status": made.status,
        "cards": made.cards,
        "PINs sent again": made.reissued,
        "cards sent at": None if made.sent_at is None else instant(made.sent_at),
        "card file, SHA-256": made.card_file,
        "PIN file, SHA-256": made.pin_file,
    }
    show_one(ask, f"Run {made.number}", made, facts)
