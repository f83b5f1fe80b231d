"""What a holder is shown, and asks for."""

from datetime import date
from typing import Literal

from msgspec import Struct

from authz.decision.issuing.states import ClientId, RequestKind
from authz.decision.position import CardId, CardStatus
from authz.issuing.bodies.fields import Id, LotName, Product, Sent
from ledger.values import Cents, HolderId


class Vouchers(Struct, frozen=True, gc=False):
    """What is left of one lot, in cents: a vintage, or one load. Valid on both days and between them."""

    lot: str
    amount: Cents
    valid_from: date
    valid_until: date


class Expired(Struct, frozen=True, gc=False):
    """What of a lot expired unspent and waits.

    `exchange_until` and `reactivate_until` are the last days to ask for the next vintage, or to have it made valid once
    more; None: that can't be asked, or no more.
    """

    lot: str
    amount: Cents
    valid_until: date
    exchange_until: date | None
    reactivate_until: date | None


class Balance(Struct, frozen=True, gc=False):
    """A holder's vouchers of one product.

    `available` can be spent today, `held` is set aside by authorizations; `cap_left` is what of it can still be spent
    today where a cap is in force (None: none is), at merchants for whom there is no cap of their own.
    """

    product: str
    name: str
    available: Cents
    held: Cents
    cap_left: Cents | None
    vouchers: tuple[Vouchers, ...]
    expired: tuple[Expired, ...]


class CardView(Struct, frozen=True, gc=False):
    """A card as it may be shown: `number` is masked, `expiry` the first day of its last month."""

    card: CardId
    programme: str
    generation: int
    number: str
    expiry: date
    status: CardStatus
    locked: bool


class HolderView(Struct, frozen=True, gc=False):
    """All that a holder is shown beside their operations. `employers` are the accounts that loaded vouchers."""

    holder: HolderId
    balances: tuple[Balance, ...]
    cards: tuple[CardView, ...]
    employers: tuple[ClientId, ...]


class LotRequest(Sent, frozen=True):
    """Which expired lot it is about, as the holder's balances name it."""

    product: Product
    lot: LotName


class Opposition(Sent, frozen=True):
    """Why a card is stopped."""

    because: Literal["lost", "stolen", "fraud"]


class HoldersRequest(Sent, frozen=True):
    """What is asked about a card, and of which employer."""

    kind: RequestKind
    client: Id
