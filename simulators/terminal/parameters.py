"""What terminals know before their first payment: their acquirer, keys, sites, and the demo's cards.

A TOML file of this shape points the simulators at another host; `demo.toml` beside this module is the demo's.
"""

import re
from importlib import resources
from pathlib import Path
from typing import Literal

from msgspec import Struct

from simulators import toml_files
from simulators.mistakes import Mistake
from simulators.terminal.card import Card, masked
from simulators.terminal.chip import Chip
from simulators.terminal.messages import Site


class ParametersInvalid(Mistake):
    """The parameters' file can't be read, or has not the shape that terminals need."""


class KnownCard(Struct, frozen=True, forbid_unknown_fields=True):
    """A test card that lies beside the terminal. `expiry` is `N+2-06`, June of the second year after the clock's.

    `holder` is a name, `products` the vouchers that its chip lists, `pin` what its holder would type. Holds secrets:
    its repr shows the masked PAN only.
    """

    pan: str
    expiry: str
    generation: Literal[1, 2]
    holder: str = ""
    pin: str | None = None
    products: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"KnownCard({masked(self.pan)})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("pan", masked(self.pan))]

    def expiry_at(self, year: int) -> str:
        """The expiry as YYMM, where N is `year`.

        >>> KnownCard("9250100000000014", "N+2-06", 1).expiry_at(2026)
        '2806'
        """
        parts = re.fullmatch(r"N(?P<years>[+-]\d+)?-(?P<month>0[1-9]|1[0-2])", self.expiry)
        if parts is None:
            raise ParametersInvalid(f"a card's expiry reads N+2-06, not {self.expiry}")
        return f"{(year + int(parts['years'] or 0)) % 100:02d}{parts['month']}"

    def in_hand(self, year: int, issuer_key: str | None = None, counter: int = 0) -> Card:
        """The card in its holder's hand, with a chip of its own; where N is `year`, and no PIN is typed yet.

        Without an issuer's master key its chip makes no cryptograms; with one, its counter goes on from `counter`.
        Raises `MasterKeyUnfit`.
        """
        chip = Chip(issuer_key, self.pan, counter=counter, pin=self.pin, products=self.products)
        return Card(pan=self.pan, expiry=self.expiry_at(year), generation=self.generation, chip=chip)


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """One acquirer's terminals. Holds keys: its repr shows none.

    `terminal_pin_key` is what PIN pads encipher under where an acquirer's host stands between them and the authorizer,
    and translates; without it they use the zone PIN key itself.
    """

    acquirer: str
    dialect: str
    zone_pin_key: str
    terminal: tuple[Site, ...]
    card: tuple[KnownCard, ...] = ()
    terminal_pin_key: str | None = None

    def __repr__(self) -> str:
        return f"Parameters({self.acquirer}, {len(self.terminal)} terminals)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("acquirer", self.acquirer)]

    @property
    def pin_pad_key(self) -> str:
        """What terminals' PIN pads encipher under."""
        return self.zone_pin_key if self.terminal_pin_key is None else self.terminal_pin_key

    def site(self, terminal: str) -> Site | None:
        """Where a terminal stands, None for an unknown one."""
        return next((site for site in self.terminal if site.terminal == terminal), None)

    def known(self, pan: str) -> KnownCard | None:
        """What is known of a card, None for an unknown one."""
        return next((card for card in self.card if card.pan == pan), None)


def demo() -> Parameters:
    """The demo's parameters."""
    content = (resources.files(__package__) / "demo.toml").read_bytes()
    return toml_files.decode(content, "the demo's parameters", Parameters, ParametersInvalid)


def load(path: Path) -> Parameters:
    """Read a file of parameters. Raises `ParametersInvalid`."""
    return toml_files.load(path, Parameters, ParametersInvalid)
