"""What letters there are, and how each is written: a template a letter and language, a subject and a plain text.

A template's first line is its subject; below an empty line follows the text. Every `$name` in it is a field of its
letter, the person's `$first_name`, or `$link`, where people go to look at more.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, get_args

from msgspec import Struct, structs

from authz.decision.issuing.states import RequestKind
from authz.decision.position import CardStatus
from authz.issuing.outbox.tongues import TONGUES
from authz.issuing.person import Person
from ledger.values import Cents


class Access(Struct, frozen=True, gc=False):
    """A letter that brings an account's access. `access` is a link with a token in it: no repr shows it.

    `company` and `account` are the account's name and id.
    """

    company: str
    account: str
    access: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.account!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("account", self.account)]


class Opened(Access, frozen=True, tag="opened", gc=False):
    """A new account is open."""


class Added(Access, frozen=True, tag="added", gc=False):
    """Contracts were added to an account."""


class Joined(Access, frozen=True, tag="joined", gc=False):
    """Somebody may act for an account from now on."""


class Appointed(Access, frozen=True, tag="appointed", gc=False):
    """Somebody orders for many clients from now on, as an agent of this name and id."""


class Loaded(Struct, frozen=True, tag="loaded", gc=False):
    """Vouchers were loaded."""

    amount: Cents
    product: str
    company: str
    until: date


class Low(Struct, frozen=True, tag="low", gc=False):
    """A payment has left little of a product."""

    product: str
    left: Cents


class Expiring(Struct, frozen=True, tag="expiring", gc=False):
    """Vouchers soon expire: `until` is their last day."""

    amount: Cents
    product: str
    until: date


class Sent(Struct, frozen=True, tag="sent", gc=False):
    """A card is on its way: it comes between the two days, and its PIN after it."""

    earliest: date
    latest: date


class Opposed(Struct, frozen=True, tag="opposed", gc=False):
    """A card was stopped, for good, at that instant of the holder's local time."""

    at: datetime
    because: CardStatus


class Asked(Struct, frozen=True, tag="asked", gc=False):
    """A holder asks their employer for something."""

    kind: RequestKind
    company: str
    request: str


class Refused(Struct, frozen=True, tag="refused", gc=False):
    """An employer has refused it."""

    kind: RequestKind
    company: str


Content = Opened | Added | Joined | Appointed | Loaded | Low | Expiring | Sent | Opposed | Asked | Refused
CONTENTS: tuple[type[Content], ...] = get_args(Content)


class Letter(Struct, frozen=True, gc=False):
    """What is to be told to whom: `to` is the id of a contact, and of a holder's too."""

    to: str
    content: Content


class Text(Struct, frozen=True, gc=False):
    """A letter as it is read. Its repr shows nothing: it may have an access in it."""

    subject: str
    body: str

    def __repr__(self) -> str:
        return "Text(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def written(content: Content, person: Person, link: str) -> Text:
    """Write a letter in a person's language."""
    tongue = TONGUES[person.language]
    values: Mapping[str, str] = {
        **{name: tongue.shown(value) for name, value in structs.asdict(content).items()},
        "first_name": person.first_name,
        "link": link,
    }
    subject, body = template(person.language, type(content))
    return Text(subject.substitute(values), body.substitute(values))


@cache
def template(language: str, content: type[Content]) -> tuple[Template, Template]:
    """Read the subject and the body of a kind of letter."""
    name = content.__struct_config__.tag
    text = (files("authz.issuing.outbox") / "templates" / language / f"{name}.txt").read_text(encoding="utf-8")
    subject, _, body = text.partition("\n\n")
    return Template(subject), Template(body)
