"""A configuration with faults: each is said with its place and the nearest known name, and no value is shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from authz.config import configuration as config
from authz.config.faults import faults_of, tables
from tests.config.sound import KEY, SOUND, link, written


def faults(**tables: Any) -> list[str]:
    return list(faults_of(SOUND | tables))


def test_what_is_sound_has_none() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (
            {"link": [link(idle_prob_s=5)]},
            "unknown key `idle_prob_s` in [[link]] 970002; did you mean idle_probe_s?",
        ),
        ({"htpp": {"port": 1}}, "unknown table `htpp`; did you mean http?"),
        ({"link": [{"acquirer": "970002", "zpk": KEY, "zak": KEY}]}, "`zmk` is missing in [[link]] 970002"),
        ({"link": [link(), {"port": 1}]}, "`acquirer` is missing in [[link]] 2"),
        ({"http": {"port": "many"}}, "`port` in [http]: expected `int`, got `str`"),
        ({"http": {"port": 70_000}}, "`port` in [http]: expected `int` <= 65535"),
        ({"http": 5}, "http must be a table: [http]"),
        ({"link": {"acquirer": "970002"}}, "link must be written [[link]]: there may be several"),
        ({"link": [link(), link()]}, "two [[link]] have the acquirer 970002: each has a link of its own"),
        (
            {"link": [link(port=5), link(acquirer="970003", port=5)]},
            "two [[link]] listen at 127.0.0.1, port 5: give each a port of its own",
        ),
        ({"mail": {"host": "a", "sender": "b@c", "link": "http://d", "tls": "maybe"}},
         '`tls` in [mail]: it must be one of "starttls", "tls", "none"'),
    ],
    ids=lambda one: one.split(":")[0] if isinstance(one, str) else "",
)  # fmt: skip
def test_each_fault_has_its_place(said: Mapping[str, Any], fault: str) -> None:
    assert fault in faults(**said)


def test_all_are_found_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, SOUND | {"http": {"prot": 1}, "link": [link(prot=1, deadline_s=0)]})
    assert config.findings(file, demo=True) == [
        "unknown key `prot` in [[link]] 970002; did you mean port?",
        "`deadline_s` in [[link]] 970002: expected `float` >= 0.1",
        "unknown key `prot` in [http]; did you mean port?",
    ]
    with pytest.raises(config.ConfigInvalid, match=r"^[^\n]*did you mean port\?; and 2 more: see authz config check"):
        config.read(file, demo=True)


NAMES = [(table, field.name) for table in tables() for field in structs.fields(table.kind)]


@given(st.sampled_from(NAMES), st.data())
def test_a_slip_of_the_pen_is_answered_with_the_key_that_was_meant(named: Any, data: Any) -> None:
    """One letter left out of a key of four or more: that key is suggested, or another that is as near."""
    table, name = named
    if len(name) < 4:
        return
    place = data.draw(st.integers(0, len(name) - 1))
    slip = name[:place] + name[place + 1 :]
    if slip in table.keys:
        return
    said = {slip: 1}
    [fault] = [one for one in faults(**{table.name: [said] if table.several else said}) if "unknown key" in one]
    assert f"unknown key `{slip}`" in fault
    assert "did you mean" in fault


@given(st.sampled_from(NAMES), st.sampled_from([KEY, f"sealed:{KEY}", [KEY], {KEY: KEY}, {"a": KEY}]))
def test_no_value_is_ever_shown(named: Any, value: Any) -> None:
    table, name = named
    said = {name: value, KEY: KEY}
    for fault in faults(**{table.name: [said] if table.several else said}, **{KEY: value}):
        assert KEY not in fault


def test_what_is_no_toml_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(f'[vault]\nkey = "{KEY}\n')
    [fault] = config.findings(file, demo=True)
    assert "line 2" in fault
    assert KEY not in fault


def test_tables_are_what_msgspec_reads() -> None:
    """Nothing that passes is refused later."""
    assert msgspec.convert(SOUND, config.Tables).link[0].acquirer == "970002"
