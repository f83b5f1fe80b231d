"""An opposition takes effect on the very next authorization: what lies between HTTP 200 and a refusal is one decision.

Nothing polls: the position by which payments are decided is the one that the opposition has changed.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from authz.engine import schema
from tests.acceptance.authorizer import TUESDAY
from tests.acceptance.counter import CARDS, CODEC, Line, purchase
from tests.acceptance.issuing_desk import Employee, IssuingDesk
from tests.conftest import Database

OPPOSITIONS, UNDER_LOAD = 200, 100
IN_FLIGHT = 64
"""Payments of others that are always under way, where there is load."""
SLOWER_MAX = 5
"""How many times as long as any other payment a refusal may take, in the median: a poll would be hundreds."""

_BETWEEN = """
SELECT count(*) FROM ledger.journal AS stop
 WHERE stop.kind = 'stop' AND stop.holder = ANY($1)
   AND (SELECT array_agg(next.reason ORDER BY next.seq) FROM ledger.journal AS next
         WHERE next.partition = stop.partition AND next.holder = stop.holder AND next.seq > stop.seq)
       = ARRAY['CARD_LOST']
"""


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[IssuingDesk]:
    asyncio.run(schema.create(database.superuser_url))
    with IssuingDesk(tmp_path, database) as one:
        yield one.open(TUESDAY)
        one.check_sound()


def test_the_very_next_payment_is_refused(desk: IssuingDesk) -> None:
    employees = desk.hired(number=OPPOSITIONS)
    check(desk, employees)


def test_the_very_next_payment_is_refused_under_load(desk: IssuingDesk) -> None:
    employees = desk.hired(number=UNDER_LOAD)
    with crowd(desk.authorizer.port) as others:
        check(desk, employees)
        assert others.served > UNDER_LOAD, "there was load"


def check(desk: IssuingDesk, employees: Sequence[Employee]) -> None:
    """Pay, stop the card, pay: the refusal comes as soon as any answer would."""
    paying, refusing = [], []
    for one in employees:
        began = time.perf_counter()
        assert desk.pay(one, 100) == ("00", "APPROVED")
        paying.append(time.perf_counter() - began)
        assert desk.office.post(f"{one.card_path}/opposition", {"because": "lost"}).status_code == 200
        began = time.perf_counter()
        assert desk.pay(one, 100) == ("41", "CARD_LOST")
        refusing.append(time.perf_counter() - began)
    assert median(refusing) < SLOWER_MAX * median(paying)
    [[followed]] = desk.rows(_BETWEEN, [one.holder for one in employees])
    assert followed == len(employees), "one decision behind each opposition, and it is the refusal"
    assert all(desk.available(one) == 9_000 - 100 for one in employees[:5])


class Crowd:
    """Others who pay all the time, `IN_FLIGHT` of them at once."""

    def __init__(self, port: int) -> None:
        self.served = 0
        self._port = port
        self._done = threading.Event()

    def pay(self) -> None:
        requests = (CODEC.encode(purchase(last4, 1)) for last4 in itertools.cycle(CARDS))
        with Line(self._port) as line:
            for request in itertools.islice(requests, IN_FLIGHT):
                line.send(request)
            while not self._done.is_set():
                line.receive()
                self.served += 1
                line.send(next(requests))

    def go_home(self) -> None:
        self._done.set()


@contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """Have others pay until the block ends."""
    others = Crowd(port)
    thread = threading.Thread(target=others.pay)
    thread.start()
    try:
        yield others
    finally:
        others.go_home()
        thread.join()
