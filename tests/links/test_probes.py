"""The engine may send an 0800/301 on an idle link (docs/interface.md, the messages table)."""

import pytest
from msgspec.structs import replace

from authz.links.link import Terms
from authz.wire.message import Message
from tests.links.lines import ACQUIRER, Client, Line, approve, line_of, network, purchase, until

IDLE_S = 0.01


def outcomes(line: Line) -> tuple[float, float]:
    """Probes answered and unanswered."""
    return tuple(  # type: ignore[return-value]
        line.counted("authz_link_probes_total", link=ACQUIRER, outcome=outcome)
        for outcome in ("answered", "unanswered")
    )


def answer(probe: Message) -> Message:
    return replace(probe, mti="0810", response_code="00")


async def probed(client: Client) -> Message:
    probe = await client.hear()
    assert probe == network("301", trace=probe.trace), "an echo test, at the engine's own time (DE 7, UTC)"
    return probe


async def test_an_idle_connection_is_probed_and_its_answer_counted() -> None:
    async with line_of(Terms(ACQUIRER, idle_probe_s=IDLE_S)) as line:
        client = await line.connect()
        probe = await probed(client)
        client.send(answer(probe))
        second = await probed(client)
        assert second.trace != probe.trace, "a trace number of its own"
        assert outcomes(line) == (1, 0)
        assert line.dropped("response") == 0


async def test_an_unanswered_probe_is_counted_when_the_next_is_due_and_the_connection_stays() -> None:
    """Simple terminals don't know the 0800."""
    async with line_of(Terms(ACQUIRER, idle_probe_s=IDLE_S)) as line:
        line.engine.script = approve
        client = await line.connect()
        for _ in range(3):
            await probed(client)
        assert outcomes(line)[0] == 0
        assert outcomes(line)[1] >= 2
        client.send(purchase(1))
        reply = await client.hear()
        while reply.mti == "0800":
            reply = await client.hear()
        assert reply.response_code == "00"


@pytest.mark.parametrize("changes", [{"trace": "999999"}, {"trace": None}, {"mti": "0210"}])
async def test_a_response_that_answers_no_probe_is_dropped_as_any_other(changes: dict[str, str]) -> None:
    async with line_of(Terms(ACQUIRER, idle_probe_s=IDLE_S)) as line:
        client = await line.connect()
        client.send(replace(answer(await probed(client)), **changes))
        await until(lambda: line.dropped("response"))
        assert outcomes(line)[0] == 0


async def test_a_probe_is_answered_once() -> None:
    async with line_of(Terms(ACQUIRER, idle_probe_s=IDLE_S)) as line:
        client = await line.connect()
        probe = await probed(client)
        client.send(answer(probe), answer(probe))
        await until(lambda: line.dropped("response"))
        assert outcomes(line)[0] == 1


async def test_a_connection_that_is_never_idle_is_never_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives are something that arrives too."""
    async with line_of(Terms(ACQUIRER, idle_probe_s=60)) as line:
        client = await line.connect()
        await until(lambda: line.server._connections)
        [served] = line.server._connections
        for _ in range(3):
            heard_at = served._heard_at
            client.writer.write(bytes(2))
            await until(lambda: served._heard_at > heard_at)  # noqa: B023
            monkeypatch.setattr(served._loop, "time", lambda: served._heard_at + 59)
            served._watch()
            monkeypatch.undo()
        assert not hasattr(served, "_probing")
        monkeypatch.setattr(served._loop, "time", lambda: served._heard_at + 60)
        served._watch()
        monkeypatch.undo()
        await probed(client)


async def test_a_link_may_be_without_probes() -> None:
    async with line_of(Terms(ACQUIRER, idle_probe_s=0)) as line:
        await line.connect()
        await until(lambda: line.server._connections)
        [served] = line.server._connections
        assert served._idle_timer is None


async def test_a_probe_bears_a_mac_where_the_link_requires_one() -> None:
    async with line_of(Terms(ACQUIRER, mac_required=True, idle_probe_s=IDLE_S)) as line:
        probe = await (await line.connect()).hear()
        covered = line.codec.covered(line.codec.encode_unsigned(replace(probe, mac=None)))
        assert probe.mac == await line.security.make_mac(ACQUIRER, covered)


async def test_a_connection_that_has_ended_is_not_probed_any_more() -> None:
    async with line_of(Terms(ACQUIRER, idle_probe_s=60)) as line:
        client = await line.connect()
        await until(lambda: line.server._connections)
        [served] = line.server._connections
        client.writer.close()
        await until(lambda: not line.server._connections)
        assert served._idle_timer is not None
        assert served._idle_timer.cancelled()
