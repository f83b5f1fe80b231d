"""Positions and payouts: what was matched is paid once, less fees, and what is owed to the issuer is carried."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
import xmlschema
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.cli import main
from ledger.reading import reader
from ledger.reconciliation.bank.iban import is_iban, with_check_digits
from ledger.reconciliation.bank.pain001 import NAMESPACE, Transfer, written
from ledger.reconciliation.bank.payouts import IbanInvalid, PaymentFile, payouts
from ledger.reconciliation.bank.positions import NoTerms, NotReconciled, Position, positions
from ledger.reconciliation.terms import Accounts
from ledger.reconciliation.values import Stage
from ledger.store import Unavailable
from ledger.values import Cents
from tests.ledger.reconciliation.bank.banks import ACQUIRER, DAY, OPERATING, VOUCHER, tomorrow
from tests.ledger.reconciliation.bank.conftest import FIRST, SECOND, TERMS, Books
from tests.ledger.reconciliation.bank.iso_rules import PAIN_001_001_09, broken

THIRD_DAY = DAY + timedelta(days=2)


def paid(made: PaymentFile) -> list[tuple[str | None, int, int, int]]:
    return [(one.end_to_end, one.gross, one.fee, one.net) for one in made.payouts]


async def test_a_position_is_what_was_matched_less_the_tariffs_fee(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000), (FIRST, "M1", 2_550), (FIRST, "M2", -50), (SECOND, "M1", 700))
    async with reader(books.finance_url) as connection:
        found = await positions(connection, DAY, TERMS)
        with pytest.raises(NotReconciled, match="2026-05-13 isn't reconciled"):
            await positions(connection, tomorrow(), TERMS)
        with pytest.raises(NoTerms, match="acquirer 970002"):
            await positions(connection, DAY, replace(TERMS, acquirer=TERMS.acquirer[:1]))
    assert found == [
        Position(FIRST, "M1", DAY, "90", 2, Cents(12_550), Cents(126 + 10), Cents(12_414)),
        Position(FIRST, "M2", DAY, "90", 1, Cents(-50), Cents(-1 + 5), Cents(-54)),
        Position(SECOND, "M1", DAY, "90", 1, Cents(700), Cents(0), Cents(700)),
    ]


async def test_a_day_is_paid_once_and_the_same_again_is_the_same_file(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000), (SECOND, "M1", -700))
    made = await payouts(books.url, DAY, TERMS)
    assert made.message == "PAYOUTS-20260512"
    assert paid(made) == [("970001-20260512", 10_000, 105, 9_895)]
    assert [(one.acquirer, one.net) for one in made.carried] == [(SECOND, -700)]
    again = await payouts(books.url, DAY, TERMS)
    assert (again.content, again.payouts) == (made.content, made.payouts)

    await books.matched(DAY, (FIRST, "M1", 1_000))
    supplement = await payouts(books.url, DAY, TERMS)
    assert supplement.message == "PAYOUTS-20260512-2"
    assert paid(supplement) == [("970001-20260512-2", 1_000, 15, 985)]

    await books.matched(tomorrow(), (SECOND, "M1", 500))
    nobody = await payouts(books.url, tomorrow(), TERMS)
    assert (nobody.content, nobody.payouts, [one.net for one in nobody.carried]) == (b"", (), [-200])
    await books.matched(THIRD_DAY, (SECOND, "M1", 900))
    assert paid(await payouts(books.url, THIRD_DAY, TERMS)) == [("970002-20260514", 700, 0, 700)]
    assert (await payouts(books.url, tomorrow(), TERMS)).payouts == ()


async def test_nothing_is_paid_for_what_only_the_bank_matched(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000), stage=Stage.NET_POSITION)
    assert (await payouts(books.url, DAY, TERMS)).payouts == ()


async def test_who_may_not_add_may_not_pay(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000))
    with pytest.raises(Unavailable, match="connect as reconciler"):
        await payouts(books.finance_url, DAY, TERMS)


async def test_an_account_with_wrong_check_digits_is_not_paid(books: Books) -> None:
    wrong = replace(TERMS.acquirer[0], iban="BE69539007547034")
    with pytest.raises(IbanInvalid, match="IBAN of acquirer 970001"):
        await payouts(books.url, DAY, replace(TERMS, acquirer=(wrong,)))


async def test_on_the_command_line(books: Books, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000), (SECOND, "M1", -700))
    terms, output = tmp_path / "terms.toml", tmp_path / "payouts.xml"
    acquirers = "".join(
        f'[[acquirer]]\nid = "{one.id}"\nname = "{one.name}"\niban = "{one.iban}"\n' for one in TERMS.acquirer
    )
    own = f'[accounts]\nvoucher = "{VOUCHER}"\noperating = "{OPERATING}"\nholder = "E"\n'
    terms.write_text(own + acquirers, encoding="utf-8")

    def ledger(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--terms", str(terms)])
        return code, *capsys.readouterr()

    code, out, _ = await in_thread(lambda: ledger("positions", "2026-05-12", "--database", books.finance_url))
    assert (code, "100.00" in out, "-7.00" in out) == (0, True, True)
    pay = ("payouts", "2026-05-12", "--output", str(output), "--database", books.url)
    code, out, _ = await in_thread(lambda: ledger(*pay, "--json"))
    told = msgspec.json.decode(out)
    assert (code, told["message"], told["payouts"][0]["net"]) == (0, "PAYOUTS-20260512", 10_000)
    assert (told["carried"][0]["acquirer"], told["carried"][0]["net"]) == (SECOND, -700)
    content = await asyncio.to_thread(output.read_bytes)
    assert b"970001-20260512" in content
    code, out, _ = await in_thread(lambda: ledger(*pay))
    assert (code, "100.00" in out) == (0, True)
    assert await asyncio.to_thread(output.read_bytes) == content
    for words, said in (
        (("payouts", "2026-13-12", *pay[2:]), "2026-13-12"),
        (("payouts", "2026-05-13", *pay[2:]), "2026-05-13 isn't reconciled"),
        (("payouts", "2026-05-12", "--output", str(tmp_path / "no" / "x"), *pay[4:]), "can't be written: No such file"),
    ):
        code, _, err = await in_thread(lambda words=words: ledger(*words))
        assert (code, said in err, err.count("\n")) == (2, True, 1)


async def in_thread(work: Callable[[], tuple[int, str, str]]) -> tuple[int, str, str]:
    """Run a command, which has a loop of its own."""
    return await asyncio.to_thread(work)


TRANSFERS = st.lists(
    st.builds(
        Transfer,
        end_to_end=st.from_regex(r"[0-9]{6}-[0-9]{8}", fullmatch=True),
        name=st.text(min_size=1, max_size=80),
        iban=st.just(ACQUIRER),
        cents=st.integers(1, 10**12),
        purpose=st.text(max_size=200),
    ),
    min_size=1,
    max_size=5,
)


@given(TRANSFERS, st.sampled_from([None, "AGRIFRPP", "AGRIFRPP882"]), st.text(min_size=1, max_size=70))
def test_a_payment_file_is_what_the_iso_schema_asks_for(
    transfers: list[Transfer], bic: str | None, holder: str
) -> None:
    accounts = Accounts(VOUCHER, OPERATING, holder, bic)
    content = written("PAYOUTS-20260512", DAY, tomorrow(), accounts, transfers)
    assert broken(content, NAMESPACE, PAIN_001_001_09) == []
    assert content == written("PAYOUTS-20260512", DAY, tomorrow(), accounts, transfers)
    message = fromstring(content)
    of = {"p": NAMESPACE}
    amounts = [one.text for one in message.iterfind(".//p:InstdAmt", of)]
    assert amounts == [f"{one.cents / 100:.2f}" for one in transfers]
    for path in ("GrpHdr", "PmtInf"):
        total = message.find(f".//p:{path}/p:CtrlSum", of)
        count = message.find(f".//p:{path}/p:NbOfTxs", of)
        assert total.text == f"{sum(one.cents for one in transfers) / 100:.2f}"
        assert count.text == str(len(transfers))
    assert set("".join(one.text for one in message.iterfind(".//p:Nm", of))) <= set(SEPA_LETTERS)


SEPA_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ "


def test_a_payment_file_validates_against_the_iso_schema() -> None:

    schema = xmlschema.XMLSchema(str(files("sepaxml").joinpath("schemas", "pain.001.001.09.xsd")))
    transfer = Transfer("970001-20260512", "Banque & Fils Œuvre", ACQUIRER, Cents(123456), "Card payments")
    for bic in (None, "AGRIFRPP"):
        accounts = Accounts(VOUCHER, OPERATING, "Émetteur", bic)
        schema.validate(written("M1", DAY, tomorrow(), accounts, [transfer]).decode())
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(written("M" * 36, DAY, tomorrow(), accounts, [transfer]).decode())


@given(
    st.sampled_from(["FR", "BE", "DE", "NL", "LU"]), st.text("ABCXYZ0123456789", min_size=11, max_size=30), st.data()
)
def test_one_wrong_character_of_an_iban_is_always_found(country: str, account: str, data: st.DataObject) -> None:
    """ISO 7064 modulo 97: any single wrong digit, and any two that changed places."""
    iban = with_check_digits(country, account)
    assert is_iban(iban)
    at = data.draw(st.integers(2, len(iban) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda one: one != iban[at]))
    if iban[at].isdigit():
        assert not is_iban(iban[:at] + other + iban[at + 1 :])
