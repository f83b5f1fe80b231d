"""The chart of accounts: every account of the ledger has a place in it, or the export names it."""

import re
from pathlib import Path

import pytest

from ledger.export.chart import OPENING, AccountUnplaced, Chart, ChartInvalid
from ledger.values import Account, Cents

OWN = """
journal = { code = "J", label = "Journal" }
opening_journal = { code = "O", label = "Opening" }
accounts = [
    { account = "a:{who}:{what}", number = "411{what}", label = "{what} of {who}", root = "Assets", auxiliary="{who}"},
    { account = "{any}:b", number = "700", label = "B", root = "Income" },
    { account = "opening", number = "120", label = "Results", root = "Equity" },
]
"""


def _chart(path: Path, text: str) -> Chart:
    path = path / "chart.toml"
    path.write_text(text)
    return Chart.read(path)


def test_every_account_of_the_ledgers_page_has_a_place() -> None:
    """docs/ledger.md, "Accounts"."""
    page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text()
    section = page.split("## Accounts")[1].split("\n## ")[0]
    names = [name for row in section.splitlines() for name in re.findall(r"^\| `([^`]+)`", row)]
    assert len(names) >= 6
    chart = Chart.read()
    for name in names:
        account = Account(":".join(part.lower() for part in name.split(":")))
        assert re.match(r"\d{3}", chart.place(account).number)


@pytest.mark.parametrize(
    ("account", "number", "auxiliary", "root"),
    [
        ("issuer:float:90", "512190", "", "Assets"),
        ("holder:h4k2:90:2026", "46711", "h4k2", "Liabilities"),
        ("hold:h4k2:90:2026", "46712", "h4k2", "Liabilities"),
        ("expired:h4k2:91:2027-05-12", "46713", "h4k2", "Liabilities"),
        ("acquirer:970001:payable", "46721", "970001", "Liabilities"),
        ("acquirer:970001:exceptions", "46722", "970001", "Assets"),
        ("issuer:pool:90", "46731", "", "Liabilities"),
        ("issuer:fees:91", "70881", "", "Income"),
    ],
)
def test_where_the_chart_that_comes_along_places_accounts(account: str, number: str, auxiliary: str, root: str) -> None:
    place = Chart.read().place(Account(account))
    assert (place.number, place.auxiliary, place.root) == (number, auxiliary, root)


@pytest.mark.parametrize(
    "account",
    ["holder:h1:90", "holder:h1:90:2026:x", "acquirer:1:other", "issuer:h1", "", "holder:h 1:90:1", "hold:a\t:1:2"],
)
def test_an_account_without_a_place_is_named_and_not_guessed(account: str) -> None:
    with pytest.raises(AccountUnplaced, match=re.escape(repr(account))):
        Chart.read().place(Account(account))


def test_a_chart_of_ones_own_replaces_it(tmp_path: Path) -> None:
    chart = _chart(tmp_path, OWN)
    place = chart.place(Account("a:h1:90"))
    assert (place.number, place.label, place.auxiliary) == ("41190", "90 of h1", "h1")
    assert chart.journal.code == "J"
    with pytest.raises(AccountUnplaced):
        chart.place(Account("issuer:float:90"))


def test_results_are_carried_over_as_earlier_results(tmp_path: Path) -> None:
    """What was earned before a period isn't earned in it: it stands in `opening`, and the sum stays 0."""
    balances = {Account("a:h1:90"): Cents(-700), Account("x:b"): Cents(500), Account("y:b"): Cents(200)}
    assert _chart(tmp_path, OWN).opening(balances) == [("a:h1:90", -700), (OPENING, 700)]


@pytest.mark.parametrize(
    ("found", "instead", "said"),
    [
        ('code = "J"', 'code = ""', "code"),
        ('code = "J"', 'code = "J\\tK"', "code"),
        ('"411{what}"', '"41"', "number"),
        ('"411{what}"', '"X11"', "number"),
        ("{what} of", "{whose} of", "whose"),
        ('"Assets"', '"Actifs"', "root"),
        ('"opening"', '"closing"', "opening"),
        ("a:{who}:{what}", "a:{who}:{who}", "who"),
        ("label =", "lable =", "lable"),
        ("journal =", "journal ", "="),
    ],
)
def test_what_is_no_chart_is_refused_with_what_is_wrong(tmp_path: Path, found: str, instead: str, said: str) -> None:
    assert found in OWN
    with pytest.raises(ChartInvalid, match=said):
        _chart(tmp_path, OWN.replace(found, instead))


def test_a_chart_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChartInvalid, match="can't be read"):
        Chart.read(tmp_path / "none.toml")
