"""A story as people read it on a terminal: 80 columns do, 100 are better. All text is plain: none of it is markup."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from authz.decision.explain import Ruling
from authz.show.changes import Change
from authz.show.fields import Field
from authz.show.seen import day_name, printable
from authz.show.story import Beside, Story
from ledger.printing import euros
from ledger.values import Cents

FILE_COLUMNS = 100
"""How wide a page is that no terminal shows."""

_MARKS = {Ruling.PASSED: "✓", Ruling.REFUSED: "✗", Ruling.NOT_REACHED: "·"}
_STYLES = {Ruling.PASSED: "green", Ruling.REFUSED: "bold red", Ruling.NOT_REACHED: "dim"}


def print_page(page: RenderableType) -> None:
    """Print to the width of a terminal, or of a file."""
    sized = Console()
    console = sized if sized.is_terminal else Console(width=FILE_COLUMNS)
    with console.capture() as printed:  # rich itself would exit where nobody reads
        console.print(page)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def story_page(story: Story) -> Group:
    """Lay out a story."""
    return Group(*_parts(story))


def list_page(title: str, found: Iterable[Beside]) -> Table:
    """List records to choose from."""
    narrow = Column("when, UTC", overflow="fold", min_width=10)
    names = ("what", "answer", "merchant", "card")
    table = _table(title, "record", narrow, _right("€"), *(Column(name, overflow="fold") for name in names))
    for one in found:
        amount = "" if one.amount is None else euros(one.amount)
        when = f"{one.at:%Y-%m-%d %H:%M:%S}"
        card = f"…{one.card[-4:]}" if one.card else ""
        table.add_row(*map(Text, (one.place, when, amount, one.kind, _answer(one), one.merchant, card)))
    return table


def _parts(story: Story) -> Iterator[RenderableType]:
    yield _head(story)
    yield Text()
    yield _pairs("Who and when", _who(story))
    yield Text()
    if story.request:
        yield _fields("Request", story.request)
    if story.command is not None:
        yield _pairs("Command", _plain(story.command))
    if story.rules:
        yield _rules(story)
    if story.position:
        yield _position(story.position)
    if story.transfers:
        table = _table("Transfers", Column("from", overflow="fold"), Column("to", overflow="fold"), _right("€"))
        for one in story.transfers:
            table.add_row(Text(one.debit), Text(one.credit), Text(euros(one.amount)))
        yield table
    if story.reply:
        echoed = {(one.number, one.value) for one in story.request}
        yield _fields(
            "Reply, beside what it echoes", [one for one in story.reply if (one.number, one.value) not in echoed]
        )
    if story.beside:
        yield _beside(story)
    if story.not_recorded:
        yield Text("Not recorded: " + "; ".join(story.not_recorded) + ".", style="dim")


def _head(story: Story) -> Text:
    to = "to " if story.kind == "reversal" else ""
    amount = "" if story.amount is None else f"  {to}{euros(story.amount)} €"
    good = story.reason in ("APPROVED", "PARTIAL")
    head = Text.assemble(
        (f"{story.place}  {story.kind}{amount}  ", "bold"),
        (f"{story.reason} {story.response_code}".strip(), "bold green" if good else "bold red"),
    )
    for one in story.rules:
        if one.ruling is Ruling.REFUSED:
            head.append(f"\nRefused by {one.rule}: {one.saw}.")
    if not story.agrees:
        head.append(
            "\nThis version of the program decides it otherwise than it is recorded: what follows of rules is this "
            "version's. Ask `authz replay`.",
            "bold yellow",
        )
    return head


def _who(story: Story) -> Iterator[tuple[str, str]]:
    who = story.who
    if story.local is not None:
        yield "when, at the merchant", f"{_when(story.local)} ({who.time_zone})"
    yield "when, UTC", _when(story.at)
    if story.sent_before_ms is not None:
        ago = story.sent_before_ms
        side = "before" if ago >= 0 else "after"
        yield "sent", f"{abs(ago) / 1000:.1f} s {side} it was decided, if the sender's clock (DE 7) is right"
    if who.card:
        known = f", {who.programme}, generation {who.generation}" if who.programme else ""
        yield "card", f"{who.card}{f' ({who.card_id}{known})' if who.card_id else ' (not one of ours)'}"
    if who.holder:
        yield "holder", f"{who.holder}{f', of {who.employer}' if who.employer else ''}"
    if who.product:
        yield "product", who.product
    if who.acquirer:
        yield "acquirer", who.acquirer
    if who.terminal:
        yield "terminal", who.terminal
    if who.merchant:
        named = f", {who.merchant_name}, MCC {who.mcc}, {who.territory}" if who.merchant_name else ", unknown"
        yield "merchant", f"{who.merchant}{named}"
    if who.by:
        yield "by", who.by


def _when(at: datetime) -> str:
    return f"{day_name(at.date())}, {at:%H:%M:%S}.{at.microsecond // 1000:03}"


def _fields(title: str, fields: Iterable[Field]) -> Table:
    table = _table(title, _right("DE"), "", Column("value", overflow="fold"), Column("which is", overflow="fold"))
    for one in fields:
        number = "MTI" if one.number == 0 else str(one.number)
        table.add_row(*map(Text, (number, one.name, one.value, one.meaning)))
    return table


def _rules(story: Story) -> Table:
    table = _table("Rules, in their order", "", "rule", "decided", Column("saw", overflow="fold"))
    for one in story.rules:
        style = _STYLES[one.ruling]
        cells = (_MARKS[one.ruling], one.rule, "refused here" if one.ruling is Ruling.REFUSED else one.ruling)
        table.add_row(*(Text(cell, style) for cell in cells), Text(one.saw))
    return table


def _position(position: Iterable[Change]) -> Table:
    table = _table("Position", Column("", overflow="fold"), _right("before"), _right("after"), _right("change"), "")
    for one in position:
        written = [str(value) if one.unit == "count" else euros(Cents(value)) for value in (one.before, one.after)]
        moved = one.after - one.before
        by = str(moved) if one.unit == "count" else euros(Cents(moved))
        change = f"{'+' if moved > 0 else ''}{by}" if moved else ""
        table.add_row(*map(Text, (one.what, *written, change, one.note)), style=None if moved else "dim")
    return table


def _beside(story: Story) -> Table:
    table = _table("Records beside it", "record", "when, UTC", _right("€"), "what", "answer", "")
    for one in story.beside:
        amount = "" if one.amount is None else euros(one.amount)
        when = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(*map(Text, (one.place, when, amount, one.kind, _answer(one), one.relation)))
    return table


def _answer(one: Beside) -> str:
    return f"{one.response_code} {one.reason}".strip()


def _plain(command: object) -> Iterator[tuple[str, str]]:
    """A command's own fields; what is more than a word, as JSON."""
    if isinstance(command, dict):
        for name, value in command.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield str(name), printable(text)


def _pairs(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    table = _table(title, "", Column("", overflow="fold"))
    table.show_header, table.box = False, None
    for name, value in pairs:
        table.add_row(Text(name, "dim"), Text(value))
    return table


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _table(title: str, *columns: Column | str) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
