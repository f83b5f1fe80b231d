"""A software chip against the security module: its cryptograms verify, nothing altered does, and it knows its issuer.

EMV Book 2, chapter 8. The two sides share pyemv; what ties both to real chips is test_published_vectors.py.
"""

import warnings
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyemv import tlv
from rich.pretty import pretty_repr

from authz.decision.cards import examine
from authz.decision.commands import CardId, Entry, Origin, Purchase
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reason
from authz.decision.position import Card as HeldCard
from authz.decision.position import CardStatus
from authz.programmes import shipped as shipped_programme
from authz.security.keys import IssuerKeys, VaultKey
from authz.security.module import ChipFinding
from authz.security.software import SoftwareSecurityModule
from ledger.values import Cents
from simulators.terminal.chip import (
    COUNTER_MAX,
    OFFLINE_IN_A_ROW_MAX,
    Asked,
    Chip,
    ChipSpent,
    MasterKeyUnfit,
    PinBlocked,
    Version,
)

MASTER = "2315208C9110AD402315208C9110AD40"
PAN = "9250100000000014"
TUESDAY = date(2026, 5, 12)
ASKED = Asked(
    cents=1250, currency="978", day=TUESDAY, kind="00", country="250", unpredictable=bytes.fromhex("52BF4585")
)
COVERED = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36")
"""What every cryptogram covers; of 9F10, CVN 18 covers all, CVN 10 the card verification results (bytes 4 to 7)."""

versions = st.sampled_from(Version)
pans = st.text("0123456789", min_size=12, max_size=19)
asked = st.builds(
    Asked,
    cents=st.integers(0, 999_999_999_999),
    currency=st.integers(1, 999).map(lambda code: f"{code:03}"),
    day=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    kind=st.sampled_from(["00", "20", "31"]),
    country=st.just("250"),
    unpredictable=st.binary(min_size=4, max_size=4),
    results=st.binary(min_size=5, max_size=5),
)


@pytest.fixture(scope="module")
def module() -> SoftwareSecurityModule:
    other = bytes(16)
    issuer = IssuerKeys(pvk=other, cvk=other, imk_ac=bytes.fromhex(MASTER), bdk=other)
    return SoftwareSecurityModule(issuer, {}, VaultKey(bytes(32)))


async def verified(
    module: SoftwareSecurityModule, chip: str, pan: str = PAN, cents: int = 1250, currency: str = "978"
) -> ChipFinding:
    return await module.verify_cryptogram(pan, "", chip, f"{cents:012}", currency)


@given(
    version=versions,
    pan=pans,
    sequence=st.integers(0, 99),
    what=asked,
    before=st.integers(0, COUNTER_MAX - 1),
    de_23=st.booleans(),
)
async def test_what_a_chip_answers_is_right_and_it_accepts_the_reply(
    module: SoftwareSecurityModule, version, pan, sequence, what, before, de_23
) -> None:
    chip = Chip(MASTER, pan, sequence=sequence, version=version, counter=before)
    card_sequence = f"{sequence:03}" if de_23 else ""
    finding = await module.verify_cryptogram(pan, card_sequence, chip.answer(what), f"{what.cents:012}", what.currency)
    assert (finding.right, finding.counter) == (True, before + 1)
    assert chip.accepts(finding.response)


@pytest.mark.parametrize("version", Version)
async def test_one_flipped_bit_of_any_covered_byte_is_wrong(module: SoftwareSecurityModule, version: Version) -> None:
    tags = tlv.decode(bytes.fromhex(Chip(MASTER, PAN, version=version).answer(ASKED)))
    in_9f10 = range(8 * 2, 8 * 7) if version is Version.CVN_10 else range(8 * 7)  # byte 3 is the version itself
    places = [(tag, bit) for tag in (*COVERED, "9F26") for bit in range(8 * len(tags[tag]))]
    for tag, bit in [*places, *(("9F10", bit) for bit in in_9f10)]:
        changed = (int.from_bytes(tags[tag]) ^ 1 << 8 * len(tags[tag]) - 1 - bit).to_bytes(len(tags[tag]))
        finding = await verified(module, tlv.encode(tags | {tag: changed}).hex())
        assert finding == ChipFinding(right=False, counter=0), f"{tag}, bit {bit}"
    assert (await verified(module, tlv.encode(tags).hex())).right


@given(version=versions, what=asked, other=st.integers(0, 999_999_999_999), currency=st.integers(0, 999))
async def test_another_amount_or_currency_than_the_chips_is_wrong(
    module: SoftwareSecurityModule, version, what, other, currency
) -> None:
    answer = Chip(MASTER, PAN, version=version).answer(what)
    same = (other, f"{currency:03}") == (what.cents, what.currency)
    assert (await verified(module, answer, cents=other, currency=f"{currency:03}")).right is same
    assert (await verified(module, answer, cents=other, currency=what.currency)).right is (other == what.cents)


@pytest.mark.parametrize("version", Version)
async def test_another_card_of_the_issuer_does_not_make_it(module: SoftwareSecurityModule, version: Version) -> None:
    other_pan = Chip(MASTER, "9250100000000022", version=version).answer(ASKED)
    other_sequence = Chip(MASTER, PAN, sequence=2, version=version).answer(ASKED)
    other_issuer = Chip("00" * 16, PAN, version=version).answer(ASKED)
    assert not (await verified(module, other_pan)).right
    assert not (await module.verify_cryptogram(PAN, "001", other_sequence, "000000001250", "978")).right
    assert not (await verified(module, other_issuer)).right


def test_the_counter_rises_and_is_the_cards_own() -> None:
    chip, twin = Chip(MASTER, PAN), Chip(MASTER, PAN)
    cryptograms = {tlv.decode(bytes.fromhex(chip.answer(ASKED)))["9F26"] for _ in range(20)}
    assert (chip.counter, twin.counter, len(cryptograms)) == (20, 0, 20)


def test_a_chip_that_has_counted_to_the_end_is_dead() -> None:
    chip = Chip(MASTER, PAN, counter=COUNTER_MAX - 1)
    chip.answer(ASKED)
    for _ in range(2):
        with pytest.raises(ChipSpent):
            chip.answer(ASKED)
    assert chip.counter == COUNTER_MAX


@pytest.mark.parametrize("version", Version)
async def test_a_replayed_cryptogram_is_refused_by_the_core(module: SoftwareSecurityModule, version: Version) -> None:
    """docs/interface.md, ARQC_WRONG: its counter was seen before. The cryptogram itself is right each time."""
    origin = Origin("0200", "009000", "0512103000", "000001", "20260512123000", "970001", "PAR00001", "FR0000000000001")
    purchase = Purchase(origin, CardId("c1"), "c0ffee", "00", "90", Cents(1250), 978, Entry.CHIP)
    held = HeldCard("c1", "apetiz", 2, "2806", CardStatus.ACTIVE)
    chip = Chip(MASTER, PAN, version=version)
    first, second = chip.answer(ASKED), chip.answer(ASKED)
    refusals = []
    for answer in (first, first, second, first, second):
        finding = await verified(module, answer)
        evidence = Evidence(Check.RIGHT, arqc=Check.RIGHT, counter=finding.counter, response=finding.response)
        verdict = examine(held, purchase, evidence, shipped_programme("apetiz"), TUESDAY)
        held = verdict.card
        refusals.append(verdict.refusal)
    assert refusals == [None, Reason.ARQC_WRONG, None, Reason.ARQC_WRONG, Reason.ARQC_WRONG]


@given(version=versions, bit=st.integers(0, 63))
async def test_a_chip_accepts_no_altered_reply(module: SoftwareSecurityModule, version, bit) -> None:
    """EMV Book 2, 8.2: by one bit of the ARPC, or of what it covers, the card knows that it isn't its issuer's."""
    chip = Chip(MASTER, PAN, version=version)
    response = (await verified(module, chip.answer(ASKED))).response
    assert response is not None
    altered = f"{int(response, 16) ^ 1 << bit:0{len(response)}X}"
    assert not chip.accepts(altered)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    "response", [None, "", "91", "9100", "910A", "9104AABBCCDD", "8A023030", "zz", "910A" + "00" * 10]
)
def test_a_chip_accepts_no_reply_without_a_cryptogram(version: Version, response: str | None) -> None:
    chip = Chip(MASTER, PAN, version=version)
    chip.answer(ASKED)
    assert not chip.accepts(response)


@pytest.mark.parametrize("version", Version)
async def test_a_reply_answers_one_cryptogram_once(module: SoftwareSecurityModule, version: Version) -> None:
    chip = Chip(MASTER, PAN, version=version)
    assert not chip.accepts("9108" + "00" * 8)
    earlier = (await verified(module, chip.answer(ASKED))).response
    latest = (await verified(module, chip.answer(ASKED))).response
    assert not chip.accepts(earlier)
    chip.answer(ASKED)
    assert not chip.accepts(latest)
    newest = (await verified(module, chip.answer(ASKED))).response
    assert chip.accepts(newest)
    assert not chip.accepts(newest)


async def test_an_issuer_who_does_not_approve_is_not_accepted(module: SoftwareSecurityModule) -> None:
    """A right ARPC over an update that approves nothing: EMV Common Core Definitions, card status update, byte 2."""
    chip = Chip(MASTER, PAN)
    chip.answer(ASKED)
    assert chip._open is not None
    with warnings.catch_warnings(action="ignore"):
        declined = chip._keys.generate_arpc(chip._open, chip.counter.to_bytes(2), bytes(4))
    assert not chip.accepts(tlv.encode({"91": declined + bytes(4)}).hex())


@pytest.mark.parametrize("key", ["", MASTER[:-2], MASTER + "00", "x" * 32])
def test_an_unfit_master_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(MasterKeyUnfit) as refused:
        Chip(key, PAN)
    assert str(refused.value) == "An issuer's master key is 32 hexadecimal digits."


def test_a_chip_shows_its_counter_and_no_key() -> None:
    chip = Chip(MASTER, PAN)
    answer = tlv.decode(bytes.fromhex(chip.answer(ASKED)))
    for shown in (repr(chip), str(chip), pretty_repr(chip), repr(msgspec.structs.asdict(ASKED))):
        assert not any(secret in shown.upper() for secret in (MASTER, PAN, answer["9F26"].hex().upper()))


def test_no_warning_of_the_libraries_escapes() -> None:
    with warnings.catch_warnings(action="error"):
        for version in Version:
            chip = Chip(MASTER, PAN, version=version)
            chip.answer(ASKED)
            chip.accepts("910A" + "3030" * 5)
            chip.answer(ASKED)
            chip.accepts("9108" + "FF" * 8)


def test_a_chip_verifies_its_pin_offline_and_blocks_it_after_three_wrong_ones_in_a_row():
    """EMV Book 3, 6.5.12 and tag 9F17. A right PIN sets the counter back."""
    chip = Chip(None, PAN, pin="1234")
    assert [chip.verify(pin) for pin in ("1111", "2222", "1234", "1111")] == [False, False, True, False]
    assert chip.pin_tries_left == 2
    assert [chip.verify("1111") for _ in range(2)] == [False, False]
    with pytest.raises(PinBlocked):
        chip.verify("1234")


def test_a_chip_approves_offline_only_so_often_without_a_word_from_its_issuer():
    """EMV tag 9F23, the upper consecutive offline limit."""
    chip = Chip(MASTER, PAN)
    for _ in range(OFFLINE_IN_A_ROW_MAX):
        assert chip.may_approve
        data = tlv.decode(bytes.fromhex(chip.approve(ASKED)))
        assert data["9F27"].hex() == "40"
    assert not chip.may_approve
    chip.heard()
    assert chip.may_approve
    assert tlv.decode(bytes.fromhex(chip.answer(ASKED)))["9F27"].hex() == "80"
    assert chip.counter == OFFLINE_IN_A_ROW_MAX + 1


def test_a_chip_whose_keys_nobody_knows_makes_no_cryptogram():
    chip = Chip(None, PAN)
    assert (chip.answer(ASKED), chip.approve(ASKED), chip.counter) == (None, None, 0)
    assert not chip.accepts("9100")
