"""The terminal's words: each there in every language, and what stands in braces the same in all."""

import re

import pytest

from authz.decision.outcomes import Reason
from simulators.terminal import wording
from simulators.terminal.book import Kind
from simulators.terminal.display import MenuItem, Said
from simulators.terminal.wording import Language, Words

SINGLE = [words for words in vars(wording).values() if isinstance(words, Words)]
TABLES = [table for table in vars(wording).values() if isinstance(table, dict)]
ALL = SINGLE + [words for table in TABLES for words in table.values() if isinstance(words, Words)]


@pytest.mark.parametrize("words", ALL)
def test_all_is_said_in_every_language(words):
    assert all((words.fr, words.nl, words.en))
    assert len({tuple(re.findall(r"\{\w+\}", text)) for text in (words.fr, words.nl, words.en)}) == 1


def test_every_reason_is_worded_and_no_other_is():
    assert set(wording.REASONS) == set(Reason)
    for language in ("fr", "nl", "en"):
        assert len({getattr(words, language) for words in wording.REASONS.values()}) == len(Reason)


def test_all_that_a_screen_says_is_worded_and_nothing_else():
    assert set(wording.SCREEN) == set(Said)
    assert set(wording.MENU) == set(MenuItem)
    assert set(wording.KINDS) == set(Kind)


def test_both_is_french_then_english_once_where_they_are_the_same():
    assert wording.REFUSED.spoken(Language.BOTH) == ("Refusé", "Refused")
    assert wording.TERMINAL.spoken(Language.BOTH) == ("Terminal",)
    assert wording.REFUSED.spoken(Language.DUTCH) == ("Geweigerd",)
