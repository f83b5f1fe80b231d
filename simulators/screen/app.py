"""The terminal in a window: its body, and beside it the wallet, the printer and the messages.

It decides nothing: keys and cards go to the device, and what the device displays is shown. Everything can be done by
the keyboard alone and by the mouse alone; nothing takes the keyboard's focus, so that every key is the terminal's.
"""

from collections.abc import Callable
from typing import ClassVar

from rich.traceback import Traceback
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.widgets import Static, Tab, Tabs

from simulators.link import Authorizer
from simulators.screen.body import DOUBLE_ZERO, Body, Status
from simulators.screen.overheard import Heard, Overheard
from simulators.screen.panes import Printer, Traffic, Wallet
from simulators.terminal import wording
from simulators.terminal.card import Card
from simulators.terminal.device import Device, Listener
from simulators.terminal.display import Display, Key
from simulators.terminal.messages import Clock, Entry, Site
from simulators.terminal.parameters import KnownCard
from simulators.terminal.states import State
from simulators.terminal.wording import Language

WIDE_COLUMNS_MIN = 118
"""Narrower windows show one pane at a time, by tabs."""
ROOMY_ROWS_MIN, TALL_ROWS_MIN = 29, 36
"""Lower windows have flat keys; taller ones have room between the lines of the glass."""
CLOCK_EVERY_S = 1.0

KEYBOARD = {digit: digit for digit in "0123456789"} | {"enter": Key.OK, "escape": Key.CANCEL, "backspace": Key.BACK}
PANES = {"wallet": wording.CARDS, "printer": wording.RECEIPTS, "traffic": wording.MESSAGES}


class TerminalApp(App[None]):
    """One terminal. `device` makes it, given its line and who listens to it; `read` reads a card of the wallet."""

    CSS_PATH = "terminal.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_COLUMNS_MIN, "-wide")]  # noqa: RUF012 - as textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (ROOMY_ROWS_MIN, "-roomy"), (TALL_ROWS_MIN, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,m", "press('menu')", show=False),
        Binding("f2,c", "present('chip')", show=False),
        Binding("f3,t", "present('contactless')", show=False),
        Binding("f4,s", "present('stripe')", show=False),
        Binding("up", "hold(-1)", show=False),
        Binding("down", "hold(1)", show=False),
        Binding("tab", "turn", show=False, priority=True),
    ]

    def __init__(
        self,
        site: Site,
        cards: tuple[KnownCard, ...],
        authorizer: Authorizer,
        clock: Clock,
        device: Callable[[Authorizer, Listener], Device],
        read: Callable[[KnownCard], Card],
    ) -> None:
        super().__init__()
        self.title = site.name
        self._site = site
        self._clock = clock
        self._read = read
        self._body = Body(site.terminal)
        self._wallet = Wallet(cards)
        self._printer = Printer()
        self._traffic = Traffic()
        self._tabs = Tabs(*(Tab(pane, id=f"tab-{pane}") for pane in PANES), id="tabs")
        self._tabs.can_focus = False
        self._hints = Static(id="hints")
        self.line = Overheard(authorizer, clock, self._hear)
        self.device = device(self.line, self._show)
        self._shown: Display | None = None

    def compose(self) -> ComposeResult:
        """The body at the left, the panes at its right, what keys do below."""
        with Horizontal(id="counter"):
            yield self._body
            with Container(id="panes"):
                yield self._tabs
                yield self._wallet
                yield self._traffic
                yield self._printer
        yield self._hints

    def on_mount(self) -> None:
        """Begin: what an earlier run left is finished, and the line is tested."""
        self._show(self.device.display)
        self.set_interval(CLOCK_EVERY_S, self._show_glass)
        self.run_worker(self.device.start(), name="device")
        self.run_worker(self.line.keep_testing(), name="line")

    async def on_unmount(self) -> None:
        """Leave the rest to the journal."""
        await self.device.stop()

    def on_key(self, event: events.Key) -> None:
        """Digits, Enter, Escape and Backspace are the terminal's keys."""
        if event.key in KEYBOARD:
            event.stop()
            self.action_press(KEYBOARD[event.key])

    def on_body_pressed(self, pressed: Body.Pressed) -> None:
        """A key was clicked."""
        self.action_press(pressed.key)

    def on_wallet_presented(self, presented: Wallet.Presented) -> None:
        """The card in the hand was presented by a click."""
        self.action_present(presented.entry)

    def on_tabs_tab_activated(self, activated: Tabs.TabActivated) -> None:
        """Show a pane in place of the others, where there is room for one only."""
        front = (activated.tab.id or "").removeprefix("tab-")
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == front, "front")

    def action_press(self, key: str) -> None:
        """Press a key of the terminal; `00` is 0 pressed twice."""
        for each in key if key == DOUBLE_ZERO else (key,):
            self.device.press(each)

    def action_present(self, entry: str) -> None:
        """Present the card in the hand."""
        card = self._wallet.held
        if card is not None:
            self.device.present(self._read(card), Entry(entry))

    def action_hold(self, steps: int) -> None:
        """Take another card into the hand."""
        self._front("wallet")
        self._wallet.move(steps)

    def action_turn(self) -> None:
        """Turn to the next pane."""
        self._tabs.action_next_tab()

    def _fatal_error(self) -> None:
        """Textual would print what every variable held, a PIN among them: print where it happened, and no more."""
        self.panic(Traceback(show_locals=False))

    def _hear(self, heard: Heard | None) -> None:
        if heard is not None:
            self._traffic.show(heard)
        self._show_glass()

    def _show(self, display: Display) -> None:
        before, self._shown = self._shown, display
        if before is None or before.language is not display.language:
            self._speak(display.language)
        if display.state is State.CARD:
            self._front("wallet")
        self._issue(before, display)
        self._show_glass()

    def _show_glass(self) -> None:
        display = self._shown or self.device.display
        status = Status(self.line.linked, display.to_tell, self._clock().astimezone(self._site.zone))
        self._body.glass.show(display, status, self._site.name)

    def _speak(self, language: Language) -> None:
        self._wallet.speak(language)
        for pane, name in PANES.items():
            self.query_one(f"#tab-{pane}", Tab).label = Content(name.said(language))
            self.query_one(f"#{pane}").border_title = name.said(language)
        self._hints.update(_hints(language))

    def _issue(self, before: Display | None, now: Display) -> None:
        if now.slip is not None and (before is None or (before.slip, before.duplicate) != (now.slip, now.duplicate)):
            self._printer.print_slip(now.slip, now.language, duplicate=now.duplicate)
            self._front("printer")
        if now.day is not None and (before is None or before.day != now.day):
            self._printer.print_day(now.day, now.language)
            self._front("printer")

    def _front(self, pane: str) -> None:
        """Turn to a pane, unless the messages are being watched."""
        if self._tabs.active != "tab-traffic":
            self._tabs.active = f"tab-{pane}"


def _hints(language: Language) -> Content:
    """What keys do that aren't engraved on anything."""
    keys = (
        ("F1", "app.press('menu')", wording.SCREEN["menu"]),
        ("↑ ↓", "app.hold(1)", wording.CARD),
        ("Tab", "app.turn", wording.PANE),
        ("Ctrl+Q", "app.quit", wording.QUIT),
    )
    hints = [f"[@click={action}][b]{key}[/] {words.said(language)}[/]" for key, action, words in keys]
    return Content("   ").join(map(Content.from_markup, hints))
