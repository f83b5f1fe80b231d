"""Triple DES on single blocks, with the cipher kept: setting one up costs twenty times what using it does."""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

BLOCK_BYTES = 8


class TripleDes:
    """One key of 8 bytes (single DES), 16 or 24. Parity bits don't count."""

    __slots__ = ("_chain", "_decryptor", "_encryptor")

    def __init__(self, key: bytes) -> None:
        # Triple length is the only one that cryptography goes on supporting; the shorter ones are written out in it.
        algorithm = TripleDES((key * 3)[:24])
        # Single blocks of payment formats are what ECB is for, and between whole blocks it keeps no state.
        single = Cipher(algorithm, ECB())  # noqa: S305
        self._encryptor = single.encryptor()
        self._decryptor = single.decryptor()
        self._chain = Cipher(algorithm, CBC(bytes(BLOCK_BYTES)))

    def encrypt(self, block: bytes) -> bytes:
        """Encrypt 8 bytes."""
        assert len(block) == BLOCK_BYTES
        return self._encryptor.update(block)

    def decrypt(self, block: bytes) -> bytes:
        """Decrypt 8 bytes."""
        assert len(block) == BLOCK_BYTES
        return self._decryptor.update(block)

    def chain(self, blocks: bytes) -> bytes:
        """Encrypt one or more blocks, each mixed with the one before it from zero on; return the last 8 bytes."""
        return self._chain.encryptor().update(blocks)[-BLOCK_BYTES:]


def encrypt_once(key: bytes, block: bytes) -> bytes:
    """Encrypt 8 bytes under a key that is used for nothing else, without what `TripleDes` keeps."""
    assert len(block) == BLOCK_BYTES
    return Cipher(TripleDES((key * 3)[:24]), ECB()).encryptor().update(block)  # noqa: S305  a single block
