"""What a link hands to the engine, and what it gets back."""

import asyncio
from enum import Enum
from typing import Any

from msgspec import Struct

from authz.decision.commands import Command, Payment, Totals
from authz.decision.outcomes import Reply


class Secrets(Struct, frozen=True, kw_only=True, gc=False):
    """What of a request may never be written down. Its repr shows none of it."""

    pan: str
    pin_block: str | None = None
    key_serial: str | None = None
    cvv2: str | None = None
    chip: str | None = None
    card_sequence: str = ""

    def __repr__(self) -> str:
        return "Secrets(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Named(Struct, frozen=True, gc=False):
    """What a request says of its original (DE 90): its MTI, DE 11, DE 7, and DE 32 as eleven digits."""

    mti: str
    trace: str
    transmitted: str
    acquirer: str


class Request(Struct, frozen=True, gc=False):
    """A payment as a link understood it. The engine fills in `command.card`, `reference` and `originals`.

    `link` is the acquirer id of the link it came by, whose keys verify it; `deadline` is the event loop's time
    by which it must be on its way to the ledger, or be answered 91. `repeat`: the terminal says it sent it before.
    """

    command: Payment
    secrets: Secrets
    link: str
    deadline: float
    repeat: bool = False
    named: Named | None = None


class TotalsRequest(Struct, frozen=True, gc=False):
    """An acquirer's totals as a link understood them. The engine fills in what the ledger has."""

    command: Totals
    link: str
    deadline: float


class KeyChange(Struct, frozen=True, gc=False):
    """What became of a key change, and the check value of the new key, if it is in use now."""

    reply: Reply
    check_value: str | None = None


class Answer(Struct, frozen=True, gc=False):
    """A reply, and the stored command whose fields it echoes."""

    command: Command
    reply: Reply


class NoAnswer(Enum):
    """Why a request is not answered, or not yet."""

    DECIDE_AGAIN = "what it was decided on was rolled back"
    TOO_LATE = "it is in the ledger, or may be, and nobody knew by its deadline: the repeat or the reversal is answered"


Waiter = asyncio.Future[Answer | NoAnswer]
"""Where an answer arrives."""


def hand_over(waiter: Waiter | None, result: Answer | NoAnswer) -> None:
    """Give a result to whoever still waits for it."""
    if waiter is not None and not waiter.done():
        waiter.set_result(result)
