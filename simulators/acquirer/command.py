"""`simulate acquirer`."""

import asyncio
import re
import signal
import ssl
import sys
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from authz.security.keys import masked
from authz.wire.codec import Codec
from simulators import command_line
from simulators.acquirer import parameters
from simulators.acquirer.days import Calendar
from simulators.acquirer.rotation import KeyChangeRefused
from simulators.acquirer.service import Acquirer, Settings, running
from simulators.acquirer.terminals import TERMINALS_MAX
from simulators.acquirer.upstream import ECHO_EVERY_S, LINKS_MAX, Route, Tell
from simulators.acquirer.zone_keys import KeyNotHeld
from simulators.command_line import APPROVED, FINDING, Port, WrongUse, address, clock_from, end_asked, say

DATA = Path("acquirer-data")
ROTATE_EVERY_MIN_S = 60
"""For so long the authorizer honours the key before: a change sooner would leave one behind that is in use."""
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def acquirer(
    *,
    upstream: str,
    listen: Port = 0,
    links: Annotated[int, Parameter(validator=Number(gte=1, lte=LINKS_MAX))] = 1,
    dialect: str = "iso87ascii",
    terminals_dialect: str = "iso87ascii",
    terminals_max: Annotated[int, Parameter(validator=Number(gte=1, lte=TERMINALS_MAX))] = TERMINALS_MAX,
    config: Path | None = None,
    data: Path = DATA,
    clearing: Path | None = None,
    cut_over: str | None = None,
    zone: str = "Europe/Paris",
    rotate_keys_every: str | None = None,
    echo_every: str = f"{ECHO_EVERY_S:g}s",
    ca: Path | None = None,
    certificate: Path | None = None,
    certificate_key: Path | None = None,
    clock: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Be the host between many terminals and an authorizer, until SIGINT or SIGTERM; then say what went through.

    What is in flight at the end is still answered. SIGUSR1 ends the business day now, SIGUSR2 changes the link's keys
    now. Exit 1 where a closed day's totals were out of balance.

    Parameters
    ----------
    upstream
        Where the authorizer is, HOST:PORT.
    listen
        The port that terminals connect to; 0 picks a free one, which the ready line names.
    links
        How many connections to the authorizer.
    dialect
        How the authorizer is spoken to: a shipped dialect's name, or the path of a TOML file.
    terminals_dialect
        How terminals speak.
    terminals_max
        Terminals connected at once.
    config
        A TOML file with the acquirer's id and keys. Default: the demo's.
    data
        The folder of the journal, which a restart goes on from. Default: ./acquirer-data
    clearing
        The folder that each closed day's clearing file is written to.
    cut_over
        The local time at which the business day ends, such as 23:30. Default: only when SIGUSR1 says so.
    zone
        The time zone of that time, and of business days.
    rotate_keys_every
        How often the link's keys are changed, such as 90s, 15m, 12h, 1d. Default: only when SIGUSR2 says so.
    echo_every
        After how long without a message a link is tested.
    ca
        Speak TLS, to an authorizer that this certificate authority vouches for (PEM).
    certificate
        The certificate to show (PEM), with TLS.
    certificate_key
        Its private key (PEM).
    clock
        What time it is as the host starts, with its offset, such as 2026-05-12T12:30:00+02:00; it runs from there.
    as_json
        Tell of each event, and at the end of what went through, as a JSON object.
    """
    host, port = address(upstream, "--upstream")
    settings = Settings(
        parameters=parameters.demo() if config is None else parameters.load(config),
        route=Route(
            host,
            port,
            _codec(dialect),
            tls=_tls(ca, certificate, certificate_key),
            links=links,
            echo_every_s=_seconds(echo_every, "--echo-every"),
        ),
        terminals_codec=_codec(terminals_dialect),
        data=data,
        port=listen,
        calendar=Calendar(_zone(zone), _time(cut_over)),
        rotate_every_s=_rotation(rotate_keys_every),
        clearing=clearing,
        terminals_max=terminals_max,
    )
    now = clock_from(clock)
    served = asyncio.run(_until_told(settings, now, upstream, _teller(now, as_json=as_json)))
    if as_json:
        say(msgspec.json.encode(_summary(served)).decode())
    else:
        Console().print(_table(served))
    return FINDING if served.days.out_of_balance else APPROVED


async def _until_told(settings: Settings, now: Callable[[], datetime], upstream: str, tell: Tell) -> Acquirer:
    asked = end_asked()
    loop = asyncio.get_running_loop()
    async with running(settings, now, tell) as served:
        loop.add_signal_handler(signal.SIGUSR1, lambda: served.begin(served.days.close_now()))
        loop.add_signal_handler(signal.SIGUSR2, lambda: served.begin(_rotated(served, tell)))
        say(f"ready listen=127.0.0.1:{served.port} upstream={upstream}")
        ended = asyncio.create_task(asked.wait())
        await asyncio.wait((ended, served.failed), return_when=asyncio.FIRST_COMPLETED)
        if served.failed.done():
            ended.cancel()
            served.failed.result()
        tell("draining", in_flight=served.switch.in_flight)
    return served


async def _rotated(served: Acquirer, tell: Tell) -> None:
    try:
        await served.rotation.rotate(served.upstream)
    except (KeyChangeRefused, KeyNotHeld) as refused:
        tell("key_not_changed", why=str(refused))


def _teller(now: Callable[[], datetime], *, as_json: bool) -> Tell:
    def tell(event: str, **facts: Any) -> None:
        at = now().isoformat(timespec="milliseconds")
        if as_json:
            line = msgspec.json.encode({"at": at, "event": event, **facts}).decode()
        else:
            said = " ".join(f"{name}={_shown(fact)}" for name, fact in facts.items())
            line = f"{at} {event.replace('_', ' ')} {said}".rstrip()
        sys.stderr.write(f"{masked(line)}\n")
        sys.stderr.flush()

    return tell


def _shown(fact: object) -> str:
    text = str(fact)
    return f'"{text}"' if " " in text else text


def _summary(served: Acquirer) -> dict[str, Any]:
    counts = served.counts
    return {
        "terminals": len(counts.terminals),
        "connections": counts.connections,
        "turned_away": counts.turned_away,
        "messages": dict(sorted(counts.messages.items())),
        "answers": dict(sorted(counts.answers.items())),
        "unreadable": counts.unreadable,
        "dropped": counts.dropped,
        "links_lost": served.upstream.reconnections,
        "business_day": served.books.day,
        "in_doubt": len(served.books.in_doubt),
        "owed_cents": -served.books.totals.net,
        "days_out_of_balance": served.days.out_of_balance,
    }


def _table(served: Acquirer) -> Table:
    table = Table(title="What went through", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _summary(served).items():
        if isinstance(value, dict):
            table.add_section()
            for key, number in value.items():
                table.add_row(f"{name} {key}", f"{number:,}")
            table.add_section()
        else:
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    return table


def _codec(dialect: str) -> Codec:
    return Codec(command_line.dialect(dialect))


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if (certificate is None) != (key is None):
        raise WrongUse("--certificate and --certificate-key go together")
    if ca is None:
        if certificate is not None:
            raise WrongUse("--certificate: say with --ca whom to trust, too")
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key, password="")  # an encrypted key fails instead of asking for one
    except (OSError, ssl.SSLError):
        raise WrongUse("--ca, --certificate, --certificate-key: PEM files that can be read expected") from None
    return context


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise WrongUse("--zone: a time zone such as Europe/Paris") from None


def _time(text: str | None) -> time | None:
    if text is None:
        return None
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text, re.ASCII)
    if found is None:
        raise WrongUse("--cut-over: a time of day such as 23:30")
    return time(int(found[1]), int(found[2]))


def _seconds(text: str, option: str) -> float:
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text, re.ASCII)
    if found is None:
        raise WrongUse(f"{option}: a number with its unit, such as 90s, 15m, 12h or 1d")
    return float(int(found[1]) * UNITS_S[found[2]])


def _rotation(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = _seconds(text, "--rotate-keys-every")
    if seconds < ROTATE_EVERY_MIN_S:
        raise WrongUse(f"--rotate-keys-every: at least {ROTATE_EVERY_MIN_S}s, for which the old key is honoured")
    return seconds
