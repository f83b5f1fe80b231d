"""ISO 20022 pain.001.001.09 (CustomerCreditTransferInitiation): SEPA credit transfers from the voucher account.

By the rules of the European Payments Council's guidelines for SEPA credit transfers: euros, charges shared (SLEV), the
Latin letters that every bank takes. Each transfer is booked as an entry of its own, so that the statement names it. The
bytes follow from the arguments alone.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from msgspec import Struct

from ledger.reconciliation.terms import Accounts
from ledger.values import Cents

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
NAME_CHARACTERS_MAX = 70
IDENTIFICATION_CHARACTERS_MAX = 35
TRANSFERS_MAX = 10_000

_OUTSIDE = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_SPELT = str.maketrans({"ß": "ss", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "&": "+", "’": "'"})


class Transfer(Struct, frozen=True):
    """What is paid to whom: `end_to_end` names it, and comes back in the bank's statement; `purpose` is for people."""

    end_to_end: str
    name: str
    iban: str
    cents: Cents
    purpose: str


def written(message: str, made: date, execute: date, accounts: Accounts, transfers: Sequence[Transfer]) -> bytes:
    """Write a message: its creation is the begin of day `made`, and it is to be carried out on `execute`.

    There is at least one transfer, and each is above 0.
    """
    assert 0 < len(transfers) <= TRANSFERS_MAX, "a message has transfers, and not too many"
    document = Element("Document", xmlns=NAMESPACE)
    initiation = SubElement(document, "CstmrCdtTrfInitn")
    totals = (("NbOfTxs", str(len(transfers))), ("CtrlSum", _amount(Cents(sum(one.cents for one in transfers)))))

    header = SubElement(initiation, "GrpHdr")
    _texts(header, ("MsgId", message), ("CreDtTm", f"{made.isoformat()}T00:00:00Z"), *totals)
    _texts(SubElement(header, "InitgPty"), ("Nm", _latin(accounts.holder)))

    order = SubElement(initiation, "PmtInf")
    _texts(order, ("PmtInfId", message), ("PmtMtd", "TRF"), ("BtchBookg", "false"), *totals)
    _text(order, "PmtTpInf/SvcLvl/Cd", "SEPA")
    _text(order, "ReqdExctnDt/Dt", execute.isoformat())
    _text(order, "Dbtr/Nm", _latin(accounts.holder))
    _text(order, "DbtrAcct/Id/IBAN", accounts.voucher)
    if accounts.bic is None:
        _text(order, "DbtrAgt/FinInstnId/Othr/Id", "NOTPROVIDED")
    else:
        _text(order, "DbtrAgt/FinInstnId/BICFI", accounts.bic)
    _text(order, "ChrgBr", "SLEV")
    for one in transfers:
        _transfer(SubElement(order, "CdtTrfTxInf"), one)
    indent(document)
    body: bytes = tostring(document, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _transfer(element: Element, one: Transfer) -> None:
    assert one.cents > 0, "what is negative is carried, and not paid"
    assert len(one.end_to_end) <= IDENTIFICATION_CHARACTERS_MAX, "it would be cut on its way"
    _text(element, "PmtId/EndToEndId", one.end_to_end)
    amount = SubElement(SubElement(element, "Amt"), "InstdAmt", Ccy="EUR")
    amount.text = _amount(one.cents)
    _text(element, "Cdtr/Nm", _latin(one.name))
    _text(element, "CdtrAcct/Id/IBAN", one.iban)
    _text(element, "RmtInf/Ustrd", _latin(one.purpose, 140))


def _texts(within: Element, *texts: tuple[str, str]) -> None:
    for name, text in texts:
        SubElement(within, name).text = text


def _text(within: Element, path: str, text: str) -> None:
    """Put a text at a path of new elements."""
    element = within
    for name in path.split("/"):
        element = SubElement(element, name)
    element.text = text


def _amount(cents: Cents) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _latin(text: str, longest: int = NAME_CHARACTERS_MAX) -> str:
    """Spell a text with the letters that every bank takes."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELT)).encode("ascii", "ignore").decode()
    return " ".join(_OUTSIDE.sub(".", plain).split())[:longest].strip() or "NOTPROVIDED"
