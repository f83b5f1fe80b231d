"""`authz issue merchant …`: who takes which vouchers."""

from typing import Annotated

from cyclopts import App, Parameter

from authz.decision.reference import Merchant
from authz.issue_cli.api import Api, Write
from authz.issue_cli.showing import Facts, show_one
from authz.issuing.bodies.merchants import Accepted, MerchantRequest

merchant = App(name="merchant", help="Merchants, and which vouchers they take.")


@merchant.command(name="add")
def add_merchant(
    merchant: str,
    *,
    name: str,
    mcc: str,
    territory: str,
    time_zone: str,
    accepts: Annotated[list[Accepted] | None, Parameter(negative="")] = None,
    ask: Write | None = None,
) -> None:
    """Make a merchant known, or change what is known of one: the next payment there is decided by it.

    Parameters
    ----------
    merchant
        As messages name it (DE 42).
    name
        Its name.
    mcc
        Its category, four digits.
    territory
        Where it is: FR-75, FR-974, BE.
    time_zone
        Its zone, such as Europe/Paris.
    accepts
        A product that it was approved for, such as 90; may be said again.
    ask
        Where the API is.
    """
    body = MerchantRequest(merchant, name, mcc, territory, time_zone, accepts or [])
    with Api(ask or Write()) as api:
        made = api.write("POST", "/merchants", Merchant, body)
    facts: Facts = {"merchant": made.id, "name": made.name, "MCC": made.mcc, "accepts": " ".join(made.accepts)}
    show_one(ask, "Merchant", made, facts)
