"""A terminal's window on a till whose host is scripted."""

import asyncio
import html
import io
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest_asyncio
from rich.console import Console
from textual import events
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from authz.wire.message import Message
from simulators.link import Authorizer, LinkError
from simulators.screen.app import TerminalApp
from simulators.screen.body import Glass
from simulators.screen.command import make_app
from simulators.screen.overheard import ECHO_REQUEST
from simulators.screen.panes import Printer, Traffic
from simulators.terminal import parameters
from simulators.terminal.journal import Journal
from simulators.terminal.wording import Language
from tests.simulators.conftest import answer

NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
HOPS = 3
"""From the app to the screen and back, or from a button to the app."""
WIDE, NARROW = (120, 40), (80, 30)

Script = Callable[[Message], Message | LinkError | None]
"""A reply, why there is none, or None: nothing for ever."""


class ScriptedAuthorizer:
    """Answers by a script, and every echo while `there`. `heard` is what was asked, echoes apart."""

    def __init__(self, script: Script) -> None:
        self.heard: list[Message] = []
        self.there = True
        self.script = script

    async def exchange(self, request: Message, timeout: float) -> Message:
        if request.mti == ECHO_REQUEST and self.there:
            return answer(request)
        if request.mti != ECHO_REQUEST:
            self.heard.append(request)
        outcome = self.script(request)
        if outcome is None:
            await asyncio.Event().wait()
        if isinstance(outcome, LinkError):
            raise outcome
        return outcome


class Counter:
    """What a cashier, a holder and whoever looks over their shoulders do and see."""

    def __init__(self, app: TerminalApp, pilot: Pilot[None], host: ScriptedAuthorizer) -> None:
        self.app = app
        self.pilot = pilot
        self.host = host

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, and wait for what they set off."""
        await self.begin(*keys)
        await self.settle()

    async def begin(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await self._see()

    async def click(self, selector: str) -> None:
        await self.pilot.click(selector)
        await self.settle()

    async def settle(self) -> None:
        await self.app.device.settled()
        await self._see()

    async def _see(self) -> None:
        """Wait until all that was posted has come to where it goes."""
        for _ in range(HOPS):
            await self.pilot.pause(0)

    @property
    def glass(self) -> str:
        """What the terminal's own screen says."""
        return _said(*self.app.query_one(Glass).query(Static))

    @property
    def colours(self) -> frozenset[str]:
        return self.app.query_one(Glass).classes

    @property
    def receipts(self) -> list[str]:
        return [_said(paper) for paper in self.app.query_one(Printer).query(".paper").results(Static)]

    @property
    def messages(self) -> list[str]:
        return [_said(message) for message in self.app.query_one(Traffic).query(".message").results(Static)]

    @property
    def picture(self) -> str:
        """All that is rendered, as text."""
        return html.unescape(re.sub(r"<[^>]+>", "", self.app.export_screenshot())).replace("\xa0", " ")


def _said(*widgets: Static) -> str:
    """What widgets hold, also where it is scrolled away. Spaces are one."""
    console = Console(file=io.StringIO(), width=200)
    for widget in widgets:
        content = widget.content
        console.print(str(content) if hasattr(content, "markup") else content)
    return " ".join(console.file.getvalue().split())


@asynccontextmanager
async def window(
    script: Script = answer,
    *,
    size: tuple[int, int] = NARROW,
    language: Language = Language.FRENCH,
    journal: Journal | None = None,
    there: bool = True,
    authorizer: Authorizer | None = None,
) -> AsyncIterator[Counter]:
    """A window on the terminal at Le Bistrot du Port, on Tuesday 12 May 2026 at 12:30, before a scripted host."""
    known = parameters.demo()
    host = ScriptedAuthorizer(script)
    host.there = there
    app = make_app(known, known.site("PAR00001"), authorizer or host, journal or Journal(), language, lambda: NOON)
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        counter = Counter(app, pilot, host)
        await counter.settle()
        yield counter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Counter]:
    async with window() as counter:
        yield counter


@pytest_asyncio.fixture(loop_scope="module")
async def counter(shared: Counter) -> Counter:
    """A window that tests share: the terminal is ready, Alice's card is in the hand, nothing was heard or printed."""
    shared.host.there = True
    shared.host.heard.clear()
    for papers in (shared.app.query(".paper"), shared.app.query(".message")):
        await papers.remove()
    await shared.press("escape", "escape", *["up"] * (shared.app.query_one(OptionList).highlighted or 0))
    return shared
