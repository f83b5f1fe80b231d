"""A holder's requests one after the other, each told of its original what the records before it say.

The books are kept beside them and held against the purse after every request: whatever a test asks, no cent may be
lost, found or moved twice on the way.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from authz.decision import holds, lots
from authz.decision.calendar import local_day
from authz.decision.commands import Administration, Command, Payment, Refund, Reversal
from authz.decision.decide import decide
from authz.decision.evidence import Original
from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import Position
from authz.decision.programme import Refunds
from authz.decision.standing import Standing
from ledger.accounts import claimed
from ledger.values import Account, Cents, Lot
from tests.decision.world import APETIZ, HOLDER, NOTHING, TUESDAY, facts, position

REFUNDING = replace(APETIZ, refunds=Refunds(allowed=True, source="a programme that takes goods back"))


class History:
    """A holder who begins with some lots. `circumstances` are facts that differ from the usual ones."""

    def __init__(self, *loaded: Lot, at: datetime = TUESDAY, **circumstances: Any) -> None:
        self.instant = at
        self.position: Position = position(*loaded)
        self.balances: Counter[Account] = Counter(claimed(HOLDER, self.position.purse))
        self.balances[Account("issuer:float:90")] = -sum(self.balances.values())
        self._circumstances = {"programme": REFUNDING, **circumstances}
        self._first: dict[str, Standing | None] = {}
        self._newest: dict[str, Standing] = {}
        self._never_came: set[str] = set()

    def do(self, command: Command, **circumstances: Any) -> Outcome:
        """Decide what comes next, and keep the books."""
        known = {"instant": self.instant, "original": self.original(command), **self._circumstances, **circumstances}
        if isinstance(command, Administration):
            known |= {"merchant": None, "evidence": NOTHING}
        outcome = decide(command, facts(self.position, **known))
        if isinstance(outcome.state, Position):
            self.position = outcome.state
        self._record(command, outcome)
        self._post(outcome)
        return outcome

    def later(self, **time: int) -> None:
        """Let time pass."""
        self.instant += timedelta(**time)

    def original(self, command: Command) -> Original | None:
        """What the engine would find under the names that a request gives its original."""
        named = command.originals if isinstance(command, Reversal | Refund) else ()
        there = next((one for one in named if one in self._first or one in self._never_came), None)
        if there is None:
            return None
        first = self._first.get(there)
        if first is None:
            return Original(never_came=there in self._never_came)
        newest = self._newest[first.original]
        return Original(newest, self._newest[newest.of] if newest.of else None)

    def stands(self, reference: str) -> Standing:
        """What stands now of a request, or of the hold that it completed."""
        first = self._first[reference]
        assert first is not None, "it moved no money"
        return self._newest[first.original]

    def hold(self, reference: str) -> holds.Named:
        """A hold as a request would find it now at a merchant of Paris."""
        today = local_day(self.instant, "Europe/Paris")
        current, _ = holds.lapse(HOLDER, self.position, today)
        return holds.find(current.purse, lambda hold: hold.id == reference, self._newest.get(reference))

    @property
    def available(self) -> Cents:
        """What could be spent now in Paris, holds that are past their days included."""
        today = local_day(self.instant, "Europe/Paris")
        return lots.available(holds.lapse(HOLDER, self.position, today)[0].purse, "90", today)

    @property
    def spent(self) -> int:
        """What all days that are remembered count, together."""
        return sum(day.amount for day in self.position.spent)

    def balance(self, account: str) -> int:
        """The balance of an account, or of all whose names begin like this."""
        return sum(cents for name, cents in self.balances.items() if name.startswith(account))

    def _record(self, command: Command, outcome: Outcome) -> None:
        """Keep what a record is found by: its reference, and the steps that it takes, each of which can exist once."""
        standings = outcome.reply.standings
        if isinstance(command, Payment) and not isinstance(command, Reversal):
            assert command.reference not in self._first, "a reference names one request"
            self._first[command.reference] = standings[0] if standings else None
        for standing in standings:
            before = self._newest.get(standing.original)
            assert standing.step == (0 if before is None else before.step + 1), "steps have no gaps, and none is twice"
            self._newest[standing.original] = standing
        if outcome.never_came is not None:
            assert outcome.never_came not in self._never_came, "one tombstone"
            self._never_came.add(outcome.never_came)

    def _post(self, outcome: Outcome) -> None:
        for transfer in outcome.transfers:
            assert transfer.amount > 0
            self.balances[transfer.debit] -= transfer.amount
            self.balances[transfer.credit] += transfer.amount
        own = ("holder:", "hold:", "expired:")
        held = {name: cents for name, cents in self.balances.items() if name.startswith(own) and cents}
        assert held == claimed(HOLDER, self.position.purse), "the purse says what the transfers make"
        for name, cents in self.balances.items():
            assert cents >= 0 or not name.endswith(":payable"), "never below 0"
            assert cents <= 0 or not name.endswith(":exceptions"), "never above 0"
        assert sum(self.balances.values()) == 0


def moved(outcome: Outcome) -> dict[str, int]:
    """Sum up an outcome's transfers by the kinds of accounts that they lie between."""
    sums: Counter[str] = Counter()
    for transfer in outcome.transfers:
        sums[f"{_kind(transfer.debit)} to {_kind(transfer.credit)}"] += transfer.amount
    return dict(sums)


def told(outcome: Outcome) -> tuple[Reason, dict[str, int]]:
    """What is answered, and what is moved."""
    return outcome.reply.reason, moved(outcome)


def done(**moves: int) -> tuple[Reason, dict[str, int]]:
    """An approval that moves these cents: `done(hold_to_holder=100)`."""
    return Reason.APPROVED, {name.replace("_", " "): cents for name, cents in moves.items()}


def _kind(account: Account) -> str:
    first, second, *_, last = account.split(":")
    return {"acquirer": last, "issuer": second}.get(first, first)
