"""Draws messages: new ones, ones that name others, and ones that were sent before. Nothing drawn is thrown away."""

import dataclasses
import math
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import Inquiry, Reversal
from authz.engine.requests import Request
from ledger.values import Cents
from tests.engine.messages import advice, again, completion, partial, refund, reversal
from tests.engine.world import PIN, WRONG_PIN
from tests.properties.engines import ACQUIRERS, HOLDERS, Engines, Sent, key_of
from tests.properties.model import PARIS, Ask

PINS = {"right": PIN, "wrong": WRONG_PIN, "none": None}
ANOTHER_AMOUNT = Cents(901)
NAMEABLE_MAX = 16
"""How far back a message names another."""
HOLDS, NAMEABLE = ("010", "012"), ("010", "012", "020", "022")

NEW = ["purchase", "purchase", "purchase", "hold", "hold", "advice", "offline hold"]
LATER = ["completion", "completion", "reversal", "reversal", "reversal", "refund", "again", "again", "reused"]

kinds = st.sampled_from([*NEW, *LATER])
amounts = st.one_of(st.integers(1, 700), st.integers(1, 2_500))
pins = st.sampled_from([*["right"] * 9, "wrong", "none"])
seldom = st.sampled_from([False, False, False, True])
rarely = st.sampled_from([*[False] * 15, True])


def sendings(engines: Engines, data: st.DataObject, number: int) -> list[Sent]:
    """Draw messages to be in flight together: they may name each other, and come before what they name."""
    drawn = [_draw(engines, data) for _ in range(number)]
    if data.draw(seldom):
        drawn.reverse()
    # What is left out may come later: by then it was reversed, or it is a repeat whose original never came.
    return drawn[1:] if number > 1 and data.draw(seldom) else drawn


def _draw(engines: Engines, data: st.DataObject) -> Sent:
    kind = data.draw(kinds)
    if kind in ("again", "reused") and engines.sent:
        one = data.draw(st.sampled_from(list(engines.sent.values())[-NAMEABLE_MAX:]))
        return _reused(one) if kind == "reused" else replace(one, request=again(one.request, repeat=data.draw(seldom)))
    of = None
    if kind in ("completion", "reversal", "refund"):
        nameable = HOLDS if kind == "completion" and not data.draw(rarely) else NAMEABLE
        candidates = [one for one in engines.sent.values() if one.ask.key[2] in nameable][-NAMEABLE_MAX:]
        of = data.draw(st.sampled_from(candidates)) if candidates else None
    one = _new(engines, data, kind) if of is None else _naming(engines, data, kind, of)
    engines.sent[one.ask.key] = one
    return one


def _new(engines: Engines, data: st.DataObject, kind: str) -> Sent:
    """A purchase or an advice of either kind, or a refund that names nothing."""
    number, amount = data.draw(st.sampled_from(HOLDERS)), data.draw(amounts)
    pan, fields = engines.pans[number], _fields(engines, data.draw(st.sampled_from(ACQUIRERS)), 0)
    if kind in ("advice", "offline hold"):
        fields = _fields(engines, fields["acquirer"], data.draw(st.integers(-1, 5)))
        mti, declined = "0220" if kind == "advice" else "0120", data.draw(rarely)
        request = advice(engines.world, pan, amount, declined=declined, mti=mti, **fields)
        return _sent(request, number, "advice", amount, declined=declined)
    if kind == "refund":
        return _sent(refund(engines.world, pan, amount, None, **fields), number, "refund", amount, pin="none")
    pin, takes_partial = data.draw(pins), data.draw(seldom)
    mti = "0100" if kind == "hold" else "0200"
    request = engines.world.request(pan, amount, mti=mti, pin=PINS[pin], **fields)
    request = partial(request) if takes_partial else request
    return _sent(request, number, "purchase", amount, pin=pin, takes_partial=takes_partial)


def _naming(engines: Engines, data: st.DataObject, kind: str, of: Sent) -> Sent:
    """A completion, a reversal or a refund. That of another's card or at another acquirer's names nothing of theirs."""
    acquirer, number = of.ask.acquirer, of.ask.holder
    if data.draw(rarely):
        acquirer = data.draw(st.sampled_from(ACQUIRERS))
    if data.draw(rarely):
        number = data.draw(st.sampled_from(HOLDERS))
    pan, world = engines.pans[number], engines.world
    names = (acquirer, number, *of.ask.key[2:]) if acquirer == of.ask.acquirer else None
    amount = _around(data, of.ask.amount, least=1 if kind == "refund" else 0)
    if kind == "completion":
        fields = _fields(engines, acquirer, data.draw(st.integers(-1, 5)))
        if of.approval is not None and data.draw(seldom):
            request = completion(world, pan, amount, approval=of.approval, **fields)
        else:
            request = completion(world, pan, amount, of.request, **fields)
    elif kind == "refund":
        request = refund(world, pan, amount, of.request, **_fields(engines, acquirer, 0))
    else:
        amount = amount if data.draw(st.booleans()) else 0
        request = reversal(world, pan, of.request, amount, **_fields(engines, acquirer, 0))
    return _sent(request, number, kind, amount, names=names, pin="none")


def _around(data: st.DataObject, amount: int, *, least: int) -> int:
    """An amount below another, that one, or one above it."""
    amount = max(amount, least)
    return data.draw(st.one_of(st.just(amount), st.integers(least, amount), st.integers(amount, amount + 300)))


def _fields(engines: Engines, acquirer: str, days_back: int) -> dict[str, Any]:
    local = (engines.now - timedelta(days=days_back)).astimezone(PARIS)
    sent = {"transmitted": f"{engines.now:%m%d%H%M%S}", "local": f"{local:%Y%m%d%H%M%S}"}
    return sent | {"acquirer": acquirer, "link": acquirer, "deadline": math.inf}


def _sent(request: Request, number: int, kind: str, amount: int, **more: Any) -> Sent:
    day = date.fromisoformat(request.command.origin.local[:8])
    return Sent(request, Ask(kind, key_of(request, number), amount, day, **more))


def _reused(one: Sent) -> Sent:
    """The same identity with another amount."""
    command, origin = one.request.command, one.request.command.origin
    assert not isinstance(command, Inquiry)
    if isinstance(command, Reversal):
        origin = replace(origin, replacement=f"{ANOTHER_AMOUNT:012}")
        changed: Any = replace(command, origin=origin, stands=ANOTHER_AMOUNT)
    else:
        origin = replace(origin, amount=f"{ANOTHER_AMOUNT:012}")
        changed = replace(command, origin=origin, amount=ANOTHER_AMOUNT)
    ask = dataclasses.replace(one.ask, amount=int(ANOTHER_AMOUNT))
    return Sent(replace(one.request, command=changed), ask)
