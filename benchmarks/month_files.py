"""The month's files: clearing in two formats, bank statements, and what finance has agreed with everybody.

One acquirer writes docs/clearing.md's format; the other a CSV of its own, with decimal commas, days as they are written
in France and one line for all that some terminals did in a day. What is read of it is said by a mapping, not by code.
"""

import csv
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

from msgspec import Struct

from benchmarks.month_claims import TOLERANCE_CENTS, WINDOW_S, Claim
from benchmarks.month_world import MAPPED, NATIVE, OPERATING_IBAN, VOUCHER_IBAN, House, instant, masked
from ledger.reconciliation.values import Movement
from ledger.values import Cents, HolderId
from simulators import clearing

TERMS_FILE, MAPPING_FILE = "terms.toml", "halles.toml"
KINDS = {
    "purchase": clearing.Kind.SALE,
    "completion": clearing.Kind.CAPTURE,
    "advice": clearing.Kind.ADVICE,
    "reversal": clearing.Kind.REVERSAL,
}
MTIS = {"020": "0200", "022": "0220", "040": "0420"}
FIRST_LINE = 2
"""Behind the header, in both formats."""
CARD = masked(HolderId("h1"))
HEADINGS = (
    *("code", "commercant", "terminal", "trace", "transmis", "date", "heure", "reference", "autorisation"),
    *("carte", "produit", "montant", "sens", "nombre", "message", "origine"),
)
CODES = {"purchase": "VTE", "completion": "CAP", "advice": "HLG", "reversal": "ANN"}
TRAILER = "TOT"

FEES = {NATIVE.id: (150, 0), MAPPED.id: (120, 1)}
"""What the issuer keeps: basis points, and cents a payment."""

TERMS = f"""\
[accounts]
voucher = "{VOUCHER_IBAN}"
operating = "{OPERATING_IBAN}"
holder = "Titres SA"
bic = "COBADEFFXXX"

[[acquirer]]
id = "{NATIVE.id}"
name = "{NATIVE.name}"
iban = "{NATIVE.iban}"
days_late = 1
window_s = {WINDOW_S}
settled_days = 1
tariff = [{{ from = 2026-01-01, basis_points = {FEES[NATIVE.id][0]} }}]

[[acquirer]]
id = "{MAPPED.id}"
name = "{MAPPED.name}"
iban = "{MAPPED.iban}"
format = "{MAPPING_FILE}"
days_late = 1
tolerance_cents = {TOLERANCE_CENTS}
window_s = {WINDOW_S}
settled_days = 1
tariff = [{{ from = 2026-01-01, basis_points = {FEES[MAPPED.id][0]}, fixed_cents = {FEES[MAPPED.id][1]} }}]
"""

MAPPING = f"""\
name = "{MAPPED.name}"
layout = "csv"
encoding = "cp1252"
titles = true

[lines]
type = 1
detail = ["VTE", "CAP", "HLG", "ANN"]

[fields]
kind = {{ at = "code", values = {{ VTE = "sale", CAP = "capture", HLG = "advice", ANN = "reversal" }} }}
merchant = "commercant"
terminal = "terminal"
trace = "trace"
transmitted = "transmis"
date = {{ at = "date", form = "%d/%m/%Y" }}
time = {{ at = "heure", form = "%H:%M:%S" }}
retrieval = "reference"
approval = "autorisation"
card = "carte"
product = "produit"
cents = "montant"
payments = "nombre"
mti = "message"
original = "origine"

[amounts]
decimal = ","
sign = {{ at = "sens", debits = ["D"], credits = ["C"] }}

[trailer]
type = "{TRAILER}"
lines = 2
debits_cents = 3
credits_cents = 4

[file_name]
pattern = '{MAPPED.id}-([0-9]{{8}})[.]csv'
form = "%Y%m%d"
"""


class Booked(Struct, frozen=True):
    """An entry of a statement: above 0 it came in."""

    cents: Cents
    reference: str
    end_to_end: str | None
    counterparty: str
    purpose: str


def write_clearing(folder: Path, house: House, day: date, claims: Sequence[Claim]) -> Path:
    """Write an acquirer's file, and note where its discrepancies stand in it."""
    path = folder / f"{house.id}-{day:%Y%m%d}.csv"
    if house is NATIVE:
        _write_native(path, house, day, claims)
    else:
        _write_mapped(path, claims)
    for line, claim in enumerate(claims, FIRST_LINE):
        if claim.about is not None:
            claim.about.file, claim.about.line = path.name, line
    return path


def write_statement(folder: Path, day: date, opening: Cents, entries: Sequence[Booked]) -> Path:
    """Write the voucher account's camt.053 of a day."""
    path = folder / f"statement-{day:%Y%m%d}.xml"
    closing = Cents(opening + sum(one.cents for one in entries))
    booked = "".join(_entry(one, day) for one in entries)
    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>S{day:%Y%m%d}</MsgId><CreDtTm>{day + timedelta(days=1)}T04:00:00Z</CreDtTm></GrpHdr>
<Stmt><Id>{day:%Y%m%d}</Id><ElctrncSeqNb>{day:%j}</ElctrncSeqNb><CreDtTm>{day + timedelta(days=1)}T04:00:00Z</CreDtTm>
<Acct><Id><IBAN>{VOUCHER_IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>
{_balance("OPBD", opening, day)}{_balance("CLBD", closing, day)}{booked}</Stmt></BkToCstmrStmt></Document>
""",
        encoding="utf-8",
    )
    return path


def _write_native(path: Path, house: House, day: date, claims: Sequence[Claim]) -> None:
    clearing.save(
        clearing.Clearing(
            acquirer=house.id,
            day=day,
            created=instant(day, house.ends).astimezone(UTC),
            file_id=f"{house.id}-{day:%Y%m%d}",
            details=tuple([_detail(claim.movement) for claim in claims]),
        ),
        path,
    )


def _detail(one: Movement) -> clearing.Detail:
    return clearing.Detail(
        kind=KINDS[one.kind],
        mti=MTIS[one.class_],
        terminal=one.terminal,
        merchant=one.merchant,
        trace=one.trace,
        transmitted=one.transmitted,
        retrieval=one.retrieval,
        approval=one.approval,
        card=CARD,
        product="90",
        cents=abs(one.cents),
        day=one.local.date(),
        at=one.local.time(),
        original=one.original,
    )


def _write_mapped(path: Path, claims: Sequence[Claim]) -> None:
    with path.open("w", encoding="cp1252", newline="") as file:
        rows = csv.writer(file, delimiter=";", lineterminator="\r\n")
        rows.writerow(HEADINGS)
        rows.writerows(_row(claim) for claim in claims)
        debits = sum(claim.movement.cents for claim in claims if claim.movement.cents > 0)
        credited = -sum(claim.movement.cents for claim in claims if claim.movement.cents < 0)
        rows.writerow([TRAILER, len(claims), _decimal(debits), _decimal(credited)])


def _row(claim: Claim) -> Sequence[str]:
    one, summed = claim.movement, claim.payments > 1
    return (
        CODES[one.kind],
        one.merchant,
        one.terminal,
        one.trace,
        "" if summed else one.transmitted,
        "" if summed else f"{one.local:%d/%m/%Y}",
        "" if summed else f"{one.local:%H:%M:%S}",
        one.retrieval or "",
        "" if summed else one.approval or "",
        "" if summed else CARD,
        "90",
        _decimal(abs(one.cents)),
        "D" if one.cents > 0 else "C",
        str(claim.payments),
        "" if summed else MTIS[one.class_],
        one.original or "",
    )


def _decimal(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02}"


def _point(cents: int) -> str:
    return f"{abs(cents) // 100}.{abs(cents) % 100:02}"


def _side(cents: int) -> str:
    return "DBIT" if cents < 0 else "CRDT"


def _balance(code: str, cents: Cents, day: date) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{_point(cents)}</Amt>'
        f"<CdtDbtInd>{_side(cents)}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>\n"
    )


def _entry(one: Booked, day: date) -> str:
    side, party = _side(one.cents), "Cdtr" if one.cents < 0 else "Dbtr"
    named = "NOTPROVIDED" if one.end_to_end is None else escape(one.end_to_end)
    return (
        f'<Ntry><NtryRef>{one.reference}</NtryRef><Amt Ccy="EUR">{_point(one.cents)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>"
        f"<AcctSvcrRef>{one.reference}</AcctSvcrRef><BkTxCd><Prtry><Cd>SEPA</Cd></Prtry></BkTxCd>"
        f'<NtryDtls><TxDtls><Refs><EndToEndId>{named}</EndToEndId></Refs><Amt Ccy="EUR">{_point(one.cents)}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd><RltdPties><{party}><Pty><Nm>{escape(one.counterparty)}</Nm></Pty></{party}>"
        f"</RltdPties><RmtInf><Ustrd>{escape(one.purpose)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n"
    )
