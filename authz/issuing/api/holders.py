"""/v1/holders: what a holder sees and asks for, free and at any hour (R3262-1-2)."""

from http import HTTPStatus
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from authz.decision.issuing.states import ClientId
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import CardInPath, HolderInPath
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.api.requests import request_view
from authz.issuing.bodies.holders import HoldersRequest, HolderView, LotRequest, Opposition
from authz.issuing.bodies.operations import OperationsPage
from authz.issuing.bodies.requests import RequestView
from ledger.values import Seq

SEQ_MAX = 2**63 - 1

Before = Annotated[
    int | None, QueryParameter(name="before", ge=1, le=SEQ_MAX, description="The `next` of the page before.")
]


@get("/holders/{holder:str}", responses=READ)
async def read_holder(holder: HolderInPath, desks: Desks) -> HolderView:
    """Read balances by product and vintage, what expired, what can be asked, and cards."""
    return await desks.holders.balances(holder)


@get("/holders/{holder:str}/operations", responses=READ)
async def list_operations(holder: HolderInPath, desks: Desks, before: Before = None) -> OperationsPage:
    """List what happened, newest first."""
    return await desks.holders.operations(holder, None if before is None else Seq(before))


@post("/holders/{holder:str}/exchanges", status_code=HTTPStatus.OK, responses=WRITE)
async def exchange_lot(holder: HolderInPath, data: JSONBody[LotRequest], desks: Desks, write: Writing) -> HolderView:
    """Exchange an expired lot for the next vintage, free (R3262-5)."""
    await desks.holders.exchange(holder, data.product, data.lot, write.by, write.key)
    return await desks.holders.balances(holder)


@post("/holders/{holder:str}/reactivations", status_code=HTTPStatus.OK, responses=WRITE)
async def reactivate_lot(holder: HolderInPath, data: JSONBody[LotRequest], desks: Desks, write: Writing) -> HolderView:
    """Have an expired lot made valid once more."""
    await desks.holders.reactivate(holder, data.product, data.lot, write.by, write.key)
    return await desks.holders.balances(holder)


@post("/holders/{holder:str}/cards/{card:str}/activation", status_code=HTTPStatus.OK, responses=WRITE)
async def activate_card(holder: HolderInPath, card: CardInPath, desks: Desks, write: Writing) -> HolderView:
    """Have a card pay from now on."""
    await desks.cards.activate(holder, card, write.by, write.key)
    return await desks.holders.balances(holder)


@post("/holders/{holder:str}/cards/{card:str}/opposition", status_code=HTTPStatus.OK, responses=WRITE)
async def oppose_card(
    holder: HolderInPath, card: CardInPath, data: JSONBody[Opposition], desks: Desks, write: Writing
) -> HolderView:
    """Stop a card, for good: the very next payment with it is refused."""
    await desks.cards.oppose(holder, card, data.because, write.by, write.key)
    return await desks.holders.balances(holder)


@post("/holders/{holder:str}/cards/{card:str}/requests", responses=WRITE)
async def ask_for_card(
    holder: HolderInPath, card: CardInPath, data: JSONBody[HoldersRequest], desks: Desks, write: Writing
) -> RequestView:
    """Ask an employer for a new card, or for the PIN again."""
    return request_view(await desks.cards.ask(holder, card, data.kind, ClientId(data.client), write.by, write.key))


@post("/holders/{holder:str}/cards/{card:str}/online-unlock", status_code=HTTPStatus.OK, responses=WRITE)
async def unlock_card(holder: HolderInPath, card: CardInPath, desks: Desks, write: Writing) -> HolderView:
    """Let a card be used online again, after too many wrong CVV2."""
    await desks.cards.lift_online_lock(holder, card, write.by, write.key)
    return await desks.holders.balances(holder)
