"""Certificate authorities of a test, the certificates that they sign, and clients that show these."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from msgspec import Struct

HOST = "127.0.0.1"
AGE = timedelta(days=2)
"""How long ago a certificate's validity began."""


class Certified(Struct, frozen=True):
    """Files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `file` has its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._signed(self._name, self._key, AGE).add_extension(x509.BasicConstraints(True, None), True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def certify(
        self, name: str, *alternatives: str, left: timedelta = timedelta(days=1), password: bytes | None = None
    ) -> Certified:
        """Sign a certificate with this common name and these DNS names, and this long to go; it is `HOST`'s too."""
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = self._signed(_named(name), key, left)
        names = [*(x509.DNSName(one) for one in alternatives), x509.IPAddress(ip_address(HOST))]
        unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), False)
        stem = f"{self._name.rfc4514_string()} {name} {left} {len(alternatives)}"
        made = Certified(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        made.certificate.write_bytes(unsigned.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        made.key.touch(0o600)
        sealed: KeySerializationEncryption = NoEncryption()
        if password is not None:
            sealed = BestAvailableEncryption(password)
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
        return made

    def client(
        self,
        shown: Certified | None = None,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> ssl.SSLContext:
        """A client that trusts this authority, shows a certificate if it is given one, and speaks one version."""
        context = ssl.create_default_context(cafile=self.file)
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 1.1 is deprecated, which is the point
            context.minimum_version = context.maximum_version = version
        if version < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, left: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - AGE)
            .not_valid_after(now + left)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
