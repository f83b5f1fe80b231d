"""`authz show` as it is typed, on a ledger that an authorizer is writing."""

import json
from typing import Any

import pytest

from authz.cli import main as authz
from tests.acceptance.shop import Shop


@pytest.fixture
def shown(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> tuple[int, str, str]:
        code = authz(["show", *words, "--database", shop.database.finance_url])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_payment_is_told_from_what_the_terminal_had_on_its_receipt(shop: Shop, shown: Any) -> None:
    card = shop.customer()
    shop.ask(shop.till.purchase(card, 1_200))
    refused = shop.till.purchase(card, 1_250)
    shop.ask(refused)
    [[place]] = shop.rows(
        "SELECT partition || '/' || seq FROM ledger.journal WHERE request->'command'->'origin'->>'trace' = $1",
        refused.trace,
    )
    code, page, _ = shown(place)
    assert code == 0
    assert page.startswith(f"{place}  purchase  12.50 €  DAILY_CAP 61\nRefused by daily cap: 12.00 spent that day")
    assert card.pan not in page
    code, text, _ = shown(*place.split("/"), "--json")
    story = json.loads(text)
    assert (code, story["reason"], story["agrees"]) == (0, "DAILY_CAP", True)
    rulings = {one["rule"]: one["ruling"] for one in story["rules"]}
    assert (rulings["calendar"], rulings["daily cap"], rulings["funds"]) == ("passed", "refused", "not reached")


def test_exit_codes(shown: Any) -> None:
    assert [shown(*words)[0] for words in (("0/1",), ("0/999999999",), ("9250100000000014",))] == [0, 1, 2]


def test_a_database_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert authz(["show", "0/1", "--database", "postgresql://finance@127.0.0.1:1/none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
