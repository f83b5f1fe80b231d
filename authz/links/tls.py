"""TLS on a link: the certificate it shows, and the one certificate whose holder may use it.

A certificate authority vouches for many; a link is one acquirer's. So a client's certificate must come from the link's
`client_ca`, and bear the link's `client_name`.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from authz.security.master import read_private

HANDSHAKE_MAX_S = 5.0
"""From a connection's acceptance to the end of its handshake."""
CLOSE_MAX_S = 1.0
"""How long the other end may take to say goodbye, too."""


class TlsUnusable(Exception):
    """A link's certificate, its key or its clients' authority can't be used: the message says which file and why."""


class Tls(Struct, frozen=True, gc=False):
    """How a link's connections are secured. `client_name` is None where a client needs no certificate."""

    context: ssl.SSLContext
    client_name: str | None = None

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Tell whether a client that showed this certificate, which the context has verified, may use the link."""
        return self.client_name is None or self.client_name.lower() in names_of(certificate or {})


def load(certificate: Path, key: Path, client_ca: Path | None = None, client_name: str | None = None) -> Tls:
    """Read PEM files: the link's certificate (those between it and its authority behind it), its key, its clients' CA.

    TLS 1.2 or later, Python's ciphers. No connection rests on an earlier one's handshake, so each shows its certificate
    while it is valid. Raises `TlsUnusable`, and `KeyFileRefused` where others can read the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_chain(context, certificate, key)
    if client_ca is not None:
        _load_authority(context, client_ca)
    return Tls(context, client_name)


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Whom a certificate, in the form of `ssl`, names: its DNS names, or its common name where it has none (RFC 6125).

    >>> sorted(names_of({"subject": ((("commonName", "Host.Example"),),)}))
    ['host.example']
    >>> subject = ((("commonName", "host.example"),),)
    >>> sorted(names_of({"subject": subject, "subjectAltName": (("DNS", "other.example"),)}))
    ['other.example']
    """
    alternatives = {name.lower() for kind, name in certificate.get("subjectAltName", ()) if kind == "DNS"}
    common = {name.lower() for part in certificate.get("subject", ()) for kind, name in part if kind == "commonName"}
    return frozenset(alternatives or common)


def failure_of(error: OSError) -> str:
    """Say in a word why a handshake failed. Nothing that the other end sent is in it."""
    match error:
        case ssl.SSLCertVerificationError() | ssl.SSLError(reason="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            return "certificate_refused"
        case ssl.SSLError():
            return "handshake_failed"
        case ConnectionAbortedError():
            return "handshake_timeout"
        case _:
            return "handshake_lost"


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _require(certificate)
    read_private(key)
    try:
        context.load_cert_chain(certificate, key, password="")  # an encrypted key fails instead of asking at a terminal
    except ssl.SSLError as error:
        raise TlsUnusable(
            f"{certificate}, {key}: no certificate and its own unencrypted key, in PEM ({error.reason})"
        ) from None


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    _require(authority)
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise TlsUnusable(f"{authority}: no certificate in PEM ({error.reason})") from None
    context.verify_mode = ssl.CERT_REQUIRED


def _require(path: Path) -> None:
    """Name the file that can't be read: `ssl` doesn't."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise TlsUnusable(f"{path}: {error.strerror}") from None
