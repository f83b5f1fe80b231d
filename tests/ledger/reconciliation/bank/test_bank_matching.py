"""The bank's entries beside payouts, positions and clients' payments: what belongs together, and what is left."""

from datetime import timedelta

from ledger.reconciliation.bank.payouts import payouts
from tests.ledger.reconciliation.bank.banks import ACQUIRER, DAY, OPERATING, VOUCHER, tomorrow
from tests.ledger.reconciliation.bank.conftest import FIRST, TERMS, Books

FUNDING, PAYOUT, NET = "funding", "payout", "net-position"


async def test_a_clients_payment_is_the_entry_that_bears_its_reference(books: Books) -> None:
    seq = books.pay("RF18 5390 0754", 33400)
    file = await books.book((33400, "RF1853900754"), (120, "something else"))
    found = await books.reconcile()
    assert found.matches == [(FUNDING, 33400, [f"{file}:1"], [seq])]
    assert found.breaks == [("unexplained-entry", VOUCHER, None, 120, None, f"{file}:2")]


async def test_a_reference_within_a_longer_purpose_counts_beside_the_same_cents(books: Books) -> None:
    seq = books.pay("RF18 5390 0754", 33400)
    file = await books.book((33400, None), purpose="Commande mai rf18-5390-0754 Café Noir")
    assert (await books.reconcile()).matches == [(FUNDING, 33400, [f"{file}:1"], [seq])]


async def test_a_short_reference_within_a_purpose_is_chance(books: Books) -> None:
    seq = books.pay("12", 33400)
    file = await books.book((33400, None), purpose="facture 2026-12")
    assert (await books.reconcile()).breaks == [
        ("missing-in-bank", VOUCHER, 33400, None, seq, None),
        ("unexplained-entry", VOUCHER, None, 33400, None, f"{file}:1"),
    ]


async def test_face_value_and_fees_come_to_two_accounts(books: Books) -> None:
    """L3262-2: face value on the account of the vouchers, and only that."""
    seq = books.pay("O1", 33400, 1362)
    voucher = await books.book((33400, "O1"))
    operating = await books.book((1362, "O1"), (-99_900, "salaries"), account=OPERATING)
    found = await books.reconcile()
    assert found.matches == [(FUNDING, 34762, [f"{voucher}:1", f"{operating}:1"], [seq])]
    assert found.breaks == []


async def test_fees_are_asked_of_an_account_only_where_its_statements_are_taken_in(books: Books) -> None:
    seq = books.pay("O1", 33400, 1362)
    file = await books.book((33400, "O1"))
    assert (await books.reconcile()).matches == [(FUNDING, 33400, [f"{file}:1"], [seq])]


async def test_orders_may_be_paid_at_once_and_an_order_in_parts(books: Books) -> None:
    seqs = [books.pay("BOTH", 100), books.pay("BOTH", 250), books.pay("PARTS", 500)]
    file = await books.book((350, "BOTH"), (200, "PARTS"), (300, "PARTS"))
    found = await books.reconcile()
    assert found.matches == [
        (FUNDING, 350, [f"{file}:1"], seqs[:2]),
        (FUNDING, 500, [f"{file}:2", f"{file}:3"], seqs[2:]),
    ]
    assert found.breaks == []


async def test_payments_that_are_alike_are_matched_in_their_order(books: Books) -> None:
    seqs = [books.pay("MONTHLY", 100), books.pay("MONTHLY", 100)]
    file = await books.book((100, "MONTHLY"))
    assert (await books.reconcile()).matches == [(FUNDING, 100, [f"{file}:1"], seqs[:1])]
    later = await books.book((100, "MONTHLY"), day=tomorrow())
    assert (await books.reconcile(tomorrow())).matches == [(FUNDING, 100, [f"{later}:1"], seqs[1:])]


async def test_a_payment_of_other_cents_is_one_break(books: Books) -> None:
    seq = books.pay("O1", 33400)
    file = await books.book((33300, "O1"))
    found = await books.reconcile()
    assert found.matches == []
    assert found.breaks == [("amount-differs", VOUCHER, 33400, 33300, seq, f"{file}:1")]


async def test_what_is_open_is_carried_until_the_other_side_comes(books: Books) -> None:
    early = books.pay("EARLY", 100)
    first = await books.book((250, "LATE"))
    assert (await books.reconcile()).breaks == [
        ("missing-in-bank", VOUCHER, 100, None, early, None),
        ("unexplained-entry", VOUCHER, None, 250, None, f"{first}:1"),
    ]
    late = books.pay("LATE", 250, day=tomorrow())
    second = await books.book((100, "EARLY"), day=tomorrow())
    found = await books.reconcile(tomorrow())
    assert found.matches == [(FUNDING, 250, [f"{first}:1"], [late]), (FUNDING, 100, [f"{second}:1"], [early])]
    assert found.breaks == []


async def test_nothing_is_missing_before_a_statement_covers_its_day(books: Books) -> None:
    await books.book()
    assert (await books.reconcile()).breaks == []
    seq = books.pay("O1", 100, day=tomorrow())
    assert (await books.reconcile(tomorrow())).breaks == []
    await books.book(day=tomorrow())
    assert (await books.reconcile(tomorrow())).breaks == [("missing-in-bank", VOUCHER, 100, None, seq, None)]


async def test_without_statements_there_is_nothing_to_match(books: Books) -> None:
    books.pay("O1", 100)
    found = await books.reconcile()
    assert (found.matches, found.breaks) == ([], [])


async def test_a_payout_is_the_entry_that_bears_its_name(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000))
    (paid,) = (await payouts(books.url, DAY, TERMS)).payouts
    file = await books.book((-paid.net, paid.end_to_end), (paid.net, paid.end_to_end), day=tomorrow())
    found = await books.reconcile(tomorrow())
    assert found.matches == [(PAYOUT, paid.net, [f"{file}:1"], [])]
    assert found.breaks == [("unexplained-entry", VOUCHER, None, paid.net, None, f"{file}:2")]
    await books.book(day=DAY + timedelta(days=30))
    assert (await books.reconcile(DAY + timedelta(days=30))).matches == []


async def test_a_payout_that_the_bank_does_not_know_is_missing_once_its_days_are_over(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000))
    (paid,) = (await payouts(books.url, DAY, TERMS)).payouts
    for days, breaks in ((5, []), (6, [("missing-in-bank", FIRST, -paid.net, None, None, None)])):
        await books.book(day=DAY + timedelta(days=days))
        assert (await books.reconcile(DAY + timedelta(days=days))).breaks == breaks


async def test_a_payout_of_other_cents_is_one_break(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000))
    (paid,) = (await payouts(books.url, DAY, TERMS)).payouts
    file = await books.book((-1, paid.end_to_end), day=tomorrow())
    found = await books.reconcile(tomorrow())
    assert found.matches == []
    assert found.breaks == [("amount-differs", FIRST, -paid.net, -1, None, f"{file}:1")]


async def test_an_acquirer_may_settle_its_net_position_by_itself(books: Books) -> None:
    await books.matched(DAY, (FIRST, "M1", 10_000), (FIRST, "M1", -30_000))
    file = await books.book((20_000 - 190, None), day=tomorrow(), counterparty=f"{ACQUIRER} Banque")
    assert (await books.reconcile(tomorrow())).matches == [(NET, -19_810, [f"{file}:1"], [])]
    await books.matched(tomorrow(), (FIRST, "M1", 1_000))
    (paid,) = (await payouts(books.url, tomorrow(), TERMS)).payouts
    assert (paid.gross, paid.fee, paid.net) == (10_000 - 30_000 + 19_810 + 1_000, -190 + 15, 985)


async def test_an_entry_that_could_be_two_positions_is_neither(books: Books) -> None:
    for day in (DAY, tomorrow()):
        await books.matched(day, (FIRST, "M1", -10_000))
    file = await books.book((9_895, None), day=DAY + timedelta(days=2), counterparty="BANQUE & FILS")
    found = await books.reconcile(DAY + timedelta(days=2))
    assert found.matches == []
    assert found.breaks == [("unexplained-entry", VOUCHER, None, 9_895, None, f"{file}:1")]


async def test_an_entry_is_matched_once(books: Books) -> None:
    books.pay("O1", 100)
    await books.book((100, "O1"))
    assert len((await books.reconcile()).matches) == 1
    again = await books.reconcile()
    assert (again.matches, again.breaks) == ([], [])


async def test_an_approved_settlement_accounts_for_the_entry_that_it_names(books: Books) -> None:
    """And what went out so isn't paid again; a fee that went to the issuer's own account is nobody's payout."""
    await books.matched(DAY, (FIRST, "M1", 10_000))
    file = await books.book((-4_000, None), (-105, None), (-7, None), day=tomorrow())
    seqs = [books.adjust("settlement", 4_000, file, 1), books.adjust("fee", 105, file, 2)]
    books.adjust("settlement", 8, file, 3)
    found = await books.reconcile(tomorrow())
    assert found.matches == [
        ("adjustment", 4_000, [f"{file}:1"], seqs[:1]),
        ("adjustment", 105, [f"{file}:2"], seqs[1:]),
    ]
    assert found.breaks == [("unexplained-entry", VOUCHER, None, -7, None, f"{file}:3")]
    (paid,) = (await payouts(books.url, tomorrow(), TERMS)).payouts
    assert (paid.gross, paid.fee, paid.net) == (6_000, 105, 5_895)
