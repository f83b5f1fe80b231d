"""The mail server in the configuration: nothing goes in clear over a line that others can read."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from authz.config import configuration as config
from authz.config.configuration import ConfigInvalid
from authz.issuing.outbox.settings import MailSettings
from tests.links.certificates import Authority

KEY = "0123456789ABCDEFFEDCBA9876543210"
REST = f"""
link = []
[issuer_keys]
pvk = "{KEY}"
cvk = "{KEY}"
imk_ac = "{KEY}"
bdk = "{KEY}"
[vault]
key = "{KEY * 2}"
"""
LEAST = {"host": "smtp.example.org", "sender": "cards@example.org", "link": "https://cards.example.org/"}


def read(folder: Path, **mail: Any) -> MailSettings:
    """Read a configuration with that table."""
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in (LEAST | mail).items()]
    file = folder / "authz.toml"
    file.write_text("\n".join([REST, "[mail]", *lines]), encoding="utf-8")
    settings = config.read(file, demo=True).mail
    assert settings is not None
    return settings


def test_without_the_table_there_are_no_letters(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(REST, encoding="utf-8")
    assert config.read(file, demo=True).mail is None


def test_what_the_file_does_not_say_is_starttls_at_the_submission_port(tmp_path: Path) -> None:
    """RFC 8314."""
    settings = read(tmp_path)
    assert (settings.host, settings.port, settings.tls, settings.user) == ("smtp.example.org", 587, "starttls", None)
    assert settings.domain == "example.org"


def test_files_stand_beside_it(tmp_path: Path) -> None:
    password = tmp_path / "mail.password"
    password.touch(0o600)
    password.write_text("correct horse\n")
    authority = Authority(tmp_path, "mail")
    settings = read(tmp_path, user="cards", password_file=password.name, authority=authority.file.name, port=465)
    assert (settings.user, settings.password, settings.port) == ("cards", "correct horse", 465)
    assert settings.authority is not None
    assert "horse" not in repr(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_plain_smtp_is_for_this_machine(tmp_path: Path, host: str) -> None:
    assert read(tmp_path, host=host, tls="none").tls == "none"
    with pytest.raises(ConfigInvalid, match="on this machine"):
        read(tmp_path, tls="none")


@pytest.mark.parametrize(
    "mail",
    [
        {"user": "cards"},
        {"password_file": "mail.password"},
        {"user": "cards", "password_file": "absent"},
        {"authority": "absent"},
        {"authority": "authz.toml"},
        {"sender": "cards"},
        {"sender": "cards@example.org\nBcc: x@example.org"},
        {"link": "javascript:alert(1)"},
        {"tls": "maybe"},
        {"port": 0},
        {"password": "in clear"},
    ],
    ids=lambda mail: next(iter(mail)),
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, mail: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read(tmp_path, **mail)
    assert "in clear" not in str(refused.value)


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "mail.password"
    password.write_text("correct horse")
    password.chmod(0o644)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        read(tmp_path, user="cards", password_file=password.name)
