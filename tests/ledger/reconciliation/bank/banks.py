"""A bank that writes statements as ISO 20022 has them, and as SWIFT does."""

from collections.abc import Sequence
from datetime import date, timedelta
from xml.sax.saxutils import escape

from msgspec import Struct

from ledger.reconciliation.bank.iban import with_check_digits

VOUCHER = with_check_digits("FR", "20041010050500013M02606")
OPERATING = with_check_digits("FR", "30006000011234567890189")
ACQUIRER = with_check_digits("BE", "539007547034")
CLIENT = with_check_digits("DE", "370400440532013000")
DAY = date(2026, 5, 12)


class Paid(Struct, frozen=True, kw_only=True):
    """A transaction: `cents` above 0 came in. `end_to_end` is what its payer named it."""

    cents: int
    end_to_end: str | None = None
    name: str | None = None
    iban: str | None = None
    purpose: str | None = None
    creditor_reference: str | None = None


class Booked(Struct, frozen=True, kw_only=True):
    """An entry, of one transaction or of several. `status` is BOOK unless it isn't booked."""

    parts: tuple[Paid, ...]
    day: date = DAY
    reference: str | None = None
    status: str = "BOOK"
    reverses: bool = False

    @property
    def cents(self) -> int:
        return sum(one.cents for one in self.parts)


def entry(cents: int, end_to_end: str | None = None, **more: object) -> Booked:
    """An entry of one transaction."""
    day, reference = more.pop("day", DAY), more.pop("reference", None)
    paid = Paid(cents=cents, end_to_end=end_to_end, **more)  # type: ignore[arg-type]
    return Booked(parts=(paid,), day=day, reference=reference)  # type: ignore[arg-type]


def camt053(
    entries: Sequence[Booked],
    opening: int = 0,
    *,
    version: int = 8,
    account: str = VOUCHER,
    begins: date = DAY,
    ends: date = DAY,
    closing: int | None = None,
    currency: str = "EUR",
    summary: bool = True,
) -> str:
    """Write a message of one statement; `closing` is what its entries come to, unless it is given."""
    statement = camt053_statement(
        entries,
        opening,
        version=version,
        account=account,
        begins=begins,
        ends=ends,
        closing=closing,
        currency=currency,
        summary=summary,
    )
    return camt053_message([statement], version)


def camt053_message(statements: Sequence[str], version: int = 8) -> str:
    """Write a message of statements."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}"><BkToCstmrStmt>'
        "<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-05-13T06:00:00Z</CreDtTm>"
        "<MsgPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></MsgPgntn></GrpHdr>"
        f"{''.join(statements)}</BkToCstmrStmt></Document>\n"
    )


def camt053_statement(
    entries: Sequence[Booked],
    opening: int = 0,
    *,
    version: int = 8,
    account: str = VOUCHER,
    begins: date = DAY,
    ends: date = DAY,
    closing: int | None = None,
    currency: str = "EUR",
    summary: bool = True,
) -> str:
    """Write one statement."""
    booked = [one for one in entries if one.status == "BOOK"]
    closing = opening + sum(one.cents for one in booked) if closing is None else closing
    return (
        f"<Stmt><Id>S1</Id><ElctrncSeqNb>1</ElctrncSeqNb><CreDtTm>2026-05-13T06:00:00Z</CreDtTm>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>{currency}</Ccy></Acct>"
        f"{_balance('OPBD', opening, begins, currency)}{_balance('CLBD', closing, ends, currency)}"
        f"{_summary(booked) if summary and len(booked) == len(entries) else ''}"
        f"{''.join(_entry(one, version, currency) for one in entries)}</Stmt>"
    )


def mt940(entries: Sequence[Booked], opening: int = 0, *, begins: date = DAY, ends: date = DAY) -> str:
    """Write a statement of one transaction an entry, as SWIFT has it."""
    lines = [
        ":20:S1",
        f":25:{VOUCHER}EUR",
        ":28C:00131/001",
        f":60F:{_mark(opening)}{begins:%y%m%d}EUR{_comma(opening)}",
    ]
    for number, one in enumerate(entries, 1):
        (paid,) = one.parts
        lines.append(f":61:{one.day:%y%m%d}{one.day:%m%d}{_mark(one.cents)}{_comma(one.cents)}NTRFNONREF//B{number:05}")
        lines.append(f":86:/EREF/{paid.end_to_end or 'NOTPROVIDED'}/REMI/{paid.purpose or ''}")
    closing = opening + sum(one.cents for one in entries)
    return "\r\n".join([*lines, f":62F:{_mark(closing)}{ends:%y%m%d}EUR{_comma(closing)}", "-", ""])


def tomorrow(day: date = DAY) -> date:
    return day + timedelta(days=1)


def _entry(one: Booked, version: int, currency: str) -> str:
    status = f"<Sts><Cd>{one.status}</Cd></Sts>" if version >= 8 else f"<Sts>{one.status}</Sts>"
    reference = "" if one.reference is None else f"<AcctSvcrRef>{escape(one.reference)}</AcctSvcrRef>"
    batch = f"<Btch><NbOfTxs>{len(one.parts)}</NbOfTxs></Btch>" if len(one.parts) > 1 else ""
    return (
        f"<Ntry>{_amount(one.cents, currency)}{'<RvslInd>true</RvslInd>' if one.reverses else ''}{status}"
        f"<BookgDt><Dt>{one.day}</Dt></BookgDt><ValDt><Dt>{one.day}</Dt></ValDt>{reference}"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"<NtryDtls>{batch}{''.join(_detail(part, version, currency) for part in one.parts)}</NtryDtls></Ntry>"
    )


def _detail(one: Paid, version: int, currency: str) -> str:
    named = f"<Refs><EndToEndId>{escape(one.end_to_end or 'NOTPROVIDED')}</EndToEndId></Refs>"
    amount = _amount(one.cents, currency)
    if version == 2:
        amount = f"<AmtDtls><TxAmt>{amount.partition('<CdtDbtInd>')[0]}</TxAmt></AmtDtls>"
    side = "Dbtr" if one.cents > 0 else "Cdtr"
    name = "" if one.name is None else f"<Nm>{escape(one.name)}</Nm>"
    if name and version >= 8:
        name = f"<Pty>{name}</Pty>"
    party = f"<{side}>{name}</{side}>" if name else ""
    account = "" if one.iban is None else f"<{side}Acct><Id><IBAN>{one.iban}</IBAN></Id></{side}Acct>"
    parties = f"<RltdPties>{party}{account}</RltdPties>" if party or account else ""
    said = "" if one.purpose is None else f"<Ustrd>{escape(one.purpose)}</Ustrd>"
    if one.creditor_reference is not None:
        said += f"<Strd><CdtrRefInf><Ref>{escape(one.creditor_reference)}</Ref></CdtrRefInf></Strd>"
    return f"<TxDtls>{named}{amount}{parties}{f'<RmtInf>{said}</RmtInf>' if said else ''}</TxDtls>"


def _summary(entries: Sequence[Booked]) -> str:
    sides = [[one.cents for one in entries if (one.cents > 0) == is_credit] for is_credit in (True, False)]
    totals = [("TtlNtries", sides[0] + sides[1]), ("TtlCdtNtries", sides[0]), ("TtlDbtNtries", sides[1])]
    stated = "".join(
        f"<{name}><NbOfNtries>{len(cents)}</NbOfNtries><Sum>{_euros(sum(map(abs, cents)))}</Sum></{name}>"
        for name, cents in totals
    )
    return f"<TxsSummry>{stated}</TxsSummry>"


def _balance(code: str, cents: int, day: date, currency: str) -> str:
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f"<Bal>{kind}{_amount(cents, currency)}<Dt><Dt>{day}</Dt></Dt></Bal>"


def _amount(cents: int, currency: str) -> str:
    side = "DBIT" if cents < 0 else "CRDT"
    return f'<Amt Ccy="{currency}">{_euros(abs(cents))}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _comma(cents: int) -> str:
    return f"{abs(cents) // 100},{abs(cents) % 100:02}"


def _mark(cents: int) -> str:
    return "D" if cents < 0 else "C"
