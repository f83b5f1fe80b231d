"""Every letter in every language: complete, in its own spelling, and readable as an e-mail."""

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from authz.decision.issuing.states import RequestKind
from authz.decision.position import CardStatus
from authz.issuing.outbox.letters import (
    CONTENTS,
    Access,
    Added,
    Appointed,
    Asked,
    Content,
    Expiring,
    Joined,
    Loaded,
    Low,
    Opened,
    Opposed,
    Refused,
    Sent,
    template,
    written,
)
from authz.issuing.outbox.sending import Undeliverable, addressed
from authz.issuing.outbox.tongues import TONGUES
from authz.issuing.person import Person
from ledger.values import Cents

LINK = "https://cards.example.org/"
TOKEN = "a1b2.c3d4"
ACCESS = f"{LINK}#access={TOKEN}"
COMPANY = "Café & Crème $1"
MAY, END = date(2026, 5, 15), date(2027, 2, 28)
AT = datetime(2026, 5, 12, 13, 0, tzinfo=UTC)
EXAMPLES: list[Content] = [
    Opened(COMPANY, "c1", ACCESS),
    Added(COMPANY, "c1", ACCESS),
    Joined(COMPANY, "c1", ACCESS),
    Appointed(COMPANY, "a1", ACCESS),
    Loaded(Cents(1_234_56), "titre-restaurant", COMPANY, END),
    Low("titre-restaurant", Cents(7_05)),
    Expiring(Cents(11_00), "eco", END),
    Sent(MAY, date(2026, 5, 19)),
    Opposed(AT, CardStatus.STOLEN),
    Asked(RequestKind.REMAKE, COMPANY, "r1"),
    Refused(RequestKind.PIN, COMPANY),
]
LANGUAGES = get_args(get_type_hints(Person)["language"])

every_language = pytest.mark.parametrize("language", LANGUAGES)
every_letter = pytest.mark.parametrize("content", EXAMPLES, ids=lambda one: type(one).__name__)


def person(language: str = "fr", first: str = "Léa", last: str = "Roy", email: str = "lea.roy@example.org") -> Person:
    return Person(first, last, email, language)  # type: ignore[arg-type]


def test_there_is_an_example_of_each_letter_and_a_tongue_for_each_language() -> None:
    assert [type(one) for one in EXAMPLES] == list(CONTENTS)
    assert set(TONGUES) == set(LANGUAGES)


@every_language
@pytest.mark.parametrize("kind", CONTENTS, ids=lambda one: one.__name__)
def test_a_template_says_all_that_its_letter_has_and_nothing_else(kind: type[Content], language: str) -> None:
    subject, body = template(language, kind)
    names = {*subject.get_identifiers(), *body.get_identifiers()}
    assert names - {"first_name", "link"} == {field.name for field in structs.fields(kind)}
    assert {"first_name", "access" if issubclass(kind, Access) else "link"} <= set(body.get_identifiers())


@every_language
@every_letter
def test_every_letter_is_whole_after_its_journey(content: Content, language: str) -> None:
    """UTF-8 in headers (RFC 2047) and body, one line of subject, the same name and date each time."""
    to = person(language, last="Roy-Ångström")
    text = written(content, to, LINK)
    message = addressed(text, to, "cards@example.org", "<0.7.1@example.org>", AT)
    assert b"\xc3" not in message.as_bytes().partition(b"\n\n")[0], "headers are ASCII on their way"
    assert message["To"] == "Léa Roy-Ångström <lea.roy@example.org>"
    assert (message["From"], message["Message-ID"]) == ("cards@example.org", "<0.7.1@example.org>")
    assert message["Date"].datetime == AT
    assert message["Subject"] == text.subject
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == text.body
    assert "Léa" in text.body
    assert "$" not in text.subject.replace(COMPANY, "") + text.body.replace(COMPANY, "")


def subjects(content: Content) -> list[str]:
    return [
        written(content, person(language), LINK).subject.replace("\N{NO-BREAK SPACE}", "_") for language in LANGUAGES
    ]


def test_amounts_dates_and_words_are_each_languages_own() -> None:
    assert subjects(EXAMPLES[4]) == [
        "Votre carte est rechargée : 1_234,56_€",
        "Uw kaart is opgeladen: €_1.234,56",
        "Your card is loaded: €1,234.56",
    ]
    assert subjects(Expiring(Cents(11_00), "eco", END)) == [
        "11,00_€ à utiliser avant le 28 février 2027 inclus",
        "€_11,00 te gebruiken tot en met 28 februari 2027",
        "€11.00 to be spent until 28 February 2027",
    ]
    assert (
        "(volée) est bloquée définitivement depuis le 12 mai 2026, 13:00" in written(EXAMPLES[8], person(), LINK).body
    )
    assert "a new card (request no. r1)" in written(EXAMPLES[9], person("en"), LINK).body


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_that_a_letter_can_say_is_there(language: str) -> None:
    tongue = TONGUES[language]
    stopped = [CardStatus.LOST, CardStatus.STOLEN, CardStatus.FRAUD]
    assert set(tongue.words) == {*RequestKind, *stopped}
    assert len({tongue.shown(date(2026, month, 1)) for month in range(1, 13)}) == 12


@given(cents=st.integers(0, 10**9))
def test_no_cent_is_lost_in_any_language(cents: int) -> None:
    for tongue in TONGUES.values():
        assert int("".join(filter(str.isdecimal, tongue.shown(Cents(cents))))) == cents


def test_a_new_account_and_an_addition_are_told_apart() -> None:
    for language in LANGUAGES:
        opened, added = (written(kind(COMPANY, "c1", ACCESS), person(language), LINK) for kind in (Opened, Added))
        assert opened.subject != added.subject
        assert all(ACCESS in one.body and COMPANY in one.body and "c1" in one.body for one in (opened, added))


@every_letter
def test_no_repr_shows_a_token(content: Content) -> None:
    text = written(content, person(), LINK)
    assert TOKEN not in repr(content) + repr(text) + str(list(text.__rich_repr__()))


@given(
    first=st.text(max_size=20),
    email=st.one_of(st.text(max_size=30), st.sampled_from(["", "@", "a@", "@b", "a@b\r\nBcc: x@y", 'a"@b', "a@b@c"])),
)
def test_no_name_or_address_adds_a_header(first: str, email: str) -> None:
    to = person(first=first, email=email)
    with suppress(Undeliverable):
        message = addressed(written(EXAMPLES[0], to, LINK), to, "cards@example.org", "<0.7.1@example.org>", AT)
        assert len(message["To"].addresses) == 1
        assert message["Bcc"] is None
