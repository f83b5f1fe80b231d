"""`authz issue portfolio …`: another processor's holders, taken over from a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from cyclopts import App

from authz.issue_cli import NotAsked, NotDone
from authz.issue_cli.api import Api, Write
from authz.issue_cli.showing import show_one
from authz.issuing.bodies.portfolio import HOLDERS_MAX, HolderBrought, PortfolioChunk, TakenOver
from authz.issuing.bodies.problems import Fault
from authz.security.keys import masked

FAULTS_KEPT_MAX = 1_000
"""Refusals that are told one by one."""

portfolio = App(name="portfolio", help="Holders of another processor, with their cards, PINs and balances.")

_decode = msgspec.json.Decoder(HolderBrought).decode


@portfolio.command(name="take-over")
def take_over_portfolio(
    file: Path,
    *,
    programme: str,
    link: str,
    ask: Write | None = None,
) -> None:
    """Take over holders from a file, each on a line of JSON as /schema has them. Again, it goes on where it ended.

    Parameters
    ----------
    file
        The holders.
    programme
        Which programme theirs is, such as apetiz.
    link
        The acquirer whose zone PIN key enciphers the PINs.
    ask
        Where the API is.
    """
    taken, refused, faults = 0, 0, list[Fault]()
    as_json = ask is not None and ask.as_json
    with Api(ask or Write()) as api:
        for lines, holders in _chunks(file):
            answer = api.write("POST", "/portfolio", TakenOver, PortfolioChunk(programme, link, holders))
            taken += answer.taken_over
            places = {one.reference: line for line, one in zip(lines, holders, strict=True)}
            faults += [Fault(one.why, line=places[one.reference]) for one in answer.refused]
            refused += len(answer.refused)
            del faults[FAULTS_KEPT_MAX:]
    if faults:
        said = f"{taken:,} holders were taken over, {refused:,} were refused: put those lines right, and say it again"
        raise NotDone(said, tuple(faults), as_json=as_json)
    show_one(ask, "Portfolio", TakenOver(taken), {"taken over": f"{taken:,}"})


def _chunks(file: Path) -> Iterator[tuple[Sequence[int], list[HolderBrought]]]:
    """Read a file as far as a request goes, and so on. Raises `NotAsked`, which shows none of it."""
    lines, holders = list[int](), list[HolderBrought]()
    try:
        with file.open("rb") as source:
            for number, line in enumerate(source, 1):
                if line.strip():
                    lines.append(number)
                    holders.append(_holder(file, number, line))
                if len(holders) == HOLDERS_MAX:
                    yield lines, holders
                    lines, holders = [], []
    except OSError as failed:
        raise NotAsked(f"{file}: {failed.strerror}") from None
    if holders:
        yield lines, holders


def _holder(file: Path, number: int, line: bytes) -> HolderBrought:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise NotAsked(f"{file}, line {number}: {masked(str(wrong))}") from None
