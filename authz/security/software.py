"""The security module in software: keys in this process's memory, for tests, demos and small installations."""

from collections.abc import Mapping

from authz.security.chip import ChipVerification
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.mac import RetailMac
from authz.security.module import ChipFinding, KeyMissing, PinFinding, SecurityModule
from authz.security.pin import PinBlocks
from authz.security.vault import Vault
from authz.security.verification import Cvv2, VisaPvv, same


class _Zone:
    """What one link's keys are for."""

    __slots__ = ("mac", "pin_blocks")

    def __init__(self, keys: ZoneKeys, pin_length: int) -> None:
        self.pin_blocks = PinBlocks(keys.zpk, pin_length)
        self.mac = RetailMac(keys.zak)


class SoftwareSecurityModule(SecurityModule):
    """A security module whose keys are given to it.

    `zones` are the links by acquirer id; `vault` is the vault's master key (32 bytes); `pin_length` is the
    number of digits of every PIN. Raises `KeyMalformed` for keys that can't be used.
    """

    def __init__(self, issuer: IssuerKeys, zones: Mapping[str, ZoneKeys], vault: bytes, pin_length: int = 4) -> None:
        self._zones = {name: _Zone(keys, pin_length) for name, keys in zones.items()}
        self._pvv = VisaPvv(issuer.pvk, issuer.pvki)
        self._cvv2 = Cvv2(issuer.cvk)
        self._chips = ChipVerification(issuer.imk_ac)
        self._vault = Vault(VaultKey(vault))

    async def verify_pin(self, zone: str, pin_block: str, pan: str, pvv: str) -> PinFinding:
        """Open the PIN block and compare its PIN's PVV. Raises `KeyMissing`."""
        pin = self._zone(zone).pin_blocks.open(pin_block, pan)
        if pin is None:
            return PinFinding.GARBLED
        return PinFinding.RIGHT if same(self._pvv.of(pan, pin), pvv) else PinFinding.WRONG

    async def verify_cvv2(self, pan: str, expiry: str, cvv2: str) -> bool:
        """Compare with the CVV2 of that card. Raises `Malformed`."""
        return same(self._cvv2.of(pan, expiry), cvv2)

    async def verify_cryptogram(self, pan: str, sequence: str, chip: str, amount: str, currency: str) -> ChipFinding:
        """Verify a chip's ARQC (Visa CVN 10 and 18) and make the ARPC."""
        return self._chips.verify(pan, sequence, chip, amount, currency)

    async def verify_mac(self, zone: str, covered: bytes, mac: str) -> bool:
        """Compare with the MAC of these bytes. Raises `KeyMissing`."""
        return same(self._zone(zone).mac.of(covered), mac)

    async def make_mac(self, zone: str, covered: bytes) -> str:
        """Make the MAC of these bytes. Raises `KeyMissing`."""
        return self._zone(zone).mac.of(covered)

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

    def _zone(self, zone: str) -> _Zone:
        try:
            return self._zones[zone]
        except KeyError:
            raise KeyMissing(f"no keys are loaded for link {zone}") from None
