"""`authz show`: exit 0 if what was asked for is there, 1 if it isn't, 2 on wrong use."""

import asyncio
import re
import sys
from collections.abc import Sequence

from msgspec import Struct

from authz.decision.refused import Refused
from authz.show.page import list_page, print_page, story_page
from authz.show.reading import FOUND_RECORDS_MAX, Head, Read, Unreadable, opened
from authz.show.story import beside, story_of
from ledger.printing import AsJson, print_json
from ledger.source import Source, address
from ledger.values import HolderId, Partition, Seq

FOUND, NOT_FOUND, WRONG = 0, 1, 2
NUMBER_DIGITS_MAX = 18
"""Of a partition or a seq: more is no number of a record."""

_PLACE = re.compile(rf"([0-9]{{1,9}})/([0-9]{{1,{NUMBER_DIGITS_MAX}}})")
_REFERENCE = re.compile("[ -~]{1,12}")
"""What DE 37 can hold."""
_HOLDER = re.compile("[!-~]{1,64}")


class Asked(Struct, frozen=True):
    """What somebody wants to see: one of these."""

    place: tuple[Partition, Seq] | None = None
    reference: str = ""
    holder: str = ""


def show(
    *what: str,
    holder: str | None = None,
    source: Source | None = None,
    as_json: AsJson = False,
) -> int:
    """Tell the whole story of one payment: request, rules, position, transfers, reply, and the records beside it.

    Exit 0 if it is there, 1 if it isn't.

    Parameters
    ----------
    what
        Which record: PARTITION SEQ, or PARTITION/SEQ as log lines have it, or a retrieval reference (DE 37). Where
        several records bear a reference, they are listed.
    holder
        In place of a record, list the newest ones of this holder.
    source
        Where the ledger is.
    as_json
        Print it for programs: amounts are integer cents, instants are in UTC.
    """
    asked = _asked(what, holder)
    if isinstance(asked, str):
        return _complain(asked)
    with address(source) as url:
        try:
            return asyncio.run(_show(url, asked, as_json=as_json))
        except (Unreadable, Refused) as error:
            return _complain(str(error), NOT_FOUND)


async def _show(url: str, asked: Asked, *, as_json: bool) -> int:
    async with opened(url) as reading:
        place = asked.place
        if place is None:
            heads = await (
                reading.of_holder(HolderId(asked.holder)) if asked.holder else reading.of_reference(asked.reference)
            )
            if asked.holder or len(heads) > 1:
                return _list(heads, as_json=as_json)
            if not heads:
                return _complain("no record bears that retrieval reference", NOT_FOUND)
            place = heads[0].partition, heads[0].seq
        read = await reading.record(*place)
    if read is None:
        return _complain(f"there is no record {place[0]}/{place[1]}", NOT_FOUND)
    _tell(read, as_json=as_json)
    return FOUND


def _tell(read: Read, *, as_json: bool) -> None:
    story = story_of(read)
    if as_json:
        print_json(story)
    else:
        print_page(story_page(story))


def _list(heads: Sequence[Head], *, as_json: bool) -> int:
    if not heads:
        return _complain("no record is in that holder's passbook", NOT_FOUND)
    found = [beside(one) for one in heads]
    if as_json:
        print_json(found)
        return FOUND
    print_page(list_page("Records, the newest first", found))
    if len(found) == FOUND_RECORDS_MAX:
        sys.stdout.write(f"The newest {FOUND_RECORDS_MAX} are listed. ")
    sys.stdout.write(f"To see one: authz show {found[0].place}\n")
    return FOUND


def _asked(what: Sequence[str], holder: str | None) -> Asked | str:
    """Understand what was typed; or say what is wrong with it."""
    if (holder is None) == (not what):
        return "say which record: PARTITION SEQ, a retrieval reference, or --holder ID"
    if holder is not None:
        return Asked(holder=holder) if _HOLDER.fullmatch(holder) else "--holder is followed by a holder's id"
    if place := _PLACE.fullmatch("/".join(what)):
        return Asked(place=(Partition(int(place[1])), Seq(int(place[2]))))
    reference = what[0].strip()
    if len(what) == 1 and _REFERENCE.fullmatch(reference):
        return Asked(reference=reference)
    return "that is neither PARTITION SEQ nor a retrieval reference, which has 12 characters at most"


def _complain(text: str, code: int = WRONG) -> int:
    """Say in one line what is wrong. Nothing that was typed is repeated: it might be a card's number."""
    sys.stderr.write(f"authz: {text}{'; see authz show --help' if code == WRONG else ''}\n")
    return code
