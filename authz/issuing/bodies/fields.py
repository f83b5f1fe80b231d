"""What fields of requests are made of, wherever they stand: checked once, at the edge."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from authz.issuing.person import Person

END = r"$(?!\n)"
"""Where a pattern ends: Python's own `$` lets a line end pass behind it."""
IDS = rf"^[0-9A-Za-z_-]{{1,64}}{END}"
"""What ids in requests are made of: no colon, which joins them to names of passbooks."""

Id = Annotated[str, Meta(pattern=IDS)]
Words = Annotated[str, Meta(min_length=1, max_length=100, pattern=rf"^[^\x00-\x1f\x7f]*{END}")]
"""A name of somebody or something."""
Email = Annotated[
    str, Meta(max_length=254, pattern=rf"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+{END}")
]
Product = Annotated[str, Meta(pattern=rf"^[0-9]{{2}}{END}")]
LotName = Annotated[str, Meta(pattern=rf"^[0-9A-Za-z+_-]{{1,40}}{END}")]
Territory = Annotated[str, Meta(pattern=rf"^[A-Z]{{2}}(-[0-9A-Z]{{2,3}})?{END}")]
"""`FR-` and a département, or another country."""
Positive = Annotated[int, Meta(gt=0, le=10**15)]
"""An amount in cents."""


class Sent(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: what it doesn't know it refuses, so that a slip of the pen isn't passed over."""


class Someone(Sent, frozen=True):
    """A person, as they are written to. Its repr shows nothing."""

    first_name: Words
    last_name: Words
    email: Email
    language: Literal["fr", "nl", "en"] = "fr"

    @property
    def person(self) -> Person:
        """The same, as contacts have them."""
        return Person(self.first_name, self.last_name, self.email, self.language)

    def __repr__(self) -> str:
        return "Someone(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
