"""The story of a record: whole, true to the ledger, and without a secret."""

import asyncio
import re
from collections.abc import Callable

import msgspec
import pytest

from authz.decision.outcomes import Reason
from authz.decision.reference import Merchant
from authz.show import page
from authz.show.command import FOUND, NOT_FOUND, WRONG
from authz.show.page import print_page, story_page
from authz.show.reading import Read, opened
from authz.show.story import Story, story_of
from ledger.values import Partition, Seq
from tests.acceptance.secrets_sought import secrets_of, sent
from tests.show.conftest import Ledger, Shown
from tests.show.counter import CARDS
from tests.show.day import RULES, wrong

Show = Callable[..., Shown]
VERIFIED = ("tapped", "wrong PIN 1", "locked", "CVV_WRONG", "ONLINE_LOCKED", "ARQC_WRONG", "CARD_UNKNOWN")
"""Of which secrets were tried."""
NEVER = "(?!)"
"""Matches nothing: three and four digits stand by chance in trace numbers and times."""


@pytest.fixture(scope="module")
def reads(ledger: Ledger) -> dict[str, Read]:
    """Every record as it was read, by its place."""

    async def read_all() -> dict[str, Read]:
        found: dict[str, Read] = {}
        async with opened(ledger.url) as reading:
            while (read := await reading.record(Partition(0), Seq(len(found) + 1))) is not None:
                found[f"0/{read.head.seq}"] = read
        return found

    return asyncio.run(read_all())


@pytest.fixture(scope="module")
def stories(ledger: Ledger, reads: dict[str, Read]) -> dict[str, Story]:
    """Every record's story, by its place, and that of each request by its name."""
    by_place = {place: story_of(read) for place, read in reads.items()}
    references = {field.value: story for story in by_place.values() for field in story.request if field.number == 37}
    return by_place | {name: references[reference] for name, reference in ledger.asked.items()}


def value(fields: tuple[object, ...], number: int) -> str:
    """What a field of a request or reply holds."""
    [found] = [getattr(one, "value", "") for one in fields if getattr(one, "number", None) == number]
    return str(found)


@pytest.mark.parametrize(("reason", "rule"), RULES.items())
def test_for_every_reason_that_leaves_a_record_the_rule_that_refused_is_named(
    stories: dict[str, Story], reason: str, rule: str
) -> None:
    story = stories[reason]
    assert (story.reason, story.refused_by) == (reason, rule)
    assert value(story.reply, 39) == story.response_code
    assert not story.transfers


def test_every_record_of_the_ledger_can_be_shown_and_comes_out_as_it_is_recorded(stories: dict[str, Story]) -> None:
    assert len(stories) > 150
    assert [story.place for story in stories.values() if not story.agrees] == []
    for story in stories.values():
        approved = story.reason in (Reason.APPROVED, Reason.PARTIAL)
        assert (story.refused_by == "") is approved


def test_what_moved_is_what_the_position_lost_or_gained(stories: dict[str, Story]) -> None:
    """Lots, holds and what waits expired, before and after, against the holder's own accounts in the transfers."""
    for story in stories.values():
        own = {f"{kind}:{story.who.holder}" for kind in ("holder", "hold", "expired")}
        moved = 0
        for one in story.transfers:
            moved -= one.amount * (":".join(one.debit.split(":")[:2]) in own)
            moved += one.amount * (":".join(one.credit.split(":")[:2]) in own)
        kept = [one for one in story.position if one.what.startswith(("lot ", "hold ", "expired "))]
        assert sum(one.after - one.before for one in kept) == moved, story.place


def test_who_and_when(stories: dict[str, Story]) -> None:
    story = stories["lunch"]
    assert story.local is not None
    assert (story.at.isoformat(), story.local.isoformat()) == ("2026-05-12T10:30:00+00:00", "2026-05-12T12:30:00+02:00")
    who = story.who
    assert (who.card, who.programme, who.generation, who.employer) == ("925010…0014", "apetiz", 1, "Atelier Durand")
    assert (who.acquirer, who.terminal, who.merchant_name) == ("970001", "PAR00001", "Le Bistrot du Port")
    assert who.product == "90 titre-restaurant"
    assert story.sent_before_ms == 0


def test_position_before_and_after(stories: dict[str, Story]) -> None:
    lines = {one.what: (one.before, one.after) for one in stories["lunch"].position}
    assert lines == {"lot 90 2026": (20_000, 18_800), "spent 90 2026-05-12": (0, 1_200), "wrong PINs in a row": (0, 0)}
    tries = [
        (one.before, one.after)
        for name in ("wrong PIN 1", "wrong PIN 2", "wrong PIN 3", "locked")
        for one in stories[name].position
        if one.what == "wrong PINs in a row"
    ]
    assert tries == [(0, 1), (1, 2), (2, 3), (3, 3)]


def test_the_pin_that_locks_is_refused_as_a_pin_and_the_right_one_after_it_by_the_lock(
    stories: dict[str, Story],
) -> None:
    last, after = stories["wrong PIN 3"], stories["locked"]
    assert {last.reason, after.reason} == {"PIN_LOCKED"}
    assert (last.refused_by, after.refused_by) == ("PIN", "PIN tries")


@pytest.mark.parametrize(
    ("of", "others"),
    [
        ("hold", {"completion": "changes this one"}),
        ("completion", {"hold": "its original"}),
        ("paid", {"partly reversed": "changes this one", "reversed": "changes this one"}),
        ("reversed", {"paid": "its original", "partly reversed": "same original"}),
    ],
)
def test_records_about_the_same_payment_stand_beside_it(
    stories: dict[str, Story], of: str, others: dict[str, str]
) -> None:
    relations = {one.place: one.relation for one in stories[of].beside}
    assert {stories[name].place: relation for name, relation in others.items()}.items() <= relations.items()


def test_a_second_charge_stands_beside_the_first(stories: dict[str, Story]) -> None:
    once, twice = stories["once"], stories["twice"]
    assert twice.place in [one.place for one in once.beside]
    assert value(once.request, 11) != value(twice.request, 11)


def test_a_partial_approval_says_what_was_asked_and_what_was_granted(stories: dict[str, Story]) -> None:
    story = stories["partial"]
    assert (value(story.request, 4), value(story.reply, 4)) == ("000000009999", "000000001900")


def test_a_card_of_nobody_has_a_story_too(stories: dict[str, Story]) -> None:
    story = stories["CARD_UNKNOWN"]
    assert (story.who.card, story.who.holder, story.position) == ("925010…9999", None, ())


def test_no_secret_is_in_any_story(stories: dict[str, Story], capsys: pytest.CaptureFixture[str]) -> None:
    """Card numbers, PIN blocks, tracks and keys are sought in all that is printed, PINs where it speaks of PINs."""
    of_each_kind = {story.kind: story for story in stories.values()}
    for story in (*of_each_kind.values(), *(stories[name] for name in VERIFIED)):
        print_page(story_page(story))
    pages = capsys.readouterr().out
    as_json = msgspec.json.encode(list(stories.values())).decode()
    secrets = msgspec.structs.replace(secrets_of([sent()]), short=frozenset({NEVER}))
    assert [*secrets.found_in("the pages", [pages]), *secrets.found_in("the JSON", [as_json])] == []
    assert [*secrets.found_in("a page", [pages + CARDS["0014"].pan])] != []
    typed = {one.pin for one in CARDS.values()} | {wrong(last4) for last4 in CARDS}
    said = {word for line in pages.splitlines() if "PIN" in line for word in re.findall(r"\w+", line)}
    assert not typed & said


def test_what_somebody_is_called_does_nothing_to_a_terminal(
    reads: dict[str, Read], stories: dict[str, Story], capsys: pytest.CaptureFixture[str]
) -> None:
    read = reads[stories["lunch"].place]
    holder, merchant, *others = read.states
    assert isinstance(merchant, Merchant)
    hostile = msgspec.structs.replace(merchant, name="[red]\x1b[2J le bistrot")
    print_page(story_page(story_of(msgspec.structs.replace(read, states=(holder, hostile, *others)))))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]·[2J le bistrot" in printed


def test_a_decision_that_this_version_makes_otherwise_is_told_so(
    reads: dict[str, Read], stories: dict[str, Story], capsys: pytest.CaptureFixture[str]
) -> None:
    read = reads[stories["lunch"].place]
    old = msgspec.structs.replace(read.head, reply=msgspec.structs.replace(read.head.reply, reason=Reason.NO_FUNDS))
    story = story_of(msgspec.structs.replace(read, head=msgspec.structs.replace(old, reason="NO_FUNDS")))
    assert (story.agrees, story.reason) == (False, "NO_FUNDS")
    print_page(story_page(story))
    assert "decides it otherwise than it is recorded" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("columns", [80, 100])
def test_a_page_fits_its_terminal(
    stories: dict[str, Story], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(page, "FILE_COLUMNS", columns)
    for name in ("lunch", "cap", "completion", "SUNDAY", "partial"):
        print_page(story_page(stories[name]))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any("…" in line.replace("925010…", "") for line in lines if "holder:" in line), "no account is cut"


class TestCommand:
    def test_by_reference_by_place_and_by_partition_and_seq_it_is_the_same(self, shown: Show, ledger: Ledger) -> None:
        by_reference = shown(ledger.asked["cap"], "--json")
        place = by_reference.story["place"]
        assert shown(place, "--json") == by_reference
        assert shown(*place.split("/"), "--json") == by_reference
        assert by_reference.code == FOUND

    def test_a_holders_records_are_listed_the_newest_first(self, shown: Show, ledger: Ledger) -> None:
        holder = shown(ledger.asked["once"], "--json").story["who"]["holder"]
        listed = msgspec.json.decode(shown("--holder", holder, "--json").output)
        assert [one["kind"] for one in listed] == ["purchase", "purchase", "load", "load", "card", "enrolment"]
        table = shown("--holder", holder)
        assert table.code == FOUND
        assert f"authz show {listed[0]['place']}" in table.output

    @pytest.mark.parametrize("words", [("0/999999",), ("0", "999999"), ("9/1",), ("999999999999",), ("--holder", "h0")])
    def test_what_is_not_there_is_said_in_one_line(self, shown: Show, words: tuple[str, ...]) -> None:
        told = shown(*words)
        assert (told.code, told.output, told.errors.count("\n")) == (NOT_FOUND, "", 1)

    @pytest.mark.parametrize(
        "words",
        [(), ("9250100000000014",), ("1", "2", "3"), ("0/1", "--holder", "h"), ("--holder", ""), (" ",), ("a", "1")],
    )
    def test_wrong_use_is_said_in_one_line_that_repeats_nothing(self, shown: Show, words: tuple[str, ...]) -> None:
        told = shown(*words)
        assert (told.code, told.output, told.errors.count("\n")) == (WRONG, "", 1)
        assert "9250100000000014" not in told.errors

    def test_several_records_of_one_reference_are_listed(self, shown: Show, ledger: Ledger) -> None:
        listed = shown(ledger.asked["many 1"], "--json")
        assert [one["kind"] for one in msgspec.json.decode(listed.output)] == ["reversal", "purchase"]
        assert listed.code == FOUND
