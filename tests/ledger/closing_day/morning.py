"""What finance finds in the morning: a day in the ledger, and what an acquirer and the bank sent of it."""

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from ledger import accounts
from ledger.values import Cents, Entry, HolderId, Transfer
from simulators import clearing
from tests.ledger.reconciliation.books import ACQUIRER, DAY, Book, Paid, write

VOUCHER, OPERATING = "FR7630001007941234567890185", "FR7630004000031234567890143"
CLIENT_PAID = 100_000
REFERENCE = "C1-O1"
NEXT = date(2026, 5, 13)

TERMS = f"""\
[accounts]
voucher = "{VOUCHER}"
operating = "{OPERATING}"
holder = "Emetteur"

[[acquirer]]
id = "{ACQUIRER}"
name = "Acquereur"
iban = "FR7610107001011234567890129"
days_late = 0
tariff = [{{ from = 2026-01-01, basis_points = 100 }}]
"""

_ENTRY = """\
<Ntry><Amt Ccy="EUR">{euros}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt><BkTxCd><Prtry><Cd>X</Cd></Prtry></BkTxCd>
<NtryDtls><TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>
"""
_BALANCE = """\
<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{euros}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>{day}</Dt></Dt></Bal>
"""


class Morning:
    """One day: a client paid, a holder was loaded, `payments` were made, the acquirer cut over, one more was made."""

    def __init__(self, *payments: int) -> None:
        book = Book()
        book.entries += [_client_paid(book.now), _loaded(book.now)]
        self.paid = [book.pay(cents) for cents in payments]
        book.cut_over(NEXT)
        book.pay(300)
        self.book = book

    async def record(self, url: str) -> None:
        """Write the day to a ledger; `url` is the application's."""
        await write(url, self.book.entries)

    def send(self, inbox: Path, *, short: int = 0, lacking: int = 0) -> None:
        """Put the acquirer's file and the bank's statement of the day into an inbox.

        `short`: the bank has so many cents less than it should; `lacking`: so many payments aren't in the file.
        """
        (inbox / ACQUIRER).mkdir(parents=True, exist_ok=True)
        (inbox / "bank").mkdir(exist_ok=True)
        clear(inbox / ACQUIRER / "cleared.csv", self.paid[lacking:])
        entries = [(CLIENT_PAID, REFERENCE)] + ([(-short, "NOBODY-KNOWS")] if short else [])
        state(inbox / "bank" / "statement.xml", DAY, 0, entries)


def clear(path: Path, paid: list[Paid], day: date = DAY) -> None:
    """Write an acquirer's clearing file."""
    details = [
        clearing.Detail(
            kind=clearing.Kind.SALE,
            mti=one.mti,
            terminal=one.terminal,
            merchant=one.merchant,
            trace=one.trace,
            transmitted=one.transmitted,
            retrieval=one.retrieval,
            card="925010******0014",
            product=one.product,
            cents=one.cents,
            day=one.local.date(),
            at=one.local.time(),
        )
        for one in paid
    ]
    created = datetime(2026, 5, 12, 21, 30, tzinfo=UTC)
    made = clearing.Clearing(
        acquirer=ACQUIRER, day=day, created=created, file_id=f"{ACQUIRER}-{path.stem}", details=tuple(details)
    )
    path.write_text(clearing.write(made), newline="")


def state(path: Path, day: date, opening: int, entries: list[tuple[int, str]]) -> None:
    """Write the voucher account's statement of a day: cents, and the name that the payer gave."""
    closing = opening + sum(cents for cents, _ in entries)
    balances = [_BALANCE.format(code=code, euros=_euros(cents), day=day) for code, cents in _ends(opening, closing)]
    booked = [
        _ENTRY.format(euros=_euros(abs(cents)), side="CRDT" if cents > 0 else "DBIT", day=day, name=name)
        for cents, name in entries
    ]
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{path.stem}</MsgId><CreDtTm>{day}T23:00:00Z</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{path.stem}</Id><CreDtTm>{day}T23:00:00Z</CreDtTm><Acct><Id><IBAN>{VOUCHER}</IBAN></Id></Acct>\n"
        f"{''.join(balances)}{''.join(booked)}</Stmt></BkToCstmrStmt></Document>\n"
    )


def _ends(opening: int, closing: int) -> list[tuple[str, int]]:
    return [("OPBD", opening), ("CLBD", closing)]


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _client_paid(at: datetime) -> Entry:
    command = {"client": "c1", "order": "o1", "reference": REFERENCE, "amount": CLIENT_PAID}
    moved = Transfer(accounts.issuer_float("90"), accounts.client_funds("c1", "90"), Cents(CLIENT_PAID))
    request = msgspec.json.encode({"command": command}).decode()
    return Entry(at, "payment", HolderId("order:o1"), request, "{}", "DONE", "{}", (moved,))


def _loaded(at: datetime) -> Entry:
    holder = HolderId("h1")
    lot = accounts.of_holder(holder, "90", "2026")
    moved = Transfer(accounts.client_funds("c1", "90"), lot, Cents(CLIENT_PAID))
    return Entry(at, "load", holder, "{}", "{}", "DONE", "{}", (moved,))
