"""`ledger reconcile` and `ledger breaks` (docs/reconciliation.md, "Commands")."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.cli import main
from ledger.reconciliation.terms import read
from ledger.values import Cents
from tests.ledger.reconciliation.books import DAY, Book, line_of, lines_of, reconciler, take_in, terms_of, write

DATE = str(DAY)
TERMS = """
[accounts]
voucher = "FR7630001007941234567890185"
operating = "FR7630004000031234567890143"
holder = "Emetteur"

[[acquirer]]
id = "970001"
name = "Acquereur"
iban = "FR7610107001011234567890129"
days_late = 0
"""


@pytest.fixture
def terms(tmp_path: Path) -> str:
    """The file of what is agreed."""
    path = tmp_path / "terms.toml"
    path.write_text(TERMS)
    assert read(path) == terms_of()
    return str(path)


def _fill(database: Any, *, differing: bool) -> str:
    async def happen() -> None:
        book = Book()
        paid = [book.pay(1_000), book.pay(2_000)]
        await write(database.url, book.entries)
        lines = lines_of(paid[:1])
        await take_in(reconciler(database.url), [*lines, line_of(paid[1], 2, cents=Cents(2_000 + 50 * differing))])

    asyncio.run(happen())
    return reconciler(database.url)


def test_a_day_that_agrees_exits_0(database: Any, terms: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = _fill(database, differing=False)
    assert main(["reconcile", DATE, "--terms", terms, "--database", url]) == 0
    shown = capsys.readouterr()
    assert "exact" in shown.out
    assert "30.00" in shown.out
    assert shown.err == ""


def test_a_break_exits_1_and_is_listed(database: Any, terms: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = _fill(database, differing=True)
    assert main(["reconcile", DATE, "--terms", terms, "--database", url]) == 1
    assert capsys.readouterr().err == f"ledger: 1 break on {DATE}: ledger breaks {DATE} lists it\n"
    assert main(["breaks", DATE, "--database", database.finance_url]) == 0
    listed = capsys.readouterr().out
    assert all(word in listed for word in ("amount-differs", "0:2", "clearing.csv:2", "20.00", "20.50"))
    assert main(["breaks", "--cause", "duplicate", "--json", "--database", database.finance_url]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == []


def test_json_is_the_same_byte_for_byte(database: Any, terms: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = _fill(database, differing=True)
    printed = []
    for _ in range(2):
        assert main(["reconcile", DATE, "--terms", terms, "--database", url, "--json"]) == 1
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    run = msgspec.json.decode(printed[0])
    [one] = run["breaks"]
    assert (one["cause"], one["record"], one["line"], one["found"]) == ("amount-differs", "0:2", 2, 2_050)
    assert (one["file"], len(bytes.fromhex(one["sha256"])), len(bytes.fromhex(run["key"]))) == ("clearing.csv", 32, 32)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["reconcile", "2026-02-30", "--terms", "t.toml"], "2026-02-30"),
        (["reconcile", DATE, "--terms", "nowhere.toml", "--database", "postgresql://x@y/z"], "nowhere.toml: No such"),
        (["breaks", "--cause", "bad-luck"], "bad-luck"),
        (["breaks", DATE], "say where the ledger is"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_a_ledger_that_was_never_reconciled_says_what_to_do(database: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breaks", "--database", database.finance_url]) == 2
    assert capsys.readouterr().err == "ledger: no day is reconciled yet: run ledger reconcile first\n"


def test_only_the_reconciler_publishes(database: Any, terms: str, capsys: pytest.CaptureFixture[str]) -> None:
    _fill(database, differing=False)
    assert main(["reconcile", DATE, "--terms", terms, "--database", database.finance_url]) == 2
    assert "role reconciler" in capsys.readouterr().err
