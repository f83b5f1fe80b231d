"""What went wrong, as RFC 9457 has it: one body for every error."""

from msgspec import Struct

KEY_HEADER = "Idempotency-Key"


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with what was sent: in a field of the request, or a line and column of a list."""

    what: str
    field: str = ""
    line: int = 0
    column: str = ""


class Problem(Struct, frozen=True, omit_defaults=True):
    """An error. `title` is the status in words, `detail` what to do about it, `errors` every fault that was found."""

    title: str
    status: int
    detail: str = ""
    errors: tuple[Fault, ...] = ()
