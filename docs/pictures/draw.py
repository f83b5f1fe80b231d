"""Draws the sequences of docs/one-payment.md: `python docs/pictures/draw.py` writes them beside this file.

A drawing has lanes, one a party, and rows from the top down: arrows between lanes, notes in one, and bars across all of
them. It has a ground of its own, so that it reads the same on a light page and on a dark one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from msgspec import Struct

HERE = Path(__file__).parent
WIDTH, MARGIN, ROW, HEAD = 1000, 20, 19, 46
INK, FAINT, GROUND, LINE = "#1f2937", "#6b7280", "#ffffff", "#cbd5e1"
COLOURS = {"sent": "#1d4ed8", "lost": "#b91c1c", "kept": "#15803d"}


class Arrow(Struct, frozen=True):
    """Something that goes from one lane to another; `mark` is the letter of a place where it may break off.

    `lost`: it doesn't arrive. `below` are lines of fixed width under it: bytes.
    """

    source: int
    target: int
    text: str
    below: tuple[str, ...] = ()
    mark: str = ""
    lost: bool = False
    kept: bool = False


class Note(Struct, frozen=True):
    """What is done in a lane."""

    lane: int
    lines: tuple[str, ...]


class Bar(Struct, frozen=True):
    """A line across all lanes: what is true from here on; `kept` because it is durable."""

    text: str
    kept: bool = False


Row = Arrow | Note | Bar


class Drawing(Struct, frozen=True):
    """A sequence: `lanes` are headings of two lines each."""

    name: str
    title: str
    lanes: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]

    def svg(self) -> str:
        """Draw it."""
        heights = [_height(row) for row in self.rows]
        bottom = HEAD + 24 + sum(heights) + MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" role="img">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{WIDTH}" height="{bottom}" rx="8" fill="{GROUND}" stroke="{LINE}"/>',
            '<g font-family="system-ui, sans-serif">',
            *self._lanes(bottom),
        ]
        y = HEAD + 24
        for row, height in zip(self.rows, heights, strict=True):
            parts += self._row(row, y)
            y += height
        return "\n".join([*parts, "</g>", "</svg>", ""])

    def _x(self, lane: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (lane + 0.5) / len(self.lanes)

    def _lanes(self, bottom: int) -> Iterator[str]:
        for lane, (name, what) in enumerate(self.lanes):
            x = self._x(lane)
            yield f'<line x1="{x:g}" y1="{HEAD + 8}" x2="{x:g}" y2="{bottom - 10}" stroke="{LINE}" stroke-width="2"/>'
            yield _text(x, 26, name, "middle", weight="bold", size=15)
            yield _text(x, 44, what, "middle", colour=FAINT)

    def _row(self, row: Row, y: int) -> Iterator[str]:
        match row:
            case Arrow():
                yield from self._arrow(row, y)
            case Note():
                yield from self._note(row, y)
            case Bar():
                ground, ink = ("#dcfce7", COLOURS["kept"]) if row.kept else ("#e2e8f0", INK)
                yield f'<rect x="{MARGIN}" y="{y}" width="{WIDTH - 2 * MARGIN}" height="24" rx="4" fill="{ground}"/>'
                yield _text(WIDTH / 2, y + 17, row.text, "middle", colour=ink, weight="bold")

    def _arrow(self, row: Arrow, y: int) -> Iterator[str]:
        colour = COLOURS["lost" if row.lost else "kept" if row.kept else "sent"]
        start, end = self._x(row.source), self._x(row.target)
        way = 1 if end > start else -1
        if row.lost:
            end = start + (end - start) * 0.62
        y += ROW
        yield f'<line x1="{start:g}" y1="{y}" x2="{end - way * 7:g}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        if row.lost:
            yield f'<path d="M{end - 12:g} {y - 6}l12 12m0 -12l-12 12" stroke="{colour}" stroke-width="2.5"/>'
        else:
            yield f'<path d="M{end:g} {y}l{-way * 10} -5v10z" fill="{colour}"/>'
        left = min(start, end) + 12
        yield _text(left, y - 6, row.text, colour=colour, weight="bold", halo=True)
        for number, line in enumerate(row.below, 1):
            yield _text(left, y + number * 16, line, size=12, mono=True, halo=True)
        if row.mark:
            x = min(start, end) + abs(end - start) * 0.86
            yield f'<circle cx="{x:g}" cy="{y}" r="10" fill="{GROUND}" stroke="{COLOURS["lost"]}" stroke-width="2"/>'
            yield _text(x, y + 5, row.mark, "middle", colour=COLOURS["lost"], weight="bold")

    def _note(self, row: Note, y: int) -> Iterator[str]:
        width = max(len(line) for line in row.lines) * 7 + 18
        left = min(max(self._x(row.lane) - width / 2, MARGIN - 12), WIDTH - MARGIN + 12 - width)
        yield (
            f'<rect x="{left:g}" y="{y}" width="{width:g}" height="{len(row.lines) * 17 + 9}" rx="4" '
            f'fill="#f1f5f9" stroke="{LINE}"/>'
        )
        for number, line in enumerate(row.lines, 1):
            yield _text(left + 9, y + number * 17, line)


def _height(row: Row) -> int:
    match row:
        case Arrow():
            return ROW + 15 + len(row.below) * 16
        case Note():
            return len(row.lines) * 17 + 20
        case Bar():
            return 34


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "start",
    *,
    colour: str = INK,
    weight: str = "normal",
    size: int = 13,
    mono: bool = False,
    halo: bool = False,
) -> str:
    family = ' font-family="ui-monospace, monospace"' if mono else ""
    around = f' stroke="{GROUND}" stroke-width="4" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" '
        f'font-weight="{weight}"{family}{around} xml:space="preserve">{escape(text)}</text>'
    )


PAYMENT = Drawing(
    "one-payment",
    "A purchase of 12.50 with PIN, from the terminal to the ledger and back",
    (
        ("terminal", "and its PIN pad"),
        ("links, wire", "bytes ⇄ a command"),
        ("engine, security", "the single writer"),
        ("decision", "a pure function"),
        ("ledger", "PostgreSQL"),
    ),
    (
        Note(0, ("amount, card, PIN", "into its journal first")),
        Arrow(
            0,
            1,
            "0200, 135 bytes",
            (
                "0087 0200 7238040100C09000 16 925010······0014 000000 000000001250 0512103000 000001 123000 0512",
                "     051 06 970001 PAR00001 FR0000000000001 978 ················",
            ),
            mark="A",
        ),
        Note(1, ("frame cut out, each field tested,", "MAC, acquirer")),
        Arrow(1, 2, "purchase, 12.50", mark="B"),
        Note(
            2,
            (
                "the card by a keyed hash of its number;",
                "PIN block opened under the zone PIN key,",
                "held to the PVV: right",
            ),
        ),
        Arrow(2, 3, "facts"),
        Note(3, ("position, programme, merchant, instant", "rules in their order; lots, oldest first")),
        Arrow(3, 2, "outcome: APPROVED"),
        Note(
            2,
            (
                "identity 0200·PAR00001·000001·… is new;",
                "joins the batch that forms (256 at most);",
                "hash over the record and the one before",
            ),
        ),
        Arrow(2, 4, "append(epoch, head, hash, …): one call", mark="C"),
        Note(4, ("journal: request masked, reply,", "reason, position after it", "transfer: holder → acquirer 12.50")),
        Bar("commit, synchronous: from here on the payment has happened, whoever dies", kept=True),
        Arrow(4, 2, "acknowledged", mark="D", kept=True),
        Arrow(2, 1, "reply", kept=True),
        Arrow(
            1,
            0,
            "0210",
            ("00 APPROVED", "approval A4OFGK"),
            mark="E",
            kept=True,
        ),
        Note(0, ("two receipts; then out of its journal",)),
    ),
)

NO_ANSWER = Drawing(
    "no-answer",
    "Request lost, reply lost: the terminal can't tell them apart, and needs not",
    (("terminal", "what it knows"), ("the line", ""), ("authorizer", "what the ledger has")),
    (
        Bar("the request is lost"),
        Arrow(0, 2, "0200  000001  12.50", lost=True),
        Note(0, ("no answer: unknown. It is taken back",)),
        Arrow(0, 2, "0400  DE 90 names the 0200 000001"),
        Note(2, ("nothing of that name: 25, and the name is kept",)),
        Arrow(2, 0, "0410  25 NO_ORIGINAL: an acknowledgement", kept=True),
        Arrow(0, 2, "0200  000001  12.50, late, by another way"),
        Arrow(2, 0, "0210  94 REVERSED_BEFORE: it never counts", kept=True),
        Bar("the reply is lost"),
        Arrow(0, 2, "0200  000002  12.50"),
        Note(2, ("record, transfer 12.50, commit",)),
        Arrow(2, 0, "0210  00", lost=True),
        Arrow(0, 2, "0201  000002  12.50: a repeat"),
        Arrow(2, 0, "0210  00: the stored reply, byte for byte, no second effect", kept=True),
        Note(0, ("or, had it asked to take it back:",)),
        Arrow(0, 2, "0400  DE 90 names the 0200 000002"),
        Note(2, ("record, transfer 12.50 back to the same lots",)),
        Arrow(2, 0, "0410  00", kept=True),
    ),
)

DRAWINGS: Sequence[Drawing] = (PAYMENT, NO_ANSWER)

if __name__ == "__main__":
    for drawing in DRAWINGS:
        (HERE / f"{drawing.name}.svg").write_text(drawing.svg(), encoding="utf-8")
