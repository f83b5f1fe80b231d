"""Nothing that holds a secret shows it: not a repr, not an exception, not a traceback, not a warning."""

import asyncio
import io
import re
import traceback
from collections.abc import Callable, Iterator

import psec
import pytest
from rich.console import Console
from rich.pretty import pretty_repr

from authz.security.chip import ChipVerification
from authz.security.dukpt import Dukpt, KeySerial
from authz.security.keyblock import unwrap, wrap
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.mac import RetailMac
from authz.security.module import ImportedKey, PinCheck, PinMethod, SecurityError, ZoneKeyUsage
from authz.security.pin import PinBlocks
from authz.security.software import SoftwareSecurityModule
from authz.security.tdes import TripleDes
from authz.security.vault import Vault
from authz.security.verification import Cvv2, Ibm3624, VisaPvv

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

PAN, PIN, CVV2 = "9250100000000014", "7391", "5836"
MASTER = bytes.fromhex("5A17C3" * 10 + "5A17")
ZONE = {"zpk": "0B1C2D3E4F506172" * 3, "zak": "1A2B3C4D5E6F7081" * 2, "zmk": "8F3C1D5A7B9E2046" * 3}
ISSUER = {
    "pvk": "4CA2161637D0133E" * 2,
    "cvk": "61C9D2E3F4051627" * 2,
    "imk_ac": "2315208C9110AD40" * 2,
    "bdk": "89" * 16,
}
NEW_KEY = bytes.fromhex("D3A94E7160B8F215" * 2)
KEYS = [bytes.fromhex(text) for text in (*ZONE.values(), *ISSUER.values())] + [MASTER, NEW_KEY]

zone, issuer = ZoneKeys.from_hex(ZONE), IssuerKeys.from_hex(ISSUER)
module = SoftwareSecurityModule(issuer, {"970001": zone}, VaultKey(MASTER))
BLOCK = wrap(zone.zmk, ZoneKeyUsage.MAC, NEW_KEY)
imported = asyncio.run(module.import_key("970001", BLOCK))


def shapes(key: bytes) -> Iterator[str]:
    """How a leaked key would look; its first half is enough to give it away."""
    half = key[:8]
    yield from (half.hex(), str(half)[2:-1], str(list(half))[1:-1])


SECRETS = [PAN, PIN, CVV2, *(shape for key in [*KEYS, imported.sealed, imported.sealed[-8:]] for shape in shapes(key))]
SECRETS += [BLOCK[16:32], BLOCK[-16:]]


ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where an object stands in memory: digits that any PIN may be among, and that are nobody's secret."""


def leaked(text: str) -> list[str]:
    said = ADDRESS.sub("", text).lower()
    return [secret for secret in SECRETS if secret.lower() in said]


def test_a_leak_would_be_found() -> None:
    for key in KEYS:
        assert leaked(repr(key))
        assert leaked(key.hex().upper())
    assert leaked(f"PIN is not numeric: {PIN}")
    assert leaked(repr(imported.sealed))
    with pytest.raises(psec.tr31.KeyBlockError) as caught:
        psec.tr31.unwrap(zone.zmk, CUT_SHORT)
    assert leaked(str(caught.value))


def psecs(header: str, key: bytes = NEW_KEY) -> str:
    """A key block that psec makes and the module refuses, with the encrypted key and the MAC among the secrets."""
    block: str = psec.tr31.wrap(zone.zmk, header, key)
    SECRETS.extend((block[16:32], block[-16:]))
    return block


CUT_SHORT = f"B{len(BLOCK) - 8:04}{BLOCK[5:56]}{BLOCK[64:]}"
"""Its encrypted key isn't whole blocks: psec's error shows it."""

HOLDERS = [
    zone,
    issuer,
    VaultKey(MASTER),
    module,
    *module._zones.values(),
    *(module._zones["970001"].succession(usage) for usage in ZoneKeyUsage),
    imported,
    TripleDes(zone.zpk),
    PinBlocks(zone.zpk, 4),
    RetailMac(zone.zak),
    PinCheck(PinMethod.PVV, PIN),
    VisaPvv(issuer.pvk, 1),
    Ibm3624(issuer.pvk),
    Dukpt(issuer.bdk),
    KeySerial(0, 1),
    Cvv2(issuer.cvk),
    ChipVerification(issuer.imk_ac),
    Vault(VaultKey(MASTER)),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_no_repr_shows_a_secret(holder: object) -> None:
    """Rich's own protocol too, since progress bars and tracebacks are drawn by it."""
    drawn = io.StringIO()
    Console(file=drawn, width=400).print(holder)
    for text in (repr(holder), str(holder), f"{[holder]!r}", pretty_repr(holder), drawn.getvalue()):
        assert not leaked(text)


def run(name: str, *arguments: str | bytes | ImportedKey | PinMethod) -> Callable[[], object]:
    return lambda: asyncio.run(getattr(module, name)(*arguments))


FAILURES: dict[str, Callable[[], object]] = {
    "no such link, PIN": run("verify_pin", "999999", "0" * 16, PAN, "0000"),
    "no such link, MAC": run("make_mac", "999999", PAN.encode()),
    "PVV, PAN not digits": run("make_pin_check", PinMethod.PVV, PAN + "x", PIN),
    "PVV, PIN not digits": run("make_pin_check", PinMethod.PVV, PAN, PIN + "x"),
    "PVV, PIN too short": run("make_pin_check", PinMethod.PVV, PAN, PIN[:3]),
    "PIN check, PAN not digits": run("make_pin_check", PinMethod.IBM_3624, PAN + "é", PIN),
    "PIN check, PIN not digits": run("make_pin_check", PinMethod.IBM_3624, PAN, PIN + "x"),
    "CVV2, PAN not digits": run("make_cvv2", PAN + "é", "2806"),
    "CVV2, expiry not digits": run("verify_cvv2", PAN, PAN, CVV2),
    "token": lambda: module.token(PAN + "\ud800"),
    "unseal altered": lambda: module.unseal(module.seal(PAN.encode(), b"c1")[:-1], b"c1"),
    "unseal elsewhere": lambda: module.unseal(module.seal(PAN.encode(), b"c1"), PAN.encode()),
    "unseal what was never sealed": lambda: module.unseal(PAN.encode(), b""),
    "key block of no link": run("import_key", "999999", BLOCK),
    "key block altered": run("import_key", "970001", BLOCK.replace("M3", "P0")),
    "key block cut short": run("import_key", "970001", CUT_SHORT),
    "key block lengthened": run("import_key", "970001", BLOCK + "0"),
    "key block's encrypted key not hexadecimal": run("import_key", "970001", BLOCK[:40] + "x" + BLOCK[41:]),
    "key block's MAC not hexadecimal": run("import_key", "970001", BLOCK[:-17] + "x" + BLOCK[-16:]),
    "key block's header not ASCII": run("import_key", "970001", BLOCK[:4] + "é" + BLOCK[5:]),
    "key block's padding not ASCII": run("import_key", "970001", f"B0104P0TB00N0100PB08éééé{BLOCK[16:]}"),
    "key block, optional block cut short": run("import_key", "970001", f"B0104P0TB00N0100TTFF0000{BLOCK[16:]}"),
    "key block of another version": run("import_key", "970001", "D" + BLOCK[1:]),
    "key block under another key": lambda: unwrap(NEW_KEY, BLOCK),
    "key block, usage": run("import_key", "970001", psecs("B0000K0TB00N0000")),
    "key block, algorithm": run("import_key", "970001", psecs("B0000P0AB00N0000")),
    "key block, mode of use": run("import_key", "970001", psecs("B0000M3TX00N0000")),
    "key block, component": run("import_key", "970001", psecs("B0000P0TBc0N0000")),
    "key block, length": run("import_key", "970001", psecs("B0000M3TC00N0000", NEW_KEY + NEW_KEY[:8])),
    "key not wrapped": lambda: wrap(zone.zmk, ZoneKeyUsage.MAC, NEW_KEY[:-1]),
    "kept key of no link": run("use_key", "999999", imported),
    "kept key of another usage": run("use_key", "970001", ImportedKey(ZoneKeyUsage.PIN, PIN, imported.sealed)),
    "kept key altered": run("restore_key", "970001", ImportedKey(ZoneKeyUsage.MAC, PIN, imported.sealed[:-1])),
    "key not hexadecimal": lambda: ZoneKeys.from_hex(ZONE | {"zak": ZONE["zak"] + "xy"}),
    "key too long": lambda: ZoneKeys.from_hex(ZONE | {"zak": ZONE["zak"] + "00"}),
    "key missing": lambda: IssuerKeys.from_hex(ZONE),
    "vault key too short": lambda: SoftwareSecurityModule(issuer, {}, VaultKey(MASTER[:-1])),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_no_failure_shows_a_secret(failure: Callable[[], object]) -> None:
    """Neither the error nor anything chained to it, hidden by `from None` or not: loggers read those too."""
    with pytest.raises(SecurityError) as caught:
        failure()
    error: BaseException | None = caught.value
    assert not leaked("".join(traceback.format_exception(error)))
    while error is not None:
        assert not leaked(f"{error!s} {error!r} {error.args!r} {vars(error)!r}")
        error = error.__cause__ or error.__context__


def test_every_failure_has_one_line_to_say() -> None:
    for failure in FAILURES.values():
        with pytest.raises(SecurityError, match=r"^[^\n]+$"):
            failure()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("verify_pin", ("970001", psec.pinblock.encode_pinblock_iso_0(PIN, PAN).hex(), PAN, "0000")),
        ("verify_pin", ("970001", PAN, PAN, PIN)),
        ("verify_pin", ("970001", PAN, PAN, PinCheck(PinMethod.IBM_3624, PIN), "FFFF9876543210E00001")),
        ("verify_pin", ("970001", PAN, PAN, PinCheck(PinMethod.PVV, PIN), PAN)),
        ("verify_pin", ("970001", "x" * 16, PAN + "é", "é")),
        ("verify_cvv2", (PAN, "2806", CVV2)),
        ("verify_cryptogram", (PAN, "00", "5A08" + PAN + "9F", "000000001250", "978")),
        ("verify_cryptogram", (PAN + "é", PIN, "xx", "é", "é")),
        ("verify_mac", ("970001", PAN.encode(), PAN)),
        ("import_key", ("970001", BLOCK)),
        ("use_key", ("970001", imported)),
        ("restore_key", ("970001", imported)),
    ],
)
async def test_what_comes_out_and_what_is_said_meanwhile_shows_nothing(name, arguments, capfd, caplog) -> None:
    finding = await getattr(module, name)(*arguments)
    assert not leaked(repr(finding))
    assert not leaked("".join(capfd.readouterr()) + caplog.text)
