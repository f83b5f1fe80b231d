"""The named statements of the reconciliation: `sql/*.sql`, each file a step of a run."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def statements(name: str) -> Mapping[str, str]:
    """The statements of one file, in the order in which they stand there."""
    text = files("ledger.reconciliation").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
