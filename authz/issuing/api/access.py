"""/v1/access: tokens, given and taken back by the issuer."""

from typing import Annotated

from litestar import delete, post
from litestar.params import JSONBody, PathParameter

from authz.decision.issuing.states import Access
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.problems import WRITE
from authz.issuing.bodies.access import AccessRequest, AccessView
from authz.issuing.bodies.fields import IDS
from authz.issuing.names import new_id


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
