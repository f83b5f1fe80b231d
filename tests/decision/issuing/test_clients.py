"""Offers and accounts: an acceptance opens an account or adds to one; who may act for a client."""

from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from authz.decision.issuing.commands import AddContracts, ChangeClient, NoteFollowed, RegisterAgent
from authz.decision.issuing.costs import most_of
from authz.decision.issuing.offers import issuer_day, status_on
from authz.decision.issuing.states import (
    Agent,
    AgentId,
    Client,
    ClientId,
    ContactId,
    Followed,
    Format,
    Offer,
    OfferStatus,
    Wanted,
)
from authz.decision.refused import OfferClosed
from ledger.values import Cents, Seq
from tests.decision.issuing.world import ACCEPTED, CLIENT, CONTRACT, OFFERED, OPENED, TARIFF, Books, client

ECO = Wanted("92", Format.ELECTRONIC, 10, Cents(5_000))


def test_an_offer_says_what_it_can_cost_at_most_and_moves_nothing() -> None:
    books = Books(replace(OFFERED, wanted=(*OFFERED.wanted, ECO)))
    offer = books.get("offer:f1", Offer)
    assert offer.maximum == most_of((*OFFERED.wanted, ECO), TARIFF)
    assert (offer.status, offer.client, books.balances) == (OfferStatus.OPEN, None, {})


def test_whoever_accepts_an_offer_says_for_which_account() -> None:
    books = Books(OFFERED, replace(ACCEPTED, client=ClientId("c7")))
    assert books.get("offer:f1", Offer).client == "c7"


@pytest.mark.parametrize(("at", "stands"), [("2026-06-30T21:59:59", True), ("2026-06-30T22:00:00", False)])
def test_an_offer_stands_until_its_last_day_is_over_at_the_issuers(at: str, stands: bool) -> None:
    books = Books(OFFERED)
    books.instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    offer = books.get("offer:f1", Offer)
    assert status_on(offer, issuer_day(books.instant)) is (OfferStatus.OPEN if stands else OfferStatus.LAPSED)
    if stands:
        books.do(ACCEPTED)
    else:
        with pytest.raises(OfferClosed):
            books.do(ACCEPTED)


def test_an_account_opens_with_the_contracts_of_the_offer_and_its_first_user() -> None:
    account = client().get("client:c1", Client)
    assert (account.contracts, account.users, account.agents, account.load_alerts) == ((CONTRACT,), ("u1",), (), False)


def test_a_contract_is_one_a_product_and_format_and_a_newer_one_takes_its_place() -> None:
    """S: a contract is per client, product and format."""
    newer = replace(CONTRACT, since=date(2027, 1, 1))
    paper, eco = replace(CONTRACT, format=Format.PAPER), replace(CONTRACT, product="92")
    account = client(AddContracts(CLIENT, (paper, newer, eco))).get("client:c1", Client)
    assert account.contracts == (newer, paper, eco)
    assert account.contract("90", Format.PAPER) == paper
    assert account.contract("91", Format.ELECTRONIC) is None


def test_paper_of_other_products_than_eco_and_gift_can_be_offered() -> None:
    """S: paper eco and gift vouchers can't be ordered any more."""
    books = Books(replace(OFFERED, wanted=(replace(OFFERED.wanted[0], format=Format.PAPER),)))
    assert books.get("offer:f1", Offer).maximum.cards == 0


def test_what_a_change_leaves_out_is_as_it_was() -> None:
    books = client(ChangeClient(CLIENT, users=(ContactId("u1"), ContactId("u2")), load_alerts=True))
    books.do(ChangeClient(CLIENT, agents=(AgentId("a1"),)))
    account = books.get("client:c1", Client)
    assert (account.users, account.agents, account.load_alerts) == (("u1", "u2"), ("a1",), True)
    books.do(ChangeClient(CLIENT, agents=(), load_alerts=False))
    account = books.get("client:c1", Client)
    assert (account.users, account.agents, account.load_alerts) == (("u1", "u2"), (), False)
    assert account.name == OPENED.name


def test_an_agent_is_known_and_can_change() -> None:
    agent = Agent(AgentId("a1"), "Secrétariat Dupont", ContactId("u9"))
    books = Books(RegisterAgent(agent), RegisterAgent(replace(agent, name="Dupont et fils")))
    assert books.get("agent:a1", Agent).name == "Dupont et fils"


def test_who_follows_the_journal_notes_how_far() -> None:
    books = Books(NoteFollowed("releases", Seq(5)), NoteFollowed("releases", Seq(9)))
    assert books.get("follow:releases", Followed).through == 9
