"""An acquirer's host between terminals and a real engine: what each of them, and finance, has in the end."""

import asyncio
import os
import random
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from authz.security.module import ZoneKeyUsage
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from simulators.acquirer.line import Line
from simulators.clearing import Clearing, Kind, load
from simulators.terminal.messages import Site, Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import Patience, Till
from tests.simulators.acquirer.conftest import DAY, DIALECTS, MERCHANT, NOON, TERMINALS_KEY, parameters_of

SIMULATE = str(Path(sys.executable).parent / "simulate")
WAIT_MAX_S = 20


def lines_of(clearing: Clearing) -> list[tuple[str, str, str, str | None, int]]:
    """A clearing file's lines as the ledger has them: what the acquirer is paid, by what names a message."""
    signed = (
        (one.terminal, one.trace, one.mti[:3], one.retrieval, one.cents if one.kind.debits else -one.cents)
        for one in clearing.details
    )
    return sorted(signed, key=lambda line: line[:3])


async def _turns_until(condition: Callable[[], object]) -> None:
    """Let the loop turn until a condition of the host in this process holds."""
    async with asyncio.timeout(WAIT_MAX_S):
        while not condition():  # noqa: ASYNC110 - the host has no event for it
            await asyncio.sleep(0)


async def test_twenty_terminals_share_a_link_and_each_hears_its_own_replies(engine, hall):
    """All with the same trace numbers, at the same instant."""
    link = engine.link()
    opened = await hall(link.port, link.acquirer)

    async def pay(number: int) -> list[tuple[str | None, str]]:
        terminal, line, customer = opened.terminal(), await opened.connect(), engine.customer()
        heard = []
        for cents in (100 + number, 200 + number):
            reply = await line.exchange(terminal.purchase(customer, cents))
            assert int(reply.amount) == cents
            heard.append((reply.response_code, reply.terminal.rstrip() == terminal.site.terminal))
        assert line.unmatched == 0
        return heard

    assert await asyncio.gather(*map(pay, range(20))) == [[("00", True)] * 2] * 20
    moved = await engine.moved(link)
    assert len(moved) == 40
    assert len({retrieval for *_, retrieval, _ in moved}) == 40, "each has a retrieval reference of its own"
    assert sum(cents for *_, cents in moved) == opened.host.books.totals.debits_amount


async def test_a_link_that_is_cut_in_the_middle_of_requests_costs_no_payment(engine, hall):
    """What was in flight is asked again; what comes while the link is down hears 91 at once, and may come again."""
    link = engine.link()
    opened = await hall(link.port, link.acquirer)
    upstream = opened.host.upstream

    async def pay() -> list[str | None]:
        terminal, line, customer = opened.terminal(), await opened.connect(), engine.customer()
        replies = []
        for _ in range(6):
            request = terminal.purchase(customer, 100)
            while (reply := await line.exchange(request)).response_code == "91":
                await upstream.until_up()
            replies.append(reply.response_code)
        return replies

    async def cut(times: int) -> None:
        for _ in range(times):
            carrying = await upstream.until_up()
            await _turns_until(lambda: carrying.in_flight)  # noqa: B023
            carrying._transport.abort()

    *paid, _ = await asyncio.gather(*(pay() for _ in range(8)), cut(3))
    assert paid == [["00"] * 6] * 8
    assert upstream.reconnections == 3
    assert not opened.host.books.in_doubt
    assert sum(cents for *_, cents in await engine.moved(link)) == opened.host.books.totals.debits_amount == 8 * 600


async def test_keys_change_while_pins_are_on_their_way_and_none_is_refused(engine, hall):
    link = engine.link()
    opened = await hall(link.port, link.acquirer)
    over = asyncio.Event()

    async def pay() -> set[str | None]:
        terminal, line, customer = opened.terminal(), await opened.connect(), engine.customer()
        said = set()
        while not over.is_set():
            said.add((await line.exchange(terminal.purchase(customer, 1))).response_code)
        return said

    payers = [asyncio.create_task(pay()) for _ in range(8)]
    for _ in range(3):
        before = opened.host.books.totals.debits_number
        await _turns_until(lambda: opened.host.books.totals.debits_number >= before + 20)  # noqa: B023
        await opened.host.rotation.rotate(opened.host.upstream)
    over.set()
    assert await asyncio.gather(*payers) == [{"00"}] * 8
    changed = opened.told.named("key_changed")
    assert [facts["key"] for facts in changed] == ["PIN", "MAC"] * 3
    assert len({facts["check_value"] for facts in changed}) == 6
    assert opened.host.upstream._up[0].unauthentic == 0


async def test_a_wrong_pin_is_wrong_in_the_new_zone_too(engine, hall):
    """The block is translated, never replaced: what the authorizer says of it is what it said of the terminal's."""
    link = engine.link()
    opened = await hall(link.port, link.acquirer)
    terminal, line, customer = opened.terminal(), await opened.connect(), engine.customer()
    wrong = msgspec.structs.replace(customer, pin="0000" if customer.pin != "0000" else "1111")
    assert (await line.exchange(terminal.purchase(wrong, 100))).reason == "PIN_WRONG"
    assert (await line.exchange(terminal.purchase(customer, 100))).reason == "APPROVED"


@pytest.mark.parametrize("dialect", DIALECTS[1:])
async def test_the_link_and_the_terminals_may_speak_different_dialects(engine, hall, dialect):
    link = engine.link(dialect)
    terminals = "iso87bcd" if dialect != "iso87bcd" else "iso87ebcdic"
    opened = await hall(link.port, link.acquirer, dialect=dialect, terminals_codec=Codec(shipped(terminals)))
    reply = await (await opened.connect()).exchange(opened.terminal().purchase(engine.customer(), 100))
    assert (reply.response_code, reply.reason) == ("00", "APPROVED")


async def test_a_closed_day_is_in_balance_and_its_clearing_file_is_the_ledger_to_the_cent(engine, hall):
    link = engine.link()
    opened = await hall(link.port, link.acquirer)
    terminal, line = opened.terminal(), await opened.connect()
    one, two, three = (engine.customer() for _ in range(3))

    async def ask(request, code: str = "00") -> None:
        assert (await line.exchange(request)).response_code == code

    kept, undone, lowered = (terminal.purchase(card, cents) for card, cents in ((one, 1_000), (two, 700), (two, 450)))
    hold, released, above = (terminal.authorization(three, cents) for cents in (300, 200, 250))
    offline = terminal.advice(one, 6_000)
    for request in (kept, undone, lowered, hold, released, above, offline):
        await ask(request)
    await ask(terminal.purchase(one, 1_900), "61")
    capture = terminal.completion(three, hold, 250)
    for request in (capture, terminal.completion(three, above, 400), terminal.completion(three, released, 0)):
        await ask(request)
    await ask(terminal.reversal(undone))
    await ask(terminal.reversal(undone))
    await ask(terminal.reversal_advice(lowered, stands=150))
    await ask(terminal.reversal(hold, stands=100))
    await ask(terminal.reversal(terminal.purchase(one, 1)), "25")
    await ask(terminal.advice(two, 900, response_code="05"))

    await opened.host.days.close()
    assert [facts["day"] for facts in opened.told.named("in_balance")] == [DAY]
    moved = await engine.moved(link)
    clearing = load(opened.settings.clearing / f"{link.acquirer}-20260512.csv")
    assert lines_of(clearing) == moved
    assert [one.kind for one in clearing.details] == [
        *[Kind.SALE] * 3,
        Kind.ADVICE,
        *[Kind.CAPTURE] * 2,
        *[Kind.REVERSAL] * 3,
    ]
    assert clearing.totals.net == 1_000 + 150 + 6_000 + 100 + 400

    await ask(terminal.reversal(kept))
    await opened.host.days.close()
    assert len(opened.told.named("in_balance")) == 2, opened.told
    [late] = load(opened.settings.clearing / f"{link.acquirer}-20260513.csv").details
    assert (late.kind, late.cents) == (Kind.REVERSAL, 1_000)


async def test_payments_go_on_while_a_day_is_closed_and_each_is_of_one_day(engine, hall):
    link = engine.link()
    opened = await hall(link.port, link.acquirer, clearing=None)

    async def pay() -> set[str | None]:
        terminal, line, customer = opened.terminal(), await opened.connect(), engine.customer()
        return {(await line.exchange(terminal.purchase(customer, 10))).response_code for _ in range(25)}

    payers = [asyncio.create_task(pay()) for _ in range(6)]
    for so_far in (30, 80):
        await _turns_until(lambda: opened.host.terminals.counts.answers["00"] >= so_far)  # noqa: B023
        await opened.host.days.close()
    assert await asyncio.gather(*payers) == [{"00"}] * 6
    await opened.host.days.close()
    days = opened.told.named("in_balance")
    assert not opened.told.named("out_of_balance")
    assert [facts["lines"] > 0 for facts in days] == [True] * 3
    assert sum(facts["lines"] for facts in days) == 150


class Child:
    """`simulate acquirer` in a process of its own, in a folder that its next one goes on from."""

    def __init__(self, folder: Path, upstream: int, port: int = 0) -> None:
        self._folder = folder
        self._upstream = upstream
        self.port = port
        self.process: asyncio.subprocess.Process

    async def start(self) -> "Child":
        options = ["--upstream", f"127.0.0.1:{self._upstream}", "--listen", str(self.port), "--config", "host.toml"]
        options += ["--clock", NOON.isoformat(), "--clearing", "clearing", "--json"]
        with (self._folder / "errors").open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                SIMULATE, "acquirer", *options, cwd=self._folder, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), WAIT_MAX_S)
        found = re.fullmatch(rb"ready listen=127\.0\.0\.1:(\d+) upstream=127\.0\.0\.1:\d+\n", line)
        assert found, self.errors
        self.port = int(found[1])
        return self

    @property
    def errors(self) -> str:
        return (self._folder / "errors").read_text()

    @property
    def events(self) -> list[dict]:
        return [msgspec.json.decode(line) for line in self.errors.splitlines()]

    async def until(self, event: str) -> dict:
        async with asyncio.timeout(WAIT_MAX_S):
            while True:
                found = [one for one in self.events if one["event"] == event]
                if found:
                    return found[-1]
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> dict:
        self.process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(self.process.communicate(), WAIT_MAX_S)
        assert self.process.returncode == 0, self.errors
        return msgspec.json.decode(output)


@pytest.fixture
async def child(tmp_path, engine):
    """`child(link)`: not started yet."""
    made: list[Child] = []

    def make(link) -> Child:
        given = parameters_of(link.acquirer)
        keys = (f'{name} = "{getattr(given, name)}"' for name in given.__struct_fields__)
        (tmp_path / "host.toml").write_text("\n".join(keys))
        made.append(Child(tmp_path, link.port))
        return made[-1]

    yield make
    for one in made:
        if one.process.returncode is None:
            await one.kill()


async def test_a_host_that_is_killed_again_and_again_loses_no_line(engine, hall, child, tmp_path):
    await _kill(engine, child, tmp_path, kills=3, tills=5, seed=1)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(900)
async def test_a_host_that_is_killed_many_times_loses_no_line(engine, hall, child, tmp_path):
    await _kill(engine, child, tmp_path, kills=60, tills=10, seed=2)


async def _kill(engine, child, folder: Path, *, kills: int, tills: int, seed: int) -> None:
    """Tills pay, take back and tell while their host is killed; then its day is closed, and held against the ledger."""

    link, chance, over = engine.link(), random.Random(seed), asyncio.Event()
    host = await child(link).start()
    line = Line("127.0.0.1", host.port, Codec(shipped("iso87ascii")))
    patience = Patience(answer_within_s=0.5, again_every_s=0.1)

    async def work(number: int) -> int:
        site = Site(f"KIL{number:05}", MERCHANT, "Le Bistrot du Port", "Europe/Paris")
        terminal = Terminal(site, link.acquirer, PinPad(TERMINALS_KEY), lambda: NOON)
        till, customer, lot = Till(terminal, line, patience), engine.customer(), random.Random(f"{seed} {number}")
        while not over.is_set():
            cents = lot.randint(1, 9)
            match lot.randrange(3):
                case 0:
                    await till.tell(terminal.advice(customer, cents))
                case 1:
                    request = terminal.purchase(customer, cents)
                    if await till.pay(request) is not None and lot.random() < 0.3:
                        await till.take_back(request, stands=lot.randrange(cents))
                case _:
                    hold = terminal.authorization(customer, cents)
                    reply = await till.pay(hold)
                    if reply is not None and reply.response_code == "00":
                        await till.tell(terminal.completion(customer, hold, cents))
        return terminal.owed

    working = [asyncio.create_task(work(number)) for number in range(tills)]
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.05, 0.3))  # the moment is by chance: there is nothing to wait for
        await host.kill()
        await host.start()
    over.set()
    owed = sum(await asyncio.wait_for(asyncio.gather(*working), WAIT_MAX_S))
    await line.close()
    host.process.send_signal(signal.SIGUSR1)
    await host.until("clearing_written")
    summary = await host.terminate()
    assert (summary["in_doubt"], summary["days_out_of_balance"]) == (0, 0), host.errors
    assert [one["event"] for one in host.events if "balance" in one["event"]] == ["in_balance"]
    clearing = load(folder / "clearing" / f"{link.acquirer}-20260512.csv")
    assert clearing.totals.net == owed
    assert [line[-1] for line in lines_of(clearing)] == [line[-1] for line in await engine.moved(link)]


async def test_sigterm_answers_what_is_in_flight_and_says_what_went_through(engine, child):
    link = engine.link()
    host = await child(link).start()
    line = Line("127.0.0.1", host.port, Codec(shipped("iso87ascii")))

    terminal = Terminal(Site("T1", MERCHANT, "x", "Europe/Paris"), link.acquirer, PinPad(TERMINALS_KEY), lambda: NOON)
    assert (await line.exchange(terminal.purchase(engine.customer(), 100), 5)).response_code == "00"
    host.process.send_signal(signal.SIGUSR2)
    await host.until("key_changed")
    summary = await host.terminate()
    await line.close()
    assert (summary["terminals"], summary["messages"], summary["answers"]) == (1, {"0200": 1}, {"00": 1})
    assert summary["owed_cents"] == 100
    assert [one["event"] for one in host.events][-1] == "draining"


async def test_changed_keys_and_an_unanswered_change_survive_a_restart(engine, hall):
    link = engine.link()
    first = await hall(link.port, link.acquirer)
    await first.host.rotation.rotate(first.host.upstream)
    given = first.host.rotation._keys.propose(ZoneKeyUsage.PIN)
    await first.host.books.key_offered(given)
    await first._stack.aclose()
    again = await hall(link.port, link.acquirer)
    assert again.told.named("key_changed")[-1]["check_value"] == given.check_value
    reply = await (await again.connect()).exchange(again.terminal().purchase(engine.customer(), 100))
    assert reply.reason == "APPROVED"
