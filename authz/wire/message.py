"""An ISO 8583 message as a typed value: content-checked texts, one attribute a field that this project uses."""

from msgspec import Struct


class Elements(Struct, frozen=True, kw_only=True):
    """The elements of DE 48 (tag, three-digit length, value). Holds secrets: its repr shows none."""

    cvv2: str | None = None
    """`CV`"""
    takes_partial: str | None = None
    """`PA`, 1: the terminal takes partial approvals."""
    key_block: str | None = None
    """`KB`, a TR-31 key block."""
    key_check: str | None = None
    """`KC`, a key check value."""
    key_serial: str | None = None
    """`KS`, a DUKPT key serial number."""
    tries_left: str | None = None
    """`TR`, in replies: PIN tries left."""

    def __repr__(self) -> str:
        return "Elements(…)"


class Message(Struct, frozen=True, kw_only=True):
    """One message. Texts are as received, fixed-length ones with their padding; None: the field is absent.

    Its repr names the fields that are there and shows the content of none.
    """

    mti: str
    pan: str | None = None
    processing_code: str | None = None
    amount: str | None = None
    transmitted: str | None = None
    trace: str | None = None
    local_time: str | None = None
    local_date: str | None = None
    expiry: str | None = None
    settlement_date: str | None = None
    entry_mode: str | None = None
    card_sequence: str | None = None
    acquirer: str | None = None
    track2: str | None = None
    retrieval_reference: str | None = None
    approval: str | None = None
    response_code: str | None = None
    terminal: str | None = None
    merchant: str | None = None
    reason: str | None = None
    elements: Elements | None = None
    currency: str | None = None
    pin_block: str | None = None
    balances: str | None = None
    chip: str | None = None
    settlement_code: str | None = None
    network_code: str | None = None
    original: str | None = None
    replacement: str | None = None
    mac: str | None = None
    unused: tuple[tuple[int, int], ...] = ()
    """Known fields that came and that nothing reads: number and length."""

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if name != "mti" and getattr(self, name)]
        return f"Message({self.mti}: {', '.join(names)})"
