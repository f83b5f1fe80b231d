"""The commands `authz keys` and `authz vault`: keys at rest, shown by their check values only.

A key comes in by standard input and goes out sealed; none is ever an argument, which other accounts could read.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from getpass import getpass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from authz.config.configuration import ISSUER, VAULT, Config, master_of, read, rewrap
from authz.demo_data import data as demo_data
from authz.engine.reencryption import SealedTexts, is_named_by
from authz.engine.reencryption import reencrypt as seal_again
from authz.engine.reencryption import status as count_sealed
from authz.engine.zone_keys import changed_keys
from authz.security.keyblock import KeyKind
from authz.security.keyblock import generate as fresh_key
from authz.security.keys import hexadecimal
from authz.security.master import Master
from authz.security.master import create_master as new_master
from authz.security.module import ZoneKeyUsage
from authz.security.vault import Vault
from ledger.printing import AsJson, instant, print_json, print_table, table

DONE, FINDING = 0, 1
KEY_LINE_CHARACTERS_MAX = 1_024
NAMES = {ISSUER: ("pvk", "cvk", "imk_ac", "bdk"), VAULT: ("token", "keys", "master")}
"""The keys that aren't a link's, by owner."""
LINK_NAMES = ("zpk", "zak", "zmk")

keys = App(name="keys", help="The configuration's keys: listed by check value, sealed, generated.")
vault = App(name="vault", help="The card vault: what is sealed under which key, and sealing it again.")


class WrongKey(Exception):
    """The options name no key, or no configuration."""


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """The configuration."""

    config: Path | None = None
    """The TOML file with links and keys."""

    master_key_file: Path | None = None
    """The file with the master key, instead of the one that the configuration names."""

    demo: Annotated[bool, Parameter(negative="")] = False
    """Take keys in clear, and the demo's where no configuration is given."""

    def read(self) -> Config:
        """Read it. Raises `ConfigInvalid` and `WrongKey`."""
        if self.config is not None:
            return read(self.config, self.master_key_file, demo=self.demo)
        if not self.demo:
            raise WrongKey("say --config FILE")
        return demo_data.read().config()


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """The key, and the master key that it is sealed under."""

    name: str
    """What the configuration calls it, such as zpk or pvk."""

    owner: str | None = None
    """Whose it is: the acquirer's id of a link, `issuer` or `vault`. Needed for a link's keys."""

    config: Path | None = None
    """The configuration that names the master key's file."""

    master_key_file: Path | None = None
    """The file with the master key."""

    def owned(self) -> str:
        """Return the owner. Raises `WrongKey` where there is no such key."""
        owners = [owner for owner, names in NAMES.items() if self.name in names]
        if not owners and self.name not in LINK_NAMES:
            raise WrongKey(
                f"there is no key of that name: say one of {', '.join(LINK_NAMES + sum(NAMES.values(), ()))}"
            )
        if not owners and (self.owner is None or self.owner in NAMES):
            raise WrongKey(f"{self.name} is a link's: say --owner and its acquirer's id")
        if owners and self.owner not in (None, *owners):
            raise WrongKey(f"{self.name} belongs to {owners[0]}: say --owner {owners[0]}")
        return owners[0] if owners else str(self.owner)

    def master(self) -> Master:
        """Read the master key."""
        return master_of(self.config, self.master_key_file)


class ListedKey(Struct, frozen=True):
    """A key as people see it. `length` is in bytes, None where only its owner's module knows it."""

    owner: str
    name: str
    kind: KeyKind
    length: int | None
    check_value: str
    state: str
    since: datetime | None = None


class SealedKey(Struct, frozen=True):
    """A key as a configuration has it, and by what it is known."""

    owner: str
    name: str
    check_value: str
    sealed: str


@keys.command(name="list")
def list_keys(*, source: Source | None = None, database: str | None = None, as_json: AsJson = False) -> int:
    """List every key by its owner, name, kind, length and check value.

    Check values are three bytes. TDES: of zeros, encrypted; AES: of the CMAC of zeros; HMAC: of the HMAC of zeros.

    Parameters
    ----------
    source
        The configuration.
    database
        The address of the ledger's database, to list the keys too that links have changed: those are in use.
    as_json
        Print them as JSON.
    """
    listed = list(_listed((source or Source()).read()))
    if database is not None:
        listed += [
            ListedKey(zone, _NAME_OF[usage], KeyKind.TDES, None, check_value, "changed by the link", since)
            for zone, usage, check_value, since in asyncio.run(changed_keys(database))
        ]
    if as_json:
        print_json(listed)
        return DONE
    shown = table(f"{len(listed)} keys", "owner", "name", "kind", "bytes", "check value", "state")
    for one in listed:
        state = one.state if one.since is None else f"{one.state} {instant(one.since)}"
        shown.add_row(one.owner, one.name, one.kind, str(one.length or ""), one.check_value, state)
    print_table(shown)
    return DONE


@keys.command
def seal(*, place: Place, as_json: AsJson = False) -> int:
    """Seal a key: read its hexadecimal digits from standard input, and print what stands for it in the configuration.

    Its check value is printed too, on standard error.

    Parameters
    ----------
    place
        The key.
    as_json
        Print it as JSON.
    """
    owner, master = place.owned(), place.master()
    asked = sys.stdin.isatty()
    digits = getpass(f"{place.name} of {owner}, in hexadecimal: ") if asked else sys.stdin.read(KEY_LINE_CHARACTERS_MAX)
    _print_sealed(place, owner, master, hexadecimal(place.name, digits), as_json=as_json)
    return DONE


@keys.command
def generate(*, place: Place, length: int | None = None, as_json: AsJson = False) -> int:
    """Generate a random key, and print what stands for it in the configuration; its check value on standard error.

    Parameters
    ----------
    place
        The key.
    length
        Its length in bytes, where several are possible. Default: the shortest, which every partner takes.
    as_json
        Print it as JSON.
    """
    owner, master = place.owned(), place.master()
    _print_sealed(place, owner, master, fresh_key(place.name, length), as_json=as_json)
    return DONE


@keys.command
def create_master(file: Path) -> int:
    """Generate a master key, in a new file that only its owner reads, and print its check value.

    Parameters
    ----------
    file
        The file: there may be none of that name yet.
    """
    sys.stdout.write(f"master key {new_master(file).check_value} in {file}: keep a copy of it in a safe place\n")
    return DONE


@keys.command
def rotate_master(*, config: Path, new_master_key_file: Path, master_key_file: Path | None = None) -> int:
    """Seal every key of a configuration again, under another master key. Engines that run are not touched by it.

    Parameters
    ----------
    config
        The TOML file with links and keys. It is replaced in one step, and names the new file where it named the old.
    new_master_key_file
        The file with the new master key.
    master_key_file
        The file with the master key until now, instead of the one that the configuration names.
    """
    count = rewrap(config, new_master_key_file, master_key_file)
    sys.stdout.write(f"{count} keys of {config} are sealed under the master key in {new_master_key_file} now\n")
    return DONE


@vault.command
def status(*, database: str, source: Source | None = None, as_json: AsJson = False) -> int:
    """Count what is sealed in the database, by key.

    Exit 1 if anything is sealed under a key that the configuration hasn't, or if cards were named under another one.

    Parameters
    ----------
    database
        The address of the ledger's database, as the application's role.
    source
        The configuration.
    as_json
        Print it as JSON.
    """
    configured = _vault_of(source)
    counted = asyncio.run(count_sealed(database, configured))
    _print_counted(counted, as_json=as_json)
    if not asyncio.run(is_named_by(database, configured)):
        sys.stderr.write("authz: the cards were named under another [vault] token: put that back, or none is found\n")
        return FINDING
    return DONE if all(one.opens for one in counted) else FINDING


@vault.command
def reencrypt(*, database: str, source: Source | None = None, as_json: AsJson = False) -> int:
    """Seal everything again that is sealed under an older key, while engines run. Broken off, it may be begun again.

    Every engine must have the newest key by then: give it to all of them before any seals under it. Exit 1 if
    something is still under an older key afterwards.

    Parameters
    ----------
    database
        The address of the ledger's database, as the application's role.
    source
        The configuration.
    as_json
        Print what is sealed under which key afterwards as JSON.
    """
    seals = _vault_of(source)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sealing again", total=None)
        counted = asyncio.run(
            seal_again(database, seals, lambda done, total: bar.update(task, completed=done, total=total))
        )
    _print_counted(counted, as_json=as_json)
    return DONE if all(one.is_newest for one in counted) else FINDING


_NAME_OF = {ZoneKeyUsage.PIN: "zpk", ZoneKeyUsage.MAC: "zak"}


def _listed(config: Config) -> Iterator[ListedKey]:
    if config.master is not None:
        yield ListedKey("master", "master", KeyKind.AES, 32, config.master, "newest")
    before = None
    for owner, name, key in config.every_key():
        kind = KeyKind.of(name, key)
        state = "older" if (owner, name) == before else "newest"
        yield ListedKey(owner, name, kind, len(key), kind.check_value(key), state)
        before = (owner, name)


def _print_sealed(place: Place, owner: str, master: Master, key: bytes, *, as_json: bool) -> None:
    sealed = master.seal(owner, place.name, key)
    check_value = KeyKind.of(place.name, key).check_value(key)
    if as_json:
        print_json(SealedKey(owner, place.name, check_value, sealed))
        return
    sys.stdout.write(f"{sealed}\n")
    sys.stderr.write(f"{place.name} of {owner}: check value {check_value}\n")


def _vault_of(source: Source | None) -> Vault:
    return Vault((source or Source()).read().vault)


def _print_counted(counted: Sequence[SealedTexts], *, as_json: bool) -> None:
    if as_json:
        print_json(counted)
        return
    shown = table("What is sealed", "place", "key", "texts", "state")
    for one in counted:
        older = "older" if one.opens else "the configuration hasn't this key"
        state = "newest" if one.is_newest else older
        shown.add_row(one.place, one.key or "unnamed", f"{one.texts:,}", state)
    print_table(shown)
