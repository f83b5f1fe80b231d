"""What a message leaves in the journal: no card, no PIN, and of a field that is not used its number and length."""

import asyncio
import json
from collections.abc import Callable, Iterator

import msgspec
import pytest
from psec.pinblock import encode_pinblock_iso_0

from authz.wire.message import Message
from simulators.acquirer.totals import Totals
from simulators.terminal.card import Card
from tests.acceptance.counter import DEMO, network, signed, totals
from tests.acceptance.secrets_sought import Secrets, columns
from tests.acceptance.shop import Shop, said
from tests.acceptance.test_messages import DAY

NOTES = "a secret of 9250100000000014, told in a field that nobody reads"


def each_kind(shop: Shop, card: Card) -> Iterator[Message]:
    """One message of each row, and more of what can come of it."""
    till = shop.till
    hold, purchase = till.authorization(card, 113), till.purchase(card, 213)
    yield from (hold, purchase, till.inquiry(card))
    yield msgspec.structs.replace(till.purchase(card, 13), pan=None, track2=card.track2)
    yield till.refund(card, purchase, 13)
    yield till.completion(card, hold, 13)
    yield from (till.advice(card, 13), till.hold_advice(card, 13), till.advice(card, 13, response_code="05"))
    yield from (till.reversal(purchase, stands=113), till.reversal_advice(purchase))
    yield till.reversal(till.purchase(card, 13))
    yield msgspec.structs.replace(till.advice(card, 13), retrieval_reference=card.pan[:12], mti="0600")
    yield from (totals(Totals(), DAY), network("301"), network("201"))


@pytest.mark.parametrize("dialect", ["iso87ascii", "iso87bcd"])
def test_no_message_leaves_a_card_number_or_a_pin(own_shop: Callable[..., Shop], dialect: str) -> None:
    shop = own_shop(dialect=dialect).open()
    card = shop.customer()
    assert card.pin is not None
    sent = list(each_kind(shop, card))
    codes = {shop.ask(request).response_code for request in sent}
    assert codes == {"00", "25", "30", "57"}
    shop.line.ask_bytes(signed(shop.till.purchase(card, 13), shop.codec))
    secrets = Secrets(
        long=frozenset(
            {card.pan, card.track2.replace("=", "D"), encode_pinblock_iso_0(card.pin, card.pan).hex(), DEMO.link.zpk}
            | {request.pin_block for request in sent if request.pin_block}
        ),
        short=frozenset({card.pin}),
    )
    places: dict[str, list[bytes | str]] = {
        "output": [shop.authorizer.output, shop.authorizer.errors, shop.authorizer.get("/metrics")[1]],
        **asyncio.run(columns(shop.database.superuser_url)),
    }
    assert {"ledger.journal_000000.request", "ledger.identity.digest"} <= set(places)
    assert [*(hit for place, contents in places.items() for hit in secrets.found_in(place, contents))] == []
    assert [*secrets.found_in("a record", [f'{{"pan":"{card.pan}"}}'])] != []


@pytest.mark.parametrize("mti", ["0200", "0220", "0400"])
def test_a_field_that_is_not_used_is_kept_masked(shop: Shop, mti: str) -> None:
    """DE 60: the last field of a message without a MAC, so that its bytes can be put behind the others."""
    purchase = shop.till.purchase(shop.customer(), 100)
    advice, reversal = shop.till.advice(shop.customer(), 100), shop.till.reversal(purchase)
    request = {one.mti: one for one in (purchase, advice, reversal)}[mti]
    reply = shop.codec.decode(shop.line.ask_bytes(with_de_60(shop.codec.encode(request), NOTES)))
    assert said(reply) == (("00", "APPROVED") if mti != "0400" else ("25", "NO_ORIGINAL"))
    [record] = shop.recorded(request)
    assert json.loads(record["request"])["command"]["origin"]["unused"] == [[60, len(NOTES)]]
    assert "secret of" not in str(dict(record))


def with_de_60(frame: bytes, text: str) -> bytes:
    """A frame in iso87ascii with a DE 60; a DE 90 goes behind it."""
    secondary = int(frame[4:20], 16) >> 63
    bitmap = int(frame[4:20], 16) | 1 << (64 - 60)
    tail = 42 if secondary else 0
    head, rest = frame[20 : len(frame) - tail], frame[len(frame) - tail :]
    return frame[:4] + b"%016X" % bitmap + head + f"{len(text):03}{text}".encode() + rest
