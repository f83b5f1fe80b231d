"""No acquirer can starve another: a link that is flooded fills its own places, and the other one's stay free."""

import socket
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from authz.wire.message import Message
from simulators.terminal.messages import Terminal
from tests.acceptance.authorizer import TUESDAY, eventually, running
from tests.acceptance.counter import CODEC, Line, card, framed, terminal
from tests.acceptance.shop import configuration
from tests.conftest import Database

IN_FLIGHT_MAX = 1_024
"""docs/interface.md: requests in flight a link, over all of its connections."""
FLOOD, FLOOD_LINES = 1_200, 3
OTHER = "970002"
PAYMENTS = 25


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_flooded_link_costs_another_ones_terminals_no_answer(own_database: Database, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "links.toml"
    first = configuration("iso87ascii")
    link = first[first.index("[[link]]") :]
    config.write_text(f"{first}\n{link.replace('970001', OTHER)}\nport = {port}\n")
    with ExitStack() as stack:
        options = ("--database", own_database.url, "--config", str(config), "--clock", TUESDAY)
        authorizer = stack.enter_context(running(tmp_path, *options))
        flood = [stack.enter_context(Line(authorizer.port)) for _ in range(FLOOD_LINES)]
        till, in_hand = terminal(first_trace=100_000), list[int]()

        def look() -> int:
            in_hand.append(int(authorizer.counted("authz_requests_in_engine")))
            return in_hand[-1]

        inquiries = [b"".join(framed(CODEC.encode(till.inquiry(card("0048")))) for _ in range(FLOOD)) for _ in flood]
        for one, data in zip(flood, inquiries, strict=True):
            threading.Thread(target=one.send_raw, args=(data,), daemon=True).start()
        eventually(lambda: look() > 1)
        line = stack.enter_context(Line(port))
        for request in payments(terminal(first_trace=500_000)):
            assert line.ask(request).reason in ("APPROVED", "DAILY_CAP")
            look()
        told = Counter(CODEC.decode(one.receive()).reason for one in flood for _ in range(FLOOD))
        assert set(told) <= {"APPROVED", "OVERLOADED"}
        assert told["APPROVED"] >= IN_FLIGHT_MAX
        assert 1 < max(in_hand) <= IN_FLIGHT_MAX
        assert authorizer.counted("authz_refused_total", reason="OVERLOADED") == told["OVERLOADED"]


def payments(till: Terminal) -> list[Message]:
    return [replace(till.purchase(card("0030"), 100), acquirer=OTHER) for _ in range(PAYMENTS)]
