"""What an acquirer's host knows before its first message: who it is, and the keys of its zones.

A TOML file of this shape points it at another authorizer; `demo.toml` beside this module is the demo's.
"""

from importlib import resources
from pathlib import Path
from typing import Any

from msgspec import Struct

from simulators import toml_files
from simulators.acquirer.zone_keys import GivenKeys
from simulators.mistakes import Mistake


class HostParametersInvalid(Mistake):
    """The host's parameters can't be read, or have not the shape that it needs."""


class HostParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """One acquirer (DE 32). Keys are hexadecimal, as `GivenKeys` has them; its repr shows none."""

    acquirer: str
    terminal_pin_key: str
    zone_pin_key: str
    mac_key: str | None = None
    zmk: str | None = None

    @property
    def keys(self) -> GivenKeys:
        """The keys that the host begins with."""
        return GivenKeys(
            terminal_pin_key=self.terminal_pin_key,
            zone_pin_key=self.zone_pin_key,
            mac_key=self.mac_key,
            zmk=self.zmk,
        )

    def __repr__(self) -> str:
        return f"HostParameters({self.acquirer})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("acquirer", self.acquirer)]


def demo() -> HostParameters:
    """The demo's parameters."""
    content = (resources.files(__package__) / "demo.toml").read_bytes()
    return toml_files.decode(content, "the demo's parameters", HostParameters, HostParametersInvalid)


def load(path: Path) -> HostParameters:
    """Read a file of parameters. Raises `HostParametersInvalid`."""
    return toml_files.load(path, HostParameters, HostParametersInvalid)
