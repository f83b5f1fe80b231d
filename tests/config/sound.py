"""A configuration that is sound, as a value and as a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

KEY = "0123456789ABCDEFFEDCBA9876543210"


def link(**said: Any) -> dict[str, Any]:
    """A link that says this too."""
    return {"acquirer": "970002", "zpk": KEY, "zak": KEY, "zmk": KEY} | said


SOUND: Mapping[str, Any] = {
    "vault": {"key": KEY * 2},
    "issuer_keys": {"pvk": KEY, "cvk": KEY, "imk_ac": KEY, "bdk": KEY},
    "link": [link()],
}


def written(folder: Path, tables: Mapping[str, Any] = SOUND) -> Path:
    """Write a configuration to a file that its owner alone reads."""
    lines = []
    for name, table in tables.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in one.items()]
    file = folder / "authz.toml"
    file.touch(0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
