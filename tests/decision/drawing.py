"""The table of a hold's life as docs/holds.md shows it: drawn by Mermaid, and written out."""

from collections.abc import Iterator

from authz.decision.holds import LIFE, Act, State


def drawing() -> str:
    """Draw what changes something. Of holds, every state but the first is an end."""
    edges = "\n".join(_edges())
    return f"```mermaid\nstateDiagram-v2\n    [*] --> {State.OPEN}: authorization (0100, 0120)\n{edges}\n```\n"


def table() -> str:
    """Write out every cell."""
    rows = "\n".join(
        f"| {state} | {event} | {act} | {following} |"
        for state, events in LIFE.items()
        for event, (act, following) in events.items()
    )
    return f"| state | what happens | what is done | state then |\n|---|---|---|---|\n{rows}\n"


def _edges() -> Iterator[str]:
    for state, events in LIFE.items():
        for event, (act, following) in events.items():
            if state is not following or act not in (Act.NOTHING, Act.NO_ORIGINAL):
                yield f"    {state} --> {following}: {event}"
