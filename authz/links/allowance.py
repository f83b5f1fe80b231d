"""How many requests of one link may be in flight, over all its connections, and whose turn it is for the next."""

from collections import OrderedDict
from collections.abc import Callable

IN_FLIGHT_MAX = 1_024

Turn = Callable[[], None]
"""Called with one place in hand: it takes up one request, or gives the place back, and may ask again at once."""


class Allowance:
    """A link's places for requests in flight, handed out in rotation.

    Who asks stands in line once, and gets one place a turn: a connection with a thousand requests to spare and one
    with a single one wait equally long for the next.

    >>> allowance, taken = Allowance(1), []
    >>> allowance.ask(lambda: taken.append("first"))
    >>> allowance.ask(lambda: taken.append("second"))
    >>> taken
    ['first']
    >>> allowance.give_back()
    >>> taken
    ['first', 'second']
    """

    def __init__(self, places_max: int) -> None:
        self.free = places_max
        self._line: OrderedDict[Turn, None] = OrderedDict()
        self._handing_out = False

    def ask(self, turn: Turn) -> None:
        """Stand in line: `turn` is called with a place, at once where one is free."""
        self._line[turn] = None
        self._hand_out()

    def withdraw(self, turn: Turn) -> None:
        """Leave the line."""
        self._line.pop(turn, None)

    def give_back(self) -> None:
        """Return a place; the next in line has it."""
        self.free += 1
        self._hand_out()

    def change(self, places: int) -> None:
        """Have so many places more, or fewer: those that are taken stay taken until they are given back."""
        self.free += places
        self._hand_out()

    def _hand_out(self) -> None:
        """Give places away while there are any. A turn that asks or gives back is served by the loop it runs in."""
        if self._handing_out:
            return
        self._handing_out = True
        try:
            while self.free > 0 and self._line:
                turn, _ = self._line.popitem(last=False)
                self.free -= 1
                turn()
        finally:
            self._handing_out = False
