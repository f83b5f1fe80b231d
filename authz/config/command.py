"""`authz config check` and `authz config show`. Neither needs a database."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import Struct

from authz.config.configuration import findings, read
from authz.config.showing import settings, toml_of
from ledger.printing import AsJson, print_json

DONE, FINDING = 0, 1

config = App(name="config", help="The configuration: checked, and shown.")


class WrongUse(Exception):
    """There is no such file."""


class Checked(Struct, frozen=True):
    """What a check comes to: every fault, with its place in its text; none: the configuration is sound."""

    file: str
    sound: bool
    faults: list[str]


@config.command
def check(
    file: Path,
    *,
    master_key_file: Path | None = None,
    demo: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Check a configuration, the files that it names and what the environment says in place of it.

    Exit 0 if it is sound, 1 if it isn't: then each fault is a line. What is checked: every table and key, that the
    keys open under the master key, permissions, certificates, dialects, recipients, programmes.

    Parameters
    ----------
    file
        The TOML file.
    master_key_file
        The file with the key that its keys are sealed under, instead of the one that it names.
    demo
        Take keys in clear, and a file that others can read.
    as_json
        Print it for programs.
    """
    if not file.is_file():
        raise WrongUse(f"{file}: no such file: say which configuration is to be checked")
    faults = findings(file, master_key_file, demo=demo)
    if as_json:
        print_json(Checked(str(file), not faults, faults))
    elif faults:
        sys.stdout.write("".join(f"{file}: {fault}\n" for fault in faults))
    else:
        said = read(file, master_key_file, demo=demo)
        links = [link.terms.acquirer for link in said.links]
        counted = "1 link" if len(links) == 1 else f"{len(links)} links"
        keys = sum(1 for _ in said.every_key())
        sys.stdout.write(f"sound: {counted} ({', '.join(links)}), {keys} keys\n")
    return FINDING if faults else DONE


@config.command
def show(
    *,
    config: Path | None = None,
    demo: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the configuration in force as TOML: defaults filled in, secrets masked, and where each value is from.

    Parameters
    ----------
    config
        The TOML file; without it, what the environment says, and what holds by default.
    demo
        Take a file that others can read.
    as_json
        Print it for programs.
    """
    shown = settings(config, os.environ, demo=demo)
    if as_json:
        print_json(shown)
    else:
        sys.stdout.write(toml_of(shown))
    return DONE
