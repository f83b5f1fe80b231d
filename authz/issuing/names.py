"""Names of new things: made from the idempotency key of what makes them, so that a repeat finds the same thing."""

from hashlib import blake2b

from authz.decision.issuing.states import AgentId, ClientId, ContactId

ID_BYTES = 8
"""Half of what could be told apart: enough for things that are counted in millions."""


def new_id(kind: str, subject: str, key: str) -> str:
    """Name a thing of a kind that belongs to `subject` (empty: to nobody) and was asked for under `key`.

    >>> new_id("client", "o1", "k1")
    'f64c7f76d69bfadf'
    """
    return blake2b("\x1f".join((kind, subject, key)).encode(), digest_size=ID_BYTES).hexdigest()


def access_id(subject: ClientId | AgentId, user: ContactId) -> str:
    """Name the access of a client's or an agent's user: its token can be made again for the letter that brings it."""
    return new_id("access", subject, user)
