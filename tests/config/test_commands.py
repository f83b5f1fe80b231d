"""`authz config check` and `authz config show`: without a database, and without ever showing a key."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from authz import cli
from authz.security.master import create_master
from tests.config.sound import KEY, SOUND, link, written

DONE, FINDING, WRONG_USE = 0, 1, 2
MAIL = {"host": "smtp.example.org", "sender": "cards@example.org", "link": "https://cards.example.org/"}


class Asked:
    """Runs a command in this process: its exit code, and what it printed. Nothing printed is a key."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        code = cli.main(["config", *map(str, words)])
        output, errors = self._capsys.readouterr()
        assert KEY not in output + errors
        return code, output, errors


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(capsys)


class TestCheck:
    def test_sound_is_a_line_and_exit_0(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path, SOUND | {"link": [link(), link(acquirer="970003")]})
        assert ask("check", file, "--demo") == (DONE, "sound: 2 links (970002, 970003), 12 keys\n", "")

    def test_each_fault_is_a_line_and_exit_1(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path, SOUND | {"http": {"prot": 1, "hots": "a"}})
        code, output, errors = ask("check", file, "--demo")
        assert (code, errors) == (FINDING, "")
        assert output.splitlines() == [
            f"{file}: unknown key `prot` in [http]; did you mean port?",
            f"{file}: unknown key `hots` in [http]; did you mean host?",
        ]

    def test_files_that_it_names_are_looked_at_all_of_them(self, ask: Asked, tmp_path: Path) -> None:
        (tmp_path / "mail.password").write_text("correct horse")
        (tmp_path / "mail.password").chmod(0o644)
        tables = SOUND | {
            "link": [
                link(dialect="absent.toml"),
                link(acquirer="970003", certificate="a.pem", certificate_key="b.pem"),
            ],
            "anchors": {"file": "a.jsonl", "key": "absent.pem"},
            "production": {"folder": "p", "cards_recipient": "age1nobody", "pins_recipient": "age1nobody"},
            "mail": MAIL | {"user": "cards", "password_file": "mail.password"},
            "programme": [{"file": "absent-programme.toml"}],
        }
        code, output, _ = ask("check", written(tmp_path, tables), "--demo")
        assert code == FINDING
        lines = output.splitlines()
        for expected in ("absent.toml", "a.pem", "absent.pem", "recipient", "chmod 600", "absent-programme.toml"):
            assert [line for line in lines if expected in line], expected
        assert len(lines) == 6
        assert "horse" not in output

    def test_each_key_in_clear_is_a_fault_without_demo(self, ask: Asked, tmp_path: Path) -> None:
        create_master(tmp_path / "master.key")
        code, output, _ = ask("check", written(tmp_path, SOUND | {"master": {"file": "master.key"}}))
        assert code == FINDING
        assert "zpk of 970002 stands in clear" in output
        assert "pvk of issuer stands in clear" in output

    def test_a_file_that_others_can_read_is_a_fault(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path)
        file.chmod(0o644)
        code, output, _ = ask("check", file)
        assert (code, output.count("\n")) == (FINDING, 1)
        assert "chmod 600" in output

    def test_no_link_is_a_fault(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path, {"vault": SOUND["vault"], "issuer_keys": SOUND["issuer_keys"]})
        file.write_text("link = []\n" + file.read_text())
        code, output, _ = ask("check", file, "--demo")
        assert (code, "no [[link]]" in output) == (FINDING, True)

    def test_no_file_is_wrong_use(self, ask: Asked, tmp_path: Path) -> None:
        code, output, errors = ask("check", tmp_path / "absent.toml")
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        assert "absent.toml: no such file" in errors

    def test_for_programs(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path, SOUND | {"http": {"prot": 1}})
        code, output, _ = ask("check", file, "--demo", "--json")
        assert code == FINDING
        assert json.loads(output) == {
            "file": str(file),
            "sound": False,
            "faults": ["unknown key `prot` in [http]; did you mean port?"],
        }


class TestShow:
    def test_is_the_toml_that_is_in_force(self, ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTHZ_LINK_970002_PORT", "5002")
        monkeypatch.setenv("AUTHZ_DATABASE_URL", f"postgresql://authz:{KEY}@db/ledger")
        code, output, _ = ask("show", "--config", written(tmp_path, SOUND | {"http": {"port": 8081}}), "--demo")
        assert code == DONE
        shown: dict[str, Any] = tomllib.loads(output)
        assert shown["http"] == {"host": "127.0.0.1", "port": 8081}
        assert (shown["link"][0]["port"], shown["link"][0]["deadline_s"], shown["link"][0]["zpk"]) == (5002, 5, "…")
        assert shown["database"]["url"] == "postgresql://authz:…@db/ledger"
        assert "mail" not in shown

    def test_says_where_each_value_is_from(self, ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTHZ_LINK_970002_PORT", "5002")
        _, output, _ = ask("show", "--config", written(tmp_path, SOUND | {"http": {"port": 8081}}), "--demo", "--json")
        sources = {(one["table"], one["key"]): one["source"] for one in json.loads(output)}
        assert sources["[[link]] 970002", "port"] == "environment AUTHZ_LINK_970002_PORT"
        assert sources["[[link]] 970002", "deadline_s"] == "default"
        assert sources["[[link]] 970002", "certificate"] == "not set"
        assert (sources["[http]", "port"], sources["[http]", "host"]) == ("file", "default")

    def test_two_links_are_two_tables(self, ask: Asked, tmp_path: Path) -> None:
        file = written(tmp_path, SOUND | {"link": [link(), link(acquirer="970003", port=7)]})
        _, output, _ = ask("show", "--config", file, "--demo")
        assert [(one["acquirer"], one["port"]) for one in tomllib.loads(output)["link"]] == [
            ("970002", 0),
            ("970003", 7),
        ]

    def test_a_sealed_key_is_seen_to_be_sealed(self, ask: Asked, tmp_path: Path) -> None:
        _, output, _ = ask("show", "--config", written(tmp_path, SOUND | {"link": [link(zpk=f"sealed:{KEY}")]}))
        assert tomllib.loads(output)["link"][0]["zpk"] == "sealed:…"

    def test_without_a_file_it_is_what_holds_anyway(self, ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTHZ_HTTP_PORT", "9")
        code, output, _ = ask("show")
        assert code == DONE
        assert tomllib.loads(output)["http"] == {"host": "127.0.0.1", "port": 9}

    def test_of_what_has_faults_is_wrong_use(self, ask: Asked, tmp_path: Path) -> None:
        code, output, errors = ask("show", "--config", written(tmp_path, SOUND | {"htpp": {}}), "--demo")
        assert (code, output, errors.count("\n")) == (WRONG_USE, "", 1)
        assert "did you mean http?" in errors
