"""What an authorizer is told when it starts: its links, its keys and where its database is. One TOML file.

Every key stands there sealed under the master key, as `authz keys seal` and `authz keys generate` print it; the file
is its owner's alone to read (0600). Only with --demo may keys stand in clear, in hexadecimal, and then
`[vault] key = "…"` may stand for both of the vault's.

[master]
file = "master.key"            # beside this file; or --master-key-file, or AUTHZ_MASTER_KEY in the environment

[vault]
token = "sealed:…"             # names cards, in the vault and in every record: for good
keys = ["sealed:…"]            # seal cards: the newest first; older ones still open

[issuer_keys]
pvk = "sealed:…"               # pvk, cvk, imk_ac and bdk may be lists too
pvki = 1                       # the index of the pvk; where that is a list, a list
cvk = "sealed:…"
imk_ac = "sealed:…"
bdk = "sealed:…"

[anchors]                      # heads of the ledger are signed into a file outside the database
file = "anchors.jsonl"         # best on another disk
key = "anchors.pem"            # `ledger keypair` makes it; its owner's alone to read (0600)

[production]                   # files of new cards and of their PINs, each encrypted to whoever makes them
folder = "production"          # its owner's alone (0700)
cards_recipient = "age1…"      # the embosser's public key (age, X25519)
pins_recipient = "age1…"       # the PIN printer's: another one

[api]                          # issuing over HTTP
issuer_token_sha256 = "…"      # of the issuer's first token, in hexadecimal: with it the others are granted
requests_a_second = 20         # of each token; a hundred at once
orders_a_minute = 10           # of each token: lists of beneficiaries

[mail]                         # alerts by e-mail; without it there are none
host = "smtp.example.org"
sender = "cards@example.org"
link = "https://cards.example.org/"   # where letters send people to
port = 587                     # from here on: what holds where the file says nothing, but for user and password
tls = "starttls"               # "tls": from the first byte; "none": for a server on this machine
user = "cards"
password_file = "mail.password"       # its owner's alone to read (0600)
authority = "mail-ca.pem"      # trusted in place of the system's authorities

[[link]]
acquirer = "970002"
port = 5002
zpk = "sealed:…"
zak = "sealed:…"
zmk = "sealed:…"
deadline_s = 5                 # from here on: what holds where the file says nothing
idle_probe_s = 60              # 0: the engine sends no echo tests
in_flight_max = 1024           # over all of the link's connections
sign_ons_a_minute = 60         # over all of the link's connections
host = "127.0.0.1"             # one that others reach needs a certificate, or plaintext = true

A link with TLS has these too. Files stand beside this one, in PEM; the key's is its owner's alone to read (0600).

certificate = "server.pem"
certificate_key = "server.key"
client_ca = "acquirer-ca.pem"             # clients need a certificate of this authority's
client_name = "host.acquirer.example"     # that bears this name
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct, structs

from authz.config_links import LinkConfig, LinkTable
from authz.issuing.cardfiles import CardRecipients, RecipientInvalid
from authz.issuing.outbox.settings import MailSettings, MailTable, MailUnusable
from authz.links.tls import TlsUnusable
from authz.security.keys import IssuerKeys, KeyMalformed, KeyOpener, VaultKey, VaultKeys, hexadecimal, masked
from authz.security.master import (
    MARK,
    KeyFileRefused,
    Master,
    MasterMissing,
    find_master,
    read_master,
    read_private,
    replace_private,
)
from authz.security.module import SecurityError
from authz.wire.dialect import DialectUnreadable
from ledger.signing import KeyUnusable, Signer

ISSUER, VAULT = "issuer", "vault"
"""Owners of keys, beside the links: each of those is its acquirer's id."""

_Opener: TypeAlias = Callable[[str, str, str], bytes]
"""Makes a key of its owner, its name and its text in the file."""


class KeyInClear(SecurityError):
    """A key isn't sealed: the message says which, and how it is."""


class ConfigInvalid(Exception):
    """The configuration can't be used: the message says which file and what in it."""


class AnchorSettings(Struct, frozen=True):
    """Where the ledger's anchors go, and the file of the private key that signs them."""

    file: Path
    key: Path


class ProductionSettings(Struct, frozen=True):
    """Where files for the embosser and the PIN printer go, and who can open them."""

    folder: Path
    recipients: CardRecipients


class ApiSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Issuing over HTTP: the SHA-256 of the issuer's first token (None: it has none), and what each token may ask."""

    issuer_token_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    requests_a_second: Annotated[float, Meta(gt=0)] = 20
    orders_a_minute: Annotated[float, Meta(gt=0)] = 10


class Config(Struct, frozen=True):
    """All of it. Its repr shows no key. `master` is the check value of the master key, where there is one."""

    links: tuple[LinkConfig, ...]
    issuer: IssuerKeys
    vault: VaultKeys | VaultKey
    http_host: str = "127.0.0.1"
    http_port: int = 0
    master: str | None = None
    anchors: AnchorSettings | None = None
    production: ProductionSettings | None = None
    api: ApiSettings = ApiSettings()
    mail: MailSettings | None = None

    def every_key(self) -> Iterator[tuple[str, str, bytes]]:
        """Go through all keys, by owner and name; of those with one name, the newest first."""
        owners = (
            *((link.terms.acquirer, link.keys) for link in self.links),
            (ISSUER, self.issuer),
            (VAULT, self.vault),
        )
        return ((owner, name, key) for owner, keys in owners for name, key in keys.each())


class _MasterTable(Struct, frozen=True, forbid_unknown_fields=True):
    file: str


class _VaultTable(Struct, frozen=True, forbid_unknown_fields=True):
    token: str | None = None
    keys: tuple[str, ...] = ()
    key: str | None = None

    def __repr__(self) -> str:
        return "_VaultTable(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class _AnchorTable(Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    key: str


class _ProductionTable(Struct, frozen=True, forbid_unknown_fields=True):
    folder: str
    cards_recipient: str
    pins_recipient: str


class HttpTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where HTTP is served."""

    host: str = "127.0.0.1"
    port: int = 0


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    link: tuple[LinkTable, ...]
    issuer_keys: dict[str, str | int | tuple[str | int, ...]]
    vault: _VaultTable
    http: HttpTable = HttpTable()
    master: _MasterTable | None = None
    anchors: _AnchorTable | None = None
    production: _ProductionTable | None = None
    api: ApiSettings = ApiSettings()
    mail: MailTable | None = None

    def __repr__(self) -> str:
        return "_File(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def read(path: Path, master_key_file: Path | None = None, *, demo: bool = False) -> Config:
    """Read a configuration file; `master_key_file` prevails over the one that it names. Raises `ConfigInvalid`.

    `demo` takes published test keys, in clear and from a file that anybody may read.
    """
    with _naming(path):
        file = _parsed(path.read_bytes() if demo else read_private(path))
        master = _master_of(path, file, master_key_file)
        config = _config(file, _opening(master, demo=demo), path.parent)
    return structs.replace(config, master=None if master is None else master.check_value)


def master_of(path: Path | None, master_key_file: Path | None) -> Master:
    """Read the master key that a configuration is to be read with. Raises `ConfigInvalid` and `SecurityError`."""
    if path is None:
        master = find_master(master_key_file)
    else:
        with _naming(path):
            master = _master_of(path, _parsed(read_private(path)), master_key_file)
    if master is None:
        raise MasterMissing(MasterMissing.__doc__)
    return master


def rewrap(path: Path, new_file: Path, master_key_file: Path | None = None) -> int:
    """Seal every key of a configuration file again under another master key, and have it name that key's file.

    The rest of the file stays as it is, and so do its mode and owner; it is replaced in one step. Returns how many
    keys were sealed. Raises `ConfigInvalid` and `SecurityError`: then nothing has changed.
    """
    new = read_master(new_file)
    with _naming(path):
        text = read_private(path).decode()
        file = _parsed(text.encode())
        opened, anew = _opening(_master_of(path, file, master_key_file), demo=False), dict[str, str]()

        def opened_and_sealed(owner: str, name: str, sealed: str) -> bytes:
            key = opened(owner, name, sealed)
            anew[sealed] = new.seal(owner, name, key)
            return key

        before = list(_config(file, opened_and_sealed, path.parent).every_key())
        for sealed, fresh in anew.items():
            text = text.replace(sealed, fresh)
        if file.master is not None:
            text = _with_master(text, file.master.file, str(new_file.absolute()))
        written = _parsed(text.encode())
        if written.master != (file.master and _MasterTable(str(new_file.absolute()))):
            raise ConfigInvalid(f"{path}: [master] file can't be found to be changed: write it as a plain string")
        assert list(_config(written, _opening(new, demo=False), path.parent).every_key()) == before
        replace_private(path.resolve(), text)
    return len(anew)


def make(links: tuple[LinkTable, ...], issuer_keys: Mapping[str, str], vault_key: str, http: HttpTable) -> Config:
    """Make a configuration of keys in clear. Raises `SecurityError` and `DialectUnreadable`."""
    return _config(_File(links, dict(issuer_keys), _VaultTable(key=vault_key), http), _opening(None, demo=True))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have every error say which file it is in."""
    try:
        yield
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path}: it isn't UTF-8") from None
    except (KeyFileRefused, KeyUnusable, MailUnusable, TlsUnusable) as error:
        raise ConfigInvalid(str(error)) from None
    except msgspec.DecodeError as error:
        raise ConfigInvalid(f"{path}: {masked(str(error))}") from None
    except (SecurityError, DialectUnreadable, RecipientInvalid) as error:
        raise ConfigInvalid(f"{path}: {error}") from None


def _parsed(text: bytes) -> _File:
    return msgspec.toml.decode(text, type=_File)


def _master_of(path: Path, file: _File, master_key_file: Path | None) -> Master | None:
    """Read the master key; a file that the configuration names stands beside it."""
    named = None if file.master is None else path.parent / file.master.file
    return find_master(master_key_file or named)


def _opening(master: Master | None, *, demo: bool) -> _Opener:
    """Make what reads a key from its text in the file."""

    def opened(owner: str, name: str, text: str) -> bytes:
        if text.startswith(MARK):
            if master is None:
                raise MasterMissing(MasterMissing.__doc__)
            return master.open(owner, name, text)
        if not demo:
            how = f"`authz keys seal --owner {owner} --name {name}`"
            raise KeyInClear(f"{name} of {owner} stands in clear: put what {how} prints in its place")
        return hexadecimal(name, text)

    return opened


def _vault(table: _VaultTable, opened: KeyOpener) -> VaultKeys | VaultKey:
    if table.key is None:
        present = {} if table.token is None else {"token": table.token}
        return VaultKeys.from_table({**present, "keys": table.keys}, opened)
    if table.token is not None or table.keys:
        raise KeyMalformed("[vault] has either key, or token and keys")
    return VaultKey.from_table({"master": table.key}, opened)


def _anchors(table: _AnchorTable | None, folder: Path) -> AnchorSettings | None:
    """Find the files of the anchors, and make sure that the key can be used. Raises `KeyUnusable`."""
    if table is None:
        return None
    settings = AnchorSettings(folder / table.file, folder / table.key)
    Signer.load(settings.key)
    return settings


def _production(table: _ProductionTable | None, folder: Path) -> ProductionSettings | None:
    """Find the folder of production files. Raises `RecipientInvalid`."""
    if table is None:
        return None
    return ProductionSettings(folder / table.folder, CardRecipients(table.cards_recipient, table.pins_recipient))


def _with_master(text: str, old: str, new: str) -> str:
    """Put another file's name after `file =`."""
    quoted = msgspec.json.encode(new).decode()
    return re.sub(rf"""(\bfile\s*=\s*)(["']){re.escape(old)}\2""", lambda found: found[1] + quoted, text)


def _config(file: _File, opened: _Opener, folder: Path = Path()) -> Config:
    """Turn the file's texts into keys, terms and dialects; `folder` is where the files that it names stand.

    Raises `SecurityError`, `DialectUnreadable`, `KeyUnusable`, `MailUnusable`, `TlsUnusable` and `RecipientInvalid`.
    """
    return Config(
        links=tuple(link.config(partial(opened, link.acquirer), folder) for link in file.link),
        issuer=IssuerKeys.from_table(file.issuer_keys, partial(opened, ISSUER)),
        vault=_vault(file.vault, partial(opened, VAULT)),
        http_host=file.http.host,
        http_port=file.http.port,
        anchors=_anchors(file.anchors, folder),
        production=_production(file.production, folder),
        api=file.api,
        mail=None if file.mail is None else file.mail.settings(folder),
    )
