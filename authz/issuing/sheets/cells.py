"""What one cell holds, read strictly. Every function raises `Wrong`, which says nothing of the content.

Money never passes through a float: amounts are read from their digits.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Literal, cast

from email_validator import EmailNotValidError, validate_email

from authz.issuing.sheets.faults import Fault, Wrong
from ledger.values import Cents

Cell = str | Fault
"""The text of a cell, or why a spreadsheet's cell has none."""

NAME_CHARACTERS_MAX = 60
EMAIL_CHARACTERS_MAX = 254
"""RFC 5321, section 4.5.3.1.3, as erratum 1690 has it."""
QUANTITY_MAX = 31
"""Vouchers of one holder in one order: one a day of a month."""
FACE_MAX = Cents(99_99)

_DOMAINS_MAX = 10_000
"""Domains whose form was examined that are remembered: employers' people share a few."""
_CELL_CHARACTERS_MAX = 1_000
"""Beyond that a cell isn't looked at: normalising takes longer than in proportion to its length."""
_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a spreadsheet that opens the text as CSV compute it (OWASP, "CSV injection")."""
_FAILURES = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"))
"""What formulas that fail show (ECMA-376 part 1, 18.18.11)."""
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f", " "))
"""The spaces that don't break lines, which French typing is full of."""
_NUMBER = re.compile(r"(-?)([0-9]+)(?:[.,]([0-9]+))?")
_DECIMALS_MAX = 2
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""A dot-atom (RFC 5322, section 3.2.3). Letters beyond ASCII need SMTPUTF8, which few servers take."""
_LOCAL_PART_CHARACTERS_MAX = 64

_YES = frozenset(("1", "true", "yes", "y", "oui", "o", "vrai", "ja", "j", "waar"))
_NO = frozenset(("0", "false", "no", "n", "non", "faux", "nee", "onwaar"))
_LANGUAGES = frozenset(("fr", "nl", "en"))


def plain(cell: str) -> str:
    """Read text: composed (NFC), without spaces around it, with nothing in it that can't be seen or that computes."""
    if len(cell) > _CELL_CHARACTERS_MAX:
        raise Wrong(Fault.LONG, most=_CELL_CHARACTERS_MAX)
    text = _tidy(cell)
    if not text:
        raise Wrong(Fault.EMPTY)
    if text[0] in _FORMULA_STARTS:
        raise Wrong(Fault.FORMULA)
    if not text.isprintable():
        raise Wrong(Fault.CONTROL)
    if text in _FAILURES:
        raise Wrong(Fault.FAILED)
    return text


def name(cell: str) -> str:
    """Read a name, or an employee number."""
    text = plain(cell)
    if len(text) > NAME_CHARACTERS_MAX:
        raise Wrong(Fault.LONG, most=NAME_CHARACTERS_MAX)
    return text


def email(cell: str) -> str:
    """Read an e-mail address, with the domain as DNS knows it. Nothing is looked up."""
    local, _, domain = plain(cell).rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or len(local) > _LOCAL_PART_CHARACTERS_MAX:
        raise Wrong(Fault.EMAIL)
    address = f"{local}@{_domain(domain)}"
    if len(address) > EMAIL_CHARACTERS_MAX:
        raise Wrong(Fault.EMAIL)
    return address


def quantity(cell: str) -> int:
    """Read a number of vouchers, from 1 to `QUANTITY_MAX`."""
    whole, hundredths = divmod(_hundredths(cell), 100)
    if hundredths or not 1 <= whole <= QUANTITY_MAX:
        raise Wrong(Fault.QUANTITY)
    return whole


def face(cell: str) -> Cents:
    """Read the value of one voucher, from 0.01 to 99.99, in cents.

    >>> [face(text) for text in ("9", "9,5", "9.50")]
    [900, 950, 950]
    """
    cents = _hundredths(cell)
    if not 1 <= cents <= FACE_MAX:
        raise Wrong(Fault.FACE)
    return Cents(cents)


def yes_or_no(cell: str) -> bool:
    """Read a yes or a no, in any of the three languages."""
    word = plain(cell).casefold()
    if word not in _YES | _NO:
        raise Wrong(Fault.YES_NO)
    return word in _YES


def language(cell: str) -> Literal["fr", "nl", "en"]:
    """Read the code of a language."""
    code = plain(cell).casefold()
    if code not in _LANGUAGES:
        raise Wrong(Fault.LANGUAGE)
    return cast("Literal['fr', 'nl', 'en']", code)


def is_blank(cell: Cell) -> bool:
    """Tell whether a cell holds nothing but spaces."""
    return isinstance(cell, str) and not cell.translate(_SPACES).strip(" ")


def _tidy(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.translate(_SPACES).strip(" "))


def _hundredths(cell: str) -> int:
    # A negative number is out of range, and no formula.
    if len(cell) <= _CELL_CHARACTERS_MAX and (found := _NUMBER.fullmatch(_tidy(cell))):
        sign, whole, decimals = found.groups(default="")
        if len(decimals) <= _DECIMALS_MAX:
            return int(f"{sign}{whole}{decimals:0<2}")
    else:
        plain(cell)
    raise Wrong(Fault.NUMBER)


@lru_cache(_DOMAINS_MAX)
def _domain(domain: str) -> str:
    try:
        examined = validate_email(f"a@{domain}", check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise Wrong(Fault.EMAIL) from None
    return examined.ascii_domain or ""
