"""A PIN while it is typed: it goes in digit by digit, and comes out enciphered or as the chip's yes or no."""

from simulators.terminal.chip import Chip
from simulators.terminal.pinpad import PIN_DIGITS_MAX, PIN_DIGITS_MIN, PinPad


class PinEntry:
    """The digits that a PIN pad holds until `clear`. Nothing reads them; its repr shows none, nor how many."""

    def __init__(self, pad: PinPad) -> None:
        self._pad = pad
        self._digits = ""

    def __repr__(self) -> str:
        return "PinEntry(…)"

    def __len__(self) -> int:
        """How many digits were typed: as many dots as the screen shows."""
        return len(self._digits)

    def press(self, digit: str) -> None:
        """Take a digit; there is room for 12."""
        if len(self._digits) < PIN_DIGITS_MAX:
            self._digits += digit

    def rub_out(self) -> None:
        """Forget the last digit."""
        self._digits = self._digits[:-1]

    def clear(self) -> None:
        """Forget all."""
        self._digits = ""

    @property
    def is_whole(self) -> bool:
        """Whether there are enough digits for a PIN."""
        return len(self._digits) >= PIN_DIGITS_MIN

    def block(self, pan: str) -> str:
        """Let it out enciphered: DE 52."""
        return self._pad.block(self._digits, pan)

    def shown_to(self, chip: Chip) -> bool:
        """Let the chip say whether it is its own. Raises `PinBlocked`."""
        return chip.verify(self._digits)
