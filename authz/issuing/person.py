"""A person, as letters and cards need them."""

from typing import Any, Literal

from msgspec import Struct


class Person(Struct, frozen=True, gc=False):
    """A person to write to: `language` is what their letters are in. Its repr shows nothing."""

    first_name: str
    last_name: str
    email: str
    language: Literal["fr", "nl", "en"] = "fr"

    def __repr__(self) -> str:
        return "Person(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
