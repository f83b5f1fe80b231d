"""A chart of accounts: where the ledger's accounts stand in finance's books, as data (`chart.toml`)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from ledger.export.books import ExportError
from ledger.values import Account, Cents

OPENING = Account("opening")
"""What results of earlier periods stand in: no account of the ledger."""

_WORD = re.compile(r"\{(\w+)\}")
_PART = r"[^:;\s]+"
"""A name that no line of text breaks on."""

Root = Literal["Assets", "Liabilities", "Equity", "Income", "Expenses"]
Number = Annotated[str, Meta(pattern=r"^[1-9][0-9]{2}[0-9A-Za-z{}_]*$")]
"""Its first three characters are digits of the Plan comptable général (article A47 A-1, VII)."""
Field = Annotated[str, Meta(pattern=r"^[^\t\r\n]*$")]
Written = Annotated[str, Meta(pattern=r"^[^\t\r\n]+$")]


class ChartInvalid(ExportError):
    """The file is no chart of accounts."""


class AccountUnplaced(ExportError):
    """The chart has no place for an account of the ledger."""


class Journal(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One of finance's journals."""

    code: Written
    label: Written


class Place(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Where accounts of one kind stand. `account` is a pattern, whose {words} the other texts can use.

    `root` says on which side of finance's books they are; `auxiliary` whose account each is, empty for nobody's.
    """

    account: str
    number: Number
    label: Written
    root: Root
    auxiliary: Field = ""
    auxiliary_label: Field = ""

    @property
    def is_result(self) -> bool:
        """Whether it counts what a period earned or cost, and begins at 0 in each."""
        return self.root in ("Income", "Expenses")

    def of(self, words: Mapping[str, str]) -> Self:
        """Fill the words of the pattern in. Raises KeyError where a text uses one that the pattern hasn't."""
        filled = {name: _WORD.sub(lambda found: words[found[1]], getattr(self, name)) for name in _FILLED}
        return replace(self, **filled)


_FILLED = ("number", "label", "auxiliary", "auxiliary_label")


class Headings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a chart's file holds."""

    journal: Journal
    opening_journal: Journal
    accounts: tuple[Place, ...]


class Chart:
    """A chart of accounts, and the places of all accounts that were asked for."""

    def __init__(self, headings: Headings) -> None:
        self.journal = headings.journal
        self.opening_journal = headings.opening_journal
        self.places = headings.accounts
        self._patterns = [_pattern(place.account) for place in headings.accounts]
        self._known: dict[Account, Place] = {}

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """Read a chart; without a path, the one that comes along. Raises `ChartInvalid`."""
        path = path or Path(__file__).with_name("chart.toml")
        try:
            chart = cls(msgspec.toml.decode(path.read_bytes(), type=Headings))
            chart._try()
        except OSError as error:
            raise ChartInvalid(f"the chart {path} can't be read: {error.strerror}") from None
        except (msgspec.MsgspecError, AccountUnplaced, KeyError, re.error) as error:
            raise ChartInvalid(f"{path} is no chart of accounts: {error}; see docs/export.md") from None
        return chart

    def _try(self) -> None:
        """Fill every pattern in once, and find `OPENING`."""
        for pattern, place in zip(self._patterns, self.places, strict=True):
            place.of(dict.fromkeys(pattern.groupindex, ""))
        self.place(OPENING)

    def place(self, account: Account) -> Place:
        """Find where an account stands: by the first pattern that it fits. Raises `AccountUnplaced`."""
        if (known := self._known.get(account)) is not None:
            return known
        for pattern, place in zip(self._patterns, self.places, strict=True):
            if fits := pattern.fullmatch(account):
                self._known[account] = place.of(fits.groupdict())
                return self._known[account]
        raise AccountUnplaced(f"the chart of accounts has no place for {account!r}: give it one, by --chart FILE")

    def opening(self, balances: Mapping[Account, Cents]) -> Sequence[tuple[Account, Cents]]:
        """Carry balances over into a period: results are no longer their accounts', but `OPENING`'s.

        Returns those that aren't 0, in the order of the accounts' names. They add up to 0 as the balances do.
        """
        carried: Counter[Account] = Counter()
        for account, cents in balances.items():
            carried[OPENING if self.place(account).is_result else account] += cents
        return [(account, Cents(cents)) for account, cents in sorted(carried.items()) if cents]


def _pattern(account: str) -> re.Pattern[str]:
    """Make the expression of a pattern: literal but for its {words}."""
    pieces = enumerate(_WORD.split(account))
    return re.compile("".join(f"(?P<{piece}>{_PART})" if number % 2 else re.escape(piece) for number, piece in pieces))
