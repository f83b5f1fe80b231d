"""Sealed texts: encrypted and authenticated under one of several keys, which each text names.

What is sealed is: a version byte, the check value of its key (3 bytes), a nonce (12), the ciphertext with its tag (16).
Version 2 is AES-256-GCM; its header and the caller's context are authenticated with it.
"""

from collections.abc import Sequence
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authz.security.keyblock import CHECK_BYTES, KeyKind
from authz.security.keys import KeyMalformed
from authz.security.module import Sealed

VERSION = b"\x02"
HEADER_BYTES = len(VERSION) + CHECK_BYTES
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Seals:
    """Seals texts under the first of its keys (32 bytes each), and opens what any of them sealed.

    A random nonce of 96 bits bears about four thousand million seals under one key (NIST SP 800-38D, 8.3). Raises
    `KeyMalformed` where two keys have one check value: what they seal couldn't be told apart.
    """

    __slots__ = ("_by_header", "newest", "older")

    def __init__(self, keys: Sequence[bytes]) -> None:
        check_values = [KeyKind.AES.check_value(key) for key in keys]
        if len(set(check_values)) < len(keys):
            raise KeyMalformed("two keys that seal have the same check value: leave one out, or generate another")
        headers = [VERSION + bytes.fromhex(value) for value in check_values]
        self._by_header = dict(zip(headers, map(AESGCM, keys), strict=True))
        self.newest, *self.older = headers

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate under the newest key."""
        nonce = token_bytes(_NONCE_BYTES)
        return self.newest + nonce + self._by_header[self.newest].encrypt(nonce, plain, self.newest + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what was sealed for this context. Raises `Sealed` where it doesn't open."""
        header, body = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
        if not sealed.startswith(VERSION) or len(body) < _NONCE_BYTES + _TAG_BYTES:
            raise Sealed("what was sealed is cut short, or of another version")
        cipher = self._by_header.get(header)
        if cipher is None:
            raise Sealed(f"it was sealed under key {key_of(header)}, which isn't loaded")
        try:
            return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], header + context)
        except InvalidTag:
            raise Sealed("another key, another context, or altered") from None

    def opens(self, header: bytes) -> bool:
        """Whether what begins so was sealed under one of these keys."""
        return header in self._by_header


def key_of(header: bytes) -> str | None:
    r"""Return the check value of the key that a sealed text names; None where it names none, not being one.

    >>> key_of(bytes.fromhex("02921105")), key_of(b"")
    ('921105', None)
    """
    return header[len(VERSION) : HEADER_BYTES].hex().upper() if header[:1] == VERSION else None
