"""The demo's test keys, which exist only there and here."""

import pytest

from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.software import SoftwareSecurityModule

LINK = {
    "acquirer": "970001",
    "zpk": "0123456789ABCDEFFEDCBA987654321089ABCDEF01234567",
    "zak": "1A2B3C4D5E6F70819293A4B5C6D7E8F9",
    "zmk": "8F3C1D5A7B9E2046D1C2B3A495867768A0B1C2D3E4F50617",
}
ISSUER = {
    "pvk": "4CA2161637D0133E5E151AEA45DA2A16",
    "cvk": "0123456789ABCDEFFEDCBA9876543210",
    "imk_ac": "2315208C9110AD402315208C9110AD40",
    "bdk": "0123456789ABCDEFFEDCBA9876543210",
}
VAULT = bytes.fromhex("5A" * 32)


@pytest.fixture(scope="session")
def zone() -> ZoneKeys:
    return ZoneKeys.from_hex(LINK)


@pytest.fixture(scope="session")
def issuer() -> IssuerKeys:
    return IssuerKeys.from_hex(ISSUER)


@pytest.fixture(scope="session")
def module(zone: ZoneKeys, issuer: IssuerKeys) -> SoftwareSecurityModule:
    return SoftwareSecurityModule(issuer, {"970001": zone}, VaultKey(VAULT))
