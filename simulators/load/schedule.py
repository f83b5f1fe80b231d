"""When requests are due: arrival times that are fixed beforehand, by a seed, whatever is answered meanwhile."""

import math
import random
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

LUNCH_FLOOR = 0.1
"""What a lunch begins and ends with, as a part of its peak."""
LUNCH_SPREAD = 1 / 7
"""The standard deviation of a lunch's bell, as a part of its length."""
LUNCH_STEPS = 1_000
"""Into so many parts is a lunch cut to tell how many requests it comes to."""


class Pace(StrEnum):
    """How arrivals are spread over time."""

    POISSON = "poisson"
    """Independent arrivals, as customers are."""
    UNIFORM = "uniform"
    LUNCH = "lunch"
    """Independent arrivals under a bell: from a tenth of the rate to all of it in the middle, and back."""


class Schedule(Struct, frozen=True):
    """Arrivals: seconds from the start, ascending, the same whenever it is iterated. Negative ones are the warm-up's.

    `rate` is requests a second; of a lunch, at its peak. Iterating keeps one arrival in memory.

    >>> Schedule(4, 1, Pace.UNIFORM, warm_up_seconds=0.5).arrivals
    (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
    """

    rate: float
    seconds: float
    pace: Pace = Pace.POISSON
    seed: int = 1
    warm_up_seconds: float = 0.0

    def __iter__(self) -> Iterator[float]:
        if self.pace is Pace.UNIFORM:
            warm_up = round(self.rate * self.warm_up_seconds)
            return (number / self.rate for number in range(-warm_up, round(self.rate * self.seconds)))
        return self._independent()

    @property
    def arrivals(self) -> tuple[float, ...]:
        """All of them at once."""
        return tuple(self)

    @property
    def asked_rate(self) -> float:
        """Requests a second on average, the warm-up left out."""
        if self.pace is not Pace.LUNCH:
            return self.rate
        middles = ((number + 0.5) / LUNCH_STEPS * self.seconds for number in range(LUNCH_STEPS))
        return self.rate * math.fsum(map(self._intensity, middles)) / LUNCH_STEPS

    def _independent(self) -> Iterator[float]:
        """Thin a Poisson process of the peak's rate: Lewis and Shedler, 1979."""
        chance = random.Random(self.seed)  # noqa: S311 - a reproducible schedule, not a secret
        at = chance.expovariate(self.rate) - self.warm_up_seconds
        while at < self.seconds:
            if self.pace is Pace.POISSON or chance.random() < self._intensity(at):
                yield at
            at += chance.expovariate(self.rate)

    def _intensity(self, at: float) -> float:
        """The part of its peak that a lunch has reached."""
        deviations = (at - self.seconds / 2) / (self.seconds * LUNCH_SPREAD)
        return LUNCH_FLOOR + (1 - LUNCH_FLOOR) * math.exp(-deviations * deviations / 2)
