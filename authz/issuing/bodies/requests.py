"""What is asked of employers about cards, and what becomes of it."""

from datetime import date

from msgspec import Struct

from authz.decision.issuing.states import RequestKind, RequestStatus
from authz.issuing.bodies.fields import Id, Sent


class EmployersRequest(Sent, frozen=True):
    """What an employer asks for one of its holders."""

    holder: Id
    card: Id
    kind: RequestKind


class RequestView(Struct, frozen=True):
    """A request. `new` is the card that was made."""

    id: str
    client: str
    kind: RequestKind
    holder: str
    card: str
    asked_on: date
    status: RequestStatus
    new: str | None
