"""Message authentication codes of a link: ISO/IEC 9797-1 algorithm 3 ("retail MAC") with padding method 1."""

from authz.security.tdes import BLOCK_BYTES, TripleDes


class RetailMac:
    """Makes MACs under one key of two halves: left through the chain, then right and left over its last block."""

    __slots__ = ("_left", "_right")

    def __init__(self, zak: bytes) -> None:
        self._left = TripleDes(zak[:8])
        self._right = TripleDes(zak[8:])

    def of(self, covered: bytes) -> str:
        """Make the MAC, 16 upper-case hexadecimal digits.

        Zero bytes fill the last block; no bytes at all count as one block.
        """
        missing = -len(covered) % BLOCK_BYTES if covered else BLOCK_BYTES
        last = self._left.chain(covered + bytes(missing))
        return self._left.encrypt(self._right.decrypt(last)).hex().upper()
