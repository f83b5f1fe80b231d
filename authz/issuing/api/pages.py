"""Lists come in pages: `?after=` is the last page's `next`, and a page without one is the last."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from authz.issuing.bodies.pages import PAGE_MAX, Page

T = TypeVar("T")
V = TypeVar("V")

After = Annotated[str, QueryParameter(name="after", max_length=64, description="The `next` of the page before.")]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=PAGE_MAX, description="Things in the page, at most.")]


def page(found: Sequence[T], limit: int, view: Callable[[T], V], place: Callable[[T], str]) -> Page[V]:
    """Make a page of what was found behind `after`, of which there may be one more than `limit`.

    `place` is what `after` names a thing by.
    """
    some = found[:limit]
    return Page([view(one) for one in some], place(some[-1]) if len(found) > limit else None)
