"""The security module in software: keys in this process's memory, for tests, demos and small installations."""

import time
from collections.abc import Callable, Mapping

from authz.security.chip import ChipVerification
from authz.security.keyblock import check_value, unwrap
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.module import ChipFinding, ImportedKey, KeyMissing, PinFinding, SecurityModule, ZoneKeyUsage
from authz.security.vault import Vault
from authz.security.verification import Cvv2, VisaPvv, same
from authz.security.zone import Zone


class SoftwareSecurityModule(SecurityModule):
    """A security module whose keys are given to it.

    `zones` are the links by acquirer id; `vault` is the vault's master key (32 bytes); `pin_length` is the
    number of digits of every PIN; `clock` counts the seconds for which an old key is honoured. Raises `KeyMalformed`
    for keys that can't be used.
    """

    def __init__(
        self,
        issuer: IssuerKeys,
        zones: Mapping[str, ZoneKeys],
        vault: bytes,
        pin_length: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._zones = {name: Zone(keys, pin_length, clock) for name, keys in zones.items()}
        self._pvv = VisaPvv(issuer.pvk, issuer.pvki)
        self._cvv2 = Cvv2(issuer.cvk)
        self._chips = ChipVerification(issuer.imk_ac)
        self._vault = Vault(VaultKey(vault))

    async def verify_pin(self, zone: str, pin_block: str, pan: str, pvv: str) -> PinFinding:
        """Open the PIN block and compare its PIN's PVV. Raises `KeyMissing`."""
        for pin_blocks in self._zone(zone).pin_blocks.honoured():
            pin = pin_blocks.open(pin_block, pan)
            if pin is not None:
                return PinFinding.RIGHT if same(self._pvv.of(pan, pin), pvv) else PinFinding.WRONG
        return PinFinding.GARBLED

    async def verify_cvv2(self, pan: str, expiry: str, cvv2: str) -> bool:
        """Compare with the CVV2 of that card. Raises `Malformed`."""
        return same(self._cvv2.of(pan, expiry), cvv2)

    async def verify_cryptogram(self, pan: str, sequence: str, chip: str, amount: str, currency: str) -> ChipFinding:
        """Verify a chip's ARQC (Visa CVN 10 and 18) and make the ARPC."""
        return self._chips.verify(pan, sequence, chip, amount, currency)

    async def verify_mac(self, zone: str, covered: bytes, mac: str) -> bool:
        """Compare with the MAC of these bytes. Raises `KeyMissing`."""
        return any(same(own.of(covered), mac) for own in self._zone(zone).macs.honoured())

    async def make_mac(self, zone: str, covered: bytes) -> str:
        """Make the MAC of these bytes. Raises `KeyMissing`."""
        return self._zone(zone).macs.newest.of(covered)

    async def import_key(self, zone: str, block: str) -> ImportedKey:
        """Open a key block and seal its key under the vault's. Raises `KeyBlockRefused` and `KeyMissing`."""
        usage, key = unwrap(self._zone(zone).zmk, block)
        return ImportedKey(usage, check_value(key), self._vault.seal(key, _context(zone, usage)))

    async def use_key(self, zone: str, key: ImportedKey) -> None:
        """Change a key of a link. Raises `KeyMissing` and `Sealed`."""
        self._zone(zone).succession(key.usage).change(self._opened(zone, key))

    async def restore_key(self, zone: str, key: ImportedKey) -> None:
        """Put a kept key back into use. Raises `KeyMissing` and `Sealed`."""
        self._zone(zone).succession(key.usage).restore(self._opened(zone, key))

    async def make_pvv(self, pan: str, pin: str) -> str:
        """Make a PIN's PVV. Raises `Malformed`."""
        return self._pvv.of(pan, pin)

    async def make_cvv2(self, pan: str, expiry: str) -> str:
        """Make a card's CVV2. Raises `Malformed`."""
        return self._cvv2.of(pan, expiry)

    def token(self, pan: str) -> bytes:
        """Name a PAN. Raises `Malformed`."""
        return self._vault.token(pan)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal a text."""
        return self._vault.seal(plain, context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what was sealed. Raises `Sealed`."""
        return self._vault.unseal(sealed, context)

    def _opened(self, zone: str, key: ImportedKey) -> bytes:
        return self._vault.unseal(key.sealed, _context(zone, key.usage))

    def _zone(self, zone: str) -> Zone:
        try:
            return self._zones[zone]
        except KeyError:
            raise KeyMissing(f"no keys are loaded for link {zone}") from None


def _context(zone: str, usage: ZoneKeyUsage) -> bytes:
    """What a kept key is sealed for."""
    return f"zone key {usage} {zone}".encode()
