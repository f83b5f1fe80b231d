"""How amounts, dates and words are written in the languages of letters."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from authz.decision.issuing.states import RequestKind
from authz.decision.position import CardStatus

Value = str | int | date
"""What letters say: a text or word, cents, a date, or an instant in its own place's time."""

_BOUND = "\N{NO-BREAK SPACE}"


class Tongue(Struct, frozen=True):
    """A language: the `months`' names in their order, and `words`.

    `amount` is a pattern for whole euros, with `thousands` between each three digits, and the two digits of cents.
    """

    months: str
    amount: str
    thousands: str
    words: Mapping[StrEnum, str]

    def shown(self, value: Value) -> str:
        """Write a value. An int is cents.

        >>> TONGUES["fr"].shown(date(2026, 5, 1))
        '1 mai 2026'
        """
        match value:
            case StrEnum():
                return self.words[value]
            case str():
                return value
            case int():
                whole, cents = divmod(value, 100)
                return self.amount.format(f"{whole:,}".replace(",", self.thousands), f"{cents:02}")
            case datetime():
                return f"{self.shown(value.date())}, {value:%H:%M}"
            case date():
                return f"{value.day} {self.months.split()[value.month - 1]} {value.year}"


TONGUES: Mapping[str, Tongue] = {
    "fr": Tongue(
        months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        amount="{0},{1}" + _BOUND + "€",
        thousands=_BOUND,
        words={
            RequestKind.REMAKE: "une nouvelle carte",
            RequestKind.PIN: "le renvoi du code secret",
            CardStatus.LOST: "perdue",
            CardStatus.STOLEN: "volée",
            CardStatus.FRAUD: "utilisée par un fraudeur",
        },
    ),
    "nl": Tongue(
        months="januari februari maart april mei juni juli augustus september oktober november december",
        amount="€" + _BOUND + "{0},{1}",
        thousands=".",
        words={
            RequestKind.REMAKE: "een nieuwe kaart",
            RequestKind.PIN: "de pincode opnieuw",
            CardStatus.LOST: "verloren",
            CardStatus.STOLEN: "gestolen",
            CardStatus.FRAUD: "gebruikt door een fraudeur",
        },
    ),
    "en": Tongue(
        months="January February March April May June July August September October November December",
        amount="€{0}.{1}",
        thousands=",",
        words={
            RequestKind.REMAKE: "a new card",
            RequestKind.PIN: "the PIN again",
            CardStatus.LOST: "lost",
            CardStatus.STOLEN: "stolen",
            CardStatus.FRAUD: "used by a fraudster",
        },
    ),
}
"""By the code that people's language has."""
