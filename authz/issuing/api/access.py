"""/v1/access: tokens, given and taken back by the issuer."""

from typing import Annotated, Any

from litestar import delete, post
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from authz.decision.issuing.states import Access, Role
from authz.issuing.access import END, IDS
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import Sent
from authz.issuing.api.problems import WRITE
from authz.issuing.names import new_id


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


@post("/access", responses=WRITE)
async def grant_access(data: JSONBody[AccessRequest], desks: Desks, write: Writing) -> AccessView:
    """Have a new token open something."""
    access_id = new_id("access", data.subject, write.key)
    return AccessView(
        access_id, await desks.gate.grant(access_id, Access(data.role, data.subject), write.key, write.by)
    )


@delete("/access/{access:str}", responses=WRITE)
async def revoke_access(access: Annotated[str, PathParameter(pattern=IDS)], desks: Desks, write: Writing) -> None:
    """Have a token open nothing from the next request on."""
    await desks.gate.revoke(access, write.key, write.by)
