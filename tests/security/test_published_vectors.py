"""Every algorithm against values that others published; each names its source.

ANSI X9.24-1:2009, annex A (TDES DUKPT) as jPOS's JCESecurityModuleTest has some of its table too; ISO
9564-1 formats 0 and 3; Visa PVV and CVV; EMV Book 2 annex A1 and chapter 8 (card and session keys, ARQC, ARPC) with
values that hardware modules made; ISO/IEC 9797-1 algorithm 3; TR-31:2018 and ISO 20038:2017.
"""

import psec
import pytest
from pyemv import kd, tlv

from authz.security.chip import ChipVerification
from authz.security.dukpt import Dukpt, KeySerial
from authz.security.keyblock import check_value, unwrap
from authz.security.mac import RetailMac
from authz.security.module import ZoneKeyUsage
from authz.security.pin import PinBlocks
from authz.security.verification import Cvv2, VisaPvv

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

PIN, MAC = ZoneKeyUsage.PIN, ZoneKeyUsage.MAC
TEST_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")

DUKPT = """\
E00001 042666B49184CF5C68DE9628D0397B36 1B9C1845EB993A7A
E00002 C46551CEF9FD244FAA9AD834130D3B38 10A01C8D02C69107
E00003 0DF3D9422ACA561A47676D07AD6BAD05 18DC07B94797B466
E00004 279C0F6AEED0BE9A2B2C733E1383AE6E 0BC79509D5645DF7
E00005 5F8DC6D2C845C1DA508DDC048093B8C0 5BC0AF22AD87B327
E00006 5E415CB0BAF9F0C3D0C14B63FB62FFBC A16DF70AE36158D8
E00007 0C8F780B7C8B492FAE84A9EB2A6CE69F 27711C16CB257F8E
E00008 27F66D5244FF621EAA6F6120EDEB427F 50E55547A5027551
E00009 27E31064FDC565968900E2057F658E81 536CF7F678ACFC8D
E0000A 6CF2500A22507C83C776CEADC1E330EB EDABBA23221833FE
E0000B 3E8260BA04B2D6DFC01482B3819A1848 2328981C57B4BDBA
E0000C B716E1E11CF53D7F726CAEE75C3A62B0 038D03CC926CF286
E0000D E072EDF9534053A0B6C581C58FBF25CC 6C8AA97088B62C68
E0000E A80046087F5B8FDB5AAD95E1842908B0 F17C9E1D72CD4950
E0000F 93DD5B956C4878B82E453AAEFD32A555 B170F6E7F7F2F64A
E00010 59598DCBD9BD943F94165CE453585FA8 D5D9638559EF53D6
E00011 2B5F01F4F0CC0515639D523231BF1B5D D544F8CDD292C863
E00012 9CF640F279C2AE1915F725EEEAC2CB50 7A21BD10F36DC41D
E00013 C3DF489FDF11534BF03DE97C27DC4CD0 78649BD17D0DFA60
E00014 658488507721B30E4737FA93F923CB2D 7E7E16EA0C31AD56
E00015 E161D1956A61F62DF37AFD7F9CC36965 72105C22EBC791E6
E10000 2F9A0C0B46ECCBA1F8287A7A071AF54B 19776D96D73AF1E2
E20000 DEFDE0EA1043B58D2FA013DE6C4B8F04 83F14581B8946B2D
E40000 9F59E8536BDB056513C856FCCF9A0981 96B3ADCBF9F5219C
E80000 87B9983D9D23047A8D199F5CA0C3DEEC 1E0F453FD55FCE45
EFF800 F9CDFEBF4F5B1D61B3EC12454527E189 33365F5CC6F23C35
EFF801 5BEE92627E9782A3911BF619DF72CAC4 3A86BF003F835C9D
EFF802 64CA2F8AB93F614F1620B00BF77C73FE 3DB977D05C36DF3F
EFF804 35A168695B3BA8CC07E871C42021DDC8 BA83243305712099
EFF808 12C380FCB72ED33D6FC6079AF63F4778 B0DA04AC90A36D85
EFF810 D8007C833A1E3CB6C6889B97A68C5400 2CF02BD9C309EEDA
EFF820 A9C9FF9B735FDDB6591F296B0BF0FD8F 9D1E2F77AEEE81C6
EFF840 0E3E221062CB5EFCA384602783A00405 40870B0F8BA2011C
EFF880 CA8225C587124D04B87F279C0BE297D8 22E340D6ABB40981
EFF900 906AAC1751D497E5144D52C76C6E1F68 1A4C10AFBA03A430
EFFA00 2B9E2CE7C27503C8E10B54D2989EA650 849763B43E5F9CFF
EFFC00 F9430DF97508246EC77BE4EF4FDB9111 DEFC6F09F8927B71
F00000 AA4D58DB653EC7B548C75F2F047DD24A 73EC88AD0AC5830E
"""
"""ANSI X9.24-1:2009, A.4: the end of the key serial number, the PIN key, the PIN block of PIN 1234."""


def test_dukpt_initial_key() -> None:
    """ANSI X9.24-1:2009, A.4."""
    serial = KeySerial.parse("FFFF9876543210E00001")
    assert serial is not None
    assert Dukpt(TEST_KEY).initial_key(serial).hex().upper() == "6AC292FAA1315B4D858AB3A3D7D5933A"


@pytest.mark.parametrize(("serial", "key", "pin_block"), [line.split() for line in DUKPT.splitlines()])
def test_dukpt_pin_keys_and_pin_blocks(serial: str, key: str, pin_block: str) -> None:
    """ANSI X9.24-1:2009, A.4: PIN 1234, PAN 4012345678909, clear block 041274EDCBA9876F."""
    found = Dukpt(TEST_KEY).pin_key(f"FFFF9876543210{serial}")
    assert found is not None
    assert found.hex().upper() == key
    assert psec.des.decrypt_tdes_ecb(found, bytes.fromhex(pin_block)).hex().upper() == "041274EDCBA9876F"
    assert PinBlocks(found, 4).open(pin_block, "4012345678909") == "1234"


@pytest.mark.parametrize(
    ("clear", "pan"),
    [
        pytest.param("041277CDDEEFF669", "5544332211009966", id="format 0, psec.pinblock's documentation"),
        pytest.param("041274EDCBA9876F", "4012345678909", id="format 0, ANSI X9.24-1:2009 A.4"),
        pytest.param("341277EEEFCCB43C", "5544332211009966", id="format 3, psec.pinblock's documentation"),
    ],
)
def test_pin_blocks_of_iso_9564_1(clear: str, pan: str) -> None:
    """ISO 9564-1:2017, 9.3.2 and 9.3.5."""
    block = psec.des.encrypt_tdes_ecb(TEST_KEY, bytes.fromhex(clear)).hex()
    assert PinBlocks(TEST_KEY, 4).open(block, pan) == "1234"


def test_visa_pvv() -> None:
    """psec.pin.generate_visa_pvv's documented example."""
    assert VisaPvv(TEST_KEY, 3).of("1122334455667788", "4524") == "4021"


@pytest.mark.parametrize(
    ("cvk", "pan", "expiry", "service_code", "cvv"),
    [
        pytest.param("0123456789ABCDEFFEDCBA9876543210", "1234567890123456", "9912", "220", "170", id="psec"),
        # With every step between: 24E1A05574051BBF before decimalization, hence CVC 241.
        pytest.param("D676DCF3AFB7350532EAF00EA253D875", "4123450990122129", "0721", "202", "241", id="worked example"),
    ],
)
def test_visa_cvv(cvk: str, pan: str, expiry: str, service_code: str, cvv: str) -> None:
    assert Cvv2(bytes.fromhex(cvk)).of(pan, expiry, service_code) == cvv


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
"""pyemv's tests/test_cvn_hsm.py, whose cryptograms and check values a hardware module made."""


@pytest.mark.parametrize(
    ("derive", "pan", "sequence", "value"),
    [
        pytest.param(kd.derive_icc_mk_a, "1234567890123456", "00", "BAB0", id="option A, 16 digits"),
        pytest.param(kd.derive_icc_mk_a, "12345678901234567", "45", "FF08", id="option A, 17 digits"),
        pytest.param(kd.derive_icc_mk_b, "1234567890123456", "00", "BAB0", id="option B, 16 digits: as A"),
        pytest.param(kd.derive_icc_mk_b, "12345678901234567", "45", "0BAF", id="option B, 17 digits"),
        pytest.param(kd.derive_icc_mk_b, "12345678901234567", "00", "4626", id="option B, another sequence number"),
        pytest.param(kd.derive_icc_mk_b, "123456789012345679", "00", "C2F3", id="option B, 18 digits"),
        pytest.param(kd.derive_icc_mk_b, "000000000000000005", "23", "DD73", id="option B, hash short of digits"),
    ],
)
def test_emv_card_keys(derive, pan: str, sequence: str, value: str) -> None:
    """EMV Book 2, A1.4; check values as a hardware module gave them in pyemv's tests (test_cvn_hsm, ICC MK tests)."""
    assert check_value(derive(TEST_KEY, pan, sequence))[:4] == value


def test_emv_common_session_key() -> None:
    """EMV Book 2, A1.3.1; check value from pyemv's test_cvn_hsm.py (Visa CVN 18)."""
    card = kd.derive_icc_mk_b(TEST_KEY, "1234567890123456", "00")
    assert check_value(kd.derive_common_sk(card, bytes.fromhex("001C000000000000")))[:4] == "22C8"


@pytest.mark.parametrize(
    ("pan", "sequence", "application_data", "arqc", "response"),
    [
        pytest.param(
            "1234567890123456",
            "00",
            "06010A03A06010",
            "29CCA15AE665FA2E",
            "910A28993816AFAE4AEB3030",
            id="CVN 10, option A, ARPC by method 1 over 00",
        ),
        pytest.param("1234567890123456", "00", "06011203A0B800", "7A788EA6B8A3E733", None, id="CVN 18, option B as A"),
        pytest.param(
            "000000000000000005",
            "23",
            "06011203A0B800",
            "8CAD6F2489C640B1",
            None,
            id="CVN 18, option B by SHA-1, short of digits",
        ),
    ],
)
def test_emv_arqc_and_arpc(pan: str, sequence: str, application_data: str, arqc: str, response: str | None) -> None:
    """EMV Book 2, 8.1 and 8.2; cryptograms that a hardware module made (pyemv's tests)."""
    chip = tlv.encode(TRANSACTION | {"9F10": application_data, "9F26": arqc}).hex()
    finding = ChipVerification(TEST_KEY).verify(pan, sequence, chip, "000000004000", "124")
    assert (finding.right, finding.counter) == (True, 0x1C)
    assert response in (None, finding.response)


@pytest.mark.parametrize(
    ("key", "covered", "mac"),
    [
        pytest.param(
            "7CA110454A1A6E570131D9619DC1376E",
            b"Hello World !!!!",
            "F09B856213BAB83B",
            id="Bouncy Castle's ISO9797Alg3MacTest",
        ),
        pytest.param(
            "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB",
            b"hello world",
            "78DA3D3DEB48FD4D",
            id="pyemv's test_mac, padding method 1",
        ),
    ],
)
def test_macs_of_iso_9797_1_algorithm_3(key: str, covered: bytes, mac: str) -> None:
    assert RetailMac(bytes.fromhex(key)).of(covered) == mac


@pytest.mark.parametrize(
    ("zmk", "block", "usage", "key", "value"),
    [
        pytest.param(
            "89E88CF7931444F334BD7547FC3F380C",
            "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701",
            PIN,
            "F039121BEC83D26B169BDCD5B22AAF8F",
            "CB9DEA",
            id="TR-31:2018 A.7.2.1, version A",
        ),
        pytest.param(
            "DD7515F2BFC17F85CE48F3CA25CB21F6",
            "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
            PIN,
            "3F419E1CB7079442AA37474C2EFBF8B8",
            "57C409",
            id="TR-31:2018 A.7.2.2, version B",
        ),
        pytest.param(
            "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCC",
            "C0088M3TC00E000091FA4978279FD9C218BDCBE9CC62F11A182F828406B67AC61B5573748FCF348FD59FA93A",
            MAC,
            "CCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD",
            None,
            id="psec's test_kb_known_values from third parties, version C",
        ),
        pytest.param(
            "3235362D62697420414553207772617070696E67202849534F20323030333829",
            "D0112M3TV16N000018462FA5903B8D2B82FEE26B29713C0BE7ED81601087F12252093D06FC0A012C1CF769AD0E3E9E4877166AB013FC22B4",
            MAC,
            "767361707064642032454552206B6479",
            "B29D42",
            id="ISO 20038:2017 B.3, version D",
        ),
    ],
)
def test_tr_31_blocks_open(zmk: str, block: str, usage: ZoneKeyUsage, key: str, value: str | None) -> None:
    """Check values as openemv's tr31 has them beside these vectors, in test/tr31_decrypt_test.c."""
    found_usage, found = unwrap(bytes.fromhex(zmk), block)
    assert (found_usage, found.hex().upper()) == (usage, key)
    assert value is None or check_value(found) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("0123456789ABCDEFFEDCBA9876543210", "08D7B4", id="the customary test key"),
        pytest.param("5DB50B454F8389ADCE573BE50861F2BF", "5C9405", id="a payShield 10k's, openemv's tr31"),
        pytest.param("E6F1081FEA4C402CC192B65DE367EC3E", "212CF9", id="crypto.stackexchange.com, question 37379"),
    ],
)
def test_check_values(key: str, value: str) -> None:
    assert check_value(bytes.fromhex(key)) == value
