"""What the card vault needs: names for PANs, and sealed texts."""

import re
from hmac import digest

from authz.security.keys import VaultKey, VaultKeys
from authz.security.module import Malformed, ZoneKeyUsage
from authz.security.sealing import Seals

_IN_WORDS = re.compile("[a-z]+ .+", re.DOTALL)
"""No PAN looks so: nothing that is named in words can have a card's name."""


class Vault(Seals):
    """Names PANs under a key that never changes, and seals texts under keys that may."""

    __slots__ = ("_token_key",)

    def __init__(self, keys: VaultKeys | VaultKey) -> None:
        super().__init__(keys.keys)
        self._token_key = keys.token

    def token(self, named: str) -> bytes:
        """Name a PAN, or what is said in words, by HMAC-SHA256. Raises `Malformed` where it is neither."""
        if not (named.isascii() and named.isdigit()) and not _IN_WORDS.fullmatch(named):
            raise Malformed("a PAN is digits, and anything else begins with a word for its kind")
        return digest(self._token_key, named.encode(errors="surrogatepass"), "sha256")


def zone_key_context(zone: str, usage: ZoneKeyUsage) -> bytes:
    """Say what a link's changed key is sealed for."""
    return f"zone key {usage} {zone}".encode()


def contact_context(contact: str) -> bytes:
    """Say whose name and e-mail address are sealed."""
    return f"contact {contact}".encode()
