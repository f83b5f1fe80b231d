"""A running authorizer: every part put together, from the database to the listening ports."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from authz import logs
from authz.clock import Now, SimulatedClock
from authz.collector import collect_often, spare_the_collector
from authz.config.configuration import AnchorSettings, Config
from authz.config.links import LinkConfig
from authz.decision.commands import AdoptProgramme
from authz.decision.issuing.states import Role
from authz.decision.reference import programme_passbook
from authz.decision.refused import Refused
from authz.demo_data import data as demo_data
from authz.demo_data.accounts import DemoAccounts
from authz.engine import schema
from authz.engine.anchoring import Anchoring
from authz.engine.cards import Cards
from authz.engine.engine import Engine
from authz.engine.limits import Limits
from authz.engine.passbooks import decode_state
from authz.engine.vault import PostgresVault
from authz.engine.zone_keys import PostgresZoneKeys
from authz.http import HttpServer, application
from authz.issuing.api.limits import RequestLimits
from authz.issuing.contacts import PostgresContacts
from authz.issuing.desks import Issuing, open_desks
from authz.issuing.issuer import Issuer
from authz.issuing.outbox.outbox import Outbox
from authz.issuing.production import Production
from authz.lifesigns import BeatingStore
from authz.link_records import record_links
from authz.links.link import Link
from authz.links.server import LinkServer
from authz.metrics import Metrics
from authz.open_links import Changes, LinkNotOpened, OpenLinks, Zones
from authz.programmes.rulebook import Rulebook
from authz.security.module import ImportedKey, SecurityError
from authz.wire.codec import Codec
from ledger.anchors import AnchorFile
from ledger.signing import Signer
from ledger.store import AccessRefused, LedgerError, Unavailable
from ledger.values import Partition, Seq

RETRY_EVERY_S = 0.25
FIRST_DAY_ZONE = ZoneInfo("Europe/Paris")


class NotStarted(Exception):
    """The authorizer can't start: the message says why."""


class Service:
    """An authorizer over one ledger. Made by `running`."""

    def __init__(self, config: Config, url: str, store: BeatingStore, partitions: list[Partition], now: Now) -> None:
        self.metrics = Metrics()
        self.now = now
        self.store = store
        self.partitions = partitions
        self.security = Zones(config.issuer, {link.terms.acquirer: link.keys for link in config.links}, config.vault)
        self.vault = PostgresVault(url, store.primary)
        self.cards = Cards(self.vault, self.security)
        self.zone_keys = PostgresZoneKeys(url, store.primary)
        self.rulebook = Rulebook(config.programmes)
        self.engine = Engine(
            store,
            self.cards,
            self.security,
            now,
            self.metrics,
            partitions,
            logs.warning,
            Limits(requests_max=max(Limits().requests_max, sum(link.terms.in_flight_max for link in config.links))),
            self.zone_keys,
            self.rulebook,
        )
        self._open_links = OpenLinks(self._link_server, config.links)
        self.contacts = PostgresContacts(url, self.security, store.primary)
        self.issuing = self._issuing(config)
        limits = RequestLimits(config.api.requests_a_second, config.api.orders_a_minute)
        app = application(self.engine, self.metrics, self.issuing, limits)
        self.http = HttpServer(app, config.http_host, config.http_port)
        self.http_port = 0
        self.demo_tokens: Mapping[Role, str] = {}
        """What the demo's API is asked with, by role."""
        self._config = config
        self._anchoring = _anchoring(config.anchors, self.engine, now, self.metrics)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def links(self) -> list[LinkServer]:
        """The links' servers, in the order of the configuration."""
        return self._open_links.servers

    def _link_server(self, link: LinkConfig) -> LinkServer:
        """Make what serves a link."""
        answering = Link(link.terms, Codec(link.dialect), self.engine, self.security, self.now, self.metrics)
        return LinkServer(answering, logs.warning, link.tls)

    @property
    def lives(self) -> bool:
        """Tell whether the ledger has lately been heard of in every partition that is written here."""
        return self.store.hears(self.engine.acknowledged())

    @property
    def status(self) -> str:
        """Say in a line what it does."""
        links = ", ".join(server.link.terms.acquirer for server in self.links)
        return "; ".join(self.engine.unready()) or f"authorizing over the links {links}"

    def _issuing(self, config: Config) -> Issuing:
        issuer = Issuer(self.engine, self.store, self.cards, self.security, self.contacts, self.now)
        settings = config.production
        production = None if settings is None else Production(issuer, settings.folder, settings.recipients)
        outboxes = (
            []
            if config.mail is None
            else [Outbox(issuer, partition, config.mail, self.metrics) for partition in self.partitions]
        )
        applied = self.metrics.order_lines_applied.inc
        return open_desks(issuer, self.partitions, production, outboxes, config.api.issuer_token_sha256, applied)

    async def begin(self, *, demo: bool) -> None:
        """Listen as soon as there is an answer to give: when everything is in place, or at once beside another engine.

        Beside another, the answer is 91, and the rest is put in place behind the takeover. Raises `NotStarted`.
        """
        await self._require_keys()
        logs.event("started", demo=demo)
        self.engine.start()
        if await self.engine.takes_office():
            self._follow_records()
            await self._put_in_place(demo=demo)
            await self._listen()
        else:
            await self._listen()
            self._tasks.append(asyncio.create_task(self._begin_late(demo=demo)))
        if self._anchoring is not None:
            self._tasks.append(asyncio.create_task(self._anchoring.run()))
        spare_the_collector()
        self._tasks.append(asyncio.create_task(collect_often()))
        if isinstance(self.now, SimulatedClock):
            self.now.run()

    async def _begin_late(self, *, demo: bool) -> None:
        """Put in place behind a takeover what a first engine has before it listens, as often as it takes."""
        while True:
            await self.engine.is_ready()
            self._follow_records()
            if isinstance(self.now, SimulatedClock):
                self.now.run()
            try:
                return await self._put_in_place(demo=demo)
            except (NotStarted, LedgerError) as error:
                logs.warning("not all in place after a takeover", why=str(error))
            await asyncio.sleep(RETRY_EVERY_S)

    def _follow_records(self) -> None:
        """Have a simulated clock stand where the ledger's time has come to, if it is behind."""
        if isinstance(self.now, SimulatedClock):
            self.now.wait_at(max(self.now(), self.engine.instant))

    async def _put_in_place(self, *, demo: bool) -> None:
        """Enter what payments rest on, where the ledger doesn't have it yet. Raises `NotStarted` and `LedgerError`."""
        await self.adopt_programmes()
        await self.record_links()
        if demo:
            await self.load_demo()
            await self.engine.age_lots()
        self.engine.keep_up()
        self.issuing.keep_up()

    async def adopt_programmes(self) -> None:
        """Put the programmes in force, where they aren't what the ledger has. Raises `NotStarted`."""
        for programme in self.rulebook.all():
            name, book = programme.id, programme_passbook(programme.id)
            for partition in self.partitions:
                line = (await self.store.newest(partition, [book])).get(book)
                if line is None or decode_state(book, line.position) != programme:
                    key = f"programme {name} after {line.seq if line else 0}"
                    reply = await self.engine.administer(AdoptProgramme(programme), key)
                    if not reply.reason.approves:
                        raise NotStarted(f"programme {name} could not be put in force: {reply.reason}; start again")
                    break

    async def record_links(self) -> None:
        """Have the journal say which links are open. Raises `LedgerError`."""
        await record_links(self.engine, self.store, self.partitions, self._open_links.configs.values())

    async def _require_keys(self) -> None:
        """See to it that the keys that key changes gave to links can be used. Raises `NotStarted`."""
        try:
            await self.engine.restore_keys()
        except (LedgerError, SecurityError) as error:
            raise NotStarted(f"the links' keys can't be restored: {error}; start again") from None

    async def first_instant(self) -> datetime:
        """When this ledger began: its first record's instant, or now."""
        return await self.store.instant_of(self.partitions[0], Seq(1)) or self.now()

    async def load_demo(self) -> None:
        """Enter the demo's data, once, and grant its tokens. Raises `NotStarted`."""
        first_day = (await self.first_instant()).astimezone(FIRST_DAY_ZONE).date()
        data, accounts = demo_data.read(), DemoAccounts(self.issuing.issuer, first_day)
        loader = demo_data.DemoLoader(self.engine, self.cards, self.security, first_day, self.contacts)
        try:
            await loader.load(data)
            await accounts.open(data.employer)
            self.demo_tokens = await accounts.grant(*data.somebody(self.security))
        except (demo_data.DemoNotLoaded, LedgerError, Refused) as error:
            raise NotStarted(f"{error}; start again") from None

    async def _listen(self) -> None:
        """Open the ports. Raises `NotStarted`."""
        try:
            await self._open_links.listen()
        except LinkNotOpened as error:
            raise NotStarted(str(error)) from None
        with _port_in_use(self._config.http_port):
            self.http_port = await self.http.start()
        ports = " ".join(f"{server.link.terms.acquirer}:{server.port}" for server in self.links)
        logs.event("listening", links=ports, http=self.http_port)

    async def reload(self, config: Config) -> Changes:
        """Take keys, links and programmes from a configuration, while payments go on.

        The rest of it holds from the next start. Raises `LinkNotOpened`, `SecurityError` and `LedgerError`: then
        nothing has changed. Raises `NotStarted` where all is changed but the programmes.
        """
        kept = await self.zone_keys.all()
        known = self._open_links.configs
        added = [link for link in config.links if link.terms.acquirer not in known]
        try:
            for link in added:
                self.security.open_zone(link.terms.acquirer, link.keys)
                await self._restore(link, kept)
            changes = await self._open_links.change(
                config.links, lambda: self.security.change_keys(config.issuer, config.vault)
            )
        except BaseException:
            for link in added:
                self.security.close_zone(link.terms.acquirer)
            raise
        for link in config.links:
            usages = [key.usage for acquirer, key in kept if acquirer == link.terms.acquirer]
            self.security.change_zone(link.terms.acquirer, link.keys, usages)
        for acquirer in changes.removed:
            self.security.close_zone(acquirer)
        self._config = config
        self.rulebook.take(config.programmes)
        if not self.engine.unready():
            try:
                await self.adopt_programmes()
                await self.record_links()
            except LedgerError as error:
                raise NotStarted(f"{error}; send SIGHUP again") from None
        return changes

    async def _restore(self, link: LinkConfig, kept: Sequence[tuple[str, ImportedKey]]) -> None:
        """Bring the keys back into use that a link was given by key changes. Raises `SecurityError`."""
        for acquirer, key in kept:
            if acquirer == link.terms.acquirer:
                await self.security.restore_key(acquirer, key)

    async def stop(self) -> None:
        """Answer what is in flight, and let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._open_links.stop(), self.http.stop())
        logs.event("drained")
        if self._anchoring is not None:
            await self._anchoring.finish()
        await self.engine.stop()
        await self.vault.close()
        await self.contacts.close()
        await self.zone_keys.close()
        logs.event("stopped")


def _anchoring(settings: AnchorSettings | None, engine: Engine, now: Now, metrics: Metrics) -> Anchoring | None:
    """Make ready to anchor the ledger. Raises `KeyUnusable` and `AnchorsError`."""
    if settings is None:
        return None
    file = AnchorFile(settings.file, Signer.load(settings.key), logs.warning)
    anchoring = Anchoring(file, engine.acknowledged, now, logs.warning, metrics.anchor_failures.inc)
    metrics.anchor_age.set_function(anchoring.age_s)
    return anchoring


@contextlib.asynccontextmanager
async def running(config: Config, url: str, now: Now, *, demo: bool) -> AsyncIterator[Service]:
    """Run an authorizer until the block ends. When the block begins it listens, and holds every lease.

    Where another engine writes, it listens and stands by. Raises `NotStarted` and `LedgerError`.
    """
    store, partitions = await _open(url)
    service = Service(config, url, store, partitions, now)
    try:
        await service.begin(demo=demo)
        yield service
    finally:
        await service.stop()


@contextlib.contextmanager
def _port_in_use(port: int) -> Iterator[None]:
    """Turn the system's refusal of a port into a line to the user."""
    try:
        yield
    except OSError as error:
        raise NotStarted(f"port {port} can't be used: {error.strerror}; choose another") from None


async def _open(url: str) -> tuple[BeatingStore, list[Partition]]:
    """Open the ledger, waiting while its database can't be reached."""
    said = False
    while True:
        try:
            return await _opened(url)
        except AccessRefused as error:  # at a start it is a mistake; later the database may come back
            raise NotStarted(str(error)) from None
        except Unavailable as error:
            if not said:
                logs.warning("waiting for the database", why=str(error))
            said = True
        except LedgerError as error:
            raise NotStarted(str(error)) from None
        await asyncio.sleep(RETRY_EVERY_S)


async def _opened(url: str) -> tuple[BeatingStore, list[Partition]]:
    """Open the ledger, and see that this program can run on its schemas."""
    store = BeatingStore(url)
    partitions = list(await store.partitions())
    await schema.require_version(store.primary)
    return store, partitions
