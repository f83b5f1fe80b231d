"""A link's keys change while messages are on their way. docs/interface.md, 161: the old key is honoured for 60 s."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import check_value, wrap
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.mac import RetailMac
from authz.security.module import (
    OLD_KEY_HONOURED_S,
    ImportedKey,
    KeyBlockRefused,
    KeyMissing,
    PinFinding,
    PinMethod,
    Sealed,
    ZoneKeyUsage,
)
from authz.security.software import SoftwareSecurityModule
from authz.security.tdes import TripleDes
from tests.security.conftest import VAULT

LINK, OTHER_LINK = "970001", "970002"
PAN, PIN, COVERED = "9250100000000014", "7391", b"0800"
KEYS = {name: bytes([16 * number]) * 8 + bytes([16 * number + 2]) * 8 for number, name in enumerate("ABCD", 4)}
"""New keys, by the letters of these tests; `0` is the configuration's. They differ in more than their parity bits."""
USAGES = pytest.mark.parametrize("usage", ZoneKeyUsage)


@dataclass
class Office:
    """A module, its clock, and the other end of its link."""

    zone: ZoneKeys
    issuer: IssuerKeys
    now: float = 1e6
    module: SoftwareSecurityModule = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The module forgets everything but its configuration."""
        zones = {LINK: self.zone, OTHER_LINK: self.zone}
        self.module = SoftwareSecurityModule(self.issuer, zones, VaultKey(VAULT), clock=lambda: self.now)

    def key(self, usage: ZoneKeyUsage, letter: str) -> bytes:
        configured = self.zone.zpk if usage is ZoneKeyUsage.PIN else self.zone.zak
        return configured if letter == "0" else KEYS[letter]

    async def imported(self, usage: ZoneKeyUsage, letter: str) -> ImportedKey:
        return await self.module.import_key(LINK, wrap(self.zone.zmk, usage, self.key(usage, letter)))

    async def change(self, usage: ZoneKeyUsage, letter: str) -> None:
        await self.module.use_key(LINK, await self.imported(usage, letter))

    async def honoured(self, usage: ZoneKeyUsage, link: str = LINK) -> str:
        """Say which keys' PIN blocks, or MACs, are honoured now."""
        honours = self._honours_pin if usage is ZoneKeyUsage.PIN else self._honours_mac
        return "".join([letter for letter in ("0", *KEYS) if await honours(link, self.key(usage, letter))])

    async def _honours_pin(self, link: str, key: bytes) -> bool:
        block = TripleDes(key).encrypt(psec.pinblock.encode_pinblock_iso_0(PIN, PAN)).hex()
        finding = await self.module.verify_pin(
            link, block, PAN, await self.module.make_pin_check(PinMethod.PVV, PAN, PIN)
        )
        assert finding is not PinFinding.WRONG
        return finding is PinFinding.RIGHT

    async def _honours_mac(self, link: str, key: bytes) -> bool:
        return await self.module.verify_mac(link, COVERED, RetailMac(key).of(COVERED))


@pytest.fixture
def office(zone: ZoneKeys, issuer: IssuerKeys) -> Office:
    return Office(zone, issuer)


@USAGES
async def test_an_imported_key_is_not_in_use(office: Office, usage: ZoneKeyUsage) -> None:
    """It is kept first: a key in use that wasn't kept would be lost by a restart."""
    await office.imported(usage, "A")
    assert await office.honoured(usage) == "0"


@USAGES
async def test_what_is_imported_is_named_by_usage_and_check_value(office: Office, usage: ZoneKeyUsage) -> None:
    key = await office.imported(usage, "A")
    assert (key.usage, key.check_value) == (usage, check_value(KEYS["A"]))


@USAGES
async def test_the_old_key_is_honoured_for_60_s(office: Office, usage: ZoneKeyUsage) -> None:
    await office.change(usage, "A")
    for seconds, letters in ((0, "0A"), (59.999, "0A"), (60, "A"), (1e6, "A"), (1, "A")):
        office.now = 1e6 + seconds
        assert await office.honoured(usage) == letters
    assert OLD_KEY_HONOURED_S == 60


@USAGES
async def test_only_the_key_just_before_is_honoured(office: Office, usage: ZoneKeyUsage) -> None:
    await office.change(usage, "A")
    office.now += 10
    await office.change(usage, "B")
    assert await office.honoured(usage) == "AB"
    office.now += 59
    assert await office.honoured(usage) == "AB"
    office.now += 1
    assert await office.honoured(usage) == "B"


@USAGES
async def test_the_key_in_use_imported_again_changes_nothing(office: Office, usage: ZoneKeyUsage) -> None:
    """A repeated key change, whose answer was lost, neither shortens nor prolongs what is honoured."""
    await office.change(usage, "0")
    assert await office.honoured(usage) == "0"
    await office.change(usage, "A")
    office.now += 40
    await office.change(usage, "A")
    assert await office.honoured(usage) == "0A"
    office.now += 20
    assert await office.honoured(usage) == "A"
    await office.change(usage, "A")
    assert await office.honoured(usage) == "A"


@USAGES
async def test_a_key_may_come_back(office: Office, usage: ZoneKeyUsage) -> None:
    await office.change(usage, "A")
    await office.change(usage, "0")
    assert await office.honoured(usage) == "0A"
    office.now += 60
    assert await office.honoured(usage) == "0"


@USAGES
async def test_neither_the_other_key_nor_another_link_changes(office: Office, usage: ZoneKeyUsage) -> None:
    await office.change(usage, "A")
    office.now += 60
    [other] = set(ZoneKeyUsage) - {usage}
    assert await office.honoured(usage) == "A"
    assert await office.honoured(other) == "0"
    assert await office.honoured(usage, OTHER_LINK) == "0"


@given(st.lists(st.tuples(st.sampled_from("0ABCD"), st.sampled_from([0.0, 1.0, 29.0, 30.0, 59.0, 60.0, 90.0]))))
async def test_any_changes_at_any_time(zone: ZoneKeys, issuer: IssuerKeys, changes: list[tuple[str, float]]) -> None:
    """The newest key always, the one before it until 60 s after the change, no other."""
    office, usage = Office(zone, issuer), ZoneKeyUsage.MAC
    newest, before, changed = "0", "", office.now
    for letter, seconds in changes:
        await office.change(usage, letter)
        if letter != newest:
            newest, before, changed = letter, newest, office.now
        office.now += seconds
        expected = {newest, before} if office.now - changed < 60 else {newest}
        assert set(await office.honoured(usage)) == expected - {""}


async def test_macs_are_made_under_the_newest_key(office: Office) -> None:
    await office.change(ZoneKeyUsage.MAC, "A")
    assert await office.module.make_mac(LINK, COVERED) == RetailMac(KEYS["A"]).of(COVERED)


async def test_a_wrong_pin_under_the_new_key_is_wrong_and_not_tried_under_the_old(office: Office) -> None:
    await office.change(ZoneKeyUsage.PIN, "A")
    for key in (KEYS["A"], office.zone.zpk):
        block = TripleDes(key).encrypt(psec.pinblock.encode_pinblock_iso_0("7392", PAN)).hex()
        pvv = await office.module.make_pin_check(PinMethod.PVV, PAN, PIN)
        assert await office.module.verify_pin(LINK, block, PAN, pvv) is PinFinding.WRONG


async def test_a_triple_length_pin_key_is_taken(office: Office) -> None:
    key = bytes(range(24))
    await office.module.use_key(
        LINK, await office.module.import_key(LINK, wrap(office.zone.zmk, ZoneKeyUsage.PIN, key))
    )
    office.now += 60
    block = TripleDes(key).encrypt(psec.pinblock.encode_pinblock_iso_0(PIN, PAN)).hex()
    assert (
        await office.module.verify_pin(LINK, block, PAN, await office.module.make_pin_check(PinMethod.PVV, PAN, PIN))
        is PinFinding.RIGHT
    )


@USAGES
async def test_a_kept_key_survives_a_restart_alone(office: Office, usage: ZoneKeyUsage) -> None:
    """The configuration's key was given up, perhaps years ago and for a reason: it isn't honoured for a second."""
    kept = await office.imported(usage, "A")
    office.restart()
    await office.module.restore_key(LINK, kept)
    assert await office.honoured(usage) == "A"
    await office.change(usage, "B")
    assert await office.honoured(usage) == "AB"


@USAGES
async def test_the_key_in_use_restored_again_changes_nothing(office: Office, usage: ZoneKeyUsage) -> None:
    """As when an engine takes over and reads the kept keys once more."""
    kept = await office.imported(usage, "A")
    await office.module.use_key(LINK, kept)
    await office.module.restore_key(LINK, kept)
    assert await office.honoured(usage) == "0A"
    office.now += 60
    assert await office.honoured(usage) == "A"


@USAGES
@pytest.mark.parametrize("put", ["use_key", "restore_key"])
async def test_a_kept_key_opens_for_its_link_and_usage_alone(office: Office, usage: ZoneKeyUsage, put: str) -> None:
    """Whoever can write the table of kept keys can't give a link another's key, nor a key another purpose."""
    into: Callable[[str, ImportedKey], Awaitable[None]] = getattr(office.module, put)
    key = await office.imported(usage, "A")
    [other] = set(ZoneKeyUsage) - {usage}
    with pytest.raises(Sealed):
        await into(OTHER_LINK, key)
    with pytest.raises(Sealed):
        await into(LINK, ImportedKey(other, key.check_value, key.sealed))
    with pytest.raises(Sealed):
        await into(LINK, ImportedKey(usage, key.check_value, office.module.seal(KEYS["A"], b"card c1")))
    assert await office.honoured(usage) == await office.honoured(other) == "0"
    assert await office.honoured(usage, OTHER_LINK) == "0"


async def test_a_refused_block_changes_nothing(office: Office) -> None:
    block = wrap(office.zone.zmk, ZoneKeyUsage.MAC, KEYS["A"])
    for refused in (block[:-1] + ("0" if block[-1] != "0" else "1"), block.replace("M3T", "P0T"), ""):
        with pytest.raises(KeyBlockRefused):
            await office.module.import_key(LINK, refused)
    assert await office.honoured(ZoneKeyUsage.MAC) == "0"


async def test_a_link_without_keys_is_named(office: Office) -> None:
    key = await office.imported(ZoneKeyUsage.PIN, "A")
    with pytest.raises(KeyMissing, match="999999"):
        await office.module.import_key("999999", "")
    with pytest.raises(KeyMissing, match="999999"):
        await office.module.use_key("999999", key)
    with pytest.raises(KeyMissing, match="999999"):
        await office.module.restore_key("999999", key)
