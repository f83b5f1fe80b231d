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
    """A link as the file has it, keys as their texts.

    `dialect` is a shipped one's name, or the path of a TOML file, which stands beside the configuration.
    """

    acquirer: str
    zpk: str
    zak: str
    zmk: str
    dialect: str = "iso87ascii"
    host: str = "127.0.0.1"
    port: int = 0
    sign_on_required: bool = False
    mac_required: bool = False
    deadline_s: Annotated[float, Meta(ge=0.1, le=30)] = DEADLINE_S
    idle_probe_s: Annotated[float, Meta(ge=0, le=3_600)] = IDLE_PROBE_S
    in_flight_max: Annotated[int, Meta(ge=1, le=IN_FLIGHT_MAX)] = IN_FLIGHT_MAX
    sign_ons_a_minute: Annotated[int, Meta(ge=1, le=SIGN_ONS_A_MINUTE_MAX)] = SIGN_ONS_A_MINUTE
    certificate: str | None = None
    certificate_key: str | None = None
    client_ca: str | None = None
    client_name: str | None = None
    plaintext: bool = False

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
        if self.certificate is None and not self.plaintext and not _is_loopback(self.host):
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


def _is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
