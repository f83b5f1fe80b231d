"""The command `authz demo`."""

from pathlib import Path

from authz import logs
from authz.demo import demo as lunch
from authz.stopping import run_until_stopped


def demo(*, payments: int = lunch.PAYMENTS, holders: int = lunch.HOLDERS, data: Path | None = None) -> int:
    """Show the main job in one go: a lunch of payments through real sockets and a real database, then the books.

    Parameters
    ----------
    payments
        How many payments the lunch has.
    holders
        How many holders are generated beside the demo's.
    data
        The folder of the embedded PostgreSQL, if it is to be kept; otherwise a temporary one.
    """
    logs.configure(as_json=False)
    return run_until_stopped(lunch.run(payments, holders, data))
