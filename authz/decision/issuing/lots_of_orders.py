"""Which lot the vouchers of an order belong to.

Titres-restaurant belong to the vintage of the month that they are ordered for (R3262-5): what is ordered in December
for January is of the next vintage, and can't be spent before it begins. Other vouchers live so many months from the day
on which they are credited, and are called by that day: two days may have one last day, and lots of one name have both.
"""

from datetime import date

from msgspec import Struct

from authz.decision.programme import Product, on_day


class LotOfOrder(Struct, frozen=True, gc=False):
    """The name of a lot, and the first and last day on which it can be spent."""

    name: str
    first: date
    last: date


def lot_of(product: Product, month: date, day: date) -> LotOfOrder:
    """Give the lot of vouchers that are ordered for a month and credited on a day.

    Raises `ValueError` where no row of the product's validity covers the day.
    """
    first, last = product.lot_dates(day, vintage=month.year)
    row = on_day(product.validity, day)
    is_vintage = row is not None and row.months is None
    return LotOfOrder(str(month.year) if is_vintage else first.isoformat(), first, last)
