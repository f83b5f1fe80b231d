"""What the card vault needs: names for PANs, and sealed texts."""

from hmac import digest

from authz.security.keys import VaultKey, VaultKeys
from authz.security.module import Malformed, ZoneKeyUsage
from authz.security.sealing import Seals


class Vault(Seals):
    """Names PANs under a key that never changes, and seals texts under keys that may."""

    __slots__ = ("_token_key",)

    def __init__(self, keys: VaultKeys | VaultKey) -> None:
        super().__init__(keys.keys)
        self._token_key = keys.token

    def token(self, pan: str) -> bytes:
        """Name a PAN by HMAC-SHA256. Raises `Malformed` where it isn't digits."""
        if not (pan.isascii() and pan.isdigit()):
            raise Malformed("a PAN is digits")
        return digest(self._token_key, pan.encode(), "sha256")


def zone_key_context(zone: str, usage: ZoneKeyUsage) -> bytes:
    """Say what a link's changed key is sealed for."""
    return f"zone key {usage} {zone}".encode()
