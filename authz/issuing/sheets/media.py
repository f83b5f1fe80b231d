"""What a beneficiaries file may be: its kind, and its size."""

from typing import Literal

Media = Literal["csv", "xlsx", "json"]

CONTENT_BYTES_MAX = 48 * 1024 * 1024
"""A file: 200,000 beneficiaries take some 20 MB as CSV, 40 MB as JSON."""
