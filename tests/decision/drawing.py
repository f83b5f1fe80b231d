"""The tables of lives as docs/ shows them, of holds, lots and issuing: drawn by Mermaid, and written out."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Any

from authz.decision import vintages
from authz.decision.holds import LIFE, Act, State
from authz.decision.programme import Product, on_day


def drawing() -> str:
    """Draw what changes something. Of holds, every state but the first is an end."""
    return _diagram([f"[*] --> {State.OPEN}: authorization (0100, 0120)", *_edges()])


def table() -> str:
    """Write out every cell."""
    rows = (
        (state, event, act, following) for state, events in LIFE.items() for event, (act, following) in events.items()
    )
    return _table(("state", "what happens", "what is done", "state then"), rows)


def drawing_of_a_life(life: Mapping[Any, Mapping[Any, StrEnum]], *, begins: Mapping[str, StrEnum]) -> str:
    """Draw every cell of a table of issuing. `begins` says by what a life begins, and in which state."""
    named = [f'state "{state}" as {_short(state)}' for state in life if " " in state]
    first = [f"[*] --> {_short(state)}: {event}" for event, state in begins.items()]
    edges = [
        f"{_short(state)} --> {_short(following)}: {event}"
        for state, events in life.items()
        for event, following in events.items()
    ]
    return _diagram([*named, *first, *edges])


def table_of_a_life(life: Mapping[Any, Mapping[Any, StrEnum]]) -> str:
    """Write out what can happen in each state of a table of issuing."""
    rows = (
        (state, "; ".join(f"{event}: {then}" for event, then in events.items()) or "nothing")
        for state, events in life.items()
    )
    return _table(("state", "what can happen, and the state then"), rows)


def drawing_of_a_lot() -> str:
    """Draw every cell of the table. Names with spaces have a short one."""
    named = [f'state "{state}" as {_short(state)}' for state in vintages.State if " " in state]
    begins = [f"[*] --> {_short(state)}: load" for state in (vintages.State.LATER, vintages.State.VALID)]
    edges = [
        f"{_short(state)} --> {_short(following)}: {event}"
        for state, events in vintages.LIFE.items()
        for event, following in events.items()
    ]
    return _diagram([*named, *begins, *edges])


def table_of_a_lot() -> str:
    """Write out where a lot's money stands, and what becomes of it."""
    rows = (
        (state, f"`{vintages.STANDS[state]}`", "; ".join(f"{event}: {then}" for event, then in events.items()))
        for state, events in vintages.LIFE.items()
    )
    return _table(("state", "its money stands in", "what happens, and the state then"), rows)


def dates_of_lots(lots: Iterable[tuple[str, Product, date, date]]) -> str:
    """Work out the days of lots, each given by what it is, its product, and its first and last day."""
    rows = ((what, first, last, *_asked_and_falls(product, last)) for what, product, first, last in lots)
    return _table(("lot", "first day", "last day", "to be asked for until", "falls at the beginning of"), rows)


def _asked_and_falls(product: Product, last: date) -> tuple[object, object]:
    row = on_day(product.exchanges, last) or on_day(product.reactivations, last)
    forfeit = on_day(product.forfeits, last)
    return ("–" if row is None else row.ends(last)), ("–" if forfeit is None else forfeit.falls(last))


def _edges() -> Iterator[str]:
    for state, events in LIFE.items():
        for event, (act, following) in events.items():
            if state is not following or act not in (Act.NOTHING, Act.NO_ORIGINAL):
                yield f"{state} --> {following}: {event}"


def _short(state: StrEnum) -> str:
    return state.replace(" ", "_")


def _diagram(lines: Iterable[str]) -> str:
    drawn = "\n".join(f"    {line}" for line in lines)
    return f"```mermaid\nstateDiagram-v2\n{drawn}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    lines = [" | ".join(map(str, row)) for row in rows]
    return f"| {' | '.join(head)} |\n{'|---' * len(head)}|\n" + "".join(f"| {line} |\n" for line in lines)
