"""The highest rate that is held: rates are tried upwards by steps, then between the last held and the first that isn't.

A machine that others use stalls now and then. So a rate counts as not held only when it wasn't twice in a row.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

TRIES_A_RATE_MAX = 2
STEPS_MAX = 32
"""Rates tried in all."""

T = TypeVar("T")


class Try(Struct, Generic[T], frozen=True):
    """One measurement at a rate, in requests a second."""

    rate: float
    held: bool
    measured: T


class Found(Struct, Generic[T], frozen=True):
    """Every try, in its order, and the highest rate that was held: None where not even the first was."""

    tries: tuple[Try[T], ...]

    @property
    def best(self) -> Try[T] | None:
        """The highest rate that was held."""
        return max((one for one in self.tries if one.held), key=lambda one: one.rate, default=None)


async def highest_held(
    measure: Callable[[float], Awaitable[T]],
    is_held: Callable[[T], bool],
    *,
    start: float,
    most: float,
    step: float = 1.5,
    within: float = 0.05,
) -> Found[T]:
    """Search from `start` up to `most`, in steps of a ratio, then halve what is between until it is `within` a part.

    Where `start` isn't held, rates are tried downwards by the same ratio.
    """
    tries: list[Try[T]] = []

    async def holds(rate: float) -> bool:
        for _ in range(TRIES_A_RATE_MAX):
            measured = await measure(rate)
            tries.append(Try(rate, is_held(measured), measured))
            if tries[-1].held:
                return True
        return False

    rate, held, broken = min(start, most), 0.0, 0.0
    for _ in range(STEPS_MAX):
        if await holds(rate):
            held = rate
        else:
            broken = rate
        if held >= most or (held and broken and broken - held <= within * held) or rate < 1:
            break
        rate = (held + broken) / 2 if held and broken else min(held * step, most) if held else broken / step
    return Found(tuple(tries))
