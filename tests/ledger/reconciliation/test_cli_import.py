"""The command `ledger import` (docs/imports.md): exit codes, one line a refusal, `--json`."""

import asyncio
import re
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from ledger.cli import main
from ledger.reconciliation.mapping import Layout
from ledger.reconciliation.terms import Accounts, AcquirerTerms, Tariff, Terms
from ledger.reconciliation.terms import read as read_terms
from ledger.schema import RECONCILER_ROLE

PAGES = Path(__file__).parents[3] / "docs"
PAGE = (PAGES / "imports.md").read_text()
[CLEARING] = re.findall(r"^```csv\n(H,.*?)^```$", (PAGES / "clearing.md").read_text(), re.MULTILINE | re.DOTALL)
[TERMS] = re.findall(r"^```toml\n(\[accounts\].*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
[MAPPING] = re.findall(r"^```toml\n(name = .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
[MAPPED] = re.findall(r"^```csv\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def url(database):
    return urlsplit(database.finance_url)._replace(netloc=f"{RECONCILER_ROLE}@").geturl()


@pytest.fixture
def desk(tmp_path):
    """Finance's folder: the page's terms and mapping, and what came in."""
    (tmp_path / "terms.toml").write_text(TERMS)
    (tmp_path / "cartavia.toml").write_text(MAPPING)
    (tmp_path / "CARTAVIA_20260512.csv").write_text(MAPPED)
    (tmp_path / "970001-20260512.csv").write_text(CLEARING)
    return tmp_path


@pytest.fixture
def run(url, desk, capsys):
    """Run `ledger import`, and return its exit code and what it said."""

    def run_(*arguments):
        code = main(["import", *map(str, arguments), "--terms", str(desk / "terms.toml"), "--database", url])
        return code, capsys.readouterr()

    return run_


def test_a_file_is_taken_in_and_shown_and_again_it_was_in_already(run, desk):
    code, shown = run(desk / "970001-20260512.csv")
    assert (code, shown.err) == (0, "")
    assert re.search(r"PAR00001-000001 +970001 +2026-05-12 +2 +0 +12\.50 +2\.50", shown.out)
    code, again = run(desk / "970001-20260512.csv")
    assert (code, again.err) == (0, "")
    assert "was in already" in again.out


def test_the_mapping_of_the_page_reads_the_file_of_the_page(run, desk):
    code, shown = run(desk / "CARTAVIA_20260512.csv", "--source", "970002", "--json")
    [imported] = msgspec.json.decode(shown.out)["imported"]
    assert code == 1
    assert (imported["lines"], imported["debits"], imported["credits"]) == (3, 103_050, 250)
    assert imported["quarantined"] == [{"line": 5, "reason": "date isn't written as the mapping has it"}]
    assert imported["day"] == "2026-05-12"
    _, again = run(desk / "CARTAVIA_20260512.csv", "--source", "970002", "--json")
    assert again.out == shown.out.replace('"already": false', '"already": true')


def test_of_several_files_the_bad_one_is_refused_in_a_line_and_the_others_are_in(run, desk):
    cut = desk / "cut.csv"
    cut.write_text(CLEARING[:-40])
    code, shown = run(cut, desk / "970001-20260512.csv", "--json")
    result = msgspec.json.decode(shown.out)
    assert code == 1
    assert [one["name"] for one in result["imported"]] == ["PAR00001-000001"]
    assert [one["path"] for one in result["refused"]] == [str(cut)]
    assert shown.err.startswith(f"ledger: {cut}: line ")
    assert shown.err.count("\n") == 1


def test_wrong_use_is_a_line_and_exits_2(run, desk, monkeypatch):
    monkeypatch.chdir(desk)
    other = desk / "statement.xml"
    other.write_text(STATEMENT.format(message="M1", account="DE89370400440532013000"))
    for arguments, said in (
        (["none.csv"], "No such file"),
        (["970001-20260512.csv", "--source", "970009"], "no acquirer 970009"),
        (["970001-20260512.csv", "--source", "970001", "--format", "none.toml"], "none.toml: No such file"),
        (["statement.xml", "--kind", "statement"], "isn't one of the terms'"),
        ([], "FILES"),
    ):
        code, shown = run(*arguments)
        assert code == 2
        assert said in shown.err
        assert shown.err.count("\n") == 1


STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>{message}</MsgId><CreDtTm>2026-05-12T22:00:00+02:00</CreDtTm></GrpHdr>
<Stmt><Id>S1</Id><CreDtTm>2026-05-12T22:00:00+02:00</CreDtTm><Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal>
<Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp>
<Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-05-12</Dt></Dt></Bal>
<Bal>
<Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp>
<Amt Ccy="EUR">112.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-05-12</Dt></Dt></Bal>
<Ntry><NtryRef>1</NtryRef><Amt Ccy="EUR">12.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-05-12</Dt></BookgDt><ValDt><Dt>2026-05-12</Dt></ValDt>
<BkTxCd><Prtry><Cd>TRF</Cd></Prtry></BkTxCd></Ntry>
</Stmt></BkToCstmrStmt></Document>
"""
VOUCHER = re.search(r'^voucher = "(\w+)"', TERMS, re.MULTILINE)[1]


def test_a_bank_statement_is_taken_in_with_its_balances_and_each_day_once(run, desk, url):
    path = desk / "statement.xml"
    path.write_text(STATEMENT.format(message="M1", account=VOUCHER))
    code, shown = run(path, "--kind", "statement", "--json")
    [imported] = msgspec.json.decode(shown.out)["imported"]
    assert (code, imported["source"], imported["debits"], imported["lines"]) == (0, VOUCHER, 1_250, 1)

    async def stored():
        connection = await asyncpg.connect(url)
        try:
            return [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT account, day, opening, closing, cents"
                    " FROM reconciliation.bank_balance JOIN reconciliation.bank_entry USING (file, account)"
                )
            ]
        finally:
            await connection.close()

    assert asyncio.run(stored()) == [(VOUCHER, date(2026, 5, 12), 10_000, 11_250, 1_250)]

    again = desk / "again.xml"
    again.write_text(STATEMENT.format(message="M2", account=VOUCHER))
    code, shown = run(again, "--kind", "statement")
    assert code == 1
    assert f"statement.xml has the 2026-05-12 of account {VOUCHER} already" in shown.err


def test_every_key_of_the_terms_is_on_the_page_with_what_it_is_without_it():
    structs = (Accounts, AcquirerTerms, Tariff, Terms)
    keys = {name for struct in structs for name in struct.__struct_encode_fields__} - {"accounts", "acquirer"}
    assert [name for name in sorted(keys) if f"`{name}`" not in PAGE] == []
    defaults = dict(
        zip(reversed(AcquirerTerms.__struct_fields__), reversed(AcquirerTerms.__struct_defaults__), strict=False)
    )
    for name in ("days_late", "tolerance_cents", "window_s", "settled_days"):
        assert re.search(rf"^\| `{name}` \|.*; {defaults[name]}\b.* \|$", PAGE, re.MULTILINE), name


def test_the_pages_tariff_is_what_the_page_says(desk):
    cartavia = read_terms(desk / "terms.toml").of("970002")
    new_year = date(2026, 1, 1)
    assert cartavia.fee(new_year, "90", 10_000, 3) == 120 + 3 * 2
    assert cartavia.fee(new_year, "91", 10_000, 3) == 90
    assert cartavia.fee(date(2025, 12, 31), "90", 10_000, 3) == 0


def test_every_field_of_a_mapping_is_on_the_page():
    fields = {name for struct in (Layout, Layout.__annotations__["fields"]) for name in struct.__struct_fields__}
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE] == []
