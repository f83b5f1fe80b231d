"""A position is read as it was written, and what many holders have in common is in memory once."""

from datetime import date

from authz.decision.position import Card, CardStatus, DaySpend, Position
from authz.engine.passbooks import decode_state, encode_state
from ledger.values import Cents, HolderId, Lot, Purse


def position(holder: int) -> Position:
    """A holder's position, each with a card of their own."""
    lot = Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(1_000 + holder))
    return Position(
        purse=Purse((lot,)),
        cards=(Card(f"c{holder}", "apetiz", 2, "2806", CardStatus.ACTIVE, pin_wrong=1),),
        products=("90",),
        spent=(DaySpend("90", date(2026, 5, 12), Cents(5)),),
        employer="E1",
        works_days_off=True,
        employers=("E1", "E2"),
    )


def test_what_is_read_is_what_was_written_and_shares_its_words() -> None:
    written = [position(holder) for holder in (1, 2)]
    read = [decode_state(HolderId("h1"), encode_state(one).decode()) for one in written]
    assert read == written
    one, other = read
    assert isinstance(one, Position)
    assert isinstance(other, Position)
    for mine, theirs in (
        (one.purse.lots[0].product, other.purse.lots[0].product),
        (one.purse.lots[0].name, other.purse.lots[0].name),
        (one.cards[0].programme, other.cards[0].programme),
        (one.cards[0].expiry, other.cards[0].expiry),
        (one.products[0], other.products[0]),
        (one.employer, other.employer),
        (one.employers[1], other.employers[1]),
    ):
        assert mine is theirs
