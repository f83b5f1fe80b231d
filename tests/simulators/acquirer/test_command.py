"""`simulate acquirer` wrongly used: exit code 2, one line that says what to do, and no secret in it."""

import asyncio
import ssl

import msgspec
import pytest

from simulators.acquirer import parameters
from simulators.acquirer.command import _tls
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.journal import Journal
from simulators.cli import main
from simulators.link import LinkLost, NoConnection
from tests.links.certificates import HOST, Authority
from tests.simulators.acquirer.conftest import NOON
from tests.simulators.conftest import ScriptedHost

UPSTREAM = ["--upstream", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--upstream"),
        (["--upstream", "nowhere"], "--upstream"),
        ([*UPSTREAM, "--cut-over", "24:00"], "--cut-over"),
        ([*UPSTREAM, "--zone", "Europe/Nowhere"], "--zone"),
        ([*UPSTREAM, "--rotate-keys-every", "59s"], "60s"),
        ([*UPSTREAM, "--rotate-keys-every", "often"], "--rotate-keys-every"),
        ([*UPSTREAM, "--echo-every", "0s"], "--echo-every"),
        ([*UPSTREAM, "--clock", "2026-05-12T12:30:00"], "--clock"),
        ([*UPSTREAM, "--dialect", "morse"], "morse"),
        ([*UPSTREAM, "--certificate", "x.pem"], "--certificate-key"),
        ([*UPSTREAM, "--ca", "missing.pem"], "--ca"),
        ([*UPSTREAM, "--config", "missing.toml"], "missing.toml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, says, capsys):
    assert main(["acquirer", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize("spoil", ["zone_pin_key", "acquirer"])
def test_a_configuration_that_cannot_be_used_is_named_without_its_keys(spoil, tmp_path, capsys):
    given = msgspec.structs.asdict(parameters.demo())
    wrong = {**given, spoil: 7 if spoil == "acquirer" else given[spoil][:-2]}
    path = tmp_path / "host.toml"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in wrong.items()))
    assert main(["acquirer", *UPSTREAM, "--config", str(path), "--data", str(tmp_path / "data")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert spoil in line
    assert not any(key[:12] in line for name, key in given.items() if name != "acquirer")


def test_keys_that_nothing_travels_under_cannot_be_changed_regularly(tmp_path, capsys):
    given = msgspec.structs.asdict(parameters.demo())
    path = tmp_path / "host.toml"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in given.items() if name != "zmk"))
    options = ["--config", str(path), "--rotate-keys-every", "1h", "--data", str(tmp_path / "data")]
    assert main(["acquirer", *UPSTREAM, *options]) == 2
    assert "zmk" in capsys.readouterr().err


def test_a_folder_that_another_host_keeps_is_refused(tmp_path, capsys):
    journal = Journal(tmp_path)
    code = main(["acquirer", *UPSTREAM, "--data", str(tmp_path)])
    asyncio.run(journal.close())
    assert code == 2
    assert "another host" in capsys.readouterr().err


async def test_tls_shows_the_certificate_and_trusts_only_its_authority(tmp_path, codec, answer):
    authority, another = Authority(tmp_path, "authority"), Authority(tmp_path, "another")
    own, acquirers = authority.certify("authorizer.example"), authority.certify("host.example", "host.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    scripted = ScriptedHost(codec, lambda peer, heard: peer.send(answer(heard, reason=None)))
    server = await asyncio.start_server(scripted.serve, HOST, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    host = await AcquirerHost.connect(HOST, port, codec, tls=_tls(authority.file, acquirers.certificate, acquirers.key))
    assert (await host.sign_on(NOON)).response_code == "00"
    await host.close()
    with pytest.raises(NoConnection, match="TLS"):
        await AcquirerHost.connect(HOST, port, codec, tls=_tls(another.file, None, None))
    stranger = await AcquirerHost.connect(HOST, port, codec, tls=_tls(authority.file, None, None))
    with pytest.raises(LinkLost):
        await stranger.sign_on(NOON)
    server.close()
    await scripted.end()
