"""/v1/merchants: who accepts which vouchers."""

from litestar import post
from litestar.params import JSONBody

from authz.decision.commands import RegisterMerchant
from authz.decision.reference import Merchant
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.problems import WRITE
from authz.issuing.bodies.merchants import MerchantRequest


@post("/merchants", responses=WRITE)
async def register_merchant(data: JSONBody[MerchantRequest], desks: Desks, write: Writing) -> Merchant:
    """Make a merchant known, or change what is known of one: the next payment there is decided by it."""
    merchant = Merchant(data.id, data.name, data.mcc, data.territory, data.time_zone, tuple(data.accepts))
    await desks.issuer.do(RegisterMerchant(merchant), write.key, write.by)
    return merchant
