"""A link's PIN key and its MAC key are changed in the middle of a running load: no request fails.

docs/interface.md, "161": the old key is honoured for 60 s, so what is on its way under it is answered as ever.
"""

import asyncio
from collections.abc import Callable
from typing import NewType

import msgspec
from msgspec import Struct

from authz.security.keyblock import check_value, wrap
from authz.security.module import ZoneKeyUsage
from authz.wire.frames import Framer
from authz.wire.message import Elements, Message
from simulators.acquirer.host import AcquirerHost, Arrival, expected_by
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from tests.acceptance.counter import CODEC, DEMO, mac_of, network, signed, terminal
from tests.acceptance.shop import STOCK, Money, Shop

CONNECTIONS = 4
TILLS = 6
"""On each connection, so many requests are in flight at once."""
PAYMENTS_MIN = 200
"""Before a key change, between two, and after the last."""
REPLY_MAX_S = 20
ZMK = bytes.fromhex(DEMO.link.zmk)

Key = NewType("Key", str)
OLD_ZPK, OLD_ZAK = Key(DEMO.link.zpk), Key(DEMO.link.zak)
NEW_ZPK, NEW_ZAK = Key("1F2E3D4C5B6A79880123456789ABCDEF0F1E2D3C4B5A6978"), Key("DCBA98765432100123456789ABCDEFFE")


class Keys(Struct):
    """What the acquirer's host enciphers PINs and makes MACs with, until it is told otherwise."""

    zpk: Key = OLD_ZPK
    zak: Key = OLD_ZAK


class Exchanged(Struct, frozen=True):
    """A request's answer, and the keys that it was under: DE 39, DE 44, the reply's MAC key where it is one of ours."""

    said: tuple[str | None, str | None]
    zpk: Key
    zak: Key
    answered_under: Key | None


async def exchange(host: AcquirerHost, request: Message, zak: Key) -> Message:
    """Send a request with a MAC. The reply's own has not been looked at yet."""
    arrived: asyncio.Future[Arrival | None] = asyncio.get_running_loop().create_future()
    host.post(Framer().frame(signed(request, zak=zak)), expected_by(request), arrived.set_result)
    arrival = await asyncio.wait_for(arrived, REPLY_MAX_S)
    assert arrival is not None, "the link was lost"
    return arrival.reply


def signer_of(reply: Message) -> Key | None:
    """The key that a reply's MAC is right under."""
    return next((zak for zak in (OLD_ZAK, NEW_ZAK) if mac_of(CODEC.encode(reply), zak=zak) == reply.mac), None)


class Load:
    """Tills that pay one after the other until they are told to stop, with the keys of the moment."""

    def __init__(self) -> None:
        self.exchanged: list[Exchanged] = []
        self._stopped = False
        self._more = asyncio.Event()

    async def pay(self, host: AcquirerHost, till: Terminal, customer: Card, keys: Keys) -> None:
        assert customer.pin is not None
        while not self._stopped:
            zpk, zak = keys.zpk, keys.zak
            block = PinPad(zpk).block(customer.pin, customer.pan)
            reply = await exchange(host, msgspec.structs.replace(till.purchase(customer, 1), pin_block=block), zak)
            self.exchanged.append(Exchanged((reply.response_code, reply.reason), zpk, zak, signer_of(reply)))
            self._more.set()

    async def goes_on(self) -> None:
        """Wait until `PAYMENTS_MIN` more have been answered."""
        enough = len(self.exchanged) + PAYMENTS_MIN
        while len(self.exchanged) < enough:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), REPLY_MAX_S)

    def stop(self) -> None:
        self._stopped = True


async def change(host: AcquirerHost, usage: ZoneKeyUsage, key: Key, zak: Key) -> None:
    """0800/161; the new key is in use when this ends."""
    block = wrap(ZMK, usage, bytes.fromhex(key))
    reply = await exchange(host, network("161", elements=Elements(key_block=block)), zak)
    assert (reply.response_code, reply.elements) == ("00", Elements(key_check=check_value(bytes.fromhex(key))))
    assert signer_of(reply) is not None


async def run(shop: Shop, customers: list[Card]) -> list[Exchanged]:
    """Change both keys under load. On each connection, one till goes on under the old keys: it is told late."""
    port, load, keys = shop.authorizer.port, Load(), Keys()
    hosts = [await AcquirerHost.connect("127.0.0.1", port, CODEC) for _ in range(CONNECTIONS + 1)]
    control, *carrying = hosts
    till_and_host = [(terminal(first_trace=10_000 * n + 1), carrying[n % CONNECTIONS]) for n in range(len(customers))]
    async with asyncio.TaskGroup() as tills:
        for number, ((till, host), customer) in enumerate(zip(till_and_host, customers, strict=True)):
            tills.create_task(load.pay(host, till, customer, Keys() if number < CONNECTIONS else keys))
        await load.goes_on()
        await change(control, ZoneKeyUsage.PIN, NEW_ZPK, keys.zak)
        keys.zpk = NEW_ZPK
        await load.goes_on()
        await change(control, ZoneKeyUsage.MAC, NEW_ZAK, keys.zak)
        keys.zak = NEW_ZAK
        await load.goes_on()
        load.stop()
    assert [(host.unmatched, host.garbled) for host in hosts] == [(0, 0)] * len(hosts)
    for host in hosts:
        await host.close()
    return load.exchanged


def test_no_request_fails(own_shop: Callable[..., Shop]) -> None:
    shop = own_shop(mac_required=True).open()
    customers = [shop.customer() for _ in range(CONNECTIONS * TILLS)]
    exchanged = asyncio.run(run(shop, customers))

    assert {one.said for one in exchanged} == {("00", "APPROVED")}
    money = [shop.money(customer) for customer in customers]
    assert sum(one.payable for one in money) == len(exchanged)
    assert money == [Money(STOCK - one.payable, payable=one.payable) for one in money]
    assert shop.authorizer.counted("authz_refused_total") == 0
    assert shop.authorizer.counted("authz_pin_blocks_garbled_total") == 0

    assert {one.answered_under for one in exchanged} == {OLD_ZAK, NEW_ZAK}, "every reply's MAC is right"
    under = {(one.zpk, one.zak) for one in exchanged}
    assert under == {(OLD_ZPK, OLD_ZAK), (NEW_ZPK, OLD_ZAK), (NEW_ZPK, NEW_ZAK)}
    assert {one.answered_under for one in exchanged if one.zak == NEW_ZAK} == {NEW_ZAK}
    told_late = [one for one in exchanged if one.zpk == OLD_ZPK and one.answered_under == NEW_ZAK]
    assert len(told_late) > CONNECTIONS, "both old keys were honoured after both had been changed"
