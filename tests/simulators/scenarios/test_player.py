"""How a scenario is played: what ends it, what goes on beside, what is said of it; at a host in memory."""

import asyncio
import re
from collections.abc import Callable
from io import StringIO
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console

from authz.wire.message import Message
from authz.wire.rules import reply_mti
from simulators.link import LinkError, NoConnection, NoReply
from simulators.scenarios import report
from simulators.scenarios.player import Played, Player, Verdict
from simulators.scenarios.script import ScenarioInvalid, Script, parse
from simulators.terminal import parameters

HEAD = """
name = "One lunch"
purpose = "To be tried."
clock = { host = 2026-05-12T12:30:00+02:00 }
waiting = { answer_within_ms = 1, again_every_ms = 1, tries_max = 2 }
terminals.bistrot = { terminal = "PAR00001" }
terminals.bakery = { terminal = "STR00001" }
cards.alice = { holder = "Alice Martin" }
"""
DARK = '[[step]]\nname = "Dark"\ndo = "fault"\nline = { both = { drop = 1000 } }\n'
Answer = Callable[[Message], Message | LinkError]


def payment(name: str = "Lunch", more: str = "", do: str = "purchase", at: str = "bistrot") -> str:
    return f'[[step]]\nname = "{name}"\ndo = "{do}"\nterminal = "{at}"\ncard = "alice"\namount = 1250\n{more}\n'


def scenario(*steps: str) -> Script:
    return parse((HEAD + "".join(steps)).encode(), "lunch.toml")


def approval(request: Message) -> Message:
    answer = msgspec.structs.replace(request, mti=reply_mti(request.mti), pin_block=None, response_code="00")
    return msgspec.structs.replace(answer, reason="APPROVED", balances="9002978C000000018750")


class Host:
    """Answers as it is told; `heard` is what came. It is a bad line too, which only notes its faults."""

    def __init__(self, answer: Answer = approval) -> None:
        self.heard: list[Message] = []
        self.faults: object = None
        self._answer = answer

    def heal(self) -> None:
        self.faults = None

    async def exchange(self, request: Message, timeout: float) -> Message:
        self.heard.append(request)
        answer = self._answer(request)
        if isinstance(answer, LinkError):
            raise answer
        return answer


async def play(script: Script, host: Host) -> Played:
    return await Player(script, parameters.demo(), host, bad_line=host).play()


def verdicts(played: Played) -> dict[str, Verdict]:
    return {outcome.step: outcome.verdict for outcome in played.outcomes}


def never(_: Message) -> LinkError:
    return NoReply("none")


async def test_the_first_step_that_differs_ends_it() -> None:
    host = Host()
    played = await play(scenario(payment("One"), payment("Two", 'expect.39 = "51"'), payment("Three")), host)
    assert verdicts(played) == {"One": Verdict.HELD, "Two": Verdict.DIFFERED, "Three": Verdict.NOT_RUN}
    assert not played.held
    assert len(host.heard) == 2
    [difference] = played.outcomes[1].differences
    assert (difference.field, difference.expected, difference.seen) == ("39", "51", "00")


async def test_branches_are_played_at_the_same_time_and_each_to_its_end() -> None:
    """Neither request is answered before both have come."""
    both = asyncio.Barrier(2)

    class Together(Host):
        async def exchange(self, request: Message, timeout: float) -> Message:
            await both.wait()
            return await super().exchange(request, timeout)

    first, second = payment("First", 'expect.39 = "51"'), payment("Second", at="bakery")
    branches = "".join(f"[[step.branch]]\n{one.replace('[[step]]', '[[step.branch.step]]')}" for one in (first, second))
    parallel = f'[[step]]\nname = "Both"\ndo = "parallel"\n{branches}'
    played = await play(scenario(parallel, payment("After")), Together())
    assert verdicts(played) == {
        "Both": Verdict.DIFFERED,
        "First": Verdict.DIFFERED,
        "Second": Verdict.HELD,
        "After": Verdict.NOT_RUN,
    }


@pytest.mark.parametrize(("expect", "held"), [('expect = "silence"', True), ("", False), ('expect.39 = "00"', False)])
async def test_silence_is_held_only_by_who_expects_it(expect: str, held: bool) -> None:
    assert (await play(scenario(DARK, payment(more=expect)), Host(never))).held is held
    assert (await play(scenario(DARK, payment(more=expect)), Host())).held is not (expect == 'expect = "silence"')


async def test_where_nobody_answers_there_is_nothing_to_compare() -> None:
    nobody = Host(lambda _: NoConnection("nothing answers at 127.0.0.1:1"))
    for do in ("purchase", "pays"):
        with pytest.raises(NoConnection):
            await play(scenario(payment(do=do)), nobody)


async def test_what_is_captured_is_reckoned_with() -> None:
    capture = "capture = { left = '54.90.02' }"
    right = "expect = { '54.90.02' = { cents = '$left + 1 - 1' } }"
    assert (await play(scenario(payment("One", capture), payment("Two", right)), Host())).held
    missing = await play(scenario(payment("One", "capture = { left = '54.91.02' }")), Host())
    assert missing.outcomes[0].differences[0].expected == "something, for $left"


async def test_fields_are_changed_and_taken_out_last() -> None:
    host = Host()
    changed = "fields = { 49 = '840', 37 = 'LUNCH0000001', mti = '0201', '48.PA' = '1' }\nwithout = ['52', '22']"
    await play(scenario(payment(more=changed)), host)
    [request] = host.heard
    assert (request.mti, request.currency, request.retrieval_reference) == ("0201", "840", "LUNCH0000001")
    assert (request.pin_block, request.entry_mode) == (None, None)
    assert request.elements is not None
    assert request.elements.takes_partial == "1"


async def test_clocks_jump_alone_or_together() -> None:
    host = Host()
    jump = '[[step]]\nname = "{0}"\ndo = "clock"\nby = "PT1H"\n'
    one = jump.format("One") + 'terminal = "bakery"\n'
    last = [payment("First"), payment("Second", at="bakery")]
    await play(scenario(one, jump.format("All"), *last), host)
    assert [request.local_time for request in host.heard] == ["133000", "143000"]


async def test_terminals_have_trace_numbers_of_their_own() -> None:
    host = Host()
    await play(scenario(payment("One"), payment("Two"), payment("Three", at="bakery")), host)
    assert [request.trace for request in host.heard] == ["000001", "000002", "010001"]


class TestTill:
    async def test_it_takes_back_what_gets_no_answer(self) -> None:
        reversals_only = Host(lambda request: approval(request) if request.mti[1] == "4" else NoReply("none"))
        back = payment(do="pays", more='expect = "taken-back"')
        assert (await play(scenario(DARK, back), reversals_only)).held
        assert [request.mti for request in reversals_only.heard] == ["0200", "0400"]
        assert not (await play(scenario(DARK, payment(do="pays", more='expect = "stored"')), reversals_only)).held

    async def test_what_it_has_stored_it_tells_later(self) -> None:
        host = Host()
        host._answer = lambda request: NoReply("none") if host.faults else approval(request)
        kept = payment(do="pays", more='expect = "stored"')
        heal = '[[step]]\nname = "Heal"\ndo = "heal"\n'
        tell = '[[step]]\nname = "Tell"\ndo = "tells"\nterminal = "bistrot"\nexpect = { 39 = "00" }\n'
        books = '[[step]]\nname = "Books"\ndo = "books"\nterminal = "bistrot"\nowed = 0\n'
        played = await play(scenario(DARK, kept, heal, tell, books), host)
        assert played.held
        assert [request.mti for request in host.heard] == ["0200", "0400", "0401", "0401"]
        again = await play(scenario(tell), Host())
        assert again.outcomes[0].differences[0].seen == "nothing"


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (payment().replace("1250", '"0 - 5"'), "An amount is 0"),
        (payment(more="pin = '12'"), "A PIN is 4 to 12 digits"),
    ],
)
async def test_what_a_terminal_refuses_is_the_scenarios_mistake(step: str, why: str) -> None:
    with pytest.raises(ScenarioInvalid, match=rf"One lunch: step 'Lunch': .*{why}") as refused:
        await play(scenario(step), Host())
    assert "'12'" not in str(refused.value)


class TestReport:
    PAN, BLOCK = "9250100000000014", "3E40023C3049D265"

    async def played(self) -> list[Played]:
        differs = payment("Two", "expect = { 39 = '51', 2 = '9250100000000022', 52 = { is = 'present' } }")
        return [await play(scenario(payment("One"), differs, payment("Three")), Host())]

    async def test_it_shows_what_differed_decoded_and_nothing_secret(self) -> None:
        written, played = StringIO(), await self.played()
        report.show(Console(width=160, file=written), played, verbose=True)
        text = written.getvalue()
        assert re.search(r"39 +Response Code +51 +00", text)
        assert "0 of 1 scenarios held; 1 of 3 steps, 1 differed, 1 not run" in text
        for secret in (self.PAN, self.BLOCK, "9250100000000022"):
            assert secret not in text
            assert secret not in report.as_json(played)
            assert secret.encode() not in report.as_junit(played)

    async def test_as_json(self) -> None:
        told = msgspec.json.decode(report.as_json(await self.played()), type=report.Report)
        [one] = told.scenarios
        assert (told.held, one.held) == (False, False)
        assert [step.verdict for step in one.steps] == [Verdict.HELD, Verdict.DIFFERED, Verdict.NOT_RUN]
        assert [each.field for each in one.steps[1].differences] == ["39", "2", "52"]
        assert ("39", "00") in [(row.field, row.value) for row in one.steps[1].reply]
        assert one.steps[0].reply == ()

    async def test_as_junit(self) -> None:
        root = ElementTree.fromstring(report.as_junit(await self.played()))  # noqa: S314, our own
        [suite] = root
        assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == ("3", "1", "1")
        [failure] = root.iter("failure")
        assert "39 Response Code: 51, not 00" in failure.attrib["message"]
