"""What is asked at the counter on that day: five calls that support gets, and every refusal that leaves a record."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from authz.decision.outcomes import Reason
from authz.wire.message import Message
from simulators.terminal.messages import Entry
from tests.show.counter import CARDS, Counter, card

SUNDAY = datetime.fromisoformat("2026-05-17T12:30:00+02:00")
HOLIDAY = datetime.fromisoformat("2026-05-14T12:30:00+02:00")
ALICE, INES, JULES, LEA, MARIE = "0014", "0097", "0105", "0121", "0010"
REFERENCES = iter(range(1, 10_000))


def wrong(last4: str) -> str:
    """A PIN that isn't the card's."""
    return "0000" if CARDS[last4].pin != "0000" else "1111"


class Day:
    """The references (DE 37) of what was asked, by what it shows."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.asked: dict[str, str] = {}
        self.refused: dict[str, Reason] = {}

    def ask(self, name: str, request: Message, **changes: object) -> Message:
        """Ask under a reference of its own, a minute after what was asked before."""
        self.asked[name] = f"{next(REFERENCES):012}"
        reply = self.counter.ask(request, retrieval_reference=self.asked[name], **changes)
        assert reply.reason is not None
        self.refused[name] = Reason(reply.reason)
        self.counter.at += timedelta(minutes=1)
        return reply

    def live(self) -> None:
        """Let the day pass, and the days that follow."""
        self._calls()
        self._undone()
        again = self.counter.till().purchase(card("0147"), 300)
        self.ask("many 1", again)
        self.counter.ask(self.counter.till().reversal(again), retrieval_reference=self.asked["many 1"])
        for name, request in self._refused():
            self.ask(name, request)
        for at, name in ((HOLIDAY, "HOLIDAY"), (SUNDAY, "SUNDAY")):
            self.counter.at = at
            self.ask(name, self.counter.till().purchase(card(ALICE), 1_200))

    def _calls(self) -> None:
        till = self.counter.till()
        self.ask("lunch", till.purchase(card(ALICE), 1_200))
        self.ask("cap", till.purchase(card(ALICE), 1_250))
        for number in (1, 2, 3):
            self.ask(f"wrong PIN {number}", till.purchase(card(INES, pin=wrong(INES)), 900))
        self.ask("locked", till.purchase(card(INES), 900))
        self.ask("expired", till.purchase(card(LEA), 1_000))
        bruno = card("0022")
        self.ask("once", till.purchase(bruno, 650))
        self.ask("twice", till.purchase(bruno, 650))
        self.ask("inquiry", till.inquiry(card("0048")))

    def _undone(self) -> None:
        till, chloe = self.counter.till(), card("0030")
        held = till.authorization(chloe, 900)
        self.ask("hold", held)
        self.ask("completion", till.completion(chloe, held, 950))
        paid = till.purchase(chloe, 700)
        self.ask("paid", paid)
        self.ask("partly reversed", till.reversal(paid, stands=200))
        self.ask("reversed", till.reversal(paid))
        self.ask("offline", till.advice(chloe, 4_000_000))
        self.ask("partial", till.purchase(card("0048"), 9_999, takes_partial=True))
        self.ask("tapped", till.purchase(card("0147", pin=None), 500, entry=Entry.CONTACTLESS))

    def _refused(self) -> Iterator[tuple[str, Message]]:
        """A request for each reason that leaves a record, named after it."""
        till, web, hifi = self.counter.till(), self.counter.till("WEB00001"), self.counter.till("PAR00002")
        brussels, stranger = self.counter.till("BRU00001"), replace(card(ALICE), pan="9250100000009999")
        alice, jules = card(ALICE), card(JULES)
        yield "ACQUIRER_UNKNOWN", replace(till.purchase(alice, 100), acquirer="970009")
        yield "CARD_UNKNOWN", till.purchase(stranger, 100)
        yield "CARD_LOST", till.purchase(card("0071"), 100)
        yield "CARD_STOLEN", till.purchase(card("0063"), 100)
        yield "CARD_NOT_ACTIVE", till.purchase(card("0089"), 100)
        yield "CARD_REPLACED", till.purchase(card("0139"), 100)
        yield "PIN_LOCKED", till.purchase(card(INES), 100)
        yield "CARD_EXPIRED", till.purchase(card("0055"), 100)
        yield "PIN_WRONG", till.purchase(card(JULES, pin=wrong(JULES)), 100)
        yield "PIN_MISSING", till.purchase(card(JULES, pin=None), 100)
        yield "CVV_WRONG", web.purchase(card(ALICE, cvv2="947"), 100, entry=Entry.ONLINE)
        for number in (2, 3, 4, 5):
            yield f"CVV_WRONG {number}", web.purchase(card(ALICE, cvv2="947"), 100, entry=Entry.ONLINE)
        yield "ONLINE_LOCKED", web.purchase(card(ALICE, cvv2="947"), 100, entry=Entry.ONLINE)
        yield "ARQC_WRONG", replace(till.purchase(jules, 100), chip=FORGED)
        yield "TRANSACTION", replace(till.purchase(jules, 100), processing_code="019000")
        yield "AMOUNT", till.purchase(jules, 0)
        yield "CURRENCY", replace(till.purchase(jules, 100), currency="840")
        yield "PRODUCT_NOT_CHOSEN", brussels.purchase(card(MARIE), 100)
        yield "PRODUCT_NOT_HELD", till.purchase(jules, 100, product="92")
        yield "REFUND_NOT_ALLOWED", till.refund(jules, till.purchase(jules, 100), 100)
        yield "MERCHANT_UNKNOWN", replace(till.purchase(jules, 100), merchant="FR0000000009999")
        yield "MERCHANT_NOT_ELIGIBLE", hifi.purchase(jules, 100)
        yield "DAILY_CAP", till.purchase(alice, 1_250)
        yield "NO_FUNDS", till.purchase(card("0113"), 600)
        yield "VINTAGE_EXPIRED", till.purchase(card(LEA), 100)
        yield "NO_ORIGINAL", till.reversal(till.purchase(jules, 100))


FORGED = "9F26081122334455667788820239009F360200079F10080102030405060708"
"""A cryptogram that no card of this issuer made."""
RULES = {
    "ACQUIRER_UNKNOWN": "acquirer",
    "CARD_UNKNOWN": "card",
    "CARD_LOST": "card status",
    "CARD_STOLEN": "card status",
    "CARD_NOT_ACTIVE": "card status",
    "CARD_REPLACED": "card status",
    "PIN_LOCKED": "PIN tries",
    "CARD_EXPIRED": "expiry",
    "PIN_WRONG": "PIN",
    "PIN_MISSING": "PIN",
    "CVV_WRONG": "CVV2",
    "ONLINE_LOCKED": "CVV2",
    "ARQC_WRONG": "cryptogram",
    "TRANSACTION": "transaction",
    "AMOUNT": "amount",
    "CURRENCY": "currency",
    "PRODUCT_NOT_CHOSEN": "product",
    "PRODUCT_NOT_HELD": "product",
    "REFUND_NOT_ALLOWED": "refund",
    "MERCHANT_UNKNOWN": "merchant",
    "MERCHANT_NOT_ELIGIBLE": "eligibility",
    "DAILY_CAP": "daily cap",
    "NO_FUNDS": "funds",
    "VINTAGE_EXPIRED": "funds",
    "NO_ORIGINAL": "original",
    "HOLIDAY": "calendar",
    "SUNDAY": "calendar",
}
"""Which rule each refuses by."""
