"""When a till may accept a card offline: the host can't be reached, and not much is at stake."""

from simulators.terminal.card import Card
from simulators.terminal.messages import Entry, Site


def may_accept_offline(site: Site, card: Card, entry: Entry, cents: int) -> bool:
    """Whether a terminal may leave it to the chip: the card is in the reader, and the amount below the floor limit.

    The chip has its own say (it approves only so often without a word from its issuer), and verifies the PIN, which the
    caller asks for. A contactless card, which leaves before it could, and a stripe, which can't, always need the host.
    """
    return (
        entry is Entry.CHIP
        and card.chip is not None
        and card.chip.pin_tries_left > 0
        and card.chip.may_approve
        and 0 < cents < site.floor_limit
    )
