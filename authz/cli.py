"""The command line: `authz`. Exit 0: done, 1: a finding, 2: wrong use. Errors are one line on standard error."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import uvloop
from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from authz import cli_keys, demo_data, logs
from authz import demo as lunch
from authz.clock import Now, SimulatedClock, system_clock
from authz.collector import spare_the_collector
from authz.config import Config, ConfigInvalid, read
from authz.database import Embedded, anchors_in
from authz.engine import schema
from authz.issue_cli import NotAsked, NotDone
from authz.issuing.cardfiles import FolderUnusable
from authz.replay import Difference
from authz.replay import replay as decide_again
from authz.security.keys import masked
from authz.security.module import SecurityError
from authz.service import NotStarted, Service, running
from ledger.embedded import EmbeddedError
from ledger.signing import KeyUnusable
from ledger.source import NoLedgerNamed, Source, address
from ledger.store import LedgerError

DONE, FINDING, WRONG, INTERRUPTED = 0, 1, 2, 130

Port = Annotated[int | None, Parameter(validator=Number(gte=0, lte=65_535))]

app = App(
    name="authz",
    help="Authorizes payments with prepaid voucher cards: ISO 8583 over TCP, durable in a PostgreSQL ledger.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)
app.command(cli_keys.keys)
app.command(cli_keys.vault)
app.command("authz.issue_cli.app:issue", name="issue", help="Issuing, through the API of an authorizer that runs.")


class WrongUse(Exception):
    """The options don't fit together."""


MISTAKES = (
    WrongUse,
    cli_keys.WrongKey,
    NoLedgerNamed,
    ConfigInvalid,
    NotStarted,
    NotAsked,
    FolderUnusable,
    EmbeddedError,
    KeyUnusable,
    LedgerError,
    SecurityError,
)


@app.command
def serve(
    *,
    demo: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    master_key_file: Path | None = None,
    data: Path | None = None,
    database: str | None = None,
    port: Port = None,
    http_port: Port = None,
    clock: str | None = None,
    pg_bin: Path | None = None,
    json_logs: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run the authorizer until it is told to stop (SIGTERM), and then answer what is in flight first.

    Parameters
    ----------
    demo
        Load the demo's data into an empty ledger, and use its link and keys where no configuration is given.
    config
        A TOML file with links and keys.
    master_key_file
        The file with the key that the configuration's keys are sealed under, instead of the one that it names.
    data
        The folder of an embedded PostgreSQL; it is made if it isn't there. Default: ./authz-data
    database
        The address of a PostgreSQL to use instead, as the application's role.
    port
        The port of the first link; 0 picks a free one. Default: the configuration's, 8583 in the demo.
    http_port
        The port of health, metrics and API; 0 picks a free one. Default: the configuration's, 8080 in the demo.
    clock
        The engine's time when it is ready, such as 2026-05-12T12:30:00+02:00; it runs from there. With --demo only.
    pg_bin
        A folder with PostgreSQL's programs (17 or later), instead of those that came along.
    json_logs
        Log lines as JSON.
    """
    logs.configure(as_json=json_logs)
    if not demo and config is None:
        raise WrongUse("say --demo, or --config FILE, or both")
    if clock is not None and not demo:
        raise WrongUse("--clock goes with --demo only: real payments run on real time")
    if data is not None and database is not None:
        raise WrongUse("say either --data DIR or --database URL")

    def reread() -> Config:
        return demo_data.read().config() if config is None else read(config, master_key_file, demo=demo)

    settings = _with_ports(reread(), port, http_port)
    if demo:
        logs.warning("DEMO KEYS ARE IN USE: they are published test values, never use them with real cards")
    now = system_clock if clock is None else SimulatedClock(_instant(clock))
    return _run(_serve(settings, now, database, data or Path("authz-data"), pg_bin, reread, demo=demo))


@app.command
def create(*, database: str, partitions: Annotated[int, Parameter(validator=Number(gte=1))] = 1) -> int:
    """Create the ledger in a PostgreSQL database, or bring it up to date.

    Parameters
    ----------
    database
        The address of the database, as a superuser.
    partitions
        How many parts the ledger has, each written by one process at a time: fixed for good when it is created.
    """
    return _run(_create(database, partitions))


@app.command
def replay(*, source: Source | None = None) -> int:
    """Decide every record of a ledger again, and compare: replies, transfers and positions must come out the same.

    Exit 0 if they all do, 1 if one doesn't: the first is named, with what comes out otherwise.

    Parameters
    ----------
    source
        Where the ledger is.
    """
    spare_the_collector()
    with address(source) as url:
        outcome = asyncio.run(decide_again(url))
    if isinstance(outcome, Difference):
        sys.stderr.write(f"authz: {outcome}\n")
        return FINDING
    sys.stdout.write(f"{outcome.records:,} records decided again: each came out as it is recorded\n")
    return DONE


@app.command
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
    return _run(lunch.run(payments, holders, data))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `authz` and return its exit code."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        return _complain(f"{masked(' '.join(str(wrong).split()).rstrip('.'))}; see authz --help")
    except MISTAKES as wrong:
        return _complain(str(wrong))
    except NotDone as refused:
        return _report(refused)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


async def _serve(
    config: Config,
    now: Now,
    database: str | None,
    data: Path,
    pg_bin: Path | None,
    reread: Callable[[], Config],
    *,
    demo: bool,
) -> int:
    embedded = None if database is not None else await Embedded.start(data, pg_bin)
    url = embedded.url if embedded is not None else str(database)
    try:
        if embedded is not None and demo:
            embedded.tell_superuser_url(data)
        if embedded is not None and config.anchors is None:
            config = msgspec.structs.replace(config, anchors=anchors_in(data))
        if embedded is not None and demo and config.production is None:
            config = msgspec.structs.replace(config, production=demo_data.production_in(data))
        async with running(config, url, now, demo=demo) as service:
            for role, token in service.demo_tokens.items():
                logs.warning("demo token", role=role, token=token)
            iso8583 = f"{config.links[0].host}:{service.links[0].port}"
            sys.stdout.write(f"ready iso8583={iso8583} http={config.http_host}:{service.http_port} database={url}\n")
            sys.stdout.flush()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _change_keys, service, reread)
            await asyncio.Event().wait()
    finally:
        if embedded is not None:
            await embedded.stop()
    return DONE


def _change_keys(service: Service, reread: Callable[[], Config]) -> None:
    """Take the issuer's and the vault's keys from the configuration as it is now; if it can't be read, keep those."""
    try:
        config = reread()
        service.security.change_keys(config.issuer, config.vault)
    except (ConfigInvalid, SecurityError) as error:
        logs.warning("keys not read again", why=str(error))
    else:
        logs.warning("keys read again")


async def _create(database: str, partitions: int) -> int:
    try:
        await schema.create(database, partitions)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotStarted(f"the ledger can't be created there: {error}") from None
    return DONE


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end, or until SIGTERM or SIGINT, which unwinds it in order. A second signal ends it at once."""

    async def stoppable() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop() -> None:
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(name)
            task.cancel()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)
        try:
            return await work
        except asyncio.CancelledError:
            return DONE

    return uvloop.run(stoppable())


def _with_ports(config: Config, port: int | None, http_port: int | None) -> Config:
    first, *others = config.links
    if port is not None:
        first = msgspec.structs.replace(first, port=port)
    http_port = config.http_port if http_port is None else http_port
    return msgspec.structs.replace(config, links=(first, *others), http_port=http_port)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"--clock {text!r} is no instant: write it as 2026-05-12T12:30:00+02:00") from None
    if instant.tzinfo is None:
        raise WrongUse(f"--clock {text} has no zone: add one, such as +02:00")
    return instant


def _report(refused: NotDone) -> int:
    """Say what the API found: every fault of a list, and in one line what that means."""
    if refused.errors:
        from authz.issue_cli.showing import show_faults  # there already, where something was refused

        show_faults(refused.errors, as_json=refused.as_json)
    sys.stderr.write(f"authz: {refused}\n")
    return FINDING


def _complain(text: str) -> int:
    sys.stderr.write(f"authz: {text}\n")
    return WRONG
