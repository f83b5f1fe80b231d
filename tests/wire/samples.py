"""Messages of every kind that a dialect has room for, drawn at random."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from authz.wire.message import Elements, Message


def spaced(frame: bytes) -> bytes:
    """A frame written with spaces between its fields; none of them holds one."""
    return b"".join(frame.split())


def digits(least: int, most: int | None = None) -> SearchStrategy[str]:
    return st.text("0123456789", min_size=least, max_size=most or least)


def printable(least: int, most: int | None = None) -> SearchStrategy[str]:
    return st.text([chr(code) for code in range(0x20, 0x7F)], min_size=least, max_size=most or least)


def hexadecimal(least: int, most: int | None = None) -> SearchStrategy[str]:
    return st.binary(min_size=least, max_size=most or least).map(lambda block: block.hex().upper())


DATES = st.dates().map(lambda day: f"{day:%m%d}")
TIMES = st.times().map(lambda time: f"{time:%H%M%S}")
PANS = digits(12, 19)
EXPIRIES = st.dates().map(lambda day: f"{day:%y%m}")
OPTIONAL = {
    "processing_code": digits(6),
    "amount": digits(12),
    "transmitted": st.builds(str.__add__, DATES, TIMES),
    "trace": digits(6),
    "local_time": TIMES,
    "local_date": DATES,
    "settlement_date": DATES,
    "entry_mode": digits(3),
    "card_sequence": digits(3),
    "acquirer": digits(1, 11),
    "retrieval_reference": st.text("AZ09 ", min_size=12, max_size=12),
    "approval": st.text("AZ09", min_size=6, max_size=6),
    "response_code": st.text("AZ09", min_size=2, max_size=2),
    "terminal": printable(8),
    "merchant": printable(15),
    "reason": printable(0, 25),
    "elements": st.builds(Elements, cvv2=st.none() | digits(3), takes_partial=st.none() | st.just("1")),
    "currency": digits(3),
    "pin_block": hexadecimal(8),
    "balances": printable(0, 120),
    "chip": hexadecimal(1, 499),
    "settlement_code": digits(1),
    "network_code": digits(3),
    "credits_number": digits(10),
    "debits_reversal_number": digits(10),
    "credits_amount": digits(16),
    "debits_reversal_amount": digits(16),
    "original": digits(42),
    "replacement": st.builds(str.__add__, digits(12), printable(30)),
    "net_amount": st.builds(str.__add__, st.sampled_from("CD"), digits(16)),
    "mac": hexadecimal(8),
}
CARDS = st.builds(
    lambda pan, expiry, where: {
        "pan": pan if "2" in where else None,
        "expiry": expiry if "4" in where else None,
        "track2": f"{pan}={expiry}101" if "5" in where else None,
    },
    PANS,
    EXPIRIES,
    st.sets(st.sampled_from("245")),
)
MESSAGES = st.builds(
    lambda mti, card, rest: Message(mti=mti, **card, **rest),
    digits(4),
    CARDS,
    st.fixed_dictionaries({}, optional=OPTIONAL),
)
