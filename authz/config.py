"""What an authorizer is told when it starts: its links, its keys and where its database is. One TOML file.

[vault]
key = "…"                      # 64 hexadecimal digits

[issuer_keys]
pvk = "…"
cvk = "…"
imk_ac = "…"
bdk = "…"

[[link]]
acquirer = "970002"
port = 5002
zpk = "…"
zak = "…"
zmk = "…"
deadline_s = 5                 # from here on: what holds where the file says nothing
idle_probe_s = 60              # 0: the engine sends no echo tests
in_flight_max = 1024           # over all of the link's connections
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from authz.links.allowance import IN_FLIGHT_MAX
from authz.links.link import DEADLINE_S, IDLE_PROBE_S, Terms
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.module import SecurityError
from authz.wire.dialect import Dialect, DialectUnreadable, from_file, shipped


class ConfigInvalid(Exception):
    """The configuration can't be used: the message says which file and what in it."""


class LinkConfig(Struct, frozen=True):
    """One acquirer's link. Its repr shows no key."""

    terms: Terms
    dialect: Dialect
    keys: ZoneKeys
    host: str = "127.0.0.1"
    port: int = 0

    def __repr__(self) -> str:
        return f"LinkConfig({self.terms.acquirer})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("acquirer", self.terms.acquirer)]


class Config(Struct, frozen=True):
    """All of it. Its repr shows no key."""

    links: tuple[LinkConfig, ...]
    issuer: IssuerKeys
    vault: VaultKey
    http_host: str = "127.0.0.1"
    http_port: int = 0


class LinkTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A link as the file has it, keys in hexadecimal; `dialect` is a shipped one's name or a TOML file's path."""

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

    def __repr__(self) -> str:
        return f"LinkTable({self.acquirer})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class _VaultTable(Struct, frozen=True, forbid_unknown_fields=True):
    key: str


class HttpTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where HTTP is served."""

    host: str = "127.0.0.1"
    port: int = 0


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    link: tuple[LinkTable, ...]
    issuer_keys: dict[str, str]
    vault: _VaultTable
    http: HttpTable = HttpTable()


def read(path: Path) -> Config:
    """Read a configuration file. Raises `ConfigInvalid`."""
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
        return make(file.link, file.issuer_keys, file.vault.key, file.http)
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, SecurityError, DialectUnreadable) as error:
        raise ConfigInvalid(f"{path}: {error}") from None


def make(links: tuple[LinkTable, ...], issuer_keys: Mapping[str, str], vault_key: str, http: HttpTable) -> Config:
    """Turn the file's texts into keys, terms and dialects. Raises `SecurityError` and `DialectUnreadable`."""
    return Config(
        links=tuple(
            LinkConfig(
                Terms(
                    acquirer=link.acquirer,
                    sign_on_required=link.sign_on_required,
                    mac_required=link.mac_required,
                    deadline_s=link.deadline_s,
                    idle_probe_s=link.idle_probe_s,
                    in_flight_max=link.in_flight_max,
                ),
                from_file(Path(link.dialect)) if link.dialect.endswith(".toml") else shipped(link.dialect),
                ZoneKeys.from_hex({"zpk": link.zpk, "zak": link.zak, "zmk": link.zmk}),
                link.host,
                link.port,
            )
            for link in links
        ),
        issuer=IssuerKeys.from_hex(issuer_keys),
        vault=VaultKey.from_hex({"master": vault_key}),
        http_host=http.host,
        http_port=http.port,
    )
