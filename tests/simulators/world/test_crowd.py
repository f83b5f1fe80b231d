"""A crowd: the same people for a seed everywhere, and nobody twice."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.demo.demo import generated_cards
from authz.demo_data.data import read
from authz.issuing.cardmaking import with_check_digit
from authz.programmes import shipped
from simulators.terminal.pinpad import PinPad
from simulators.world.crowd import HOLDERS_MAX, PROGRAMME, SEED_MAX, NoSuchHolder, card_of, member_of
from simulators.world.merchants import MERCHANTS_MAX, NoSuchMerchant, merchant_of, site_of

SEEDS, NUMBERS = st.integers(0, SEED_MAX), st.integers(0, HOLDERS_MAX - 1)


@given(SEEDS, NUMBERS, st.integers(1, 1_000))
def test_a_member_is_the_same_whenever_and_whatever_was_asked_before(seed, number, employers):
    before = member_of(seed, number, employers)
    member_of(seed, (number + 1) % HOLDERS_MAX, employers)
    card_of((seed + 1) % (SEED_MAX + 1), number)
    assert member_of(seed, number, employers) == before
    assert card_of(seed, number) == before.card
    assert 0 <= before.employer < employers


def test_another_process_has_the_same_crowd():
    said = "from simulators.world.crowd import member_of; print([member_of(7, n, 9).card.pin for n in range(50)])"
    shown = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str([member_of(7, number, 9).card.pin for number in range(50)])


@given(st.lists(st.tuples(SEEDS, NUMBERS), unique=True, min_size=2, max_size=20))
def test_nobody_has_anothers_number_or_name(people):
    members = [member_of(seed, number, 1) for seed, number in people]
    assert len({one.card.pan for one in members}) == len({one.reference for one in members}) == len(people)


@given(SEEDS, NUMBERS)
def test_a_card_is_the_programmes_and_can_be_made(seed, number):
    card = card_of(seed, number)
    rules = shipped(PROGRAMME)
    assert card.pan.startswith(rules.bin)
    assert with_check_digit(card.pan[:-1]) == card.pan
    assert len(card.pin) == rules.pin.length
    assert rules.generation(card.generation) is not None
    assert repr(card) == f"Card({card.pan[:6]}…{card.pan[-4:]})"
    assert repr(member_of(seed, number, 1)) == f"Member({member_of(seed, number, 1).reference})"


@given(SEEDS, NUMBERS)
def test_a_card_is_none_of_the_demos(seed, number):
    """Those have a 0 behind the BIN, or, generated ones, another BIN; a world's have 10 to 99 there."""
    pan = card_of(seed, number).pan
    assert pan[:7] > "9250100"
    assert pan not in DEMO


DEMO = {one.pan for one in (*read().card, *generated_cards(1_000))}


def test_no_demo_card_is_in_a_worlds_range():
    first, last = card_of(0, 0).pan, card_of(SEED_MAX, HOLDERS_MAX - 1).pan
    assert not [pan for pan in DEMO if first <= pan <= last]


@pytest.mark.parametrize(("seed", "number"), [(-1, 0), (SEED_MAX + 1, 0), (0, -1), (0, HOLDERS_MAX)])
def test_there_is_nobody_beyond_the_limits(seed, number):
    with pytest.raises(NoSuchHolder):
        card_of(seed, number)
    with pytest.raises(NoSuchHolder):
        member_of(seed, number, 1)


def test_a_crowd_is_mixed():
    """As many of each kind as tests of a programme's rules want."""
    crowd = [member_of(7, number, 5) for number in range(2_000)]
    assert {one.employer for one in crowd} == set(range(5))
    assert 0.6 < sum(one.card.generation == 2 for one in crowd) / len(crowd) < 0.75
    assert 0.05 < sum(one.works_days_off for one in crowd) / len(crowd) < 0.15
    assert len({one.card.pin for one in crowd}) > 1_500
    assert len({PinPad("01" * 16).block(one.card.pin, one.card.pan) for one in crowd}) == len(crowd)


@given(SEEDS, st.integers(0, MERCHANTS_MAX - 1))
def test_a_merchant_takes_the_crowds_vouchers_and_has_a_terminal(seed, number):
    merchant, site = merchant_of(seed, number), site_of(seed, number)
    product = shipped(PROGRAMME).product(merchant.accepts[0])
    assert merchant.mcc in product.eligible[0].mccs
    assert (site.merchant, site.time_zone) == (merchant.id, merchant.time_zone)
    assert (len(site.terminal), len(merchant.id)) == (8, 15)


@pytest.mark.parametrize(("seed", "number"), [(SEED_MAX + 1, 0), (0, MERCHANTS_MAX), (0, -1)])
def test_there_is_no_merchant_beyond_the_limits(seed, number):
    with pytest.raises(NoSuchMerchant):
        merchant_of(seed, number)
