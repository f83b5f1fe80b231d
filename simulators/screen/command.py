"""`simulate terminal`."""

import asyncio
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from platformdirs import user_state_path

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from simulators.acquirer.line import Line
from simulators.command_line import APPROVED, FINDING, Port, WrongUse, clock_from
from simulators.link import Authorizer
from simulators.screen.app import TerminalApp
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.device import Device, Listener
from simulators.terminal.journal import Journal
from simulators.terminal.messages import Clock, Site, Terminal
from simulators.terminal.parameters import KnownCard, Parameters
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import Till
from simulators.terminal.wording import Language

LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Where a language is looked for, in the order of POSIX."""


def terminal(
    *,
    terminal: str = "PAR00001",
    host: str = "127.0.0.1",
    port: Port = 8583,
    data: Path | None = None,
    no_data: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    language: Literal["fr", "nl", "en"] | None = None,
    config: Path | None = None,
    clock: str | None = None,
) -> int:
    """Be a payment terminal: keys, card reader, printer, and the messages that pass, in this window.

    Nobody need answer: the terminal shows that there is no link, accepts offline what it may, and tells it later.
    Closed in the middle of a payment, it finishes that first when it is started again.

    Parameters
    ----------
    terminal
        The terminal, such as PAR00001.
    host
        Where the authorizer is.
    port
        The port in the authorizer's ready line.
    data
        The folder of the terminal's journal; without it, one in your account's folder for programs' state.
    no_data
        Keep the journal in memory: what the terminal still has to tell is lost when the window is closed.
    language
        What the screen and the receipts say; the language of your account if not given.
    config
        A file like the demo's: acquirer, zone PIN key, terminals, cards.
    clock
        The terminal's time when it starts, such as 2026-05-12T12:30:00+02:00; now if not given.
    """
    known = parameters.load(config) if config else parameters.demo()
    site = known.site(terminal)
    if site is None:
        raise WrongUse(f"--terminal: not one of {', '.join(site.terminal for site in known.terminal)}")
    if data is not None and no_data:
        raise WrongUse("--no-data: takes no --data")
    at = clock_from(clock)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongUse("a terminal needs a window with a keyboard: for programs there are pay and run")
    folder = None if no_data else data or user_state_path("simulate") / site.terminal
    spoken = Language(language) if language else language_of(os.environ)
    with Journal(folder) as journal:
        return asyncio.run(_run(known, site, (host, port), journal, spoken, at))


async def _run(
    known: Parameters, site: Site, address: tuple[str, int], journal: Journal, language: Language, clock: Clock
) -> int:
    line = Line(*address, Codec(shipped(known.dialect)))
    app = make_app(known, site, line, journal, language, clock)
    try:
        await app.run_async()
    finally:
        await line.close()
    return FINDING if app.return_code else APPROVED


def make_app(
    known: Parameters, site: Site, authorizer: Authorizer, journal: Journal, language: Language, clock: Clock
) -> TerminalApp:
    """Put a terminal together: its device on its journal, behind its line, with the cards that lie beside it.

    Each card is one card however often it is presented: its chip counts its transactions and its PIN tries.
    """
    pad = PinPad(known.pin_pad_key)

    def device(line: Authorizer, listener: Listener) -> Device:
        till = Till(Terminal(site, known.acquirer, pad, clock), line, journal=journal)
        return Device(till, pad, listener, language=language)

    @cache
    def read(card: KnownCard) -> Card:
        return card.in_hand(clock().year)

    return TerminalApp(site, known.card, authorizer, clock, device, read)


def language_of(environment: Mapping[str, str]) -> Language:
    """The language of an account, English where the terminal doesn't speak it.

    >>> language_of({"LANG": "nl_BE.UTF-8"}), language_of({"LC_ALL": "C", "LANG": "fr_FR.UTF-8"})
    (<Language.DUTCH: 'nl'>, <Language.ENGLISH: 'en'>)
    """
    named = next((environment[name] for name in LOCALE if environment.get(name)), "")
    spoken = {language.value: language for language in Language if language is not Language.BOTH}
    return spoken.get(named[:2].lower(), Language.ENGLISH)
