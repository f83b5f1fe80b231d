"""Ed25519 signatures (RFC 8032) over what is kept outside the database: anchors of the chain, and checkpoints.

A private key is a PEM file that nobody but its owner can read (as `openssl genpkey -algorithm ed25519` makes it); the
public one stands beside it, with `.pub` at the end of its name, and may be given to anyone.
"""

import os
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

KEY_FILE_BYTES_MAX = 4_096


class KeyUnusable(Exception):
    """A key file can't be used: the message says why, and never what is in it."""


class Verifier:
    """A public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a public key. Raises `KeyUnusable`."""
        try:
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm):
            raise KeyUnusable(f"{path} is no public key: name the .pub file of an Ed25519 key, in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnusable(f"{path} is another kind of key: it must be Ed25519's")
        return cls(key)

    def is_signed(self, text: bytes, signature: bytes) -> bool:
        """Tell whether the owner of the private key has signed this text."""
        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key. Its repr shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a private key. Raises `KeyUnusable`, also where others than its owner may read the file."""
        text = _read(path)
        if path.stat().st_mode & 0o077:
            raise KeyUnusable(f"{path} can be read by others: chmod 600 {path}")
        try:
            key = load_pem_private_key(text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnusable(f"{path} is no private key: make one with `ledger keypair FILE`") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{path} is another kind of key: it must be Ed25519's")
        return cls(key)

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make a key pair: `path`, which only its owner can read, and its public half beside it. Raises `KeyUnusable`.

        What is there already is never overwritten.
        """
        if public_path(path).exists():
            raise KeyUnusable(f"{public_path(path)} is there already: name another file")
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for file, text, mode in ((path, private, 0o600), (public_path(path), public, 0o644)):
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            except OSError as error:
                raise KeyUnusable(f"{file} can't be written: {error.strerror}") from None
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(text)
        return cls(key)

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self._key.public_key())

    def sign(self, text: bytes) -> bytes:
        """Sign a text: 64 bytes."""
        return self._key.sign(text)

    def __repr__(self) -> str:
        return "Signer(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def public_path(private: Path) -> Path:
    """Name the file of a private key's public half.

    >>> public_path(Path("anchors.pem")).name
    'anchors.pem.pub'
    """
    return private.with_name(f"{private.name}.pub")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyUnusable(f"{path} can't be read: {error.strerror}") from None
