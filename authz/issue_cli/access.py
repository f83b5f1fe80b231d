"""`authz issue access …`: tokens, given and taken back."""

from cyclopts import App

from authz.decision.issuing.states import Role
from authz.issue_cli.api import Api, Write
from authz.issue_cli.showing import show_one
from authz.issuing.bodies.access import AccessRequest, AccessView

access = App(name="access", help="Tokens: given, and taken back.")


@access.command
def grant(role: Role, subject: str = "", *, ask: Write | None = None) -> None:
    """Have a new token open something, and print it.

    Parameters
    ----------
    role
        What its bearer may do.
    subject
        The client's, agent's or holder's id; nothing for the issuer's own people.
    ask
        Where the API is.
    """
    with Api(ask or Write()) as api:
        made = api.write("POST", "/access", AccessView, AccessRequest(role, subject))
    show_one(ask, "Access", made, {"access": made.id, "token": made.token})


@access.command
def revoke(access: str, *, ask: Write | None = None) -> None:
    """Have a token open nothing from the next request on.

    Parameters
    ----------
    access
        The access's id: what stands before the dot of its token.
    ask
        Where the API is.
    """
    with Api(ask or Write()) as api:
        api.write("DELETE", f"/access/{access}", type(None))
    show_one(ask, "Access", {"access": access}, {"access": access, "token": "opens nothing any longer"})
