"""Keys that sign what is kept outside the database (RFC 8032): found usable or refused in words that hold no key."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger.signing import KEY_FILE_BYTES_MAX, KeyUnusable, Signer, Verifier, public_path

SIGNER, OTHER = (Signer(Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))) for number in (1, 2))
PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8)


@given(st.binary(), st.binary())
def test_a_signature_is_good_for_its_text_and_its_key_alone(text: bytes, other: bytes) -> None:
    signature = SIGNER.sign(text)
    assert len(signature) == 64
    assert SIGNER.verifier.is_signed(text, signature)
    assert SIGNER.verifier.is_signed(other, signature) == (other == text)
    assert not OTHER.verifier.is_signed(text, signature)


@given(st.binary(max_size=80))
def test_no_bytes_are_a_signature_by_chance(signature: bytes) -> None:
    assert not SIGNER.verifier.is_signed(b"a text", signature)


def test_a_published_vector_is_reproduced() -> None:
    """RFC 8032, 7.1, TEST 2."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signer = Signer(Ed25519PrivateKey.from_private_bytes(secret))
    assert signer.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_pair_is_made_for_its_owner_and_for_everyone(tmp_path: Path) -> None:
    private = tmp_path / "anchors.pem"
    signature = Signer.make(private).sign(b"a text")
    assert private.stat().st_mode & 0o777 == 0o600
    assert public_path(private).stat().st_mode & 0o777 == 0o644 & ~_umask()
    assert Verifier.load(public_path(private)).is_signed(b"a text", signature)
    assert Signer.load(private).sign(b"a text") == signature


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    private = tmp_path / "anchors.pem"
    Signer.make(private)
    before = private.read_bytes(), public_path(private).read_bytes()
    with pytest.raises(KeyUnusable, match="is there already"):
        Signer.make(private)
    assert (private.read_bytes(), public_path(private).read_bytes()) == before


def test_no_private_key_is_made_whose_public_half_has_no_place(tmp_path: Path) -> None:
    private = tmp_path / "anchors.pem"
    public_path(private).write_text("somebody else's")
    with pytest.raises(KeyUnusable, match="is there already"):
        Signer.make(private)
    assert not private.exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_a_key_of_openssl_is_a_key(tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    private.chmod(0o600)
    assert Verifier.load(public).is_signed(b"a text", Signer.load(private).sign(b"a text"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_private_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    private = tmp_path / "anchors.pem"
    Signer.make(private)
    private.chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        Signer.load(private)


def test_what_is_no_key_is_refused_by_name_and_without_its_content(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(*PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    other_kind = Ed448PrivateKey.generate()
    privately = [
        b"",
        b"\x00\xff",
        public,
        pem[:-40],
        key.private_bytes(*PKCS8, BestAvailableEncryption(b"a password")),
        other_kind.private_bytes(*PKCS8, NoEncryption()),
        b" " * KEY_FILE_BYTES_MAX + pem,
    ]
    publicly = [
        b"",
        pem,
        public[:-40],
        other_kind.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ]
    for load, contents in ((Signer.load, privately), (Verifier.load, publicly)):
        for content in contents:
            file = tmp_path / "a.pem"
            file.write_bytes(content)
            file.chmod(0o600)
            with pytest.raises(KeyUnusable, match=r"a\.pem") as refused:
                load(file)
            body = pem.decode().splitlines()[1]
            assert body not in str(refused.value)
            assert refused.value.__cause__ is None
        with pytest.raises(KeyUnusable, match="No such file"):
            load(tmp_path / "absent.pem")


def test_a_signer_shows_nothing_of_its_key() -> None:
    assert repr(SIGNER) == "Signer(…)"
    assert list(SIGNER.__rich_repr__()) == []


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
