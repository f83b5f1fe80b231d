"""What terminals know before their first payment, and what of it may be seen."""

import pytest
from rich.pretty import pretty_repr

from simulators.terminal import parameters
from simulators.terminal.parameters import KnownCard, ParametersInvalid

HEAD = 'acquirer = "970001"\ndialect = "iso87ascii"\nzone_pin_key = "{}"\nterminal = []\n'.format("01" * 16)


def test_every_card_of_the_demo_can_be_taken_in_hand(demo):
    for known in demo.card:
        card = known.in_hand(2026)
        assert (card.pan, card.generation, card.expiry) == (known.pan, known.generation, known.expiry_at(2026))
        assert card.pin is None, "it is typed, not on the card"
        assert known.holder
        assert card.chip.products == known.products
        assert card.chip.verify(known.pin)


def test_the_terminals_of_shops_may_accept_offline_and_those_of_the_web_may_not(demo):
    assert demo.site("PAR00001").floor_limit > 0
    assert demo.site("WEB00001").floor_limit == 0


def test_pin_pads_use_the_zones_key_unless_a_host_translates(tmp_path):
    path = tmp_path / "parameters.toml"
    path.write_text(HEAD)
    assert parameters.load(path).pin_pad_key == "01" * 16
    path.write_text(HEAD + f'terminal_pin_key = "{"23" * 16}"\n')
    assert parameters.load(path).pin_pad_key == "23" * 16


@pytest.mark.parametrize("text", ["", "acquirer = 1", HEAD + "unknown = 1\n", "\xff", "= ="])
def test_a_file_of_another_shape_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "parameters.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ParametersInvalid, match=r"parameters\.toml") as refused:
        parameters.load(path)
    assert "\n" not in str(refused.value)


def test_no_key_no_pin_and_no_number_is_shown(demo):
    card = KnownCard("9250100000000014", "N+2-06", 1, pin="8642")
    for seen in (demo, card, card.in_hand(2026), card.in_hand(2026).chip):
        for text in (repr(seen), str(seen), pretty_repr(seen)):
            assert not any(secret in text for secret in ("8642", "9250100000000014", demo.zone_pin_key))
