"""The steps of a scenario, as their TOML says them: `do` tells which it is. Unknown keys are refused.

Amounts are whole cents or sums of cents and variables (`simulators.scenarios.arithmetic`); fields are named by their
addresses (`simulators.scenarios.fields`); durations are ISO 8601's, such as "PT90M" or "-P1D".
"""

from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from simulators.faults.fates import LineFaults
from simulators.scenarios.arithmetic import NAME_PATTERN, Sum
from simulators.scenarios.expectations import Expectations
from simulators.terminal.messages import Entry

STEPS_MAX = 500
"""Of a scenario, and of each branch of a parallel step."""
BRANCHES_MAX = 64
WITHIN_MS_DEFAULT = 8_000
"""Above the 5 s within which a host answers or declines to."""
WITHIN_MS_MAX = 60_000

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=80)]
"""Of a scenario, a step, a terminal or a card in the scenario."""
Variable: TypeAlias = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$")]
Milliseconds: TypeAlias = Annotated[int, Meta(ge=1, le=WITHIN_MS_MAX)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Step(Table, tag_field="do", frozen=True, kw_only=True):
    """One thing that happens. Its name says what it shows, and is the only one of its kind in the scenario."""

    name: Name


class Sent(Step, frozen=True, kw_only=True):
    """A message and what must be answered; `expect = "silence"`: nothing, within `within_ms`.

    `terminal` may be left out where the scenario has only one, or where `of` names a step that has one. `fields` and
    `without` change the message last, by address. `capture` puts what stands at an address into a variable. Its repr
    shows its name only, for fields may be secret.
    """

    terminal: Name | None = None
    expect: Literal["silence"] | Expectations = {}
    capture: dict[Variable, str] = {}
    fields: dict[str, str] = {}
    without: tuple[str, ...] = ()
    mac: Literal["right", "wrong", "none"] = "right"
    within_ms: Milliseconds = WITHIN_MS_DEFAULT

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name)]


class Presented(Sent, frozen=True, kw_only=True):
    """A card is presented. `pin` is what is typed where it isn't the card's; contactless, what is typed at all.

    `counter` sets the chip's counter, which otherwise only rises. `product` is the two digits of DE 3.
    """

    card: Name
    entry: Entry = Entry.CHIP
    product: Annotated[str, Meta(pattern="^[0-9]{2}$")] = "00"
    pin: str | None = None
    counter: Annotated[int, Meta(ge=1, le=0xFFFF)] | None = None


class Purchase(Presented, tag="purchase", frozen=True, kw_only=True):
    """0200: to be paid at once. `partial`: the till takes a part."""

    amount: Sum
    partial: bool = False


class Authorization(Presented, tag="authorization", frozen=True, kw_only=True):
    """0100: an amount is set aside."""

    amount: Sum
    partial: bool = False


class Inquiry(Presented, tag="inquiry", frozen=True, kw_only=True):
    """0100 with processing code 31: what is left."""


class Advice(Presented, tag="advice", frozen=True, kw_only=True):
    """0220 of a sale made offline. `response_code` (DE 39) is what was decided there."""

    amount: Sum
    response_code: str | None = None


class HoldAdvice(Presented, tag="hold-advice", frozen=True, kw_only=True):
    """0120: an amount was set aside offline."""

    amount: Sum
    response_code: str | None = None


class Following(Sent, frozen=True, kw_only=True):
    """A message about an earlier one: that of the step which `of` names."""

    of: Name


class Refund(Following, tag="refund", frozen=True, kw_only=True):
    """0200 with processing code 20: money back for goods."""

    amount: Sum


class Completion(Following, tag="completion", frozen=True, kw_only=True):
    """0220 that captures a hold; of 0: releases it. It is named by DE 90, or `by` the approval code."""

    amount: Sum
    by: Literal["original", "approval"] = "original"


class Reversal(Following, tag="reversal", frozen=True, kw_only=True):
    """0400: a request is taken back, or lowered to the cents that `stands`."""

    stands: Sum | None = None


class ReversalAdvice(Following, tag="reversal-advice", frozen=True, kw_only=True):
    """0420: a request was taken back."""

    stands: Sum | None = None


class Repeat(Following, tag="repeat", frozen=True, kw_only=True):
    """The very same message again, with 1 as the last digit of its type."""


class Network(Sent, tag="network", frozen=True, kw_only=True):
    """0800, which the acquirer's host sends. `day`: the business day that a cutover begins."""

    code: Literal["sign-on", "sign-off", "cutover", "echo"]
    day: date | None = None


class Counted(Table, frozen=True, kw_only=True):
    """What the acquirer counted; what isn't said is 0. `net` is worked out."""

    credits_number: Sum = 0
    credits_reversal_number: Sum = 0
    debits_number: Sum = 0
    debits_reversal_number: Sum = 0
    credits_amount: Sum = 0
    credits_reversal_amount: Sum = 0
    debits_amount: Sum = 0
    debits_reversal_amount: Sum = 0


class DayTotals(Sent, tag="totals", frozen=True, kw_only=True):
    """0500: a business day's totals, held against the host's. DE 66 of the reply is 1 where they agree."""

    day: date
    counted: Counted = Counted()


class Raw(Sent, tag="message", frozen=True, kw_only=True):
    """A message of nothing but its type, DE 7, DE 11 and `fields`."""

    mti: Annotated[str, Meta(pattern="^[0-9]{4}$")]


class Pays(Presented, tag="pays", frozen=True, kw_only=True):
    """A purchase by a till that takes back what gets no answer, until that is acknowledged.

    `expect`: of the answer's fields, as elsewhere; or `taken-back`: no answer came, and a reversal was acknowledged;
    or `stored`: no answer came to the reversals either, and the till keeps them.
    """

    amount: Sum
    partial: bool = False
    expect: Literal["taken-back", "stored"] | Expectations = {}  # type: ignore[assignment]  # a till's silence has more to say


class Tells(Step, tag="tells", frozen=True, kw_only=True):
    """A till tells what it has stored; `expect` is of each acknowledgement."""

    terminal: Name | None = None
    expect: Expectations = {}


class Books(Step, tag="books", frozen=True, kw_only=True):
    """What a terminal believes of its money, in cents: what it is `owed`, its `sales`, and what it `holds`."""

    terminal: Name | None = None
    owed: Sum | None = None
    sales: Sum | None = None
    holds: Sum | None = None


class Fault(Step, tag="fault", frozen=True, kw_only=True):
    """The line is bad from now on, as the fault proxy's faults say (parts per 1,000; docs/faults.md)."""

    line: LineFaults


class Heal(Step, tag="heal", frozen=True, kw_only=True):
    """The line is good from now on."""


class ClockJump(Step, tag="clock", frozen=True, kw_only=True):
    """The clock of a terminal jumps; without one, all of theirs."""

    by: timedelta
    terminal: Name | None = None


class Branch(Table, frozen=True, kw_only=True):
    """Steps one after the other, beside those of other branches."""

    step: Annotated[tuple["AnyStep", ...], Meta(min_length=1, max_length=STEPS_MAX)]


class Parallel(Step, tag="parallel", frozen=True, kw_only=True):
    """Branches at the same time; the step is over when each of them is."""

    branch: Annotated[tuple[Branch, ...], Meta(min_length=2, max_length=BRANCHES_MAX)]


AnyStep: TypeAlias = (
    Purchase
    | Authorization
    | Inquiry
    | Advice
    | HoldAdvice
    | Refund
    | Completion
    | Reversal
    | ReversalAdvice
    | Repeat
    | Network
    | DayTotals
    | Raw
    | Pays
    | Tells
    | Books
    | Fault
    | Heal
    | ClockJump
    | Parallel
)
