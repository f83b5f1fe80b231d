"""The tables of the newest reconciliation: what was matched, what each acquirer's sides come to, what is open."""

from ledger.printing import euros
from ledger.reports.figures import Run
from ledger.reports.tables import Sheet


def matches(run: Run) -> Sheet:
    """What was matched by stage, and what is open by cause."""
    pending = ", ".join(map(str, run.summary.pending))
    kinds = (("matched", run.summary.matched), ("open", run.summary.breaks))
    return Sheet(
        f"Reconciliation of {run.day}",
        f"Run {run.key[:16]}. What is open is found less expected."
        + (f" Something of {pending} may still come." if pending else ""),
        ("", "stage or cause", "number", "€"),
        [
            (kind, name, f"{sums.number:,}", euros(sums.cents))
            for kind, counted in kinds
            for name, sums in counted.items()
        ],
        words=2,
    )


def acquirers(run: Run) -> Sheet:
    """What the ledger and the clearing files have of the day, and what of both is matched and open."""
    return Sheet(
        "Reconciliation by acquirer",
        "What the ledger and the lines have of the day; what was matched, and what is open, of earlier days too.",
        ("acquirer", "ledger, €", "clearing, €", "matched, €", "open in ledger, €", "open in clearing, €"),
        [
            (acquirer, *map(euros, (side.ledger, side.clearing, side.matched, side.open_movements, side.open_lines)))
            for acquirer, side in run.summary.acquirers.items()
        ],
    )


def breaks(run: Run) -> Sheet:
    """The newest run's breaks, one by one."""
    rest = run.breaks_count - len(run.breaks)
    return Sheet(
        "Open breaks",
        f"{rest:,} more are open: ledger breaks lists them." if rest else "All that is open.",
        ("cause", "since", "source", "record", "line", "detail", "expected, €", "found, €"),
        [
            (
                one.cause,
                str(one.since),
                one.source,
                one.record or "",
                one.line or "",
                one.detail,
                "" if one.expected is None else euros(one.expected),
                "" if one.found is None else euros(one.found),
            )
            for one in run.breaks
        ],
        words=6,
    )
