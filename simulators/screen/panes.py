"""What stands beside the terminal: the wallet of cards, the receipts that came out, the messages that passed."""

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message as Posted
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from authz.wire.message import Message
from simulators.decoded import Row, rows
from simulators.screen.overheard import Heard
from simulators.terminal import wording
from simulators.terminal.card import masked
from simulators.terminal.messages import Entry
from simulators.terminal.parameters import KnownCard
from simulators.terminal.receipt import Copy, DaySlip, Slip, render, render_day
from simulators.terminal.wording import Language

RECEIPTS_SHOWN_MAX = 40
MESSAGES_SHOWN_MAX = 60

ENTRIES = {
    Entry.CHIP: ("F2", wording.INSERT),
    Entry.CONTACTLESS: ("F3", wording.TAP),
    Entry.STRIPE: ("F4", wording.SWIPE),
}
"""How a card can be presented: the key, and what it is called."""


class Wallet(Vertical):
    """Cards, one of which is in the hand, and three ways to present it."""

    class Presented(Posted):
        """A way to present the card in the hand was clicked."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, cards: tuple[KnownCard, ...]) -> None:
        super().__init__(id="wallet", classes="pane")
        self._cards = cards
        self._list = OptionList(id="cards")
        self._ways = {entry: Button(id=entry.value, classes="way") for entry in ENTRIES}
        for widget in (self._list, *self._ways.values()):
            widget.can_focus = False

    def compose(self) -> ComposeResult:
        """The cards above, the ways below."""
        yield self._list
        yield Horizontal(*self._ways.values(), id="ways")

    def on_resize(self) -> None:
        """Keep the card in the hand in sight."""
        self.call_after_refresh(self._list.scroll_to_highlight)

    def speak(self, language: Language) -> None:
        """Say everything in a language."""
        held = self._list.highlighted or 0
        self._list.clear_options()
        self._list.add_options([Option(_card(card, language)) for card in self._cards])
        self._list.highlighted = held if self._cards else None
        for entry, (key, name) in ENTRIES.items():
            self._ways[entry].label = Content.from_markup(f"[dim]{key}[/] {name.said(language)}")

    def move(self, steps: int) -> None:
        """Take another card into the hand: `steps` further down."""
        if self._cards:
            self._list.highlighted = ((self._list.highlighted or 0) + steps) % len(self._cards)

    @property
    def held(self) -> KnownCard | None:
        """The card in the hand; None: there is none at all."""
        number = self._list.highlighted
        return None if number is None else self._cards[number]

    def on_button_pressed(self, pressed: Button.Pressed) -> None:
        """Hand on which way it was."""
        pressed.stop()
        self.post_message(self.Presented(Entry(pressed.button.id or "")))


class Printer(VerticalScroll):
    """The receipts that came out, the newest at the end."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__(id="printer", classes="pane")

    def print_slip(self, slip: Slip, language: Language, *, duplicate: bool) -> None:
        """Print a payment's receipts: the merchant's first, where money moved, then the holder's."""
        if slip.approved is not None:
            self._feed(render(slip, language, Copy.MERCHANT, duplicate=duplicate))
        self._feed(render(slip, language, Copy.HOLDER, duplicate=duplicate))

    def print_day(self, slip: DaySlip, language: Language) -> None:
        """Print a day's totals."""
        self._feed(render_day(slip, language))

    def _feed(self, text: str) -> None:
        self.mount(Static(text, classes="paper", markup=False))
        for old in self.query(".paper")[:-RECEIPTS_SHOWN_MAX]:
            old.remove()
        self.scroll_end(animate=False)


class Traffic(VerticalScroll):
    """The messages that passed, decoded and masked, the newest at the end."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__(id="traffic", classes="pane")

    def show(self, heard: Heard) -> None:
        """Add a request, a reply, or why there was none."""
        if heard.failure is not None:
            shown = Static(Text(f"✕ {heard.request.mti}  {heard.failure}  ({heard.took_ms} ms)"), classes="failure")
        elif heard.reply is not None:
            shown = Static(_decoded("◀", heard.reply, f"{heard.took_ms} ms"), classes="reply")
        else:
            shown = Static(_decoded("▶", heard.request, ""), classes="request")
        shown.add_class("message")
        self.mount(shown)
        for old in self.query(".message")[:-MESSAGES_SHOWN_MAX]:
            old.remove()
        self.scroll_end(animate=False)


def _card(card: KnownCard, language: Language) -> Content:
    products = ", ".join(wording.product_in_words(product).said(language) for product in card.products)
    name = Content.styled(card.holder or masked(card.pan), "bold")
    hint = "" if card.pin is None else f"{wording.PIN.said(language)} {card.pin}"
    return Content("\n").join(
        [
            Content.assemble(name, f"  ({card.generation})  ", (hint, "$warning")),
            Content.styled(f"{masked(card.pan)}  {products}".rstrip(), "dim"),
        ]
    )


def _decoded(arrow: str, message: Message, note: str) -> Group:
    head, *fields = rows(message)
    title = Text.assemble(f"{arrow} ", (head.value, "bold"), f"  {head.meaning}", (f"  {note}" if note else "", "dim"))
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in fields:
        table.add_row(row.field, _field(row))
    return Group(title, table)


def _field(row: Row) -> Text:
    """Name, value and meaning one behind the other: they wrap as the pane's width asks for."""
    return Text.assemble((row.name, "dim"), f"  {row.value}" if row.value else "", (f"  {row.meaning}", "dim italic"))
