"""How long things took, as histograms that can be kept, added and compared."""

from collections.abc import Iterable
from typing import Self

from hdrh.histogram import HdrHistogram

LATENCY_MAX_MICROSECONDS = 60_000_000
"""Longer latencies are recorded as this."""
SIGNIFICANT_FIGURES = 3
NS_PER_SECOND = 1_000_000_000
NS_PER_MICROSECOND = 1_000


class Latencies:
    """Latencies with relative errors below 0.1 %, from 1 µs to `LATENCY_MAX_MICROSECONDS`.

    `histogram` is hdrhistogram's own, in microseconds.
    """

    def __init__(self) -> None:
        self.histogram = HdrHistogram(1, LATENCY_MAX_MICROSECONDS, SIGNIFICANT_FIGURES)

    @classmethod
    def sum_of(cls, parts: Iterable["Latencies"]) -> Self:
        """All that was recorded in any of the parts."""
        whole = cls()
        for part in parts:
            whole.histogram.add(part.histogram)
        return whole

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote. Raises ValueError for anything else."""
        latencies = cls()
        try:
            latencies.histogram.decode_and_add(text.encode("ascii"))
        except Exception:  # hdrh raises what zlib, base64, ctypes and it itself have
            raise ValueError("not an hdrhistogram") from None
        return latencies

    def encode(self) -> str:
        """The histogram as text: hdrhistogram's own V2 format, compressed, in base 64; values are microseconds."""
        encoded: bytes = self.histogram.encode()
        return encoded.decode("ascii")

    def record(self, nanoseconds: int) -> None:
        """Count one; what is out of range counts at its edge."""
        microseconds = nanoseconds // NS_PER_MICROSECOND
        self.histogram.record_value(min(max(microseconds, 1), LATENCY_MAX_MICROSECONDS))

    def clear(self) -> None:
        """Forget what was recorded."""
        self.histogram.reset()

    @property
    def count(self) -> int:
        """How many were recorded."""
        recorded: int = self.histogram.total_count
        return recorded

    def milliseconds(self, percentile: float) -> float:
        """Tell a percentile (0 to 100); 0 where nothing was recorded."""
        microseconds: int = self.histogram.get_value_at_percentile(percentile)
        return microseconds / 1_000
