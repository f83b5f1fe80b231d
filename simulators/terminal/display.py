"""What a terminal's keys are, and what its screen shows: values only."""

from enum import StrEnum

from msgspec import Struct

from simulators.terminal.receipt import DaySlip, Slip
from simulators.terminal.states import State
from simulators.terminal.wording import Language


class Key(StrEnum):
    """The keys that a terminal has. Digits are "0" to "9"."""

    OK = "ok"
    CANCEL = "cancel"
    BACK = "back"
    """Correct: takes the last digit away, or goes a step back."""
    MENU = "menu"


class Said(StrEnum):
    """What a line of the screen says: a key of the wording, whose sentence the screen picks by `Display.language`.

    What stands in braces is in the line's `values`.
    """

    RESUMING = "resuming"
    RESUMED = "resumed"
    """{told}, {reversed}: how many messages of an earlier run are told now, and how many requests taken back."""
    READY = "ready"
    TYPE_AMOUNT = "type amount"
    CHOOSE_GENERATION = "choose generation"
    OTHER_GENERATION = "other generation"
    """{generation}: what the card is, which isn't what was chosen."""
    PRESENT_CARD = "present card"
    CARD_UNREADABLE = "card unreadable"
    """It has no chip."""
    CHOOSE_PRODUCT = "choose product"
    TYPE_PIN = "type pin"
    PIN_WANTED = "pin wanted"
    """The host wants it after all."""
    PIN_TOO_SHORT = "pin too short"
    WRONG_PIN = "wrong pin"
    """{tries}: how many are left, as the chip says offline."""
    ASKING = "asking"
    TAKING_BACK = "taking back"
    APPROVED = "approved"
    PARTIAL = "partial"
    """{rest}: cents still to pay."""
    REFUSED = "refused"
    ACCEPTED_OFFLINE = "accepted offline"
    NO_ANSWER = "no answer"
    """Nothing is debited: the request is taken back."""
    LEFT_TO_TELL = "left to tell"
    """{to_tell}: messages that nobody has acknowledged yet; the till goes on telling them."""
    NO_LINK = "no link"
    CANCELLED = "cancelled"
    NOTHING_TO_CANCEL = "nothing to cancel"
    NOTHING_TO_PRINT = "nothing to print"
    BALANCE = "balance"
    MENU = "menu"
    CLOSING = "closing"
    DAY_CLOSED = "day closed"
    """{day}, {owed}: the business day, and the cents that it comes to."""
    DAY_NOT_CLOSED = "day not closed"
    """{to_tell}: messages that are to be told first."""
    FAILED = "failed"
    """{why}: one line."""


class Line(Struct, frozen=True):
    """A line of the screen: what it says, and the values of what stands in braces (cents are ints)."""

    said: Said
    values: dict[str, str | int] = {}


class MenuItem(StrEnum):
    """The menu, in its order: item n is chosen by the digit n."""

    BALANCE = "balance"
    CANCEL_LAST = "cancel last"
    DUPLICATE = "duplicate"
    CLOSE_DAY = "close day"
    LANGUAGE = "language"


class Display(Struct, frozen=True, kw_only=True):
    """What the screen shows. `cents` is the amount; `dots` the PIN's digits so far; `choices` what digits choose."""

    state: State
    lines: tuple[Line, ...]
    cents: int = 0
    generation: int | None = None
    dots: int = 0
    products: tuple[str, ...] = ()
    """PRODUCT: the codes to choose from; digit n chooses the n-th."""
    menu: tuple[MenuItem, ...] = ()
    card: str | None = None
    """The masked PAN of the card that was presented."""
    slip: Slip | None = None
    duplicate: bool = False
    day: DaySlip | None = None
    language: Language = Language.FRENCH
    linked: bool | None = None
    """Whether the last exchange reached the host; None: there was none yet."""
    to_tell: int = 0
