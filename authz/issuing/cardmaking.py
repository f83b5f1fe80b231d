"""Makes new cards: numbers that nobody has, put into the vault before the command that issues them.

A card's id follows from what it is wanted for, so that whoever is cut off and asks again gets the same card. Its PIN is
its natural one, which the security module finds again when the PIN is mailed: it is kept nowhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from secrets import randbelow
from typing import Final

from authz.decision.issuing.commands import NewCard
from authz.decision.position import CardId
from authz.decision.programme import Programme
from authz.engine.cards import CARDS_A_QUERY_MAX, NumberedCard
from authz.issuing.issuer import Issuer
from authz.issuing.names import new_id
from authz.security.module import PinMethod
from ledger.values import HolderId

GENERATION: Final = 2
VALID_YEARS = 4
PAN_DIGITS = 16
TRIES_MAX = 20
"""How often another number is tried where the one that was drawn is taken."""
CARDS_A_TURN = 25
"""Cards numbered before payments have the loop again: less than a millisecond."""


class NumbersUsedUp(Exception):
    """No free card number was found under the programme's BIN, or it has none: no card can be made."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


async def make_cards(issuer: Issuer, programme: str, wanted: Mapping[HolderId, str]) -> Mapping[HolderId, NewCard]:
    """Make a card of a programme for each holder; the values say what for, such as `order c1 o1`.

    The same for the same holder is the same card, also after it was issued. They are in the vault when this returns,
    and inactive until a command issues them. Raises `NotThere` for an unknown programme, `NumbersUsedUp`, and
    `ledger.store.Unavailable`: what was made until then is found again.
    """
    rules = issuer.programme(programme)
    expiry = expiry_on(issuer.day(programme))
    made: dict[HolderId, NewCard] = {}
    in_order = list(wanted.items())
    for first in range(0, len(in_order), CARDS_A_QUERY_MAX):
        chunk = in_order[first : first + CARDS_A_QUERY_MAX]
        some = {card_of(holder, purpose): holder for holder, purpose in chunk}
        for card, numbered in (await _made(issuer, rules, expiry, some)).items():
            made[some[card]] = NewCard(card, GENERATION, numbered.expiry)
        await asyncio.sleep(0)
    return made


def card_of(holder: HolderId, purpose: str) -> CardId:
    """Name the card that is made for a holder and a purpose."""
    return CardId("c" + new_id("card", holder, purpose))


def expiry_on(day: date) -> str:
    """Give the expiry (YYMM) of a card made on a day: it is valid for four years, to the end of the month.

    >>> expiry_on(date(2026, 5, 12))
    '3005'
    """
    return f"{(day.year + VALID_YEARS) % 100:02}{day.month:02}"


def with_check_digit(digits: str) -> str:
    """Append the check digit of a card number (ISO/IEC 7812-1, annex B: Luhn).

    >>> with_check_digit("925010000000001")
    '9250100000000014'
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::-2])
    return digits + str(-(doubled + sum(map(int, digits[-2::-2]))) % 10)


def draw_number(prefix: str) -> str:
    """Draw a card number under a BIN: nobody can guess the next from the last."""
    free = PAN_DIGITS - len(prefix) - 1
    return with_check_digit(f"{prefix}{randbelow(10**free):0{free}}")


async def _made(
    issuer: Issuer, rules: Programme, expiry: str, holders: Mapping[CardId, HolderId]
) -> Mapping[CardId, NumberedCard]:
    """Find the cards that are there already, and make the others."""
    there = dict(await issuer.cards.named(list(holders)))
    for _ in range(TRIES_MAX):
        missing = [card for card in holders if card not in there]
        if not missing:
            return there
        there.update(await issuer.cards.add_many(await _numbered(issuer, rules, expiry, missing, holders)))
    raise NumbersUsedUp


async def _numbered(
    issuer: Issuer, rules: Programme, expiry: str, cards: Sequence[CardId], holders: Mapping[CardId, HolderId]
) -> Sequence[NumberedCard]:
    if rules.bin is None:
        raise NumbersUsedUp
    numbered = []
    for number, card in enumerate(cards, 1):
        pan, holder = draw_number(rules.bin), holders[card]
        check = await issuer.security.make_natural_check(PinMethod(rules.pin.method), pan)
        numbered.append(NumberedCard(card, holder, issuer.engine.partition_of(holder), pan, expiry, check))
        if number % CARDS_A_TURN == 0:
            await asyncio.sleep(0)
    return numbered
