"""Customers who pay a cent at a time while something happens to the authorizer, and keep what they were told."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from authz.wire.message import Message
from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import rows
from tests.acceptance.counter import Closed, ask, purchase

CARDS = ("0014", "0022")
CENTS = 1
"""So little that a day's cap lasts for 1,900 payments."""
AGAIN_S = 0.02

RECORDS = """
SELECT request -> 'command' -> 'origin' ->> 'trace' AS trace FROM ledger.journal
 WHERE kind = 'purchase' AND reason = 'APPROVED'"""


class Customer(threading.Thread):
    """Pays again and again; each payment is asked for, wherever somebody answers, until it is decided."""

    def __init__(self, last4: str, ports: list[int]) -> None:
        super().__init__(daemon=True)
        self.approved: list[str] = []
        """Trace numbers."""
        self.refused = 0
        """Answers 91: nothing was recorded."""
        self.odd: list[str] = []
        """Any other answer."""
        self.ended = threading.Event()
        self._last4 = last4
        self._ports = ports

    def run(self) -> None:
        while not self.ended.is_set():
            request = purchase(self._last4, CENTS)
            reply = self._decided(request)
            if reply is not None and reply.response_code == "00":
                self.approved.append(str(request.trace))
            elif reply is not None:
                self.odd.append(str(reply.reason))

    def _decided(self, request: Message) -> Message | None:
        while not self.ended.is_set():
            for port in self._ports:
                try:
                    reply = ask(port, request)
                except (OSError, Closed):
                    continue
                if reply.response_code != "91":
                    return reply
                self.refused += 1
            request = repeat(request)
            time.sleep(AGAIN_S)
        return None


class Crowd:
    """Several customers."""

    def __init__(self, ports: list[int]) -> None:
        self.customers = [Customer(last4, ports) for last4 in CARDS]

    @property
    def paid(self) -> int:
        return sum(len(one.approved) for one in self.customers)

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.customers)

    def hold_against(self, url: str) -> None:
        """See that what was approved is in the ledger, and nothing of theirs is in it twice."""
        assert [answer for one in self.customers for answer in one.odd] == []
        known = [trace for one in self.customers for trace in one.approved]
        stored = Counter(row["trace"] for row in rows(url, RECORDS))
        assert len(set(known)) == len(known) == self.paid > 0
        assert set(known) <= stored.keys()
        assert set(stored.values()) == {1}


@contextmanager
def customers(ports: list[int]) -> Iterator[Crowd]:
    """Customers who pay, wherever `ports` says at the moment, until the block ends."""
    crowd = Crowd(ports)
    for one in crowd.customers:
        one.start()
    try:
        yield crowd
    finally:
        for one in crowd.customers:
            one.ended.set()
        for one in crowd.customers:
            one.join()
