"""What hledger says of an export, where it is installed; and what its manual says of the syntax, where it isn't."""

import csv
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ledger.export.formats import Format
from ledger.shortfalls import EVER, Period

PROGRAM = shutil.which("hledger")
TITLE = re.compile(r"(\d{4}-\d\d-\d\d) \* (?:\((\d+:\d+)\) )?[^;]+(?:  ; .*)?")
POSTING = re.compile(r" {4}(\S+) {2,}(-?)(\d+)\.(\d\d) EUR(?: = +(-?)(\d+)\.(\d\d) EUR)?")
ACCOUNT = re.compile(r"account (\S+)  ; type: ([ALERX])")


def _read(journal: bytes) -> Mapping[str, int]:
    """Read a journal by the rules of hledger's manual; return the balances, credits less debits, in cents.

    Every account is declared, every transaction adds up to 0, every assertion holds, names hold no blanks.
    """
    head, *blocks = journal.decode().split("\n\n")
    assert head.splitlines() == ["decimal-mark .", "commodity 1000.00 EUR"]
    balances: defaultdict[str, int] = defaultdict(int)
    declared: set[str] = set()
    for block in blocks:
        title, *lines = block.splitlines()
        if title.startswith("account"):
            declared |= {_matched(ACCOUNT, line)[1] for line in (title, *lines)}
            continue
        _matched(TITLE, title)
        total = 0
        for line in lines:
            name, *amounts = _matched(POSTING, line).groups()
            cents = int("".join(amounts[:3]))
            assert name in declared
            total += cents
            balances[name] -= cents
            if amounts[4] is not None:
                assert balances[name] == -int("".join(amounts[3:]))
        assert total == 0
    return {name: cents for name, cents in balances.items() if cents}


def _matched(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    found = pattern.fullmatch(line)
    assert found, line
    return found


@pytest.fixture(params=[True, False], ids=["all", "second year"])
def period(request: pytest.FixtureRequest, second_year: Period) -> Period:
    return EVER if request.param else second_year


async def test_a_journal_follows_the_rules_and_its_balances_are_the_ledgers(
    exported: Any, balance: Any, period: Period
) -> None:
    assert _read(await exported(Format.HLEDGER, period)) == await balance()


async def test_each_record_with_money_is_one_transaction_whose_code_names_it(exported: Any, story: Any) -> None:
    lines = (await exported(Format.HLEDGER)).decode().splitlines()
    codes = [found[2] for line in lines if (found := TITLE.fullmatch(line))]
    assert codes == [*(f"0:{seq}" for seq, _ in story), None]


@pytest.mark.skipif(PROGRAM is None, reason="hledger isn't installed")
async def test_hledger_itself_accepts_it_strictly_and_finds_the_ledgers_balances(
    exported: Any, balance: Any, period: Period, tmp_path: Path
) -> None:
    journal = tmp_path / "books.journal"
    journal.write_bytes(await exported(Format.HLEDGER, period))

    def run(*arguments: str) -> str:
        environment = {"LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(PROGRAM), "-f", journal, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        assert (done.stderr, done.returncode) == ("", 0)
        return done.stdout

    assert run("check", "--strict", "ordereddates") == ""
    table = csv.DictReader(StringIO(run("balance", "--flat", "--no-total", "-O", "csv")))
    found = {row["account"]: -int(row["balance"].removesuffix(" EUR").replace(".", "")) for row in table}
    assert found == await balance()


async def test_an_empty_ledger_is_an_empty_journal(export_empty: Any) -> None:
    assert (await export_empty(Format.HLEDGER)).decode() == "decimal-mark .\ncommodity 1000.00 EUR\n"
