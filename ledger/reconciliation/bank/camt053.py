"""ISO 20022 camt.053 (BankToCustomerStatement), versions 02 to 13: its booked entries and its balances.

Read as a stream, by a parser that refuses document types and entities. What decides about money or days must be there
once, in its form; an element that the message doesn't have is refused where an entry or a balance could hide in it;
what only describes a payment is read where it is there.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import IO
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import DefusedXMLParser, iterparse  # type: ignore[import-untyped]

from ledger.printing import euros
from ledger.reconciliation.bank.statements import (
    CURRENCY,
    ENTRIES_MAX,
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

VERSIONS = range(2, 14)
DEPTH_MAX = 32
"""Elements within elements: the message's own go down to half of it."""
DETAILS_MAX = 100_000
"""Transactions in one batch that is booked as one entry."""

_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:(camt\.053\.001\.([0-9]{2}))\}Document")
_AMOUNT = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,5}))?")
_STATEMENT_DEPTH, _ENTRY_DEPTH = 3, 4

_KNOWN: Mapping[str, frozenset[str]] = {
    name: frozenset(children.split())
    for name, children in {
        "Document": "BkToCstmrStmt",
        "BkToCstmrStmt": "GrpHdr Stmt SplmtryData",
        "Stmt": "Id StmtPgntn ElctrncSeqNb RptgSeq LglSeqNb CreDtTm FrToDt CpyDplctInd RptgSrc Acct RltdAcct Intrst"
        " Bal TxsSummry Ntry AddtlStmtInf",
        "Bal": "Tp CdtLine Amt CdtDbtInd Dt Avlbty",
        "Ntry": "NtryRef Amt CdtDbtInd RvslInd Sts BookgDt ValDt AcctSvcrRef Avlbty BkTxCd ComssnWvrInd AddtlInfInd"
        " AmtDtls Chrgs TechInptChanl Intrst CardTx NtryDtls AddtlNtryInf",
        "NtryDtls": "Btch TxDtls",
        "TxDtls": "Refs Amt CdtDbtInd AmtDtls Avlbty BkTxCd Chrgs Intrst RltdPties RltdAgts LclInstrm Purp RltdRmtInf"
        " RmtInf RltdDts RltdPric RltdQties FinInstrmId Tax RtrInf CorpActn SfkpgAcct CshDpst CardTx AddtlTxInf"
        " SplmtryData",
    }.items()
}


def begins_so(begin: bytes) -> bool:
    """Tell whether a file's first bytes are XML's."""
    return begin.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" or begin[:2] in (b"\xff\xfe", b"\xfe\xff")


def read(file: IO[bytes]) -> Statement:
    """Read a message. Raises `Misfit`."""
    reading, parser = _Reading(), DefusedXMLParser(target=TreeBuilder(), forbid_dtd=True)
    try:
        for event, element in iterparse(file, events=("start", "end"), parser=parser):
            if event == "start":
                reading.begin(element)
            else:
                reading.end(element)
    except DefusedXmlException:
        expat = parser.parser
        place = f"line {expat.CurrentLineNumber}, column {expat.CurrentColumnNumber + 1}"
        raise Misfit(place, "a document type or an entity, which no statement has and none may bring along") from None
    except ParseError as wrong:
        line, column = wrong.position
        raise Misfit(f"line {line}, column {column + 1}", "not well-formed XML") from None
    except (ValueError, LookupError):
        raise Misfit("the file", "XML in an encoding that isn't known") from None
    return assembled(reading.form, reading.pages)


class _Reading:
    """How far a message is read: the elements that are open, and the statements and entries before them."""

    def __init__(self) -> None:
        self.form = ""
        self.pages: list[Page] = []
        self._open: list[Element] = []
        self._children: list[frozenset[str] | None] = []
        self._entries: list[BankEntry] = []
        self._seen = _Seen()
        self._namespace = ""

    def begin(self, element: Element) -> None:
        """Enter an element: one that the message has there, and not too deep."""
        if not self._open:
            named = _NAMESPACE.fullmatch(element.tag)
            if named is None or int(named[2]) not in VERSIONS:
                raise Misfit("the root element", f"isn't the Document of camt.053.001.02 to .{VERSIONS[-1]}")
            self.form, self._namespace = named[1], element.tag.removesuffix("Document")
        name = self._name(element)
        within = self._children[-1] if self._open else frozenset({"Document"})
        if within is not None and name not in within:
            raise Misfit(self._place, f"an element {name[:40]!a}, which the message doesn't have there")
        self._open.append(element)
        self._children.append(_KNOWN.get(name) if within is not None else None)
        if len(self._open) > DEPTH_MAX:
            raise Misfit(self._place, f"more than {DEPTH_MAX} elements within each other")

    def end(self, element: Element) -> None:
        """Leave an element; with a statement or an entry, take it in and let go of it."""
        self._open.pop()
        self._children.pop()
        depth, name = len(self._open) + 1, self._name(element)
        if depth == _ENTRY_DEPTH and name == "Ntry":
            self._seen.entries += 1
            self._take(_Node(element, self._namespace, f"{self._place}, entry {self._seen.entries}"))
            self._open[-1].remove(element)
        elif depth == _STATEMENT_DEPTH and name == "Stmt":
            self.pages.append(
                _page(_Node(element, self._namespace, self._place_of_statement), self._entries, self._seen)
            )
            self._entries, self._seen = [], _Seen()
            self._open[-1].remove(element)
            if len(self.pages) > STATEMENTS_MAX:
                raise Misfit("the file", f"more than {STATEMENTS_MAX:,} statements")
        elif depth == _STATEMENT_DEPTH and name == "GrpHdr":
            _require_whole(_Node(element, self._namespace, "the group header"), "MsgPgntn")

    def _take(self, entry: "_Node") -> None:
        status = entry.one("Sts")
        code = status.text("Cd") if len(status.element) else status.own
        if code != "BOOK":
            self._seen.unbooked += 1
            return
        cents = _signed(entry)
        self._seen.count("TtlCdtNtries" if _is_credit(entry.one("CdtDbtInd")) else "TtlDbtNtries", cents)
        self._entries += [one for one in _booked(entry, cents) if one.cents]
        if len(self._entries) > ENTRIES_MAX:
            raise Misfit("the file", f"more than {ENTRIES_MAX:,} entries")

    def _name(self, element: Element) -> str:
        return element.tag.removeprefix(self._namespace)

    @property
    def _place_of_statement(self) -> str:
        return f"statement {len(self.pages) + 1}"

    @property
    def _place(self) -> str:
        return self._place_of_statement if len(self._open) >= _STATEMENT_DEPTH else "the message"


class _Seen:
    """What a statement's own summary is held against: all its entries, the sums of the booked ones."""

    def __init__(self) -> None:
        self.entries = self.unbooked = 0
        self.numbers = {"TtlCdtNtries": 0, "TtlDbtNtries": 0}
        self.cents = {"TtlCdtNtries": 0, "TtlDbtNtries": 0}

    def count(self, side: str, cents: Cents) -> None:
        self.numbers[side] += 1
        self.cents[side] += abs(cents)


class _Node:
    """An element of the message, and where it stands. What is asked of it is there once, unless it may be missing."""

    def __init__(self, element: Element, namespace: str, place: str) -> None:
        self.element = element
        self.place = place
        self._namespace = namespace

    @property
    def own(self) -> str:
        """Its text, which isn't empty."""
        text = (self.element.text or "").strip()
        if not text:
            raise Misfit(self.place, "nothing is in it")
        return text

    def all(self, path: str) -> Iterator["_Node"]:
        """Yield what stands at a path of names, in the order of the file."""
        within = "/".join(f"{self._namespace}{name}" for name in path.split("/"))
        for element in self.element.iterfind(within):
            yield _Node(element, self._namespace, f"{self.place}, {path}")

    def maybe(self, path: str) -> "_Node | None":
        """Return what stands at a path; None: nothing does."""
        found = list(self.all(path))
        if len(found) > 1:
            raise Misfit(self.place, f"has {path} {len(found)} times")
        return found[0] if found else None

    def one(self, path: str) -> "_Node":
        """Return what stands at a path."""
        found = self.maybe(path)
        if found is None:
            raise Misfit(self.place, f"has no {path}")
        return found

    def text(self, path: str) -> str:
        """Return the text that stands at a path."""
        return self.one(path).own

    def described(self, *paths: str) -> str | None:
        """Return the text at the first of some paths that has any; None: none has."""
        texts = ((one.element.text or "").strip() for path in paths for one in self.all(path))
        return next((text for text in texts if text), None)


def _page(node: _Node, entries: list[BankEntry], seen: _Seen) -> Page:
    _require_whole(node, "StmtPgntn")
    currency = node.maybe("Acct/Ccy")
    if currency is not None and currency.own != CURRENCY:
        raise Misfit(currency.place, f"isn't {CURRENCY}")
    _require_summary(node, seen)
    opening = _balance(node, "OPBD") or _balance(node, "PRCD")
    closing = _balance(node, "CLBD")
    if opening is None or closing is None:
        raise Misfit(node.place, "has no booked balance, opening (OPBD, PRCD) and closing (CLBD)")
    account = node.one("Acct/Id/IBAN")
    return Page(node.place, account_of(account.place, account.own), *opening, *closing, tuple(entries))


def _balance(node: _Node, code: str) -> tuple[date, Cents] | None:
    found = [one for one in node.all("Bal") if one.described("Tp/CdOrPrtry/Cd") == code]
    if len(found) > 1:
        raise Misfit(node.place, f"has the balance {code} {len(found)} times")
    return (_day(found[0], "Dt"), _signed(found[0])) if found else None


def _require_whole(node: _Node, pagination: str) -> None:
    pages = node.maybe(pagination)
    if pages is not None and (pages.text("PgNb").lstrip("0"), pages.text("LastPgInd")) not in (
        ("1", "true"),
        ("1", "1"),
    ):
        raise Misfit(pages.place, "is a page of several: have the bank send it whole")


def _require_summary(node: _Node, seen: _Seen) -> None:
    """Hold a statement's entries against what it says of them itself; its sums count booked entries, where all are."""
    summary = node.maybe("TxsSummry")
    if summary is None or seen.unbooked:
        return
    totals = {"TtlNtries": (sum(seen.numbers.values()), sum(seen.cents.values()))}
    totals |= {side: (seen.numbers[side], seen.cents[side]) for side in seen.numbers}
    for name, (number, cents) in totals.items():
        stated = summary.maybe(name)
        if stated is None:
            continue
        many, come_to = stated.maybe("NbOfNtries"), stated.maybe("Sum")
        if many is not None and many.own.lstrip("0") != (str(number) if number else ""):
            raise Misfit(many.place, f"isn't {number}, which the statement has")
        if come_to is not None and _cents(come_to) != cents:
            raise Misfit(come_to.place, f"isn't {euros(Cents(cents))}, which the entries come to")


def _booked(entry: _Node, cents: Cents) -> list[BankEntry]:
    """Take an entry apart into its transactions, where each bears its amount and they come to the entry's."""
    details = list(entry.all("NtryDtls/TxDtls"))
    if len(details) > DETAILS_MAX:
        raise Misfit(entry.place, f"more than {DETAILS_MAX:,} transactions")
    if len(details) == 1:
        return [_entry(entry, details[0], cents)]
    parts = [_part(one, cents) for one in details]
    amounts = [part for part in parts if part is not None]
    if not details or len(amounts) < len(details):
        return [_entry(entry, None, cents)]
    if sum(amounts) != cents:
        if any(one.maybe("Chrgs") for one in (entry, *details)):
            return [_entry(entry, None, cents)]
        stated = euros(cents)
        raise Misfit(entry.place, f"is of {stated}, but its transactions come to {euros(Cents(sum(amounts)))}")
    return [_entry(entry, one, part) for one, part in zip(details, amounts, strict=True)]


def _part(detail: _Node, whole: Cents) -> Cents | None:
    """What a transaction of a batch moved; None: it doesn't say, or not in euros."""
    amounts = (one for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt") for one in detail.all(path))
    amount = next(amounts, None)
    if amount is None or amount.element.get("Ccy") != CURRENCY:
        return None
    side = detail.maybe("CdtDbtInd")
    is_credit = whole > 0 if side is None else _is_credit(side)
    return Cents(_cents(amount) if is_credit else -_cents(amount))


def _entry(entry: _Node, detail: _Node | None, cents: Cents) -> BankEntry:
    """Put an entry together, or one transaction of it. Its direction is its own, also where it reverses another."""
    of = detail or entry
    reverses = entry.described("RvslInd") in ("true", "1")
    other = "Dbtr" if (cents > 0) != reverses else "Cdtr"
    texts = [one.element.text for one in of.all("RmtInf/Ustrd")]
    texts += [one.element.text for one in of.all("RmtInf/Strd/CdtrRefInf/Ref")]
    booked = _day(entry, "BookgDt")
    return BankEntry(
        entry=0,
        account="",
        booked=booked,
        valued=_day(entry, "ValDt") if entry.maybe("ValDt") is not None else booked,
        cents=cents,
        reference=reference_of(
            entry.place, of.described("Refs/AcctSvcrRef") or entry.described("AcctSvcrRef", "NtryRef")
        ),
        end_to_end=reference_of(entry.place, of.described("Refs/EndToEndId")),
        counterparty=counterparty_of(
            of.described(f"RltdPties/{other}Acct/Id/IBAN"),
            of.described(f"RltdPties/{other}/Nm", f"RltdPties/{other}/Pty/Nm"),
        ),
        purpose=purpose_of(texts or [entry.described("AddtlNtryInf")]),
    )


def _signed(node: _Node) -> Cents:
    """An amount with its side: above 0 it is the account holder's."""
    amount = node.one("Amt")
    if amount.element.get("Ccy") != CURRENCY:
        raise Misfit(amount.place, f"isn't in {CURRENCY}")
    return Cents(_cents(amount) if _is_credit(node.one("CdtDbtInd")) else -_cents(amount))


def _is_credit(node: _Node) -> bool:
    if node.own not in ("CRDT", "DBIT"):
        raise Misfit(node.place, "is neither CRDT nor DBIT")
    return node.own == "CRDT"


def _cents(node: _Node) -> Cents:
    """Read an amount of euros: at most two digits behind the point that say something."""
    read = _AMOUNT.fullmatch(node.own)
    if read is None or len(behind := (read[2] or "").rstrip("0")) > 2:
        raise Misfit(node.place, "isn't an amount of euros and cents")
    return Cents(int(read[1]) * 100 + int(behind.ljust(2, "0")))


def _day(node: _Node, name: str) -> date:
    """Read a day, given as a date, or as an instant by the bank's own clock."""
    whole = node.one(name)
    day, at = whole.maybe("Dt"), whole.maybe("DtTm")
    try:
        if day is not None and at is None:
            return date.fromisoformat(day.own[:10])
        if at is not None and day is None:
            return datetime.fromisoformat(at.own).date()
    except ValueError:
        pass
    raise Misfit(whole.place, "isn't a day, as Dt or DtTm")
