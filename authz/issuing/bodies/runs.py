"""Production runs, as they are shown."""

from datetime import datetime

from msgspec import Struct

from authz.decision.issuing.states import RunStatus


class RunView(Struct, frozen=True):
    """A run: how many cards it has, how many PINs are sent again, and the SHA-256 of its files."""

    number: int
    status: RunStatus
    cards: int
    reissued: int
    card_file: str
    pin_file: str | None
    sent_at: datetime | None
