"""Bank statements in ISO 20022: what is booked is read to the cent, and what isn't understood is refused."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.reconciliation.bank import camt053, statements
from ledger.reconciliation.bank.statements import Statement, StatementInvalid, read_statement
from ledger.reconciliation.values import BankBalance, BankEntry
from ledger.values import Cents
from tests.ledger.reconciliation.bank.banks import (
    CLIENT,
    DAY,
    OPERATING,
    VOUCHER,
    Booked,
    Paid,
    camt053_message,
    camt053_statement,
    entry,
    tomorrow,
)
from tests.ledger.reconciliation.bank.banks import camt053 as written
from tests.ledger.reconciliation.bank.iso_rules import broken, camt_053

Read = Callable[[str | bytes], Statement]
ENOUGH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reading(text: str | bytes) -> Statement:
        path = tmp_path / "statement.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_statement(path)

    return reading


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=30).map(
    lambda text: " ".join(text.split())
)
NAMES = WORDS.filter(bool)
REFERENCES = st.from_regex(r"[A-Z][A-Z0-9-]{0,34}", fullmatch=True).filter(
    lambda one: one not in ("NONREF", "NOTPROVIDED")
)
PAID = st.builds(
    Paid,
    cents=st.integers(-(10**12), 10**12).filter(bool),
    end_to_end=st.none() | REFERENCES,
    name=st.none() | NAMES,
    iban=st.none() | st.just(CLIENT),
    purpose=st.none() | NAMES,
)


@st.composite
def bookings(draw: st.DrawFn) -> Booked:
    """An entry: of one transaction, or of several on its side."""
    parts = draw(st.lists(PAID, min_size=1, max_size=4))
    side = 1 if parts[0].cents > 0 else -1
    return Booked(
        parts=tuple(replace(one, cents=side * abs(one.cents)) for one in parts),
        day=DAY + timedelta(days=draw(st.integers(0, 3))),
        reference=draw(st.none() | REFERENCES),
        status=draw(st.sampled_from(["BOOK", "BOOK", "BOOK", "PDNG"])),
    )


@ENOUGH
@given(st.lists(bookings(), max_size=8), st.integers(-(10**12), 10**12), st.sampled_from([2, 4, 6, 8, 10, 13]))
def test_what_a_bank_writes_is_read_to_the_cent(read: Read, entries: list[Booked], opening: int, version: int) -> None:
    text = written(entries, opening, version=version, ends=DAY + timedelta(days=3))
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}"
    assert broken(text, namespace, camt_053(version)) == []
    statement = read(text)
    booked = [one for one in entries if one.status == "BOOK"]
    expected = [(number, part) for number, one in enumerate(booked) for part in one.parts]
    assert (statement.format, statement.account) == (f"camt.053.001.{version:02}", VOUCHER)
    assert [one.entry for one in statement.entries] == list(range(1, len(expected) + 1))
    for (number, part), found in zip(expected, statement.entries, strict=True):
        assert (found.account, found.cents, found.end_to_end) == (VOUCHER, part.cents, part.end_to_end)
        assert (found.booked, found.reference) == (booked[number].day, booked[number].reference)
        assert found.counterparty == (" ".join(one for one in (part.iban, part.name) if one) or None)
        assert found.purpose == part.purpose
    assert statement.balances[0].opening == opening
    assert statement.balances[-1].closing == opening + sum(one.cents for one in booked)
    assert statement.balances[-1].day == statement.day == DAY + timedelta(days=3)
    for before, after in zip(statement.balances, statement.balances[1:], strict=False):
        assert before.closing == after.opening
        assert before.day < after.day
    for one in statement.balances:
        assert one.closing - one.opening == sum(entry.cents for entry in statement.entries if entry.booked == one.day)


def test_an_entry_says_all_that_matching_asks_for(read: Read) -> None:
    paid = Paid(
        cents=34762, end_to_end="RF18", name="Café Noir", iban=CLIENT, purpose="May", creditor_reference="RF18539"
    )
    statement = read(written([Booked(parts=(paid,), reference="B1")], 100))
    assert statement == Statement(
        format="camt.053.001.08",
        account=VOUCHER,
        balances=(BankBalance(VOUCHER, DAY, Cents(100), Cents(34862)),),
        entries=(
            BankEntry(
                entry=1,
                account=VOUCHER,
                booked=DAY,
                valued=DAY,
                cents=Cents(34762),
                reference="B1",
                end_to_end="RF18",
                counterparty=f"{CLIENT} Café Noir",
                purpose="May RF18539",
            ),
        ),
    )


def test_a_batch_is_its_transactions(read: Read) -> None:
    statement = read(written([Booked(parts=(Paid(cents=-100, end_to_end="A"), Paid(cents=-250, end_to_end="B")))], 400))
    assert [(one.cents, one.end_to_end) for one in statement.entries] == [(-100, "A"), (-250, "B")]


def test_a_batch_that_bears_no_amounts_is_one_entry(read: Read) -> None:
    text = written([Booked(parts=(Paid(cents=-100, end_to_end="A"), Paid(cents=-250, end_to_end="B")))], 400)
    for cents in ("1.00", "2.50"):
        text = text.replace(f'<Amt Ccy="EUR">{cents}</Amt><CdtDbtInd>DBIT</CdtDbtInd><RltdP', "<RltdP")
        text = text.replace(f'</Refs><Amt Ccy="EUR">{cents}</Amt><CdtDbtInd>DBIT</CdtDbtInd>', "</Refs>")
    assert [(one.cents, one.end_to_end) for one in read(text).entries] == [(-350, None)]


def test_a_batch_whose_transactions_come_to_something_else_is_refused(read: Read) -> None:
    text = written([Booked(parts=(Paid(cents=-100), Paid(cents=-250)))], 400, summary=False)
    with pytest.raises(
        StatementInvalid, match=r"statement 1, entry 1: is of -3\.50, but its transactions come to -3\.60"
    ):
        read(text.replace('</Refs><Amt Ccy="EUR">2.50', '</Refs><Amt Ccy="EUR">2.60'))


def test_a_reversal_has_its_own_direction(read: Read) -> None:
    """CreditDebitIndicator is the entry's, ReversalIndicator only says why: a credit that reverses a debit came in."""
    paid = Paid(cents=500, end_to_end="970001-20260512", name="Acquirer")
    text = written([Booked(parts=(paid,), reverses=True)]).replace("Dbtr>", "Cdtr>")
    (found,) = read(text).entries
    assert (found.cents, found.counterparty) == (500, "Acquirer")


def test_what_is_pending_is_not_booked(read: Read) -> None:
    statement = read(written([Booked(parts=(Paid(cents=500),), status="PDNG"), entry(300)]))
    assert [(one.entry, one.cents) for one in statement.entries] == [(1, 300)]


def test_a_file_may_have_several_accounts_and_several_days(read: Read) -> None:
    first = camt053_statement([entry(300)], 100)
    second = camt053_statement([entry(-50, day=tomorrow())], 400, begins=tomorrow(), ends=tomorrow())
    other = camt053_statement([], 700, account=OPERATING)
    statement = read(camt053_message([first, second, other]))
    assert statement.account == f"{VOUCHER},{OPERATING}"
    assert [(one.account, one.day, one.opening, one.closing) for one in statement.balances] == [
        (VOUCHER, DAY, 100, 400),
        (VOUCHER, tomorrow(), 400, 350),
        (OPERATING, DAY, 700, 700),
    ]


def test_statements_of_an_account_go_on_from_one_another(read: Read) -> None:
    first = camt053_statement([entry(300)], 100)
    second = camt053_statement([], 401, begins=tomorrow(), ends=tomorrow())
    with pytest.raises(StatementInvalid, match=r"statement 2: doesn't go on from statement 1, which closes with 4\.00"):
        read(camt053_message([first, second]))


def test_a_statement_begins_with_the_closing_of_the_one_before_where_that_is_what_it_has(read: Read) -> None:
    text = written([entry(300)], 100).replace("OPBD", "PRCD")
    assert read(text).balances == (BankBalance(VOUCHER, DAY, Cents(100), Cents(400)),)


def test_a_cards_number_in_a_purpose_is_masked(read: Read) -> None:
    (found,) = read(written([entry(300, purpose="carte 9250 1000 0000 0014 merci, ref 1234567890123456")])).entries
    assert found.purpose == "carte 925010******0014 merci, ref 1234567890123456"


def test_an_entry_of_nothing_is_none(read: Read) -> None:
    text = written([entry(300)], summary=False)
    fee = text[text.index("<Ntry>") : text.index("</Stmt>")].replace("3.00", "0.00")
    assert [one.cents for one in read(text.replace("</Stmt>", f"{fee}</Stmt>")).entries] == [300]


REFUSED = {
    "another currency": (lambda text: text.replace("EUR", "USD"), "isn't in EUR"),
    "an amount in another currency": (
        lambda text: text.replace('<Ntry><Amt Ccy="EUR"', '<Ntry><Amt Ccy="USD"'),
        "entry 1, Amt: isn't in EUR",
    ),
    "a third of a cent": (
        lambda text: text.replace('<Ntry><Amt Ccy="EUR">3.00', '<Ntry><Amt Ccy="EUR">3.003'),
        "entry 1, Amt: isn't an amount",
    ),
    "a negative amount": (
        lambda text: text.replace('<Ntry><Amt Ccy="EUR">3.00', '<Ntry><Amt Ccy="EUR">-3.00'),
        "isn't an amount",
    ),
    "a wrong closing": (
        lambda text: text.replace(">4.00<", ">4.01<"),
        r"opens with 1\.00, its entries come to 3\.00, but it closes with 4\.01",
    ),
    "a wrong count": (lambda text: text.replace("<NbOfNtries>1<", "<NbOfNtries>2<"), "NbOfNtries: isn't 1"),
    "a wrong sum": (lambda text: text.replace("<Sum>3.00<", "<Sum>3.01<"), r"Sum: isn't 3\.00"),
    "no side": (lambda text: text.replace("<CdtDbtInd>CRDT</CdtDbtInd><Sts>", "<Sts>"), "entry 1: has no CdtDbtInd"),
    "an unknown side": (
        lambda text: text.replace("CRDT</CdtDbtInd><Sts>", "BOTH</CdtDbtInd><Sts>"),
        "neither CRDT nor DBIT",
    ),
    "two amounts": (lambda text: text.replace("<Ntry>", '<Ntry><Amt Ccy="EUR">9.00</Amt>'), "has Amt 2 times"),
    "no status": (lambda text: text.replace("<Sts><Cd>BOOK</Cd></Sts>", ""), "entry 1: has no Sts"),
    "no day": (lambda text: text.replace("<BookgDt><Dt>2026-05-12", "<BookgDt><Dt>2026-15-12"), "BookgDt: isn't a day"),
    "a day of another statement": (
        lambda text: text.replace("<BookgDt><Dt>2026-05-12", "<BookgDt><Dt>2026-05-11"),
        "is of 2026-05-11",
    ),
    "no closing": (lambda text: text.replace("CLBD", "CLAV"), "has no booked balance"),
    "two closings": (lambda text: text.replace("OPBD", "CLBD"), "has the balance CLBD 2 times"),
    "wrong check digits": (lambda text: text.replace(VOUCHER, "FR76" + VOUCHER[4:]), "IBAN: no IBAN"),
    "no account": (
        lambda text: text.replace(f"<IBAN>{VOUCHER}</IBAN>", "<Othr><Id>1</Id></Othr>"),
        "has no Acct/Id/IBAN",
    ),
    "a page of several": (lambda text: text.replace("<LastPgInd>true", "<LastPgInd>false"), "page of several"),
    "an element of nobody's": (lambda text: text.replace("<Ntry>", "<Extra/><Ntry>"), "an element 'Extra'"),
    "another namespace within": (lambda text: text.replace("<Ntry>", '<Ntry xmlns="urn:other">', 1), "an element"),
    "another message": (lambda text: text.replace("camt.053", "camt.052"), "root element"),
    "a version to come": (lambda text: text.replace("001.08", "001.99"), "root element"),
    "a reference too long": (lambda text: text.replace("RF18", "R" * 36), "more than 35 characters"),
    "no statement": (lambda text: text[: text.index("<Stmt>")] + text[text.index("</Stmt>") + 7 :], "no statement"),
    "cut off": (lambda text: text[:-40], "not well-formed"),
    "not XML": (lambda text: "<" + "x" * 100, "not well-formed"),
    "another encoding": (lambda text: text.replace("UTF-8", "klingon"), "encoding|well-formed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_in_one_line_that_names_the_place(name: str, read: Read) -> None:
    change, said = REFUSED[name]
    text = change(written([entry(300, "RF18")], 100))
    with pytest.raises(StatementInvalid, match=said) as refused:
        read(text)
    assert "\n" not in str(refused.value)
    assert "statement.xml: " in str(refused.value)


BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "a billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{BOMB}]><x>&l9;</x>',
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><x>{"&a;" * 1_000}</x>',
    "a file of the machine": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "a page of the network": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>',
    "a parameter entity": '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/"> %a;]><x/>',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_xml_that_attacks_its_reader_is_refused(name: str, read: Read) -> None:
    with pytest.raises(StatementInvalid, match=r": line 2, column [0-9]+: a document type or an entity"):
        read(f'<?xml version="1.0"?>\n{HOSTILE[name]}')


def test_a_deep_message_is_refused(read: Read) -> None:
    deep = "<a>" * 100_000
    with pytest.raises(StatementInvalid, match="more than 32 elements within each other"):
        read(written([entry(300)]).replace("<BkTxCd>", f"<BkTxCd>{deep}"))


def test_limits(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written([entry(300)] * 3)
    monkeypatch.setattr(camt053, "ENTRIES_MAX", 2)
    with pytest.raises(StatementInvalid, match="more than 2 entries"):
        read(text)
    monkeypatch.setattr(statements, "STATEMENT_BYTES_MAX", 100)
    with pytest.raises(StatementInvalid, match="larger than 100 bytes"):
        read(text)


def test_a_file_that_is_no_statement(read: Read, tmp_path: Path) -> None:
    with pytest.raises(StatementInvalid, match=r"neither a camt\.053 message nor an MT940"):
        read(b"H,AUTHZ-CLEARING,1")
    with pytest.raises(StatementInvalid, match="No such file"):
        read_statement(tmp_path / "none.xml")


@ENOUGH
@given(st.data())
def test_any_damage_is_refused_or_harmless(read: Read, data: st.DataObject) -> None:
    text = written([entry(300, "RF18"), entry(-120, "P1")], 100).encode()
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 40)))
    damaged = text[:at] + data.draw(st.binary(max_size=20)) + text[until:]
    try:
        statement = read(damaged)
    except StatementInvalid:
        return
    for one in statement.balances:
        moved = sum(
            entry.cents for entry in statement.entries if (entry.account, entry.booked) == (one.account, one.day)
        )
        assert one.opening + moved == one.closing


def test_days_are_the_banks_own(read: Read) -> None:
    text = written([entry(300)]).replace(
        "<BookgDt><Dt>2026-05-12</Dt>", "<BookgDt><DtTm>2026-05-12T00:30:00+02:00</DtTm>"
    )
    assert read(text).entries[0].booked == date(2026, 5, 12)
