"""The security module in software: keys in this process's memory, for tests, demos and small installations."""

import time
from collections.abc import Callable, Mapping, Sequence

from authz.security.chip import NOT_RIGHT, ChipVerification
from authz.security.dukpt import Dukpt
from authz.security.keyblock import check_value, unwrap
from authz.security.keys import IssuerKeys, VaultKey, VaultKeys, ZoneKeys
from authz.security.module import (
    CardDigits,
    ChipFinding,
    ImportedKey,
    KeyMissing,
    PinCheck,
    PinFinding,
    PinGarbled,
    PinMethod,
    PinUnknown,
    SecurityError,
    SecurityModule,
)
from authz.security.pin import PinBlocks
from authz.security.vault import Vault, zone_key_context
from authz.security.verification import (
    CVV2_SERVICE_CODE,
    ICVV_SERVICE_CODE,
    STRIPE_SERVICE_CODE,
    Cvv2,
    Ibm3624,
    VisaPvv,
    same,
)
from authz.security.zone import Zone


class TokenKeyChanged(SecurityError):
    """The vault's token key names every card and request there is: put the one back that the engine started with."""


class SoftwareSecurityModule(SecurityModule):
    """A security module whose keys are given to it.

    `zones` are the links by acquirer id; `vault` has the vault's keys, or the one that they derive from;
    `pin_length` is the number of digits of every PIN; `clock` counts the seconds for which an old key is honoured.
    What the issuer's keys verify may be made with an older one too. Raises `KeyMalformed` for keys that can't be used.
    """

    def __init__(
        self,
        issuer: IssuerKeys,
        zones: Mapping[str, ZoneKeys],
        vault: VaultKeys | VaultKey,
        pin_length: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._zones = {name: Zone(keys, pin_length, clock) for name, keys in zones.items()}
        self._pin_length = pin_length
        self._vault = Vault(vault)
        self._take(issuer)

    def change_keys(self, issuer: IssuerKeys, vault: VaultKeys | VaultKey) -> None:
        """Take other keys of the issuer's and the vault's, between two requests. The links' change by key blocks.

        Raises `TokenKeyChanged`; then nothing has changed.
        """
        changed = Vault(vault)
        if changed.token("0") != self._vault.token("0"):
            raise TokenKeyChanged(TokenKeyChanged.__doc__)
        self._vault = changed
        self._take(issuer)

    def _take(self, issuer: IssuerKeys) -> None:
        older = issuer.older
        pvks, indexes = (issuer.pvk, *older.pvk), (issuer.pvki, *older.pvki)
        self._naturals = tuple(map(Ibm3624, pvks))
        self._pin_checks: Mapping[PinMethod, Sequence[VisaPvv | Ibm3624]] = {
            PinMethod.PVV: tuple(VisaPvv(pvk, index) for pvk, index in zip(pvks, indexes, strict=True)),
            PinMethod.IBM_3624: self._naturals,
        }
        self._dukpts = tuple(map(Dukpt, (issuer.bdk, *older.bdk)))
        self._cvv2s = tuple(map(Cvv2, (issuer.cvk, *older.cvk)))
        self._chips = tuple(map(ChipVerification, (issuer.imk_ac, *older.imk_ac)))

    async def verify_pin(
        self, zone: str, pin_block: str, pan: str, check: PinCheck, key_serial: str | None = None
    ) -> PinFinding:
        """Open the PIN block and compare its PIN with what is kept of it. Raises `KeyMissing`."""
        for pin_blocks in self._pin_blocks(zone, key_serial):
            pin = pin_blocks.open(pin_block, pan)
            if pin is not None:
                right = any(same(one.of(pan, pin), check.value) for one in self._pin_checks[check.method])
                return PinFinding.RIGHT if right else PinFinding.WRONG
        return PinFinding.GARBLED

    async def verify_cvv2(self, pan: str, expiry: str, cvv2: str) -> bool:
        """Compare with the CVV2 of that card. Raises `Malformed`."""
        return any(same(one.of(pan, expiry), cvv2) for one in self._cvv2s)

    async def verify_cryptogram(self, pan: str, sequence: str, chip: str, amount: str, currency: str) -> ChipFinding:
        """Verify a chip's ARQC (Visa CVN 10 and 18) and make the ARPC."""
        findings = (one.verify(pan, sequence, chip, amount, currency) for one in self._chips)
        return next((finding for finding in findings if finding.right), NOT_RIGHT)

    async def verify_mac(self, zone: str, covered: bytes, mac: str) -> bool:
        """Compare with the MAC of these bytes. Raises `KeyMissing`."""
        return any(same(own.of(covered), mac) for own in self._zone(zone).macs.honoured())

    async def make_mac(self, zone: str, covered: bytes) -> str:
        """Make the MAC of these bytes. Raises `KeyMissing`."""
        return self._zone(zone).macs.newest.of(covered)

    async def import_key(self, zone: str, block: str) -> ImportedKey:
        """Open a key block and seal its key under the vault's. Raises `KeyBlockRefused` and `KeyMissing`."""
        usage, key = unwrap(self._zone(zone).zmk, block)
        return ImportedKey(usage, check_value(key), self._vault.seal(key, zone_key_context(zone, usage)))

    async def use_key(self, zone: str, key: ImportedKey) -> None:
        """Change a key of a link. Raises `KeyMissing` and `Sealed`."""
        self._zone(zone).succession(key.usage).change(self._opened(zone, key))

    async def restore_key(self, zone: str, key: ImportedKey) -> None:
        """Put a kept key back into use. Raises `KeyMissing` and `Sealed`."""
        self._zone(zone).succession(key.usage).restore(self._opened(zone, key))

    async def make_pin_check(self, method: PinMethod, pan: str, pin: str) -> PinCheck:
        """Make what is to be kept of a PIN. Raises `Malformed`."""
        return PinCheck(method, self._pin_checks[method][0].of(pan, pin))

    async def make_block_check(self, method: PinMethod, zone: str, pin_block: str, pan: str) -> PinCheck:
        """Open the PIN block and make what is to be kept. Raises `KeyMissing`, `PinGarbled` and `Malformed`."""
        for pin_blocks in self._pin_blocks(zone, None):
            pin = pin_blocks.open(pin_block, pan)
            if pin is not None:
                return await self.make_pin_check(method, pan, pin)
        raise PinGarbled(PinGarbled.__doc__)

    async def make_natural_check(self, method: PinMethod, pan: str) -> PinCheck:
        """Make what is to be kept of the natural PIN under the newest key. Raises `Malformed`."""
        return await self.make_pin_check(method, pan, self._naturals[0].natural(pan, self._pin_length))

    async def pin_mailer(self, pan: str, check: PinCheck) -> str:
        """Find the natural PIN that `check` was made of, under the newest key that it can be. Raises `PinUnknown`."""
        for natural, own in zip(self._naturals, self._pin_checks[check.method], strict=True):
            pin = natural.natural(pan, self._pin_length)
            if same(own.of(pan, pin), check.value):
                return pin
        raise PinUnknown(PinUnknown.__doc__)

    async def make_cvv2(self, pan: str, expiry: str) -> str:
        """Make a card's CVV2. Raises `Malformed`."""
        return self._cvv2s[0].of(pan, expiry)

    async def card_verification(self, pan: str, expiry: str) -> CardDigits:
        """Make a new card's digits under the newest key. Raises `Malformed`."""
        codes = (STRIPE_SERVICE_CODE, ICVV_SERVICE_CODE, CVV2_SERVICE_CODE)
        return CardDigits(STRIPE_SERVICE_CODE, *(self._cvv2s[0].of(pan, expiry, code) for code in codes))

    def token(self, named: str) -> bytes:
        """Name a PAN, or what is said in words. Raises `Malformed`."""
        return self._vault.token(named)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal a text."""
        return self._vault.seal(plain, context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what was sealed. Raises `Sealed`."""
        return self._vault.unseal(sealed, context)

    def _pin_blocks(self, zone: str, key_serial: str | None) -> tuple[PinBlocks, ...]:
        """What a PIN block may be under, the likeliest first: none, where a key serial number names no key."""
        if key_serial is None:
            return self._zone(zone).pin_blocks.honoured()
        keys = (dukpt.pin_key(key_serial) for dukpt in self._dukpts)
        return tuple(PinBlocks(key, self._pin_length) for key in keys if key is not None)

    def _opened(self, zone: str, key: ImportedKey) -> bytes:
        return self._vault.unseal(key.sealed, zone_key_context(zone, key.usage))

    def _zone(self, zone: str) -> Zone:
        try:
            return self._zones[zone]
        except KeyError:
            raise KeyMissing(f"no keys are loaded for link {zone}") from None
