"""What the card vault needs: names for PANs, and sealed texts. Both keys come from one master key."""

from hmac import digest
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authz.security.keys import VaultKey
from authz.security.module import Malformed, Sealed

_VERSION = b"\x01"
"""First byte of what is sealed: how to open it. 1 is AES-256-GCM, a nonce of 12 bytes, a tag of 16."""
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Vault:
    """Names PANs and seals texts.

    A random nonce of 96 bits bears about four thousand million seals under one key (NIST SP 800-38D, 8.3).
    """

    __slots__ = ("_sealing", "_token_key")

    def __init__(self, key: VaultKey) -> None:
        self._token_key = _derived(key, b"authz vault: PAN token")
        self._sealing = AESGCM(_derived(key, b"authz vault: sealing"))

    def token(self, pan: str) -> bytes:
        """Name a PAN by HMAC-SHA256. Raises `Malformed` where it isn't digits."""
        if not (pan.isascii() and pan.isdigit()):
            raise Malformed("a PAN is digits")
        return digest(self._token_key, pan.encode(), "sha256")

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate: version, nonce, ciphertext with its tag."""
        nonce = token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._sealing.encrypt(nonce, plain, _VERSION + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what `seal` made. Raises `Sealed` where it doesn't open."""
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
            raise Sealed("what was sealed is cut short, or of another version")
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._sealing.decrypt(nonce, ciphertext, _VERSION + context)
        except InvalidTag:
            raise Sealed("another key, another context, or altered") from None


def _derived(key: VaultKey, purpose: bytes) -> bytes:
    """Derive 32 bytes for one purpose (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key.master)
