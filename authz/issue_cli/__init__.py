"""The commands `authz issue …`: issuing, through the HTTP API and nothing else (docs/issuing.md).

Exit 0: done, 1: the API refused it, or found errors in a list, 2: wrong use, or no API is reached.
"""

from authz.issuing.bodies.problems import Fault


class NotAsked(Exception):
    """The API can't be asked: the message says why, and what to do."""


class NotDone(Exception):
    """The API refused, and nothing was changed. `errors` is every fault in a list, `as_json` how to tell them."""

    def __init__(self, said: str, errors: tuple[Fault, ...] = (), *, as_json: bool = False) -> None:
        super().__init__(said)
        self.errors = errors
        self.as_json = as_json
