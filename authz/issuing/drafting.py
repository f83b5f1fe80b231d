"""From a list of beneficiaries to the lines of an order: who they are, what they may be loaded with, who needs a card.

A list is taken whole or not at all. Every error is told by the line of the file it stands in.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import blake2b
from operator import itemgetter

import msgspec
from msgspec.structs import replace

from authz.decision.issuing.needs import needs_card
from authz.decision.issuing.states import ClientId, Difference, Order, OrderId, OrderLine, OrderStatus, order_passbook
from authz.decision.programme import Product, Programme, limits_on
from authz.engine.passbooks import decode_state
from authz.issuing.chunks import each, in_turns
from authz.issuing.contacts import holder_of
from authz.issuing.issuer import HOME, PAGE_MAX, Issuer
from authz.issuing.person import Person
from authz.issuing.sheets.columns import Column
from authz.issuing.sheets.faults import ERRORS_MAX, Fault, RowError, Wrong, said
from authz.issuing.sheets.rows import Row
from ledger.values import Cents, HolderId, Seq

COUNTED = frozenset({OrderStatus.PAID, OrderStatus.DONE})
"""Orders whose vouchers count on what a holder may be loaded with in a year."""
STANDING = frozenset({OrderStatus.CONFIRMED, *COUNTED})
"""Orders that a client has made up its mind about: the last of them is what a new list is compared with."""


class BadRows(Exception):
    """The list of beneficiaries can't be ordered: nothing was changed."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__()
        self.errors = errors

    def __str__(self) -> str:
        return type(self).__doc__ or ""


async def beneficiaries(issuer: Issuer, programme: str, rows: Sequence[Row]) -> Mapping[HolderId, Row]:
    """Name the holder of each row, in the rows' order. Raises `BadRows` where there are none, or two of one holder."""
    if not rows:
        raise BadRows([RowError(0, "", said(Wrong(Fault.NOBODY)))])
    found: dict[HolderId, Row] = {}
    errors = []
    async for row in in_turns(rows):
        holder = holder_of(issuer.security, programme, row.person.email)
        if holder in found:
            errors.append(RowError(row.line, Column.EMAIL, said(Wrong(Fault.SAME, line=found[holder].line))))
        found[holder] = row
    _require_none(errors)
    return found


async def lines_of(rows: Mapping[HolderId, Row]) -> Sequence[OrderLine]:
    """Make an order's lines, in the rows' order."""
    return [
        OrderLine(holder, row.number, Cents(row.quantity * row.face), works_days_off=row.works_days_off)
        async for holder, row in in_turns(rows.items())
    ]


async def digest_of(lines: Sequence[OrderLine]) -> str:
    """Make a digest of a list, 32 hexadecimal digits."""
    digest = blake2b(digest_size=16)
    async for line in in_turns(lines):
        digest.update(msgspec.json.encode(line))
    return digest.hexdigest()


async def orders_of(issuer: Issuer, client: ClientId, product: str) -> Sequence[Order]:
    """Read a client's orders of a product, by the month they are for; those of one month as they were written last."""
    prefix, after, found = order_passbook(client, OrderId("")), "", list[tuple[date, Seq, Order]]()
    while True:
        page = await issuer.store.references(HOME, prefix, after, PAGE_MAX)
        for name, line in page:
            order = decode_state(name, line.position)
            if isinstance(order, Order) and order.product == product:
                found.append((order.month, line.seq, order))
        if len(page) < PAGE_MAX:
            return [order for *_, order in sorted(found, key=itemgetter(0, 1))]
        after = page[-1][0]


async def check_limits(
    issuer: Issuer, product: Product, month: date, rows: Mapping[HolderId, Row], others: Sequence[Order]
) -> None:
    """Hold rows to the product's limits on loads in the month. `others` are the client's other orders of the product.

    A year's limit counts what those of the same year that are paid have for the same holder. Raises `BadRows`.
    """
    limit = limits_on(product, month)
    if limit is None:
        return
    face_max, year_max = limit.face or math.inf, limit.year or math.inf
    counted = [one for one in others if one.status in COUNTED and one.month.year == month.year]
    loaded = await _loaded_by(issuer, counted) if limit.year else {}
    errors = []
    async for holder, row in in_turns(rows.items()):
        if row.face > face_max:
            errors.append(RowError(row.line, Column.FACE, f"is over {_euros(face_max)}"))
        if row.quantity * row.face + loaded.get(holder, 0) > year_max:
            what = f"makes more than {_euros(year_max)} in the year, with what was ordered before"
            errors.append(RowError(row.line, Column.QUANTITY, what))
    _require_none(errors)


async def _loaded_by(issuer: Issuer, orders: Sequence[Order]) -> Mapping[HolderId, int]:
    loaded = Counter[HolderId]()
    for order in orders:
        async for line in each(issuer, order):
            loaded[line.holder] += line.amount
    return loaded


async def keep_people(issuer: Issuer, rows: Mapping[HolderId, Row]) -> None:
    """Keep who the holders are, where nobody knows yet. Raises `BadRows` where one is kept as somebody else."""
    known = await issuer.contacts.find(list(rows))
    await _require_same(known, rows)
    await _require_same(await issuer.contacts.keep(_people(rows, known)), rows)


def _people(rows: Mapping[HolderId, Row], known: Mapping[str, Person]) -> dict[str, Person]:
    return {holder: row.person for holder, row in rows.items() if holder not in known}


async def _require_same(known: Mapping[str, Person], rows: Mapping[HolderId, Row]) -> None:
    """Raise `BadRows` where an e-mail address is kept under another name: a person is the same for every employer."""
    _require_none(
        [
            RowError(row.line, Column.EMAIL, "is another person's here")
            async for holder, row in in_turns(rows.items())
            if holder in known and _name(known[holder]) != _name(row.person)
        ]
    )


def _name(person: Person) -> tuple[str, ...]:
    """A name as it is compared: case and accents apart."""
    letters = (unicodedata.normalize("NFKD", name.casefold()) for name in (person.first_name, person.last_name))
    return tuple("".join(letter for letter in name if not unicodedata.combining(letter)) for name in letters)


async def with_cards(issuer: Issuer, rules: Programme, lines: Sequence[OrderLine]) -> Sequence[OrderLine]:
    """Order a card of a programme for those who need one now."""
    needing = await who_needs_cards(issuer, rules, [line.holder for line in lines])
    return [replace(line, card=True) if line.holder in needing else line async for line in in_turns(lines)]


async def who_needs_cards(issuer: Issuer, rules: Programme, holders: Sequence[HolderId]) -> frozenset[HolderId]:
    """Look at holders' newest lines for those who need a card of a programme now. Raises `LedgerError`."""
    day, positions = issuer.day(rules.id), issuer.positions(holders)
    return frozenset([holder async for holder, position in positions if needs_card(position, rules, day)])


async def difference(issuer: Issuer, others: Sequence[Order], lines: Sequence[OrderLine]) -> Difference:
    """Tell how a list differs from the last of other orders. Who is missing isn't loaded; card and balance stay."""
    before: dict[HolderId, OrderLine] = {}
    for last in [one for one in others if one.status in STANDING][-1:]:
        async for line in each(issuer, last):
            before[line.holder] = replace(line, card=False)
    new = changed = 0
    async for line in in_turns(lines):
        same = before.pop(line.holder, None)
        new += same is None
        changed += same is not None and same != replace(line, card=False)
    return Difference(new, changed, len(before))


def _euros(cents: float) -> str:
    return f"{int(cents) // 100}.{int(cents) % 100:02}"


def _require_none(errors: Sequence[RowError]) -> None:
    """Raise `BadRows` where there are errors: the first `ERRORS_MAX` are listed, and the others counted."""
    if errors:
        more = len(errors) - ERRORS_MAX
        counted = [RowError(0, "", said(Wrong(Fault.MORE, count=more)))] if more > 0 else []
        raise BadRows([*errors[:ERRORS_MAX], *counted])
