"""The terminal's body: what the display says, as a lit glass, and the keys below it."""

from datetime import datetime

from msgspec import Struct
from textual.app import ComposeResult
from textual.containers import Grid, Horizontal, Vertical
from textual.content import Content
from textual.message import Message as Posted
from textual.widgets import Button, Digits, Static

from simulators.terminal import wording
from simulators.terminal.display import Display, Line, Said
from simulators.terminal.receipt import Decision, Slip, euros
from simulators.terminal.states import State
from simulators.terminal.wording import Language

CENTS_SAID = frozenset({"rest", "owed"})
"""Values of lines that are amounts."""
LISTS = frozenset({State.MENU, State.PRODUCT})
"""What needs the room of the large amount for its choices."""
AT_WORK = frozenset({State.PIN, State.ASKING, State.TAKING_BACK})
"""When the glass says which card is in the reader."""
DOUBLE_ZERO = "00"

KEYS = (
    *((digit, digit) for digit in "123456789"),
    ("menu", "F"),
    ("0", "0"),
    (DOUBLE_ZERO, "00"),
    ("cancel", "✕"),
    ("back", "⌫"),
    ("ok", "✓"),
)
"""Each key's name, as the device knows it, and its engraving: three in a row."""

DECIDED = {
    Said.APPROVED: "approved",
    Said.ACCEPTED_OFFLINE: "approved",
    Said.DAY_CLOSED: "approved",
    Said.PARTIAL: "partial",
    Said.REFUSED: "refused",
    Said.NO_ANSWER: "refused",
    Said.DAY_NOT_CLOSED: "refused",
    Said.FAILED: "refused",
}
"""The glass's colour, by what is said."""


class Status(Struct, frozen=True):
    """What stands at the top of the glass. `linked` None: not tried yet. `now` is in the terminal's zone."""

    linked: bool | None
    to_tell: int
    now: datetime


class Glass(Vertical):
    """The lit screen: status, amount, lines."""

    def __init__(self) -> None:
        super().__init__(id="glass")
        self._link = Static(id="link")
        self._time = Static(id="time")
        self._amount = Digits(id="amount")
        self._said = Static(id="said")

    def compose(self) -> ComposeResult:
        """From the top: the status line, the amount, and what is said or to be chosen."""
        yield Horizontal(self._link, self._time, id="status")
        yield self._amount
        yield self._said

    def show(self, display: Display, status: Status, merchant: str) -> None:
        """Show what the device wants shown."""
        language = display.language
        # Nothing changes its size: that spares laying out the whole window at each key.
        self._link.update(_link(status, language), layout=False)
        self._time.update(f"{status.now:%H:%M}", layout=False)
        amount = euros(display.cents, language) if display.cents or display.state is State.AMOUNT else ""
        self._amount.update(amount.replace(" ", ""))  # a space would be as wide as a figure
        self._amount.display = bool(amount) and display.state not in LISTS
        self._said.update(Content("\n").join(_lines(display, merchant)), layout=False)
        colours = {DECIDED.get(line.said) for line in display.lines}
        for colour in set(DECIDED.values()):
            self.set_class(colour in colours, colour)


class Body(Vertical):
    """The whole body. A key that is clicked is posted as `Pressed`.

    What is typed on the keyboard lights up no key: it may be a PIN.
    """

    class Pressed(Posted):
        """A key was pressed; its name is a digit, `00`, or a device's key."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, brand: str) -> None:
        super().__init__(id="body")
        self.glass = Glass()
        self._brand = brand

    def compose(self) -> ComposeResult:
        """The brand, the glass, the keys."""
        yield Static(self._brand, id="brand", markup=False)
        yield self.glass
        with Grid(id="keys"):
            for name, engraved in KEYS:
                key = Button(engraved, id=f"key-{name}", classes="key")
                key.can_focus = False
                yield key

    def on_button_pressed(self, pressed: Button.Pressed) -> None:
        """Hand on which key it was."""
        pressed.stop()
        self.post_message(self.Pressed((pressed.button.id or "").removeprefix("key-")))


def sentence(line: Line, language: Language) -> str:
    """What a line says, its cents written as amounts."""
    values = {
        name: euros(value, language) if name in CENTS_SAID and isinstance(value, int) else value
        for name, value in line.values.items()
    }
    return wording.SCREEN[line.said].said(language).format_map(values)


def _link(status: Status, language: Language) -> str:
    mark, words = _LINKS[status.linked]
    said = [f"{mark} {words.said(language)}"]
    if status.to_tell:
        said.append(sentence(Line(Said.LEFT_TO_TELL, {"to_tell": status.to_tell}), language))
    return " · ".join(said)


_LINKS = {None: ("○", wording.LINKING), True: ("●", wording.LINKED), False: ("✕", wording.UNLINKED)}


def _lines(display: Display, merchant: str) -> list[Content]:
    """What is said, what matters most first and nothing twice; then what there is to choose from, or the PIN's dots."""
    language, state = display.language, display.state
    said = [sentence(line, language) for line in display.lines]
    if state in LISTS and display.cents:
        said.insert(0, euros(display.cents, language))
    if state is State.READY:
        said = [merchant, *said, wording.SCREEN[Said.TYPE_AMOUNT].said(language)]
    if state in AT_WORK and display.card is not None:
        said.append(display.card)
    if state is State.OUTCOME and display.slip is not None:
        said += _outcome(display.slip, language)
    first, *others = dict.fromkeys(said) or [""]
    lines = [Content.styled(first, "bold"), *map(Content, others)]
    match state:
        case State.PRODUCT:
            lines += _choices([wording.product_in_words(product).said(language) for product in display.products])
        case State.MENU:
            lines += _choices([wording.MENU[item].said(language) for item in display.menu])
        case State.PIN:
            lines += [Content(""), Content.styled("● " * display.dots + "_", "bold")]
    return lines


def _choices(names: list[str]) -> list[Content]:
    return [Content.assemble((f" {number} ", "reverse"), f" {name}") for number, name in enumerate(names, 1)]


def _outcome(slip: Slip, language: Language) -> list[str]:
    said = []
    if slip.decision is Decision.REFUSED:
        said.append(wording.reason_in_words(slip.reason, slip.response_code).said(language))
    if slip.decision is Decision.PARTIAL and slip.approved is not None:
        said.append(f"{wording.ACCEPTED.said(language)} {euros(slip.approved, language)}")
        said.append(wording.PAY_REST.said(language))
    if slip.tries_left is not None:
        said.append(f"{wording.TRIES_LEFT.said(language)} {slip.tries_left}")
    if slip.asked is None:
        products = [(wording.product_in_words(left.product).said(language), left.available) for left in slip.left]
        said += [f"{product} {euros(cents, language)}" for product, cents in products]
    return said
