"""Keys at rest, from the outside: sealed in the configuration, rotated while payments go on, never shown.

docs/security.md: one master key; every other key of the configuration is sealed under it, and the vault's by version.
"""

import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from authz.cli import main
from authz.security.keyblock import KeyKind
from authz.security.keys import VaultKey, VaultKeys
from authz.security.master import MASTER_VARIABLE, Master
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, rows, running
from tests.acceptance.counter import DEMO, SIMULATED, ask, card, purchase
from tests.conftest import Database
from tests.programs import run

DONE, FINDING, WRONG_USE = 0, 1, 2
MASTER, NEW_MASTER = "5a17c3e1" * 8, "c2d94b70" * 8
TOKEN, OLD, NEW = "a1f3" * 16, "b7e5" * 16, "d9c2" * 16
LINK = DEMO.link.acquirer
KEYS = (DEMO.link.zpk, DEMO.link.zak, DEMO.link.zmk, *DEMO.issuer_keys.values(), MASTER, NEW_MASTER, TOKEN, OLD, NEW)
SEALED_KEYS = 3 + len(DEMO.issuer_keys) + 2


def leaked(text: str) -> list[str]:
    """What of a key a text shows: its first eight bytes are enough to give it away."""
    return [key for key in KEYS if key[:16].lower() in text.lower()]


def check_value(key: str) -> str:
    """An AES key's."""
    return KeyKind.AES.check_value(bytes.fromhex(key))


def sealed(owner: str, name: str, key: str) -> str:
    return Master(bytes.fromhex(MASTER)).seal(owner, name, bytes.fromhex(key))


def tables(*vault_keys: str) -> dict[str, Any]:
    """The demo's keys as a configuration has them, sealed; the vault's newest first."""
    link = {name: sealed(LINK, name, getattr(DEMO.link, name)) for name in ("zpk", "zak", "zmk")}
    return {
        "[master]": {"file": "master.key"},
        "[vault]": {"token": sealed("vault", "token", TOKEN), "keys": [sealed("vault", "keys", k) for k in vault_keys]},
        "[issuer_keys]": {name: sealed("issuer", name, key) for name, key in DEMO.issuer_keys.items()},
        "[[link]]": {"acquirer": LINK, **link},
    }


class Vestry:
    """Where the keys are kept: a folder with a configuration and its master keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "authz.toml"
        for name, key in (("master.key", MASTER), ("new.key", NEW_MASTER)):
            self.write(folder / name, f"{key}\n")
        self.configure(tables(OLD))

    def configure(self, contents: dict[str, Any], mode: int = 0o600) -> None:
        lines = ["# The link of our acquirer; ask them before the keys are changed."]
        for head, table in contents.items():
            lines += [head, *(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in table.items())]
        self.write(self.config, "\n".join(lines), mode)

    def write(self, file: Path, text: str, mode: int = 0o600) -> None:
        file.touch(mode)
        file.write_text(text)
        file.chmod(mode)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `authz` on the configuration. Whatever it does, it shows no key."""
        done = run(
            "authz",
            *arguments,
            "--config",
            self.config,
            folder=self.folder,
            environment={**os.environ, **environment},
        )
        assert leaked(done.stdout + done.stderr) == []
        return done


@pytest.fixture
def vestry(tmp_path: Path) -> Vestry:
    return Vestry(tmp_path)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def authz(vestry: Vestry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`authz(*arguments, given="")`: run it here; exit code and what it wrote, which shows no key."""
    monkeypatch.chdir(vestry.folder)
    monkeypatch.delenv(MASTER_VARIABLE, raising=False)

    def run(*arguments: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = main(arguments)
        written = capsys.readouterr()
        assert leaked(written.out + written.err) == []
        return code, written.out, written.err

    return run


@pytest.fixture
def start(vestry: Vestry, own_database: Database) -> Iterator[Callable[..., Authorizer]]:
    """`start()`: an authorizer with the configuration as it is by then, the one before it killed."""
    started: list[Authorizer] = []

    def run() -> Authorizer:
        for one in started:
            one.kill()
        options = ("--config", str(vestry.config), "--database", own_database.url, "--clock", TUESDAY)
        started.append(Authorizer(vestry.folder, *options))
        return started[-1].ready()

    yield run
    for one in started:
        one.kill()
        assert leaked(one.output + one.errors) == []


def approved(authorizer: Authorizer, last4: str = "0014") -> bool:
    """Pay with a PIN under the link's zone key."""
    return ask(authorizer.port, purchase(last4, 100)).response_code == "00"


class TestTheMasterIsRotated:
    def test_while_payments_go_on(self, vestry: Vestry, start: Callable[..., Authorizer]) -> None:
        authorizer = start()
        assert approved(authorizer)
        before = vestry.config.read_text()
        done = vestry.run("keys", "rotate-master", "--new-master-key-file", str(vestry.folder / "new.key"))
        assert (done.returncode, done.stderr) == (DONE, "")
        assert done.stdout.startswith(f"{SEALED_KEYS} keys of ")
        assert approved(authorizer)

        after = vestry.config.read_text()
        assert {*re.findall('sealed:[^"]+', before)}.isdisjoint(re.findall('sealed:[^"]+', after))
        assert re.sub('sealed:[^"]+', "", after) == re.sub('sealed:[^"]+', "", before).replace(
            '"master.key"', f'"{vestry.folder}/new.key"'
        )
        assert vestry.config.stat().st_mode & 0o777 == 0o600
        (vestry.folder / "master.key").unlink()
        assert approved(start())

    def test_the_old_one_opens_nothing_any_more(self, vestry: Vestry) -> None:
        vestry.run("keys", "rotate-master", "--new-master-key-file", "new.key")
        done = vestry.run("serve", "--master-key-file", "master.key")
        assert (done.returncode, done.stdout) == (WRONG_USE, "")
        assert done.stderr == (
            f"authz: {vestry.config}: zpk of {LINK} is sealed under master key {check_value(NEW_MASTER)}, "
            f"and this one is {check_value(MASTER)}: name the right one\n"
        )

    def test_every_key_stays_what_it_was(self, authz: Run) -> None:
        before = json.loads(authz("keys", "list", "--config", "authz.toml", "--json")[1])
        authz("keys", "rotate-master", "--config", "authz.toml", "--new-master-key-file", "new.key")
        after = json.loads(authz("keys", "list", "--config", "authz.toml", "--json")[1])
        assert (before[0]["check_value"], after[0]["check_value"]) == (check_value(MASTER), check_value(NEW_MASTER))
        assert before[1:] == after[1:]

    def test_a_master_that_the_file_does_not_name_is_named_again(self, vestry: Vestry, authz: Run) -> None:
        contents = tables(OLD)
        del contents["[master]"]
        vestry.configure(contents)
        rotate = ("keys", "rotate-master", "--config", "authz.toml", "--new-master-key-file", "new.key")
        assert authz(*rotate)[2].startswith("authz: authz.toml: No master key is named: use --master-key-file")
        assert authz(*rotate, "--master-key-file", "master.key")[0] == DONE
        assert authz("keys", "list", "--config", "authz.toml", "--master-key-file", "new.key")[0] == DONE

    def test_in_a_file_that_is_linked_to(self, vestry: Vestry, authz: Run) -> None:
        """The link stays, and what it names is replaced, with its line ends; files it names stand beside the link."""
        real = vestry.folder / "elsewhere" / "real.toml"
        real.parent.mkdir()
        vestry.write(real, vestry.config.read_text().replace("\n", "\r\n"))
        vestry.config.unlink()
        vestry.config.symlink_to(real)
        lines = real.read_bytes().count(b"\r\n")
        assert authz("keys", "rotate-master", "--config", "authz.toml", "--new-master-key-file", "new.key")[0] == DONE
        assert vestry.config.is_symlink()
        assert real.read_bytes().count(b"\r\n") == lines > 10
        assert authz("keys", "list", "--config", "authz.toml")[0] == DONE

    @pytest.mark.parametrize(
        "written", ["master.file = 'master.key'", 'master = { file = "master.key" }', '[master]\nfile="./master.key"']
    )
    def test_however_the_file_names_it(self, vestry: Vestry, authz: Run, written: str) -> None:
        contents = tables(OLD)
        del contents["[master]"]
        vestry.configure(contents)
        vestry.write(vestry.config, f"{written}\n{vestry.config.read_text()}")
        assert authz("keys", "rotate-master", "--config", "authz.toml", "--new-master-key-file", "new.key")[0] == DONE
        listed = json.loads(authz("keys", "list", "--config", "authz.toml", "--json")[1])
        assert listed[0]["check_value"] == check_value(NEW_MASTER)

    @pytest.mark.parametrize(
        "problem", ["a key in clear", "another master", "a master others can read", "no new master"]
    )
    def test_or_else_nothing_has_changed(self, vestry: Vestry, authz: Run, problem: str) -> None:
        contents = tables(OLD)
        match problem:
            case "a key in clear":
                contents["[[link]]"]["zak"] = DEMO.link.zak
            case "another master":
                vestry.write(vestry.folder / "master.key", "77" * 32)
            case "a master others can read":
                (vestry.folder / "new.key").chmod(0o644)
            case "no new master":
                (vestry.folder / "new.key").unlink()
        vestry.configure(contents)
        before = vestry.config.read_bytes()
        code, output, errors = authz(
            "keys", "rotate-master", "--config", "authz.toml", "--new-master-key-file", "new.key"
        )
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        assert vestry.config.read_bytes() == before


class TestTheVaultsKeyIsRotated:
    def test_while_payments_go_on(
        self, vestry: Vestry, start: Callable[..., Authorizer], own_database: Database
    ) -> None:
        def states() -> tuple[int, set[tuple[str, bool, bool]]]:
            done = vestry.run("vault", "status", "--database", own_database.url, "--json")
            return done.returncode, {(one["key"], one["is_newest"], one["opens"]) for one in json.loads(done.stdout)}

        old, new = check_value(OLD), check_value(NEW)
        tokens = "SELECT card, token FROM authz.vault ORDER BY card"
        assert approved(start())
        named = rows(own_database.url, tokens)
        vestry.configure(tables(NEW))
        assert states() == (FINDING, {(old, False, False)})  # the old key would be missed

        vestry.configure(tables(NEW, OLD))
        authorizer = start()
        assert approved(authorizer)
        assert states() == (DONE, {(old, False, True)})
        done = vestry.run("vault", "reencrypt", "--database", own_database.url)
        assert (done.returncode, done.stderr) == (DONE, "")
        assert approved(authorizer, "0030")  # which this engine hadn't read before
        assert states() == (DONE, {(new, True, True)})

        vestry.configure(tables(NEW))
        assert states() == (DONE, {(new, True, True)})
        assert approved(start())
        assert rows(own_database.url, tokens) == named

    def test_the_key_of_the_cards_names_is_not(
        self, vestry: Vestry, start: Callable[..., Authorizer], own_database: Database
    ) -> None:
        """docs/security.md: no card would be found under another. `authz vault status` says so."""
        start().kill()
        contents = tables(OLD)
        contents["[vault]"]["token"] = sealed("vault", "token", NEW)
        vestry.configure(contents)
        done = vestry.run("vault", "status", "--database", own_database.url)
        assert (done.returncode, done.stderr.count("\n")) == (FINDING, 1)
        assert "another [vault] token" in done.stderr

    def test_with_a_database_that_is_not_there(self, vestry: Vestry, authz: Run, own_database: Database) -> None:
        for command in ("status", "reencrypt"):
            arguments = ("vault", command, "--config", "authz.toml", "--database")
            assert authz(*arguments, "mysql://there/x")[0] == WRONG_USE
            absent = own_database.url.replace(own_database.name, "absent")
            assert authz(*arguments, absent) == (WRONG_USE, "", "authz: the vault can't be reached\n")


class TestWithoutDemo:
    def test_real_keys_serve(self, vestry: Vestry, own_database: Database) -> None:
        """The same ledger, first with the demo's data and then for real, on the machine's own time."""
        options = ("--config", str(vestry.config), "--database", own_database.url)
        with running(vestry.folder, *options):
            pass

        authorizer = Authorizer(vestry.folder, *options, demo=False)
        try:
            authorizer.ready()
            site = SIMULATED.site("PAR00001")
            assert site is not None
            now = datetime.now(UTC)
            till = Terminal(site, SIMULATED.acquirer, PinPad(SIMULATED.zone_pin_key), lambda: now)
            # Whether it expires at the end of a month some years on, the ledger's own first year has said.
            bruno = msgspec.structs.replace(card("0022"), expiry=f"{(now.year + 3) % 100:02}11")
            assert ask(authorizer.port, till.inquiry(bruno)).response_code == "00"
        finally:
            authorizer.kill()
        assert "DEMO KEYS" not in authorizer.errors
        assert leaked(authorizer.output + authorizer.errors) == []

    def refused(self, vestry: Vestry, authz: Run, *options: str) -> str:
        code, output, errors = authz("serve", "--config", str(vestry.config), *options)
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        return errors.removeprefix("authz: ").removeprefix(f"{vestry.config}: ").rstrip("\n")

    @pytest.mark.parametrize(
        ("table", "name", "owner"),
        [("[[link]]", "zpk", LINK), ("[issuer_keys]", "cvk", "issuer"), ("[vault]", "token", "vault")],
    )
    def test_a_key_in_clear_is_refused_with_how_it_is_sealed(
        self, vestry: Vestry, authz: Run, table: str, name: str, owner: str
    ) -> None:
        contents = tables(OLD)
        contents[table][name] = DEMO.link.zmk
        vestry.configure(contents)
        assert self.refused(vestry, authz) == (
            f"{name} of {owner} stands in clear: put what `authz keys seal --owner {owner} --name {name}` "
            "prints in its place"
        )

    def test_so_is_the_demos_one_key_for_the_vault(self, vestry: Vestry, authz: Run) -> None:
        vestry.configure(tables(OLD) | {"[vault]": {"key": DEMO.vault.key}})
        assert "stands in clear" in self.refused(vestry, authz)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    @pytest.mark.parametrize("name", ["authz.toml", "master.key"])
    def test_a_file_that_others_can_read_is_refused(self, vestry: Vestry, authz: Run, name: str, mode: int) -> None:
        file = vestry.folder / name
        file.chmod(mode)
        assert self.refused(vestry, authz) == (
            f"{file} can be read by others than its owner (mode {mode:04o}): chmod 600 {file}"
        )

    def test_a_key_in_anothers_place_is_refused(self, vestry: Vestry, authz: Run) -> None:
        contents = tables(OLD)
        issuer = contents["[issuer_keys]"]
        issuer["cvk"], issuer["imk_ac"] = issuer["imk_ac"], issuer["cvk"]
        vestry.configure(contents)
        assert self.refused(vestry, authz) == (
            "cvk of issuer doesn't open: it was sealed for another place, or altered; seal the key again"
        )

    def test_so_are_two_links_keys(self, vestry: Vestry, authz: Run) -> None:
        contents = tables(OLD)
        contents["[[link]]"]["acquirer"] = "970009"
        vestry.configure(contents)
        assert self.refused(vestry, authz).startswith("zpk of 970009 doesn't open")

    def test_no_master_is_one_line(self, vestry: Vestry, authz: Run) -> None:
        (vestry.folder / "master.key").unlink()
        assert self.refused(vestry, authz) == f"{vestry.folder}/master.key can't be read: No such file or directory"

    @pytest.mark.parametrize(
        "broken", [f"pvk = {DEMO.link.zpk}", f'"{OLD}" = 1', f"x = '{OLD}", f"[{NEW}]", f'[vault]\nkeys = "{OLD}"']
    )
    def test_a_file_that_can_not_be_read_is_one_line_without_its_content(
        self, vestry: Vestry, authz: Run, broken: str
    ) -> None:
        vestry.write(vestry.config, f"{broken}\n{vestry.config.read_text()}")
        assert self.refused(vestry, authz)

    def test_what_is_no_text_is_one_line(self, vestry: Vestry, authz: Run) -> None:
        vestry.config.write_bytes(b"\xff\xfe" + bytes.fromhex(OLD))
        assert self.refused(vestry, authz) == "it isn't UTF-8"


class TestTheEnvironment:
    def test_may_hold_the_master(self, vestry: Vestry) -> None:
        contents = tables(OLD)
        del contents["[master]"]
        vestry.configure(contents)
        assert vestry.run("keys", "list").returncode == WRONG_USE
        assert vestry.run("keys", "list", **{MASTER_VARIABLE: MASTER}).returncode == DONE

    def test_of_the_server_that_an_engine_starts_has_none(
        self, vestry: Vestry, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(MASTER_VARIABLE, MASTER)
        contents = tables(OLD)
        del contents["[master]"]
        vestry.configure(contents)
        with running(vestry.folder, "--config", str(vestry.config), "--data", str(data), "--clock", TUESDAY):
            server = (data / "postgresql" / "postmaster.pid").read_text().splitlines()[0]
            assert leaked(Path(f"/proc/{server}/environ").read_bytes().decode(errors="replace")) == []


class TestList:
    def test_shows_check_values_and_no_key(self, vestry: Vestry, authz: Run) -> None:
        vestry.configure(tables(NEW, OLD))
        listed = json.loads(authz("keys", "list", "--config", "authz.toml", "--json")[1])
        shown = [
            (one["owner"], one["name"], one["kind"], one["length"], one["check_value"], one["state"]) for one in listed
        ]
        assert shown[:3] == [
            ("master", "master", "AES", 32, check_value(MASTER), "newest"),
            (LINK, "zpk", "TDES", 24, "3FD539", "newest"),
            (LINK, "zak", "TDES", 16, "8E6716", "newest"),
        ]
        assert ("issuer", "cvk", "TDES", 16, "08D7B4", "newest") in shown  # the published test key's
        assert shown[-2:] == [
            ("vault", "keys", "AES", 32, check_value(NEW), "newest"),
            ("vault", "keys", "AES", 32, check_value(OLD), "older"),
        ]

    def test_is_a_table_for_people(self, authz: Run) -> None:
        code, output, errors = authz("keys", "list", "--config", "authz.toml")
        assert (code, errors) == (DONE, "")
        assert re.search(rf"{LINK} +zpk +TDES +24 +3FD539 +newest", output)

    def test_shows_the_demos(self, authz: Run) -> None:
        code, output, _ = authz("keys", "list", "--demo")
        assert code == DONE
        assert re.search("vault +token +HMAC +32", output)

    def test_shows_what_links_have_changed(self, authz: Run, own_database: Database) -> None:
        rows(
            own_database.url,
            "INSERT INTO authz.zone_key (zone, usage, sealed, check_value) VALUES ($1, 'P0', '', 'ABC123') RETURNING 1",
            LINK,
        )
        for url in (own_database.url, own_database.finance_url):
            listed = json.loads(authz("keys", "list", "--config", "authz.toml", "--database", url, "--json")[1])
            assert listed[-1]["since"] is not None
            assert listed[-1] | {"since": None} == {
                "owner": LINK,
                "name": "zpk",
                "kind": "TDES",
                "length": None,
                "check_value": "ABC123",
                "state": "changed by the link",
                "since": None,
            }


class TestSealAndGenerate:
    MASTERED = ("--master-key-file", "master.key")

    @pytest.mark.parametrize(
        "given", [DEMO.link.zak, f"{DEMO.link.zak.lower()}\n", " ".join(re.findall(".{4}", DEMO.link.zak))]
    )
    def test_a_key_comes_in_by_standard_input(self, authz: Run, given: str) -> None:
        code, output, errors = authz("keys", "seal", "--owner", LINK, "--name", "zak", *self.MASTERED, given=given)
        assert (code, errors) == (DONE, f"zak of {LINK}: check value 8E6716\n")
        opened = Master(bytes.fromhex(MASTER)).open(LINK, "zak", output.rstrip("\n"))
        assert opened == bytes.fromhex(DEMO.link.zak)

    def test_what_comes_out_stands_in_the_configuration(self, vestry: Vestry, authz: Run) -> None:
        contents = tables(OLD)
        made = {}
        for owner, name in [(LINK, "zpk"), (None, "pvk"), (None, "token"), (None, "keys")]:
            where = () if owner is None else ("--owner", owner)
            _, output, errors = authz("keys", "generate", "--name", name, *where, "--config", "authz.toml", "--json")
            made[name] = json.loads(output)
            assert errors == ""
        contents["[[link]]"]["zpk"] = made["zpk"]["sealed"]
        contents["[issuer_keys]"]["pvk"] = [made["pvk"]["sealed"], contents["[issuer_keys]"]["pvk"]]
        contents["[vault]"] = {"token": made["token"]["sealed"], "keys": [made["keys"]["sealed"]]}
        vestry.configure(contents)
        listed = json.loads(authz("keys", "list", "--config", "authz.toml", "--json")[1])
        values = {one["name"]: one["check_value"] for one in listed if one["state"] == "newest"}
        assert {name: values[name] for name in made} == {name: one["check_value"] for name, one in made.items()}

    def test_a_generated_key_is_shown_sealed_and_no_otherwise(self, authz: Run) -> None:
        code, output, errors = authz("keys", "generate", "--name", "cvk", *self.MASTERED)
        key = Master(bytes.fromhex(MASTER)).open("issuer", "cvk", output.rstrip("\n"))
        assert (code, errors) == (DONE, f"cvk of issuer: check value {KeyKind.TDES.check_value(key)}\n")
        assert key.hex()[:8] not in (output + errors).lower()

    def test_its_length_may_be_chosen(self, authz: Run) -> None:
        options = ("keys", "generate", "--name", "zmk", "--owner", LINK, *self.MASTERED, "--length")
        assert len(Master(bytes.fromhex(MASTER)).open(LINK, "zmk", authz(*options, "32")[1].rstrip("\n"))) == 32
        assert authz(*options, "20") == (WRONG_USE, "", "authz: zmk must be 32 or 48 or 64 hexadecimal digits\n")

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--name", "zpk"), "--owner"),
            (("--name", "zpk", "--owner", "issuer"), "--owner"),
            (("--name", "pvk", "--owner", LINK), "issuer"),
            (("--name", "pin"), "zpk, zak, zmk, pvk"),
            (("--name", "zak", "--owner", LINK, DEMO.link.zak), "…"),
            (("--name", "zak", "--owner", LINK, "--key", DEMO.link.zak), "--key"),
        ],
    )
    def test_wrong_use_is_one_line_that_shows_no_key(self, authz: Run, options: tuple[str, ...], says: str) -> None:
        code, output, errors = authz("keys", "seal", *options, *self.MASTERED, given=DEMO.link.zak)
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        assert says in errors

    @pytest.mark.parametrize("given", ["", DEMO.link.zak + "00", DEMO.link.zak[:-1] + "x", "é"])
    def test_an_ill_formed_key_is_not_shown(self, authz: Run, given: str) -> None:
        code, output, errors = authz("keys", "seal", "--name", "zak", "--owner", LINK, *self.MASTERED, given=given)
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        assert errors.startswith("authz: zak must be ")

    def test_a_master_is_made_once(self, vestry: Vestry, authz: Run) -> None:
        code, output, _ = authz("keys", "create-master", "third.key")
        made = (vestry.folder / "third.key").read_text()
        assert (code, (vestry.folder / "third.key").stat().st_mode & 0o777) == (DONE, 0o600)
        assert check_value(made) in output
        assert made[:8] not in output
        code, output, errors = authz("keys", "create-master", "third.key")
        assert (code, output, errors) == (WRONG_USE, "", "authz: third.key can't be made: File exists\n")
        assert (vestry.folder / "third.key").read_text() == made


def test_one_key_and_those_derived_from_it_open_the_same_vault() -> None:
    """A ledger that was begun with `[vault] key` can go on with `token` and `keys`."""
    one = VaultKey(bytes.fromhex(OLD))
    assert list(VaultKeys(one.token, one.keys).each()) == list(one.each())


NEW_PVK = "3e8f" * 8


def test_the_issuers_keys_change_under_a_running_engine(vestry: Vestry, own_database: Database) -> None:
    """SIGHUP: what the older key made is verified as long as it is listed; nobody is refused in between."""
    options = ("--database", own_database.url, "--config", str(vestry.config), "--clock", TUESDAY)
    with running(vestry.folder, *options) as authorizer:

        def paid_with(*pvks: str, vault: tuple[str, ...] = (OLD,)) -> tuple[str | None, str]:
            """Change the keys, and pay; what is answered, and what the log says last."""
            contents = tables(*vault)
            contents["[issuer_keys]"]["pvk"] = [sealed("issuer", "pvk", pvk) for pvk in pvks]
            vestry.configure(contents)
            before = authorizer.errors
            authorizer.signal(signal.SIGHUP)
            eventually(lambda: "read again" in authorizer.errors[len(before) :])
            return ask(authorizer.port, purchase("0014", 100)).reason, authorizer.errors[len(before) :]

        old = DEMO.issuer_keys["pvk"]
        assert paid_with(NEW_PVK, old)[0] == "APPROVED"
        assert paid_with(NEW_PVK)[0] == "PIN_WRONG"
        assert paid_with(old, vault=(NEW, OLD))[0] == "APPROVED"
        vestry.configure(tables(OLD) | {"[vault]": {"token": sealed("vault", "token", NEW), "keys": []}})
        before = authorizer.errors
        authorizer.signal(signal.SIGHUP)
        eventually(lambda: "keys not read again" in authorizer.errors[len(before) :])
        assert ask(authorizer.port, purchase("0014", 100)).reason == "APPROVED"
        assert leaked(authorizer.output + authorizer.errors) == []
