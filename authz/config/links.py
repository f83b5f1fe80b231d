"""A link in the configuration: as the file has it, and as the authorizer takes it."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from authz.links.allowance import IN_FLIGHT_MAX
from authz.links.link import DEADLINE_S, IDLE_PROBE_S, Terms
from authz.links.network import SIGN_ONS_A_MINUTE, SIGN_ONS_A_MINUTE_MAX
from authz.links.tls import Tls, load
from authz.security.keys import KeyOpener, ZoneKeys
from authz.wire.dialect import Dialect, from_file, shipped

SECRET = Meta(extra={"secret": True})
"""Marks a key whose value is never shown."""

Sealed = Annotated[str, SECRET]


class LinkConfig(Struct, frozen=True):
    """One acquirer's link. Its repr shows no key."""

    terms: Terms
    dialect: Dialect
    keys: ZoneKeys
    host: str = "127.0.0.1"
    port: int = 0
    tls: Tls | None = None

    def __repr__(self) -> str:
        return f"LinkConfig({self.terms.acquirer})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("acquirer", self.terms.acquirer)]


class LinkTable(Struct, frozen=True, forbid_unknown_fields=True):
    """An acquirer's link: where it listens, in which dialect, on which terms. One table a link."""

    acquirer: Annotated[str, Meta(pattern=r"^[0-9]{1,11}$(?!\n)")]
    """Whose it is: DE 32 of its messages."""
    zpk: Sealed
    """Encrypts PIN blocks."""
    zak: Sealed
    """Makes MACs."""
    zmk: Sealed
    """Wraps new keys (TR-31)."""
    dialect: str = "iso87ascii"
    """The name of a dialect that comes along, or the path of a TOML file."""
    host: str = "127.0.0.1"
    """The address to listen on. One that others reach needs a certificate, or `plaintext = true`."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """The port; 0 picks a free one. `--port` prevails, for the first link."""
    sign_on_required: bool = False
    """Whether an acquirer must have signed on (0800) before it sends payments."""
    mac_required: bool = False
    """Whether each of its messages must bear a MAC."""
    deadline_s: Annotated[float, Meta(ge=0.1, le=30)] = DEADLINE_S
    """From a request's arrival to its answer, or its 91."""
    idle_probe_s: Annotated[float, Meta(ge=0, le=3_600)] = IDLE_PROBE_S
    """How long nothing may come over a connection before the engine sends an echo test; 0: it sends none."""
    in_flight_max: Annotated[int, Meta(ge=1, le=IN_FLIGHT_MAX)] = IN_FLIGHT_MAX
    """Requests in flight, over all of the link's connections."""
    sign_ons_a_minute: Annotated[int, Meta(ge=1, le=SIGN_ONS_A_MINUTE_MAX)] = SIGN_ONS_A_MINUTE
    """Sign-ons that are taken, over all of the link's connections."""
    certificate: str | None = None
    """TLS: the PEM file of the link's certificate, those between it and its authority behind it."""
    certificate_key: str | None = None
    """TLS: the PEM file of its key, which is its owner's alone to read (0600)."""
    client_ca: str | None = None
    """TLS: clients need a certificate of the authority in this PEM file …"""
    client_name: str | None = None
    """… that bears this name."""
    plaintext: bool = False
    """Says that others reach `host` without TLS: on a line that is protected otherwise."""

    def __post_init__(self) -> None:
        """Refuse what doesn't go together. Raises `ValueError`."""
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError(f"link {self.acquirer}: certificate and certificate_key go together")
        if (self.client_ca is None) != (self.client_name is None):
            raise ValueError(f"link {self.acquirer}: client_ca and client_name go together")
        if self.certificate is None and self.client_ca is not None:
            raise ValueError(f"link {self.acquirer}: client_ca needs a certificate and certificate_key too")
        if self.certificate is not None and self.plaintext:
            raise ValueError(f"link {self.acquirer}: it has a certificate, so take out plaintext = true")
        if self.certificate is None and not self.plaintext and not is_loopback(self.host):
            raise ValueError(
                f"link {self.acquirer}: others reach host {self.host!r}: "
                "give it certificate and certificate_key, or say plaintext = true"
            )

    def config(self, opened: KeyOpener, folder: Path) -> LinkConfig:
        """Turn its texts into keys, terms, a dialect and certificates; `folder` is where the files it names stand.

        Raises `SecurityError`, `DialectUnreadable` and `TlsUnusable`.
        """
        return LinkConfig(
            Terms(
                acquirer=self.acquirer,
                sign_on_required=self.sign_on_required,
                mac_required=self.mac_required,
                deadline_s=self.deadline_s,
                idle_probe_s=self.idle_probe_s,
                in_flight_max=self.in_flight_max,
                sign_ons_a_minute=self.sign_ons_a_minute,
            ),
            from_file(folder / self.dialect) if self.dialect.endswith(".toml") else shipped(self.dialect),
            ZoneKeys.from_table({"zpk": self.zpk, "zak": self.zak, "zmk": self.zmk}, opened),
            self.host,
            self.port,
            self._tls(folder),
        )

    def _tls(self, folder: Path) -> Tls | None:
        if self.certificate is None or self.certificate_key is None:
            return None
        authority = None if self.client_ca is None else folder / self.client_ca
        return load(folder / self.certificate, folder / self.certificate_key, authority, self.client_name)

    def __repr__(self) -> str:
        return f"LinkTable({self.acquirer})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
