"""What the driver raises, as the ledger's own errors, which hold nothing of a row."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from ledger import schema
from ledger.store import AccessRefused, Fenced, IdentityTaken, LedgerError, OutcomeUnknown, Unavailable

LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a lost connection looks like."""

_FENCED = "LF001"
_SESSION_ENDS = ("FATAL", "PANIC")
_REFUSED = {
    "28P01": "the password is wrong",
    "28000": "this role may not log in from here",
    "3D000": "there is no such database",
    "42501": "this role lacks rights on the ledger",
}
"""What no waiting mends, by SQLSTATE."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise a `LedgerError` for whatever the driver raises."""
    try:
        yield
    except LedgerError:
        raise
    except asyncpg.UndefinedTableError:
        raise schema.SchemaTooOld("the database has no ledger: create its schema as a superuser") from None
    except LOST as error:
        raise Unavailable(f"the database can't be reached ({type(error).__name__})") from None
    except asyncpg.PostgresError as error:
        raise _refusal(error) from None


def _refusal(error: asyncpg.PostgresError) -> LedgerError:
    if error.sqlstate == _FENCED:
        return Fenced("another writer has the partition")
    if isinstance(error, asyncpg.UniqueViolationError) and (error.table_name or "").startswith("identity"):
        return IdentityTaken("a record with one of these identities exists")
    if error.sqlstate in _REFUSED:
        return AccessRefused(f"the database refuses: {_REFUSED[error.sqlstate]}; check its address (--database)")
    if isinstance(error, asyncpg.DiskFullError):
        return Unavailable("the database refuses: no space is left on its disk")
    return Unavailable(f"the database refuses (SQLSTATE {error.sqlstate})")


def append_failure(error: Exception, connection: asyncpg.Connection) -> LedgerError:
    """Tell what became of an append: an error that the server reports is known, what ends the connection isn't."""
    if isinstance(error, LedgerError):
        return error
    if isinstance(error, asyncpg.DataError):
        return Unavailable("a value of the batch doesn't fit its column: nothing was sent")
    if isinstance(error, asyncpg.PostgresError) and not connection.is_closed():
        # A session that is ended from outside may have been waiting for its commit's acknowledgement.
        ended = isinstance(error, asyncpg.PostgresConnectionError) or error.severity_en in _SESSION_ENDS
        if not ended:
            return _refusal(error)
    return OutcomeUnknown(f"the connection was lost in an append ({type(error).__name__})")
