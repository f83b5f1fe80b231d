"""A link with TLS, of a real authorizer: the acquirer's host pays over it, and others are refused and counted."""

from pathlib import Path

import pytest

from simulators.acquirer.host import AcquirerHost
from simulators.link import LinkLost, NoConnection
from tests.acceptance.authorizer import Authorizer, eventually
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, SIMULATED, Closed, Line, purchase
from tests.acceptance.shop import configuration, said
from tests.links.certificates import HOST, Authority, Certified

NAME = "host.acquirer.example"


class Certificates:
    """The link's own certificate, its acquirer's, and whom both trust."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, "authority")
        self.own = self.authority.certify("authorizer.example")
        self.acquirers = self.authority.certify(NAME, NAME)
        self.anothers = self.authority.certify("other.example", "other.example")

    def terms(self) -> dict[str, str]:
        """What the link's configuration says of them."""
        return {
            "certificate": self.own.certificate.name,
            "certificate_key": self.own.key.name,
            "client_ca": self.authority.file.name,
            "client_name": NAME,
        }

    async def connect(self, authorizer: Authorizer, shown: Certified | None) -> AcquirerHost:
        return await AcquirerHost.connect(HOST, authorizer.port, CODEC, tls=self.authority.client(shown))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def authorizer(start: Start, tmp_path: Path, certificates: Certificates) -> Authorizer:
    path = tmp_path / "links.toml"
    path.write_text(configuration(**certificates.terms()))
    return start("--config", str(path))


def closed(authorizer: Authorizer, why: str) -> float:
    return authorizer.counted("authz_links_closed_total", link=SIMULATED.acquirer, why=why)


async def test_the_acquirers_host_pays_and_others_do_not(authorizer: Authorizer, certificates: Certificates) -> None:
    host = await certificates.connect(authorizer, certificates.acquirers)
    assert said(await host.exchange(purchase("0014", 1_250))) == ("00", "APPROVED")

    for shown, why in ((certificates.anothers, "client_name_wrong"), (None, "certificate_refused")):
        stranger = await certificates.connect(authorizer, shown)
        with pytest.raises(LinkLost):
            await stranger.exchange(purchase("0014", 100))
        eventually(lambda: closed(authorizer, why) == 1)  # noqa: B023

    with Line(authorizer.port) as plain, pytest.raises(Closed):
        plain.ask(purchase("0014", 100))
    eventually(lambda: closed(authorizer, "handshake_failed") == 1)

    assert said(await host.exchange(purchase("0014", 100))) == ("00", "APPROVED")
    await host.close()
    assert authorizer.counted("authz_decisions_total", message="purchase") == 2
    assert authorizer.terminate() == 0
    assert "other.example" not in authorizer.errors


async def test_a_host_connects_only_to_an_authorizer_that_it_trusts(authorizer: Authorizer, tmp_path: Path) -> None:
    another = Authority(tmp_path, "another")
    with pytest.raises(NoConnection, match="TLS"):
        await AcquirerHost.connect(HOST, authorizer.port, CODEC, tls=another.client(another.certify(NAME)))
    eventually(lambda: closed(authorizer, "handshake_lost") == 1)


def test_a_link_that_others_reach_in_plain_is_refused_in_one_line(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "links.toml"
    path.write_text(configuration(host="0.0.0.0"))  # noqa: S104
    refused = start("--config", str(path), ready=False)
    assert refused.exit_code() == 2
    assert len(refused.errors.splitlines()) == 1
    assert "plaintext = true" in refused.errors
