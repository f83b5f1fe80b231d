"""Lists come in pages: one without `next` is the last."""

from typing import Generic, TypeVar

from msgspec import Struct

V = TypeVar("V")

PAGE, PAGE_MAX = 50, 100
"""Things in a page, unless asked for otherwise, and at most."""


class Page(Struct, Generic[V], frozen=True):
    """Some of a list. `next` is None at its end."""

    items: list[V]
    next: str | None
