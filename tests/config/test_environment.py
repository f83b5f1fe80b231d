"""The environment prevails over the file, the file over what holds by default (docs/configuration.md)."""

from pathlib import Path
from typing import Any

import pytest

from authz.config import configuration as config
from authz.config.environment import OTHERS, overlaid, variable_name, variables
from authz.config.faults import Faulty, parsed
from authz.demo_data import data as demo_data
from tests.config.sound import KEY, SOUND, link, written

OTHER = "00" * 16


def under(**environment: str) -> config.Tables:
    return parsed(overlaid(SOUND, environment)[0])


def test_a_variable_is_its_table_and_its_key() -> None:
    assert under(AUTHZ_HTTP_PORT="8081").http.port == 8_081
    assert under(AUTHZ_API_REQUESTS_A_SECOND="2.5").api.requests_a_second == 2.5
    assert under(AUTHZ_DATABASE_URL="postgresql://there/x").database.url == "postgresql://there/x"


def test_a_links_is_by_its_acquirer() -> None:
    said = SOUND | {"link": [link(), link(acquirer="970003", port=5)]}
    over, used = overlaid(said, {"AUTHZ_LINK_970003_PORT": "6", "AUTHZ_LINK_970003_MAC_REQUIRED": "true"})
    first, second = parsed(over).link
    assert (first.port, first.mac_required) == (0, False)
    assert (second.port, second.mac_required) == (6, True)
    assert list(used) == ["AUTHZ_LINK_970003_MAC_REQUIRED", "AUTHZ_LINK_970003_PORT"]
    assert said["link"][1]["port"] == 5, "what the file says stays as it is"


def test_a_list_has_commas() -> None:
    keys = under(AUTHZ_ISSUER_KEYS_PVK=f"{KEY}, {OTHER}", AUTHZ_ISSUER_KEYS_PVKI="2,1", AUTHZ_ISSUER_KEYS_CVK=OTHER)
    assert (keys.issuer_keys.pvk, keys.issuer_keys.pvki, keys.issuer_keys.cvk) == ((KEY, OTHER), (2, 1), OTHER)
    assert under(AUTHZ_VAULT_KEYS=KEY).vault.keys == (KEY,)


def test_a_table_that_the_file_has_not_is_made() -> None:
    anchors = under(AUTHZ_ANCHORS_FILE="a.jsonl", AUTHZ_ANCHORS_KEY="a.pem").anchors
    assert anchors is not None
    assert (anchors.file, anchors.key) == ("a.jsonl", "a.pem")
    with pytest.raises(Faulty, match=r"`key` is missing in \[anchors\]"):
        under(AUTHZ_ANCHORS_FILE="a.jsonl")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AUTHZ_HTPP_PORT", "1", "unknown variable AUTHZ_HTPP_PORT in the environment; did you mean AUTHZ_HTTP_PORT?"),
        ("AUTHZ_LINK_970002_PROT", "1", "did you mean AUTHZ_LINK_970002_PORT?"),
        ("AUTHZ_LINK_970009_PORT", "1", "did you mean AUTHZ_LINK_970002_PORT?"),
        ("AUTHZ_HTTP_PORT", "many", "AUTHZ_HTTP_PORT in the environment: expected `int`, got `str`"),
        ("AUTHZ_HTTP_PORT", "70000", "AUTHZ_HTTP_PORT in the environment: expected `int` <= 65535"),
        ("AUTHZ_LINK_970002_MAC_REQUIRED", KEY, "AUTHZ_LINK_970002_MAC_REQUIRED in the environment: expected `bool`"),
    ],
)
def test_what_means_nothing_is_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(Faulty) as refused:
        under(**{name: value})
    [fault] = refused.value.faults
    assert says in fault
    assert KEY not in fault


@pytest.mark.parametrize("name", [*sorted(OTHERS), "PATH", "AUTHZ"])
def test_what_means_something_else_is_left_alone(name: str) -> None:
    assert overlaid(SOUND, {name: "anything"}) == (SOUND, {})


def test_no_two_keys_have_one_variable() -> None:
    names = [one.name for one in variables(SOUND)]
    assert len(names) == len(set(names))
    assert variable_name("link", "970002", "port") in names
    assert not OTHERS & set(names)


def test_it_is_what_an_authorizer_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, SOUND | {"http": {"port": 1, "host": "::1"}})
    monkeypatch.setenv("AUTHZ_HTTP_PORT", "2")
    said: Any = config.read(file, demo=True)
    assert (said.http_port, said.http_host) == (2, "::1")


def test_it_prevails_over_the_demos_configuration_too() -> None:
    demo = demo_data.read()
    tables = ((demo.link,), demo.issuer_keys, demo.vault.key, config.HttpTable(port=8080))
    assert [link.terms for link in config.make(*tables, {"PATH": "/bin"}).links] == [
        link.terms for link in config.make(*tables).links
    ]
    said = config.make(*tables, {"AUTHZ_HTTP_PORT": "2", "AUTHZ_LINK_970001_MAC_REQUIRED": "true"})
    assert (said.http_port, said.links[0].terms.mac_required) == (2, True)
