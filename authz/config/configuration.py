"""What an authorizer is told when it starts: its links, its keys and where its database is. One TOML file.

Every key stands there sealed under the master key, as `authz keys seal` and `authz keys generate` print it; the file
is its owner's alone to read (0600). Only with --demo may keys stand in clear, in hexadecimal. What else may stand
there is in docs/configuration.md. What the environment says prevails (`authz.config.environment`).
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, structs

from authz.config.environment import Variable, overlaid
from authz.config.faults import ConfigInvalid as ConfigInvalid
from authz.config.faults import Faulty, parsed, toml_of
from authz.config.links import LinkConfig, LinkTable
from authz.config.tables import (
    AnchorTable,
    IssuerKeysTable,
    MasterTable,
    ProductionTable,
    Tables,
    VaultTable,
    keys_of,
)
from authz.config.tables import ApiSettings as ApiSettings
from authz.config.tables import HttpTable as HttpTable  # for all who make configurations
from authz.decision.programme import Programme
from authz.issuing.cardfiles import CardRecipients, RecipientInvalid
from authz.issuing.outbox.settings import MailSettings, MailUnusable
from authz.links.tls import TlsUnusable
from authz.programmes import ProgrammeInvalid
from authz.security.keys import IssuerKeys, KeyMalformed, KeyOpener, VaultKey, VaultKeys, hexadecimal
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

T = TypeVar("T")
_Opener: TypeAlias = Callable[[str, str, str], bytes]
"""Makes a key of its owner, its name and its text in the file."""


class KeyInClear(SecurityError):
    """A key isn't sealed: the message says which, and how it is."""


class AnchorSettings(Struct, frozen=True):
    """Where the ledger's anchors go, and the file of the private key that signs them."""

    file: Path
    key: Path


class ProductionSettings(Struct, frozen=True):
    """Where files for the embosser and the PIN printer go, and who can open them."""

    folder: Path
    recipients: CardRecipients


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
    database: str | None = None
    programmes: tuple[Programme, ...] = ()

    def __repr__(self) -> str:
        return f"Config({', '.join(link.terms.acquirer for link in self.links)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("links", self.links)]

    def every_key(self) -> Iterator[tuple[str, str, bytes]]:
        """Go through all keys, by owner and name; of those with one name, the newest first."""
        owners = (
            *((link.terms.acquirer, link.keys) for link in self.links),
            (ISSUER, self.issuer),
            (VAULT, self.vault),
        )
        return ((owner, name, key) for owner, keys in owners for name, key in keys.each())


def read(path: Path, master_key_file: Path | None = None, *, demo: bool = False) -> Config:
    """Read a configuration file; `master_key_file` prevails over the one that it names. Raises `ConfigInvalid`.

    `demo` takes published test keys, in clear and from a file that anybody may read.
    """
    with _naming(path):
        file = said(path, demo=demo).tables
        master = _master_of(path, file, master_key_file)
        config = _config(file, _opening(master, demo=demo), path.parent)
    return structs.replace(config, master=None if master is None else master.check_value)


def findings(path: Path, master_key_file: Path | None = None, *, demo: bool = False) -> list[str]:
    """Look for all that is wrong with a configuration file and with the files that it names; empty: it is sound.

    Of a text that has faults, only those are found: what it names is looked at when it has none.
    """
    found: list[str] = []

    def tried(part: Callable[[], T]) -> T | None:
        try:
            with _naming(path):
                return part()
        except ConfigInvalid as error:
            found.extend(error.faults)
            return None

    together = tried(lambda: said(path, demo=demo))
    if together is None:
        return found
    file, folder = together.tables, path.parent
    opened = _opening(tried(lambda: _master_of(path, file, master_key_file)), demo=demo)
    for link in file.link:
        tried(partial(link.config, partial(opened, link.acquirer), folder))
    tried(lambda: IssuerKeys.from_table(keys_of(file.issuer_keys), partial(opened, ISSUER)))
    tried(lambda: _vault(file.vault, partial(opened, VAULT)))
    tried(lambda: _anchors(file.anchors, folder))
    tried(lambda: _production(file.production, folder))
    tried(lambda: None if file.mail is None else file.mail.settings(folder))
    tried(lambda: _programmes(file, folder))
    if not file.link:
        found.append("no [[link]]: nobody could send a payment")
    return list(dict.fromkeys(found))


def master_of(path: Path | None, master_key_file: Path | None) -> Master:
    """Read the master key that a configuration is to be read with. Raises `ConfigInvalid` and `SecurityError`."""
    if path is None:
        master = find_master(master_key_file)
    else:
        with _naming(path):
            master = _master_of(path, said(path).tables, master_key_file)
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
        file = parsed(toml_of(text.encode()))
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
        written = parsed(toml_of(text.encode()))
        if written.master != (file.master and MasterTable(str(new_file.absolute()))):
            raise ConfigInvalid(f"{path}: [master] file can't be found to be changed: write it as a plain string")
        assert list(_config(written, _opening(new, demo=False), path.parent).every_key()) == before
        replace_private(path.resolve(), text)
    return len(anew)


def make(
    links: tuple[LinkTable, ...],
    issuer_keys: Mapping[str, str],
    vault_key: str,
    http: HttpTable,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Make a configuration of keys in clear. Raises `SecurityError`, `DialectUnreadable` and `ConfigInvalid`."""
    keys = msgspec.convert(dict(issuer_keys), IssuerKeysTable)
    file = Tables(links, keys, VaultTable(key=vault_key), http)
    if environment:
        with _naming(Path("demo.toml")):
            file = parsed(overlaid(_written(file), environment)[0])
    return _config(file, _opening(None, demo=True))


def _written(value: Any) -> Any:
    """Turn tables into what a file says that has them: TOML has no word for what isn't set."""
    match value:
        case Struct():
            return {name: _written(one) for name, one in structs.asdict(value).items() if one is not None}
        case tuple():
            return [_written(one) for one in value]
        case _:
            return value


class Said(Struct, frozen=True):
    """What file and environment say together: `written` as the file has it, `variables` by their names."""

    tables: Tables
    written: dict[str, Any]
    variables: dict[str, Variable]

    def __repr__(self) -> str:
        return "Said(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def said(path: Path, environment: Mapping[str, str] = os.environ, *, demo: bool = False) -> Said:
    """Read a file, and what the environment says in place of it. Raises `Faulty`, `OSError`, `KeyFileRefused`."""
    written = toml_of(path.read_bytes() if demo else read_private(path))
    over, variables = overlaid(written, environment)
    return Said(parsed(over), written, variables)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have every error say which file it is in."""
    try:
        yield
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}", [str(error.strerror)]) from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path}: it isn't UTF-8", ["it isn't UTF-8"]) from None
    except (KeyFileRefused, KeyUnusable, MailUnusable, TlsUnusable) as error:
        raise ConfigInvalid(str(error)) from None
    except Faulty as error:
        raise ConfigInvalid(f"{path}: {_in_one_line(error.faults, path)}", error.faults) from None
    except ProgrammeInvalid as error:
        raise ConfigInvalid(str(error)) from None
    except (SecurityError, DialectUnreadable, RecipientInvalid) as error:
        raise ConfigInvalid(f"{path}: {error}", [str(error)]) from None


def _in_one_line(faults: Sequence[str], path: Path) -> str:
    first, *others = faults
    return first if not others else f"{first}; and {len(others)} more: see authz config check {path}"


def _master_of(path: Path, file: Tables, master_key_file: Path | None) -> Master | None:
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


def _vault(table: VaultTable, opened: KeyOpener) -> VaultKeys | VaultKey:
    if table.key is None:
        present = {} if table.token is None else {"token": table.token}
        return VaultKeys.from_table({**present, "keys": table.keys}, opened)
    if table.token is not None or table.keys:
        raise KeyMalformed("[vault] has either key, or token and keys")
    return VaultKey.from_table({"master": table.key}, opened)


def _anchors(table: AnchorTable | None, folder: Path) -> AnchorSettings | None:
    """Find the files of the anchors, and make sure that the key can be used. Raises `KeyUnusable`."""
    if table is None:
        return None
    settings = AnchorSettings(folder / table.file, folder / table.key)
    Signer.load(settings.key)
    return settings


def _production(table: ProductionTable | None, folder: Path) -> ProductionSettings | None:
    """Find the folder of production files. Raises `RecipientInvalid`."""
    if table is None:
        return None
    return ProductionSettings(folder / table.folder, CardRecipients(table.cards_recipient, table.pins_recipient))


def _programmes(file: Tables, folder: Path) -> tuple[Programme, ...]:
    """Read the programmes' files. Raises `ProgrammeInvalid`."""
    programmes = tuple(table.programme(folder) for table in file.programme)
    ids = [programme.id for programme in programmes]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        raise ProgrammeInvalid(f"two [[programme]] are {twice}: take one of them out")
    return programmes


def _with_master(text: str, old: str, new: str) -> str:
    """Put another file's name after `file =`."""
    quoted = msgspec.json.encode(new).decode()
    return re.sub(rf"""(\bfile\s*=\s*)(["']){re.escape(old)}\2""", lambda found: found[1] + quoted, text)


def _config(file: Tables, opened: _Opener, folder: Path = Path()) -> Config:
    """Turn the file's texts into keys, terms and dialects; `folder` is where the files that it names stand.

    Raises `SecurityError`, `DialectUnreadable`, `KeyUnusable`, `MailUnusable`, `TlsUnusable`, `ProgrammeInvalid` and
    `RecipientInvalid`.
    """
    return Config(
        links=tuple(link.config(partial(opened, link.acquirer), folder) for link in file.link),
        issuer=IssuerKeys.from_table(keys_of(file.issuer_keys), partial(opened, ISSUER)),
        vault=_vault(file.vault, partial(opened, VAULT)),
        http_host=file.http.host,
        http_port=file.http.port,
        anchors=_anchors(file.anchors, folder),
        production=_production(file.production, folder),
        api=file.api,
        mail=None if file.mail is None else file.mail.settings(folder),
        database=file.database.url,
        programmes=_programmes(file, folder),
    )
