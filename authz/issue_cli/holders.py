"""`authz issue holder · requests`: what holders see and do about their cards, and what employers answer."""

from typing import Literal

from cyclopts import App

from authz.decision.issuing.states import RequestKind
from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.showing import Cell, Facts, show_list, show_one
from authz.issue_cli.told import Before, show_operations
from authz.issuing.bodies.holders import Balance, HoldersRequest, HolderView, LotRequest, Opposition
from authz.issuing.bodies.operations import OperationsPage
from authz.issuing.bodies.requests import EmployersRequest, RequestView
from ledger.printing import print_json

holder = App(name="holder", help="A holder's balances, operations and cards.")
requests = App(name="requests", help="New cards and PINs that holders ask for, and their employer answers.")


@holder.command
def show(holder: str, *, ask: Ask | None = None) -> None:
    """Show balances by product and vintage, what expired, and cards."""
    with Api(ask or Ask()) as api:
        _show(ask, api.read(f"/holders/{holder}", HolderView))


@holder.command
def operations(holder: str, *, before: Before = None, ask: Ask | None = None) -> None:
    """Show what happened, newest first."""
    query = "" if before is None else f"?before={before}"
    with Api(ask or Ask()) as api:
        page = api.read(f"/holders/{holder}/operations{query}", OperationsPage)
    show_operations(ask, page)


@holder.command
def activate(holder: str, card: str, *, ask: Write | None = None) -> None:
    """Have a card pay from now on."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/holders/{holder}/cards/{card}/activation", HolderView))


@holder.command
def oppose(holder: str, card: str, *, because: Literal["lost", "stolen", "fraud"], ask: Write | None = None) -> None:
    """Stop a card, for good: the very next payment with it is refused."""
    with Api(ask or Write()) as api:
        path = f"/holders/{holder}/cards/{card}/opposition"
        _show(ask, api.write("POST", path, HolderView, Opposition(because)))


@holder.command
def ask(holder: str, card: str, *, kind: RequestKind, client: str, ask: Write | None = None) -> None:
    """Ask an employer for a new card (remake), or for the PIN again (pin)."""
    with Api(ask or Write()) as api:
        path = f"/holders/{holder}/cards/{card}/requests"
        _show_request(ask, api.write("POST", path, RequestView, HoldersRequest(kind, client)))


@holder.command
def exchange(holder: str, *, product: str, lot: str, ask: Write | None = None) -> None:
    """Exchange an expired lot for the next vintage, free."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/holders/{holder}/exchanges", HolderView, LotRequest(product, lot)))


@holder.command
def reactivate(holder: str, *, product: str, lot: str, ask: Write | None = None) -> None:
    """Have an expired lot made valid once more."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/holders/{holder}/reactivations", HolderView, LotRequest(product, lot)))


@holder.command
def unlock(holder: str, card: str, *, ask: Write | None = None) -> None:
    """Let a card be used online again, after too many wrong CVV2."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("POST", f"/holders/{holder}/cards/{card}/online-unlock", HolderView))


@requests.command(name="list")
def list_requests(*, client: str, ask: Ask | None = None) -> None:
    """List what was asked of a client."""
    with Api(ask or Ask()) as api:
        found = api.all(f"/clients/{client}/requests", RequestView)
    columns = {
        "request": lambda one: one.id,
        "kind": lambda one: one.kind,
        "holder": lambda one: one.holder,
        "card": lambda one: one.card,
        "asked on": lambda one: one.asked_on,
        "status": lambda one: one.status,
        "new card": lambda one: one.new,
    }
    show_list(ask, f"Requests to {client}", found, columns)


@requests.command
def make(holder: str, card: str, *, kind: RequestKind, client: str, ask: Write | None = None) -> None:
    """Ask for a holder's new card (remake), or for their PIN again (pin), as their employer."""
    with Api(ask or Write()) as api:
        body = EmployersRequest(holder, card, kind)
        _show_request(ask, api.write("POST", f"/clients/{client}/requests", RequestView, body))


@requests.command
def validate(request: str, *, client: str, ask: Write | None = None) -> None:
    """Validate what a holder asked: the card is made, or the PIN sent."""
    with Api(ask or Write()) as api:
        _show_request(ask, api.write("POST", f"/clients/{client}/requests/{request}/validation", RequestView))


@requests.command
def refuse(request: str, *, client: str, ask: Write | None = None) -> None:
    """Refuse what a holder asked."""
    with Api(ask or Write()) as api:
        _show_request(ask, api.write("POST", f"/clients/{client}/requests/{request}/refusal", RequestView))


def _show(ask: Ask | None, shown: HolderView) -> None:
    """Print balances a line a lot, and then the cards."""
    if ask is not None and ask.as_json:
        print_json(shown)
        return
    for one in shown.balances:
        _show_balance(ask, one)
    columns = {
        "card": lambda card: card.card,
        "number": lambda card: card.number,
        "until": lambda card: f"{card.expiry:%Y-%m}",
        "status": lambda card: card.status,
        "locked": lambda card: card.locked,
    }
    show_list(ask, f"Cards of {shown.holder}", shown.cards, columns)


def _show_balance(ask: Ask | None, balance: Balance) -> None:
    facts: dict[str, Cell] = {
        "can be spent, €": balance.available,
        "set aside, €": balance.held,
        "left of today's cap, €": balance.cap_left,
    }
    for lot in balance.vouchers:
        facts[f"{lot.lot}, until {lot.valid_until}, €"] = lot.amount
    for gone in balance.expired:
        exchange, again = gone.exchange_until, gone.reactivate_until
        hint = f", exchange until {exchange}" if exchange else f", reactivation until {again}" if again else ""
        facts[f"{gone.lot} expired{hint}, €"] = gone.amount
    show_one(ask, f"{balance.product} {balance.name}", balance, facts)


def _show_request(ask: Ask | None, asked: RequestView) -> None:
    facts: Facts = {
        "request": asked.id,
        "kind": asked.kind,
        "holder": asked.holder,
        "card": asked.card,
        "asked on": asked.asked_on,
        "status": asked.status,
        "new card": asked.new,
    }
    show_one(ask, "Request", asked, facts)
