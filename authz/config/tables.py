"""The configuration file, table by table, as it is written: keys as their texts, files by their names.

Each table's meaning is its docstring, each key's is the docstring below it: docs/configuration.md is made of them.
"""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from authz.config.links import SECRET, LinkTable
from authz.config.mail import MailTable
from authz.decision.programme import Programme
from authz.programmes import ProgrammeInvalid, parse

SealedKeys = Annotated[str | tuple[str, ...], SECRET]
"""A key, or several of one name: the newest first, older ones still verify."""


class DatabaseTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the ledger is, if not in the embedded PostgreSQL. `--database` and `--data` prevail over it."""

    url: Annotated[str, SECRET] | None = None
    """The address of a PostgreSQL, as the application's role: `postgresql://…`."""

    def __repr__(self) -> str:
        return "DatabaseTable(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class MasterTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that the others are sealed under. Instead of it: `--master-key-file`, or `AUTHZ_MASTER_KEY`."""

    file: str
    """The file with the master key: its owner's alone to read (0600)."""


class VaultTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The card vault's keys: `token` and `keys`, or with `--demo` only `key`, from which both are derived."""

    token: Annotated[str, SECRET] | None = None
    """Names cards, in the vault and in every record: for good."""
    keys: Annotated[tuple[str, ...], SECRET] = ()
    """Seal cards: the newest first; older ones still open."""
    key: Annotated[str, SECRET] | None = None
    """In place of both, with `--demo`."""

    def __repr__(self) -> str:
        return "VaultTable(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class IssuerKeysTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys behind the cards. Each may be a list: the newest first, older ones still verify."""

    pvk: SealedKeys
    """Makes Visa PVVs."""
    cvk: SealedKeys
    """Makes CVV2s."""
    imk_ac: SealedKeys
    """The chips' keys are derived from it."""
    bdk: SealedKeys
    """The terminals' DUKPT keys are derived from it."""
    pvki: int | tuple[int, ...] = 1
    """The index of the `pvk`; where that is a list, a list may stand here too."""

    def __repr__(self) -> str:
        return "IssuerKeysTable(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class AnchorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Heads of the ledger are signed into a file outside the database."""

    file: str
    """The file; best on another disk."""
    key: str
    """The private key that signs, as `ledger keypair` makes it: its owner's alone to read (0600)."""


class ProductionTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Files of new cards and of their PINs, each encrypted to whoever makes them."""

    folder: str
    """Where they go: its owner's alone (0700)."""
    cards_recipient: str
    """The embosser's public key (age, X25519)."""
    pins_recipient: str
    """The PIN printer's: another one."""


class HttpTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Health, metrics and issuing over HTTP."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """The port; 0 picks a free one. `--http-port` prevails."""


class ApiSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Issuing over HTTP: who may ask at first, and how much each token may ask."""

    issuer_token_sha256: Annotated[str, SECRET, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")] | None = None
    """The SHA-256 of the issuer's first token, in hexadecimal: with that token the others are granted."""
    requests_a_second: Annotated[float, Meta(gt=0)] = 20
    """Requests of one token; a hundred at once."""
    orders_a_minute: Annotated[float, Meta(gt=0)] = 10
    """Lists of beneficiaries of one token."""


class ProgrammeTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A programme whose rules are in a file, in place of the one of that id that comes along."""

    file: str
    """The TOML file with its rules. When it changes, it is adopted at the start or by SIGHUP."""

    def programme(self, folder: Path) -> Programme:
        """Read the file. Raises `ProgrammeInvalid`."""
        file = folder / self.file
        try:
            return parse(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ProgrammeInvalid(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ProgrammeInvalid(f"{file}: it isn't UTF-8") from None
        except ProgrammeInvalid as error:
            raise ProgrammeInvalid(f"{file}: {error}") from None


class Tables(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file. Raises `ValueError` where two of its parts contradict each other."""

    link: tuple[LinkTable, ...]
    issuer_keys: IssuerKeysTable
    vault: VaultTable
    http: HttpTable = HttpTable()
    database: DatabaseTable = DatabaseTable()
    master: MasterTable | None = None
    anchors: AnchorTable | None = None
    production: ProductionTable | None = None
    api: ApiSettings = ApiSettings()
    mail: MailTable | None = None
    programme: tuple[ProgrammeTable, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two links of one acquirer, and two at one place."""
        acquirers = [link.acquirer for link in self.link]
        places = [(link.host, link.port) for link in self.link if link.port]
        for acquirer in sorted({one for one in acquirers if acquirers.count(one) > 1}):
            raise ValueError(f"two [[link]] have the acquirer {acquirer}: each has a link of its own")
        for host, port in sorted({one for one in places if places.count(one) > 1}):
            raise ValueError(f"two [[link]] listen at {host}, port {port}: give each a port of its own")

    def __repr__(self) -> str:
        return "Tables(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def without_password(url: str) -> str:
    """Mask the password in a database's address.

    >>> without_password("postgresql://authz:secret@db.example/ledger")
    'postgresql://authz:…@db.example/ledger'
    """
    password = urlsplit(url).password
    return url if not password else url.replace(f":{password}@", ":…@", 1)


def keys_of(table: IssuerKeysTable) -> dict[str, Any]:
    """Give the issuer's keys by their names."""
    return structs.asdict(table)
