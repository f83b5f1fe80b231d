"""Chip cryptograms: Visa CVN 10 and 18, against pyemv's own classes; published ones: test_published_vectors.py."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyemv import ac, kd, tlv
from pyemv.cvn import VisaCVN10, VisaCVN18

from authz.security.chip import ChipVerification
from authz.security.keys import IssuerKeys, OlderKeys, VaultKey
from authz.security.module import ChipFinding
from authz.security.software import SoftwareSecurityModule

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

NOT_RIGHT = ChipFinding(right=False, counter=0)
MASTER = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
PAN = "1234567890123456"
TRANSACTION = {
    "9F02": "000000004000",
    "9F03": "000000000000",
    "9F1A": "0124",
    "95": "8000048000",
    "5F2A": "0124",
    "9A": "191105",
    "9C": "01",
    "9F37": "52BF4585",
    "82": "1800",
    "9F36": "001C",
}
"""A transaction of pyemv's tests/test_cvn_hsm.py, whose cryptograms below a hardware module made."""
CVN_10 = TRANSACTION | {"9F10": "06010A03A06010", "9F26": "29CCA15AE665FA2E"}
CVN_18 = TRANSACTION | {"9F10": "06011203A0B800", "9F26": "7A788EA6B8A3E733"}
VECTORS = pytest.mark.parametrize("tags", [CVN_10, CVN_18], ids=["CVN 10", "CVN 18"])
ALTERATIONS = [tag for tag in CVN_18 if tag not in ("9F02", "5F2A")]


def verify(
    tags: dict[str, str], pan: str = PAN, sequence: str = "00", amount: str = "000000004000", currency: str = "124"
) -> ChipFinding:
    return ChipVerification(MASTER).verify(pan, sequence, tlv.encode(tags).hex().upper(), amount, currency)


def test_cvn_18_is_answered_by_arpc_method_2() -> None:
    """EMV Book 2, 8.2.2: four bytes and the card status update, in which the issuer approves."""
    finding = verify(CVN_18)
    card = VisaCVN18(MASTER, MASTER, MASTER, PAN, "00")
    update = bytes.fromhex("00800000")
    arpc = card.generate_arpc(bytes.fromhex(CVN_18["9F26"]), bytes.fromhex("001C"), update)
    assert finding == ChipFinding(right=True, counter=0x1C, response="9108" + (arpc + update).hex().upper())


transactions = st.fixed_dictionaries(
    {tag: st.binary(min_size=len(value) // 2, max_size=len(value) // 2) for tag, value in TRANSACTION.items()}
    | {
        "9F02": st.text("0123456789", min_size=12, max_size=12).map(bytes.fromhex),
        "5F2A": st.integers(0, 999).map(lambda code: bytes.fromhex(f"{code:04}")),
    }
)


@given(
    st.binary(min_size=16, max_size=16),
    st.text("0123456789", min_size=12, max_size=19),
    st.integers(0, 99),
    st.sampled_from([10, 18]),
    transactions,
    st.binary(max_size=20),
)
def test_what_a_card_of_this_issuer_computes_is_right(master, pan, sequence, version, transaction, rest) -> None:
    psn = f"{sequence:02}"
    application_data = bytes([6, 1, version, 3, 0xA0, 0xB8, 0]) + rest
    arguments = {f"tag_{tag.lower()}": value for tag, value in transaction.items()}
    if version == 10:
        card = VisaCVN10(master, master, master, pan, psn)
        arqc = card.generate_ac(**arguments, cvr=application_data[3:7])
    else:
        card = VisaCVN18(master, master, master, pan, psn)
        arqc = card.generate_ac(**arguments, tag_9f10=application_data)
    chip = tlv.encode(transaction | {"9F10": application_data, "9F26": arqc}).hex()
    amount, currency = transaction["9F02"].hex(), transaction["5F2A"].hex()[1:]
    finding = ChipVerification(master).verify(pan, psn, chip, amount, currency)
    assert (finding.right, finding.counter) == (True, int.from_bytes(transaction["9F36"]))


@VECTORS
@pytest.mark.parametrize("tag", ALTERATIONS)
def test_one_bit_of_anything_covered_makes_it_wrong(tags: dict[str, str], tag: str) -> None:
    last = len(tags[tag]) // 2 - 1 if tags is CVN_18 else min(len(tags[tag]) // 2 - 1, 6)
    altered = bytearray.fromhex(tags[tag])
    altered[last] ^= 1
    assert verify(tags | {tag: altered.hex()}) == NOT_RIGHT


@VECTORS
@pytest.mark.parametrize("tag", CVN_18)
def test_a_missing_tag_is_not_right(tags: dict[str, str], tag: str) -> None:
    assert verify({name: value for name, value in tags.items() if name != tag}) == NOT_RIGHT


@VECTORS
def test_values_may_not_slide_into_each_other(tags: dict[str, str]) -> None:
    """The cryptogram covers values without their boundaries; with free lengths one counter could pass for another."""
    slid = tags | {"82": tags["82"][:2], "9F36": tags["82"][2:] + tags["9F36"]}
    assert verify(slid) == NOT_RIGHT


@VECTORS
@pytest.mark.parametrize(
    "changed",
    [{"pan": "1234567890123457"}, {"sequence": "01"}, {"amount": "000000004001"}, {"currency": "978"}],
    ids=lambda changed: next(iter(changed)),
)
def test_card_amount_and_currency_are_the_messages(tags: dict[str, str], changed: dict[str, str]) -> None:
    assert verify(tags, **changed) == NOT_RIGHT


@VECTORS
@pytest.mark.parametrize("sequence", ["", "0", "000", "00"])
def test_the_sequence_number_is_de_23_or_the_chips_or_00(tags: dict[str, str], sequence: str) -> None:
    """docs/interface.md, DE 23: a three-digit field whose last two count; else 5F34, else 00."""
    assert verify(tags, sequence=sequence).right
    assert verify(tags | {"5F34": "01"}, sequence=sequence).right is (sequence != "")


@pytest.mark.parametrize("sequence", ["100", "1x", "-1", "0001", "٠٠"])
def test_a_sequence_number_that_is_none_is_not_right(sequence: str) -> None:
    assert verify(CVN_10, sequence=sequence) == NOT_RIGHT


@pytest.mark.parametrize("version", ["00", "11", "16", "FF"])
def test_other_cryptogram_versions_are_not_right(version: str) -> None:
    assert verify(CVN_10 | {"9F10": f"0601{version}03A06010"}) == NOT_RIGHT


@pytest.mark.parametrize(
    "chip",
    ["", "9", "9F", "9F02", "9F0206", "9F02FF00", "80" * 100, "zz", "9F02060000", "E0" * 499, "E07F" * 249, "00" * 600],
)
def test_malformed_chip_data_is_not_right(chip: str) -> None:
    assert ChipVerification(MASTER).verify(PAN, "00", chip, "000000004000", "124") == NOT_RIGHT


def encoded(tags: dict[str, str], *names: str) -> str:
    return tlv.encode({name: tags[name] for name in names or tags}).hex()


def wrapped(tags: dict[str, str], template: str, *names: str) -> str:
    return tlv.encode({template: {name: tags[name] for name in names}}).hex()


@VECTORS
def test_every_tag_comes_once_and_stands_in_no_other(tags: dict[str, str]) -> None:
    """A tag that comes twice, or within a template, could be read in two ways: nothing of it is believed."""
    whole, rest = encoded(tags), encoded({name: value for name, value in tags.items() if name != "9F36"})
    refused = {
        "twice the same": whole + encoded(tags, "9F36"),
        "twice, the first another": "9F3602FFFF" + whole,
        "twice, the second another": whole + "9F3602FFFF",
        "twice, one that isn't covered": whole + "9F270180" * 2,
        "all in a template": wrapped(tags, "77", *tags),
        "one in a template": rest + wrapped(tags, "E0", "9F36"),
        "again in a template": whole + wrapped(tags, "E0", "9F36"),
        "an empty template": whole + "E000",
        "the counter's length in two bytes": rest + "9F368102001C",
        "the counter's length in three bytes": rest + "9F36820002001C",
        "a length of no length": whole + "9F2780",
        "what is left over": whole + "00",
    }
    read = {
        name: ChipVerification(MASTER).verify(PAN, "00", chip, "000000004000", "124") for name, chip in refused.items()
    }
    assert read == dict.fromkeys(refused, NOT_RIGHT)
    assert verify(tags).right


@VECTORS
def test_what_else_is_in_de_55_and_in_which_order_does_not_matter(tags: dict[str, str]) -> None:
    others = {"84": "A0000000031010", "9F33": "E0F8C8", "9F27": "80", "9F34": "420300"}
    assert verify(dict(reversed(tags.items())) | others).right


def test_templates_within_templates_are_refused_however_deep() -> None:
    """The deepest that DE 55 can carry: the parser calls itself once a level."""
    chip = ""
    while len(deeper := _in_template(chip)) <= 998:
        chip = deeper
    assert ChipVerification(MASTER).verify(PAN, "00", chip, "000000004000", "124") == NOT_RIGHT


def _in_template(content: str) -> str:
    length = len(content) // 2
    return (
        "E0" + (f"{length:02X}" if length < 128 else f"81{length:02X}" if length < 256 else f"82{length:04X}") + content
    )


@given(
    st.text("0123456789", min_size=12, max_size=19),
    st.integers(0, 99),
    st.sampled_from([10, 18]),
    st.sampled_from([kd.derive_icc_mk_a, kd.derive_icc_mk_b]),
)
def test_cvn_10_is_made_with_option_a_and_cvn_18_with_option_b(pan, sequence, version, derive) -> None:
    """EMV Book 2, A1.4: the options differ for PANs of more than 16 digits, and only there."""
    application_data = bytes([6, 1, version, 3, 0xA0, 0xB8, 0])
    covered = b"".join(map(bytes.fromhex, TRANSACTION.values()))
    card = derive(MASTER, pan, f"{sequence:02}")
    if version == 10:
        arqc = ac.generate_ac(card, covered + application_data[3:7], ac.PaddingType.VISA)
    else:
        session = kd.derive_common_sk(card, bytes.fromhex(TRANSACTION["9F36"]) + bytes(6))
        arqc = ac.generate_ac(session, covered + application_data, ac.PaddingType.EMV)
    tags = TRANSACTION | {"9F10": application_data.hex(), "9F26": arqc.hex()}
    own_option = (derive is kd.derive_icc_mk_a) is (version == 10)
    assert verify(tags, pan, f"{sequence:02}").right is (own_option or len(pan) <= 16)


@given(st.binary(max_size=499))
def test_random_chip_data_is_not_right(chip: bytes) -> None:
    assert ChipVerification(MASTER).verify(PAN, "00", chip.hex(), "000000004000", "124") == NOT_RIGHT


@given(st.data())
def test_a_damaged_message_never_raises(data: st.DataObject) -> None:
    chip = bytearray(tlv.encode(CVN_18))
    for _ in range(data.draw(st.integers(1, 3))):
        chip[data.draw(st.integers(0, len(chip) - 1))] = data.draw(st.integers(0, 255))
    finding = ChipVerification(MASTER).verify(PAN, "00", chip.hex(), "000000004000", "124")
    assert finding.right is (bytes(chip) == tlv.encode(CVN_18))


async def test_the_module_answers_a_demo_card(module: SoftwareSecurityModule) -> None:
    """The demo's issuer master key: option A, CVN 18."""
    pan, master = "9250100000000014", bytes.fromhex("2315208C9110AD402315208C9110AD40")
    transaction = TRANSACTION | {"9F02": "000000001250", "5F2A": "0978", "9F1A": "0250"}
    data = {f"tag_{tag.lower()}": bytes.fromhex(value) for tag, value in transaction.items()}
    application_data = bytes.fromhex("06011203A0B800")
    arqc = VisaCVN18(master, master, master, pan, "01").generate_ac(**data, tag_9f10=application_data)
    chip = tlv.encode(transaction | {"9F10": application_data, "9F26": arqc, "5F34": "01"}).hex().upper()
    finding = await module.verify_cryptogram(pan, "", chip, "000000001250", "978")
    assert (finding.right, finding.counter) == (True, 0x1C)
    assert not (await module.verify_cryptogram(pan, "", chip, "000000001251", "978")).right


@VECTORS
async def test_a_card_made_with_an_older_master_key_still_verifies(tags: dict[str, str]) -> None:
    """And only with one that is still honoured."""
    arguments = (PAN, "00", encoded(tags), "000000004000", "124")
    for older, right in (((MASTER,), True), ((MASTER[::-1], MASTER), True), ((MASTER[::-1],), False), ((), False)):
        keys = IssuerKeys(pvk=bytes(16), cvk=bytes(16), imk_ac=bytes(16), bdk=bytes(16), older=OlderKeys(imk_ac=older))
        finding = await SoftwareSecurityModule(keys, {}, VaultKey(bytes(32))).verify_cryptogram(*arguments)
        assert finding == (verify(tags) if right else NOT_RIGHT)


@given(
    pan=st.text(),
    sequence=st.text(),
    chip=st.text() | st.just(tlv.encode(CVN_18).hex()),
    amount=st.text(),
    currency=st.text(),
)
def test_whatever_the_message_says_nothing_raises(pan, sequence, chip, amount, currency) -> None:
    assert ChipVerification(MASTER).verify(pan, sequence, chip, amount, currency) == NOT_RIGHT


def test_no_warning_of_the_libraries_escapes() -> None:
    """cryptography warns of the short keys that pyemv gives it: nothing that an operator could act on."""
    with warnings.catch_warnings(action="error"):
        assert verify(CVN_10).right
        assert verify(CVN_18).right
