"""A client, what it orders and its holders, in passbooks in memory; each test says only what is different."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from authz.decision.commands import Administration, CardId, Enrol, RegisterEmployer
from authz.decision.decide import decide
from authz.decision.evidence import Evidence, Facts
from authz.decision.issuing.commands import (
    AcceptOffer,
    ActivateCard,
    AddContracts,
    AskRequest,
    ConfirmOrder,
    DraftOrder,
    EnterLines,
    Fulfil,
    GrantAccess,
    MakeOffer,
    NewCard,
    OpenClient,
    PayOrder,
    RemakeCard,
    StartRun,
    TakenCard,
    TakeOver,
)
from authz.decision.issuing.states import (
    Access,
    Chunk,
    ClientId,
    ContactId,
    Contract,
    Difference,
    Format,
    OfferId,
    Order,
    OrderId,
    OrderLine,
    RequestId,
    RequestKind,
    Role,
    Run,
    Tariff,
    Wanted,
    order_passbook,
)
from authz.decision.outcomes import Outcome, State
from authz.decision.position import Position
from authz.decision.reference import Employer
from authz.engine.kinds import beside_of, passbook_of
from ledger.accounts import claimed
from ledger.money import sign
from ledger.values import Account, Cents, HolderId, Lot, Partition, Seq
from tests.decision.world import APETIZ

TUESDAY = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
MAY = date(2026, 5, 1)
HOME, OTHER = Partition(0), Partition(1)
CLIENT, ORDER, OFFER, REQUEST = ClientId("c1"), OrderId("o1"), OfferId("f1"), RequestId("r1")
HOLDER, CARD, NEW = HolderId("h1"), CardId("k1"), CardId("k2")
TARIFF = Tariff(commission=250, card=Cents(400), vat=2000)
LINE = OrderLine(HOLDER, "0001", Cents(18_000), card=True)

OFFERED = MakeOffer(
    offer=OFFER,
    programme="apetiz",
    company="Atelier Durand",
    territory="FR-75",
    contact=ContactId("u1"),
    wanted=(Wanted("90", Format.ELECTRONIC, 50, Cents(18_000)),),
    tariff=TARIFF,
    until=date(2026, 6, 30),
)
ACCEPTED = AcceptOffer(OFFER, CLIENT)
CONTRACT = Contract("90", Format.ELECTRONIC, TARIFF, OFFER, date(2026, 5, 12))
OPENED = OpenClient(CLIENT, "Atelier Durand", "apetiz", "FR-75", ContactId("u1"), (CONTRACT,))
ADDED = AddContracts(CLIENT, (CONTRACT,))
ENTERED = EnterLines(CLIENT, ORDER, 1, 0, (LINE,))
DRAFTED = DraftOrder(CLIENT, ORDER, "90", MAY, 1, (Chunk(0, 1, Cents(18_000)),), 1, Difference(new=1))
CONFIRMED = ConfirmOrder(CLIENT, ORDER, 1)
TOTAL = Cents(18_000 + 450 + 400 + 170)
PAID = PayOrder(CLIENT, ORDER, "VIR 2026-0512", TOTAL, HOME)
FULFILLED = Fulfil(
    holder=HOLDER,
    client=CLIENT,
    order=ORDER,
    programme="apetiz",
    product="90",
    lot="2026",
    valid_from=date(2026, 1, 1),
    valid_until=date(2027, 2, 28),
    amount=Cents(18_000),
    card=NewCard(CARD, 2, "3005"),
)
ACTIVATED = ActivateCard(HOLDER, CARD)
REMADE = RemakeCard(HOLDER, CARD, NewCard(NEW, 2, "3006"))
ASKED = AskRequest(CLIENT, REQUEST, RequestKind.REMAKE, HOLDER, CARD, date(2026, 5, 12))
STARTED = StartRun(Run(1, (Seq(40),), (CARD,), (), card_file="ab" * 32))
GRANTED = GrantAccess("cd" * 32, Access(Role.EMPLOYER, CLIENT))
TAKEN = TakeOver(
    HolderId("h7"),
    "apetiz",
    CLIENT,
    (TakenCard(CardId("k7"), 2, "4801", active=True), TakenCard(CardId("k8"), 1, "4802", active=False)),
    (
        Lot("90", "2025", date(2025, 1, 1), date(2026, 2, 28), Cents(7_50)),
        Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(120_00)),
    ),
    works_days_off=True,
)

Kind = TypeVar("Kind")


class Books:
    """The passbooks of one partition. After every command no balance is on the wrong side of 0, and no cent is lost."""

    def __init__(self, *commands: Administration, at: datetime = TUESDAY) -> None:
        self.instant = at
        self.balances: Counter[Account] = Counter()
        self._states: dict[HolderId, State] = {}
        for command in commands:
            self.do(command)

    def do(self, command: Administration) -> Outcome:
        """Decide a command, twice with the same outcome, and write it down."""
        facts = self.facts(command)
        outcome = decide(command, facts)
        assert decide(command, facts) == outcome
        assert outcome.reply.reason.approves
        assert outcome.holder == passbook_of(command)
        assert outcome.state is not None
        self._states[outcome.holder] = outcome.state
        for transfer in outcome.transfers:
            assert transfer.amount > 0
            self.balances[transfer.debit] -= transfer.amount
            self.balances[transfer.credit] += transfer.amount
        self._audit(outcome)
        return outcome

    def facts(self, command: Administration) -> Facts:
        """What a command is decided from."""
        holder, beside = passbook_of(command), beside_of(command)
        own = self._states.get(holder)
        position = own if isinstance(own, Position) else None
        employer = None if position is None else self._states.get(HolderId(f"employer:{position.employer}"))
        return Facts(
            instant=self.instant,
            evidence=Evidence(),
            position=position,
            holder=holder,
            employer=employer if isinstance(employer, Employer) else None,
            programme=APETIZ if isinstance(employer, Employer) else None,
            own=own,
            beside=None if beside is None else self._states.get(beside),
        )

    def later(self, **time: int) -> None:
        self.instant += timedelta(**time)

    def get(self, passbook: str, kind: type[Kind]) -> Kind:
        """What stands in a passbook."""
        state = self._states[HolderId(passbook)]
        assert isinstance(state, kind)
        return state

    def put(self, passbook: HolderId, state: State) -> None:
        """Have something stand in a passbook, however it came there."""
        self._states[passbook] = state

    def order(self) -> Order:
        return self.get(order_passbook(CLIENT, ORDER), Order)

    def position(self, holder: str = HOLDER) -> Position:
        return self.get(holder, Position)

    def snapshot(self) -> tuple[Any, ...]:
        """All that stands here."""
        return dict(self._states), Counter(self.balances)

    def _audit(self, outcome: Outcome) -> None:
        assert sum(self.balances.values()) == 0
        assert all(cents * sign(account) >= 0 for account, cents in self.balances.items())
        if isinstance(outcome.state, Position):
            assert outcome.holder is not None
            own = {name: cents for name, cents in self.balances.items() if f":{outcome.holder}:" in name and cents}
            assert own == claimed(outcome.holder, outcome.state.purse)


def client(*more: Administration) -> Books:
    """A client with a contract for titres-restaurant, and what came after."""
    return Books(RegisterEmployer(Employer(CLIENT, "Atelier Durand", "apetiz")), OFFERED, ACCEPTED, OPENED, *more)


def paid(*more: Administration) -> Books:
    """The same, and one order of one line for one holder, confirmed and paid."""
    return client(ENTERED, DRAFTED, CONFIRMED, PAID, *more)


def held(*more: Administration) -> Books:
    """The same, and the line carried out: the holder has vouchers, and a card that isn't active."""
    return paid(FULFILLED, *more)


def enrolled(employer: str = "E1") -> Books:
    """A holder whom another employer enrolled, and an order of the client for them that is paid."""
    return paid(Enrol(HOLDER, employer))
