"""The commands `authz serve` and `authz create`."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from authz import logs
from authz.clock import Now, SimulatedClock, system_clock
from authz.config.configuration import Config, ConfigInvalid, HttpTable, make, read
from authz.config.tables import without_password
from authz.database import Embedded, anchors_in
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.lifesigns import tell
from authz.open_links import LinkNotOpened
from authz.security.module import SecurityError
from authz.service import NotStarted, Service, running
from authz.stopping import DONE, run_until_stopped
from authz.systemd import Systemd
from ledger.store import LedgerError

Port = Annotated[int | None, Parameter(validator=Number(gte=0, lte=65_535))]
Read = Callable[[], Config]
"""Reads the configuration as it is now. Raises `ConfigInvalid` and `SecurityError`."""


class WrongUse(Exception):
    """The options don't fit together."""


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

    SIGHUP: keys, links and programmes are read again. What no option says, the environment does (AUTHZ_HTTP_PORT),
    or the configuration.

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
        said = _demo() if config is None else read(config, master_key_file, demo=demo)
        if not said.links:
            raise ConfigInvalid(f"{config}: no [[link]]: nobody could send a payment")
        return _with_ports(said, port, http_port)

    settings = reread()
    if demo:
        logs.warning("DEMO KEYS ARE IN USE: they are published test values, never use them with real cards")
    now = system_clock if clock is None else SimulatedClock(_instant(clock))
    if database is None and data is None:
        database = settings.database
    systemd = Systemd()
    work = _serve(settings, now, database, data or Path("authz-data"), pg_bin, reread, systemd, demo=demo)
    return run_until_stopped(work, systemd.stopping)


def create(*, database: str, partitions: Annotated[int, Parameter(validator=Number(gte=1))] = 1) -> int:
    """Create the ledger in a PostgreSQL database, or bring it up to date.

    Parameters
    ----------
    database
        The address of the database, as a superuser.
    partitions
        How many parts the ledger has, each written by one process at a time: fixed for good when it is created.
    """
    return run_until_stopped(_create(database, partitions))


async def _serve(
    config: Config,
    now: Now,
    database: str | None,
    data: Path,
    pg_bin: Path | None,
    reread: Read,
    systemd: Systemd,
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
            http = f"{config.http_host}:{service.http_port}"
            sys.stdout.write(f"ready iso8583={iso8583} http={http} database={without_password(url)}\n")
            sys.stdout.flush()
            await _attend(service, reread, systemd)
    finally:
        if embedded is not None:
            await embedded.stop()
    return DONE


async def _attend(service: Service, reread: Read, systemd: Systemd) -> None:
    """Reload at each SIGHUP, one after the other, and keep systemd told, until cancelled."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    telling = asyncio.create_task(tell(systemd, lambda: service.lives, lambda: service.status))
    systemd.ready()
    try:
        while True:
            await asked.wait()
            asked.clear()
            systemd.reloading()
            await reload(service, reread)
            systemd.ready()
    finally:
        telling.cancel()


async def reload(service: Service, reread: Read) -> None:
    """Take keys, links and programmes from the configuration as it is now; if it can't be used, all stays as it is."""
    try:
        changes = await service.reload(await asyncio.to_thread(reread))
    except (ConfigInvalid, SecurityError, LinkNotOpened, LedgerError) as error:
        logs.warning("links, programmes and keys not read again: all stays as it was", why=str(error))
    except NotStarted as error:
        logs.warning("links and keys read again, but not the programmes", why=str(error))
    except Exception as error:  # a defect costs this reload, and is told without content
        logs.warning("links, programmes and keys not all read again", error=type(error).__name__)
    else:
        told = {name: " ".join(links) for name, links in msgspec.structs.asdict(changes).items() if links}
        logs.warning("links, programmes and keys read again", **told)


async def _create(database: str, partitions: int) -> int:
    try:
        await schema.create(database, partitions)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotStarted(f"the ledger can't be created there: {error}") from None
    return DONE


def _demo() -> Config:
    """The demo's link and keys, with what the environment says."""
    data = demo_data.read()
    return make((data.link,), data.issuer_keys, data.vault.key, HttpTable(port=8080), os.environ)


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
