"""`kill -9` between any two of ten wrong PINs never gives an extra try."""

import os
import random
import time
from contextlib import suppress

import pytest

from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, Closed, Line, ask, purchase, wrong_pin

WRONG = 10
TRIES = {"0097": 3, "0105": 5}
"""First generation, second generation (demo.toml)."""
IN_FLIGHT_MAX_S = 0.004
"""About as long as a payment takes: some kills come before its record, some behind."""
GENERATIONS = pytest.mark.parametrize("last4", TRIES, ids=["first generation", "second generation"])


def expected(last4: str) -> list[str]:
    """DE 39 of ten wrong PINs: the try that exhausts them is refused as locked, and every one after it."""
    tries = TRIES[last4]
    return ["55"] * (tries - 1) + ["75"] * (WRONG - tries + 1)


@pytest.mark.soak
@GENERATIONS
@pytest.mark.parametrize("after", range(1, WRONG) if os.environ.get("SOAK") else [2])
def test_killed_once_after_so_many(start: Start, last4: str, after: int) -> None:
    requests = [purchase(last4, 500, pin=wrong_pin(last4)) for _ in range(WRONG)]
    first = start()
    with Line(first.port) as line:
        codes = [line.ask(request).response_code for request in requests[:after]]
    first.kill()
    second = start()
    with Line(second.port) as line:
        codes += [line.ask(request).response_code for request in requests[after:]]
        assert codes == expected(last4)
        assert line.ask(purchase(last4, 500)).response_code == "75"


@pytest.mark.soak
@GENERATIONS
def test_killed_after_each(start: Start, last4: str) -> None:
    wrong = WRONG if os.environ.get("SOAK") else TRIES[last4]
    codes = []
    for _ in range(wrong):
        authorizer = start()
        codes.append(ask(authorizer.port, purchase(last4, 500, pin=wrong_pin(last4))).response_code)
        authorizer.kill()
    assert codes == expected(last4)[:wrong]
    assert ask(start().port, purchase(last4, 500)).response_code == "75"


@pytest.mark.soak
@GENERATIONS
@pytest.mark.parametrize("seed", range(10 if os.environ.get("SOAK") else 1))
def test_killed_while_in_flight(start: Start, last4: str, seed: int) -> None:
    """A try that the terminal heard of is counted; one that it didn't is counted once, by itself or by its repeat."""
    chance = random.Random(f"{last4} {seed}")
    authorizer = start()
    for number in range(1, TRIES[last4] + 1):
        request = purchase(last4, 500, pin=wrong_pin(last4))
        with Line(authorizer.port) as line:
            line.send(CODEC.encode(request))
            time.sleep(chance.uniform(0, IN_FLIGHT_MAX_S))
            authorizer.kill()
            heard = None
            with suppress(Closed):
                heard = line.receive()
        authorizer = start()
        with Line(authorizer.port) as line:
            said = line.ask_bytes(CODEC.encode(repeat(request)))
        assert heard in (None, said)
        counted = "SELECT position -> 1 -> 0 ->> 5 FROM ledger.journal WHERE reason IN ('PIN_WRONG', 'PIN_LOCKED')"
        assert [int(row[0]) for row in rows(authorizer.database, f"{counted} ORDER BY seq")] == [*range(1, number + 1)]
    assert ask(authorizer.port, purchase(last4, 500)).response_code == "75"
