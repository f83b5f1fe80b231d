"""Tokens: what one is to open, and the token itself."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from authz.decision.issuing.states import Role
from authz.issuing.bodies.fields import END, Sent


class AccessRequest(Sent, frozen=True):
    """What a token is to open. `subject` is a client's, an agent's or a holder's id; empty for the issuer's people."""

    role: Role
    subject: Annotated[str, Meta(pattern=rf"^[0-9A-Za-z_-]{{0,64}}{END}")] = ""


class AccessView(Struct, frozen=True):
    """A token, and the id by which it is taken back. Its repr shows no token."""

    id: str
    token: str

    def __repr__(self) -> str:
        return f"AccessView({self.id})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]
