"""What is sent, how cards are read, and whose cards: parts of a whole, each drawn independently for every request."""

import random
from array import array
from bisect import bisect
from collections.abc import Callable
from enum import StrEnum
from itertools import accumulate
from typing import Generic, TypeVar

from msgspec import Struct

from simulators.mistakes import Mistake

CARDS_MAX = 10_000_000
"""Each takes 8 bytes where they are drawn by Zipf's law."""


class MixUnfit(Mistake):
    """A mix is words with their weights, such as purchase=80,reversal=20."""


class Kind(StrEnum):
    """What a request asks for."""

    PURCHASE = "purchase"
    AUTHORIZATION = "authorization"
    INQUIRY = "inquiry"
    COMPLETION = "completion"
    """Captures a hold; where none has been approved yet, an authorization goes instead."""
    REVERSAL = "reversal"
    """Takes a purchase back; where none has been approved yet, a purchase goes instead."""
    REFUND = "refund"
    """Gives a purchase's money back; where none has been approved yet, a purchase goes instead."""


FOLLOWS = {
    Kind.COMPLETION: Kind.AUTHORIZATION,
    Kind.REVERSAL: Kind.PURCHASE,
    Kind.REFUND: Kind.PURCHASE,
}
"""What must have been approved before."""

Word = TypeVar("Word", bound=StrEnum)


class Mix(Struct, Generic[Word], frozen=True):
    """Words of one vocabulary with their weights, which needn't come to 100."""

    weights: tuple[tuple[Word, int], ...]

    @classmethod
    def read(cls, text: str, vocabulary: type[Word], option: str) -> "Mix[Word]":
        """Read weights as an option gives them; a word alone weighs 1. Raises `MixUnfit`.

        >>> str(Mix.read("purchase=80,reversal=20", Kind, "--mix"))
        'purchase=80,reversal=20'
        """
        weights: dict[Word, int] = {}
        for part in text.replace(" ", "").split(","):
            name, _, weight = part.partition("=")
            if name not in vocabulary.__members__.values() or not (weight or "1").isdecimal():
                known = ", ".join(vocabulary)
                raise MixUnfit(f"{option}: words with their weights, such as a=80,b=20, of {known}")
            weights[vocabulary(name)] = int(weight or 1)
        if not any(weights.values()):
            raise MixUnfit(f"{option}: at least one weight above 0")
        return cls(tuple(weights.items()))

    def __str__(self) -> str:
        return ",".join(f"{word}={weight}" for word, weight in self.weights)

    def drawn_by(self, chance: random.Random) -> Callable[[], Word]:
        """What draws the next word."""
        words = [word for word, _ in self.weights]
        sums = list(accumulate(weight for _, weight in self.weights))
        draw, whole = chance.random, sums[-1]
        return lambda: words[bisect(sums, draw() * whole)]


class Popularity(Struct, frozen=True):
    """How often which of so many cards pays: the k-th by k to the power of -`zipf`; 0 is all alike."""

    cards: int
    zipf: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what can't be drawn from."""
        if not 1 <= self.cards <= CARDS_MAX:
            raise MixUnfit(f"cards: 1 to {CARDS_MAX}")
        if self.zipf < 0:
            raise MixUnfit("--zipf: 0 or more; 1 is Zipf's own")

    def __str__(self) -> str:
        return f"{self.cards} cards, " + (f"Zipf {self.zipf:g}" if self.zipf else "all alike")

    def drawn_by(self, chance: random.Random) -> Callable[[], int]:
        """What draws the number of the next card, from 0."""
        draw, cards = chance.random, self.cards
        if not self.zipf:
            return lambda: int(draw() * cards)
        sums = array("d", accumulate(rank**-self.zipf for rank in range(1, cards + 1)))
        whole = sums[-1]
        return lambda: bisect(sums, draw() * whole)
