"""SWIFT MT940 (customer statement message), read by the library mt-940.

The library takes what it understands and leaves the rest, so what it read is held against the message itself: as many
entries as there are fields 61, and balances that they come to. Field 86 is each bank's own: its end-to-end reference is
read where the library knows it (`EREF+`), or where it stands as `/EREF/`.
"""

import logging
import re
from datetime import date
from decimal import Decimal
from typing import IO, Any

import mt940

from ledger.reconciliation.bank.statements import (
    CURRENCY,
    STATEMENTS_MAX,
    Misfit,
    Page,
    Statement,
    account_of,
    assembled,
    counterparty_of,
    purpose_of,
    reference_of,
)
from ledger.reconciliation.values import BankEntry
from ledger.values import Cents

_STATEMENT = re.compile(r"^:20:", re.MULTILINE)
_ENTRY = re.compile(r"^:61:", re.MULTILINE)
_ENVELOPE = re.compile(r"^\{.*:|^-\}?.*$", re.MULTILINE)
_END_TO_END = re.compile(r"/EREF/([^/]+)")
_OPTIONS = mt940.Options.all()

logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)  # it tells what it can't read, in the clear


def read(file: IO[bytes]) -> Statement:
    """Read the statements of a file. Raises `Misfit`."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        file.seek(0)
        text = file.read().decode("latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks = _STATEMENT.split(_ENVELOPE.sub("", lines))[1:]
    if len(blocks) > STATEMENTS_MAX:
        raise Misfit("the file", f"more than {STATEMENTS_MAX:,} statements")
    return assembled("mt940", [_page(f":20:{block}", f"statement {number}") for number, block in enumerate(blocks, 1)])


def _page(block: str, place: str) -> Page:
    try:
        (found,) = mt940.parse_statements(block, options=_OPTIONS)
    except Exception:  # its errors hold what it couldn't read
        raise Misfit(place, "a field isn't in its form") from None
    entries = [one.data for one in found.transactions if "amount" in one.data]
    if len(entries) != len(_ENTRY.findall(block)):
        raise Misfit(place, "a field 61 isn't in its form")
    opening = _balance(found.data, "opening_balance", f"{place}, field 60")
    closing = _balance(found.data, "closing_balance", f"{place}, field 62")
    named = str(found.data.get("account_identification") or "").replace(" ", "").removesuffix(CURRENCY)
    account = account_of(f"{place}, field 25", named)
    numbered = enumerate(entries, 1)
    booked = [_entry(one, f"{place}, entry {number}") for number, one in numbered]
    return Page(place, account, *opening, *closing, tuple([one for one in booked if one.cents]))


def _balance(data: dict[str, Any], name: str, place: str) -> tuple[date, Cents]:
    """Take a balance: a statement's own, or where it is continued in the next message, that so far."""
    balance = data.get(f"final_{name}") or data.get(f"intermediate_{name}")
    amount = getattr(balance, "amount", None)
    if balance is None or balance.date is None or amount is None:
        raise Misfit(place, "there is no balance")
    if amount.currency != CURRENCY:
        raise Misfit(place, f"isn't in {CURRENCY}")
    return _day(balance.date), _cents(amount.amount, place)


def _entry(data: dict[str, Any], place: str) -> BankEntry:
    details = str(data.get("transaction_details") or "")
    named = _END_TO_END.search(details.replace("\n", ""))
    valued = _day(data["date"])
    return BankEntry(
        entry=0,
        account="",
        booked=_day(data["entry_date"]) if data.get("entry_date") else valued,
        valued=valued,
        cents=_cents(data["amount"].amount, place),
        reference=reference_of(place, data.get("bank_reference") or data.get("customer_reference")),
        end_to_end=reference_of(place, data.get("end_to_end_reference") or (named and named[1])),
        counterparty=counterparty_of(data.get("applicant_iban"), data.get("applicant_name")),
        purpose=purpose_of([data.get("purpose") or details, data.get("extra_details")]),
    )


def _day(day: date) -> date:
    return date(day.year, day.month, day.day)


def _cents(amount: Decimal, place: str) -> Cents:
    cents = amount * 100
    if cents != int(cents):
        raise Misfit(place, "isn't an amount of euros and cents")
    return Cents(int(cents))
