"""A line that is listened to: everything passes unchanged, and whether the host is there is known."""

import pytest

from authz.wire.message import Message
from simulators.link import AlreadyInFlight, LinkError, LinkLost, NoConnection, NoReply
from simulators.screen.overheard import Overheard
from tests.simulators.conftest import answer
from tests.simulators.screen.conftest import NOON, ScriptedAuthorizer

REQUEST = Message(mti="0200", trace="000001")


def overhearing(script):
    host, heard = ScriptedAuthorizer(script), []
    return Overheard(host, lambda: NOON, heard.append), host, heard


async def test_request_and_reply_are_heard_in_turn():
    line, host, heard = overhearing(answer)
    assert line.linked is None
    reply = await line.exchange(REQUEST, 1.0)
    assert host.heard == [REQUEST]
    assert [(one.request, one.reply) for one in heard] == [(REQUEST, None), (REQUEST, reply)]
    assert line.linked


@pytest.mark.parametrize("failure", [NoConnection, LinkLost, NoReply])
async def test_a_failure_is_heard_and_passed_on(failure):
    line, _, heard = overhearing(lambda request: failure("why"))
    with pytest.raises(failure):
        await line.exchange(REQUEST, 1.0)
    assert isinstance(heard[-1].failure, failure)
    assert line.linked is False


async def test_a_request_sent_twice_at_once_says_nothing_of_the_link():
    line, _, _ = overhearing(lambda request: AlreadyInFlight("why"))
    with pytest.raises(LinkError):
        await line.exchange(REQUEST, 1.0)
    assert line.linked is None


async def test_an_echo_is_heard_only_where_it_changes_what_is_known():
    line, host, heard = overhearing(lambda request: NoConnection("why"))
    for there, changes in ((True, [None]), (True, []), (False, [None]), (False, []), (True, [None])):
        host.there = there
        await line.test()
        assert line.linked is there
        assert heard == changes
        heard.clear()


async def test_each_echo_has_a_number_of_its_own():
    echoes = []
    line, host, _ = overhearing(lambda request: echoes.append(request) or answer(request))
    host.there = False
    await line.test()
    await line.test()
    assert [(echo.mti, echo.network_code, echo.trace) for echo in echoes] == (
        [("0800", "301", "000001"), ("0800", "301", "000002")]
    )
