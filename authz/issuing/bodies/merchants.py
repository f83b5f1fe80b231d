"""A merchant, as it is made known."""

from typing import Annotated, Literal

from msgspec import Meta

from authz.issuing.bodies.fields import END, Sent, Territory, Words

Accepted = Literal["90", "91", "92", "93", "94", "95"]
"""Products, as messages name them (DE 3)."""


class MerchantRequest(Sent, frozen=True):
    """An acceptor as messages name it (DE 42), and what it was approved for."""

    id: Annotated[str, Meta(pattern=rf"^[0-9A-Za-z]{{1,15}}{END}")]
    name: Words
    mcc: Annotated[str, Meta(pattern=rf"^[0-9]{{4}}{END}")]
    territory: Territory
    time_zone: Annotated[str, Meta(max_length=40)]
    accepts: Annotated[list[Accepted], Meta(max_length=10)]
