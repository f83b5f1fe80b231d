"""Where a verification has come, signed, so that the next one can begin there instead of at the first record.

The file is a line of JSON and a line with its Ed25519 signature, in hexadecimal. Holders' positions aren't in it: a
holder's first line behind it is checked against the line before, which is believed.
"""

import os
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ledger.fingerprints import SECRETS
from ledger.signing import Signer
from ledger.store import LedgerError
from ledger.values import Epoch, Partition, Seq

CHECKPOINT_EVERY_RECORDS = 1_000_000
_MEANING = b"ledger checkpoint\n"
"""Signed with it, so that no other signature of that key is one of a checkpoint."""
_SALT_MEANING = b"ledger checkpoint's fingerprint\n"
_SALT_BYTES = 16


class CheckpointInvalid(LedgerError):
    """The checkpoint isn't what was signed with this key: remove the file, and all is verified from the start."""


class CheckpointForeign(LedgerError):
    """The checkpoint is of another ledger: name another file."""


class CheckpointUnusable(LedgerError):
    """The checkpoint can't be read or written."""


class Place(Struct, frozen=True, gc=False):
    """How far one partition was found sound, and what is carried over.

    `first` and `hash` are the hashes of the first record and of the one at `seq`, in hexadecimal; `identities` counts
    the keys whose fingerprint is `product`. `balances` are those that aren't holders', in cents.
    """

    partition: Partition
    first: str
    seq: Seq
    epoch: Epoch
    hash: str
    transfers: int
    identities: int
    product: str
    balances: Mapping[str, int]


class Checkpoint(Struct, frozen=True, gc=False):
    """The places of all partitions. The fingerprints' key comes of `salt` and the private key: it is not in here."""

    salt: str
    places: tuple[Place, ...] = ()

    def place(self, partition: Partition) -> Place | None:
        """Find a partition's place."""
        return next((one for one in self.places if one.partition == partition), None)


class CheckpointFile:
    """The checkpoint in a file, read when it is opened and written whenever a place is put into it.

    Raises `CheckpointInvalid` where a file is there that wasn't signed with this key, and `CheckpointUnusable`.
    """

    def __init__(self, path: Path, signer: Signer) -> None:
        self._path = path
        self._signer = signer
        self._checkpoint = self._read()
        seed = blake2b(signer.sign(_SALT_MEANING + self._checkpoint.salt.encode()), digest_size=32).digest()
        self.key = int.from_bytes(seed) % SECRETS
        """Of the fingerprints, the same in every run."""

    def place(self, partition: Partition) -> Place | None:
        """How far a partition was found sound."""
        return self._checkpoint.place(partition)

    def put(self, place: Place) -> None:
        """Keep a partition's place, durably, instead of its last one. Raises `CheckpointUnusable`."""
        others = (one for one in self._checkpoint.places if one.partition != place.partition)
        self._checkpoint = replace(self._checkpoint, places=(*others, place))
        text = msgspec.json.encode(self._checkpoint)
        signature = self._signer.sign(_MEANING + text).hex().encode()
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("wb") as file:
                file.write(text + b"\n" + signature + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise CheckpointUnusable(f"{self._path} can't be written: {error.strerror}") from None

    def _read(self) -> Checkpoint:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Checkpoint(secrets.token_hex(_SALT_BYTES))
        except OSError as error:
            raise CheckpointUnusable(f"{self._path} can't be read: {error.strerror}") from None
        text, _, signature = content.partition(b"\n")
        try:
            if self._signer.verifier.is_signed(_MEANING + text, bytes.fromhex(signature.decode("ascii"))):
                return msgspec.json.decode(text, type=Checkpoint)
        except (ValueError, msgspec.MsgspecError):
            pass
        raise CheckpointInvalid(
            f"{self._path} isn't what was signed with this key: remove it, and all is verified from the start"
        )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
