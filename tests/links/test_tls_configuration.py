"""What a configuration may say of TLS, and the one line that says why it may not."""

import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from authz.config import configuration as config
from authz.links.tls import TlsUnusable, load
from authz.security.master import KeyFileRefused
from tests.links.certificates import Authority, Certified
from tests.links.test_limits import configured

OUTSIDE = ["0.0.0.0", "::", "", "192.0.2.7", "payments.example", "localhost.example"]  # noqa: S104
PAIR = {"certificate": "a.pem", "certificate_key": "a.key"}
CLIENTS = {"client_ca": "ca.pem", "client_name": "host.example"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def own(authority: Authority) -> Certified:
    return authority.certify("authorizer.example")


def link(**said: Any) -> config.LinkTable:
    """A link's table, as msgspec reads it."""
    return msgspec.convert({"acquirer": "970002", "zpk": "", "zak": "", "zmk": ""} | said, config.LinkTable)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_plain_tcp_is_for_this_machine(host: str) -> None:
    assert link(host=host).certificate is None


@pytest.mark.parametrize("host", OUTSIDE)
def test_plain_tcp_that_others_reach_must_be_wanted(host: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"link 970002: .*plaintext = true"):
        link(host=host)
    assert link(host=host, plaintext=True)
    assert link(host=host, **PAIR)


@pytest.mark.parametrize(
    "said",
    [
        {"certificate": "a.pem"},
        {"certificate_key": "a.key"},
        PAIR | {"client_ca": "ca.pem"},
        PAIR | {"client_name": "host.example"},
        CLIENTS,
        PAIR | {"plaintext": True},
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(tmp_path: Path, said: dict[str, Any]) -> None:
    text = "\n".join(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in said.items())
    with pytest.raises(config.ConfigInvalid, match=r"^[^\n]*link 970002: [^\n]*$") as refusal:
        config.read(configured(tmp_path, text), demo=True)
    assert any(name in str(refusal.value) for name in said)


def test_files_stand_beside_the_configuration(tmp_path: Path, authority: Authority, own: Certified) -> None:
    text = f"""
host = "0.0.0.0"
certificate = "{own.certificate.name}"
certificate_key = "{own.key.name}"
client_ca = "{authority.file.name}"
client_name = "host.acquirer.example"
"""
    [said] = config.read(configured(tmp_path, text), demo=True).links
    assert said.tls is not None
    assert said.tls.client_name == "host.acquirer.example"
    assert said.tls.context.verify_mode is ssl.CERT_REQUIRED
    assert said.tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION):
        assert said.tls.context.options & option


def test_a_file_that_is_not_there_is_named(tmp_path: Path, own: Certified) -> None:
    text = f'certificate = "absent.pem"\ncertificate_key = "{own.key}"'
    with pytest.raises(config.ConfigInvalid, match=r"absent\.pem: No such file"):
        config.read(configured(tmp_path, text), demo=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_key_is_its_owners_alone(own: Certified, mode: int) -> None:
    own.key.chmod(mode)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        load(own.certificate, own.key)
    own.key.chmod(0o400)
    assert load(own.certificate, own.key).client_name is None


def test_a_key_must_be_its_certificates(authority: Authority, own: Certified) -> None:
    another = authority.certify("another.example")
    with pytest.raises(TlsUnusable, match="KEY_VALUES_MISMATCH"):
        load(own.certificate, another.key)


def test_a_key_under_a_password_is_refused_and_nobody_asked_for_it(authority: Authority) -> None:
    locked = authority.certify("authorizer.example", password=b"secret")
    with pytest.raises(TlsUnusable, match="unencrypted"):
        load(locked.certificate, locked.key)


@pytest.mark.parametrize("file", ["certificate", "key", "authority"])
def test_what_is_no_pem_is_refused_and_not_shown(authority: Authority, own: Certified, file: str) -> None:
    noise = {"certificate": own.certificate, "key": own.key, "authority": authority.file}[file]
    noise.write_text("SECRET")
    with pytest.raises(TlsUnusable, match=noise.name) as refusal:
        load(own.certificate, own.key, authority.file, "host.example")
    assert "SECRET" not in str(refusal.value)
    assert refusal.value.__suppress_context__
