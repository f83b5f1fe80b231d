"""/v1/merchants: who accepts which vouchers."""

from typing import Annotated, Literal

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from authz.decision.commands import RegisterMerchant
from authz.decision.reference import Merchant
from authz.issuing.access import END
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import Sent, Territory, Words
from authz.issuing.api.problems import WRITE

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


@post("/merchants", responses=WRITE)
async def register_merchant(data: JSONBody[MerchantRequest], desks: Desks, write: Writing) -> Merchant:
    """Make a merchant known, or change what is known of one: the next payment there is decided by it."""
    merchant = Merchant(data.id, data.name, data.mcc, data.territory, data.time_zone, tuple(data.accepts))
    await desks.issuer.do(RegisterMerchant(merchant), write.key, write.by)
    return merchant
