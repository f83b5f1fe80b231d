"""The links of a running authorizer: opened, changed in place where that can be, replaced or closed where it can't.

What changes one link touches no other. Terms, keys and certificates change in place. Another address, dialect or
circle of clients replaces the listener: connections that come meanwhile wait in the socket, those that there are
get the answers to what they asked, and are closed.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from authz.config.links import LinkConfig
from authz.links.server import LinkServer, listening_at
from authz.links.tls import Tls
from authz.security.keys import ZoneKeys
from authz.security.module import ZoneKeyUsage
from authz.security.software import SoftwareSecurityModule
from authz.security.zone import Zone

Address = tuple[str, int | str]
"""Where a link listens: host and port, or where any port will do, host and acquirer."""


class LinkNotOpened(Exception):
    """A link's port can't be used: the message says which, and why."""


class Changes(Struct, frozen=True):
    """What became of the links, each by its acquirer. `changed` ones kept their connections, `replaced` ones didn't."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Zones(SoftwareSecurityModule):
    """A security module in software whose links come and go."""

    def open_zone(self, zone: str, keys: ZoneKeys) -> None:
        """Load a new link's keys."""
        self._zones[zone] = Zone(keys, self._pin_length, time.monotonic)

    def change_zone(self, zone: str, keys: ZoneKeys, kept: Collection[ZoneKeyUsage]) -> None:
        """Take a link's keys as its file has them now, but for those it was given since by key changes, `kept`."""
        own = self._zones[zone]
        own.zmk = keys.zmk
        for usage, key in ((ZoneKeyUsage.PIN, keys.zpk), (ZoneKeyUsage.MAC, keys.zak)):
            if usage not in kept:
                own.succession(usage).change(key)

    def close_zone(self, zone: str) -> None:
        """Forget a link's keys."""
        self._zones.pop(zone, None)


class OpenLinks:
    """The servers of every link, by acquirer. `make` makes one."""

    def __init__(self, make: Callable[[LinkConfig], LinkServer], links: Sequence[LinkConfig]) -> None:
        self._make = make
        self._links = {link.terms.acquirer: link for link in links}
        self._servers = {acquirer: make(link) for acquirer, link in self._links.items()}

    @property
    def servers(self) -> list[LinkServer]:
        """Every link's, in the order of the configuration."""
        return list(self._servers.values())

    @property
    def configs(self) -> Mapping[str, LinkConfig]:
        """What each link was opened with, by acquirer."""
        return self._links

    async def listen(self) -> None:
        """Open every link. Raises `LinkNotOpened`: then none is open."""
        opened = _listening(self._links.values())
        for acquirer, listening in opened.items():
            self._servers[acquirer].begin(listening)

    async def change(self, wanted: Sequence[LinkConfig], before: Callable[[], None] = lambda: None) -> Changes:
        """Have these links from now on; `before` is called when nothing else can go wrong, and may.

        Returns when what was asked over links that are gone has been answered. Raises `LinkNotOpened` and what
        `before` raises: then nothing has changed.
        """
        after = {link.terms.acquirer: link for link in wanted}
        kept = [acquirer for acquirer in after if acquirer in self._links]
        replaced = [acquirer for acquirer in kept if not _changes_in_place(self._links[acquirer], after[acquirer])]
        removed = [acquirer for acquirer in self._links if acquirer not in after]
        added = [acquirer for acquirer in after if acquirer not in self._links]
        changed = [
            acquirer
            for acquirer in kept
            if acquirer not in replaced and _said_of(self._links[acquirer]) != _said_of(after[acquirer])
        ]
        left = {_address(self._links[acquirer]): acquirer for acquirer in (*replaced, *removed)}
        fresh = _listening(after[one] for one in (*added, *replaced) if _address(after[one]) not in left)
        try:
            before()
        except BaseException:
            _close(fresh.values())
            raise
        sockets = {address: await self._servers[acquirer].hand_over() for address, acquirer in left.items()}
        closing = [self._servers[acquirer] for acquirer in (*replaced, *removed)]
        self._take_up(after, {*added, *replaced}, sockets, fresh)
        _close(sockets.values())
        await asyncio.gather(*(server.stop() for server in closing))
        return Changes(tuple(added), tuple(changed), tuple(replaced), tuple(removed))

    async def stop(self) -> None:
        """Answer what is in flight, and close."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    def _take_up(
        self,
        after: Mapping[str, LinkConfig],
        new: Collection[str],
        sockets: dict[Address, socket.socket],
        fresh: Mapping[str, socket.socket],
    ) -> None:
        """Begin the new links on their sockets, or on those that others have left there; change the rest in place."""
        servers = dict[str, LinkServer]()
        for acquirer, link in after.items():
            if acquirer in new:
                servers[acquirer] = self._make(link)
                listening = fresh[acquirer] if acquirer in fresh else sockets.pop(_address(link))
                servers[acquirer].begin(listening)
            else:
                servers[acquirer] = self._servers[acquirer]
                servers[acquirer].change(link.terms, link.tls)
        self._links, self._servers = dict(after), servers


def _address(link: LinkConfig) -> Address:
    return link.host, link.port or link.terms.acquirer


def _changes_in_place(old: LinkConfig, new: LinkConfig) -> bool:
    """Tell whether open connections may stay: their dialect, their way here, and who may use it are the same."""
    return old.dialect == new.dialect and _address(old) == _address(new) and _admission(old.tls) == _admission(new.tls)


def _said_of(link: LinkConfig) -> tuple[object, ...]:
    """What can change in place and be told from before: of a certificate, nobody can tell."""
    return link.terms, link.keys


def _admission(tls: Tls | None) -> tuple[object, ...]:
    """Whom a link lets in."""
    return () if tls is None else (tls.client_name, frozenset(tls.context.get_ca_certs(binary_form=True)))


def _listening(links: Iterable[LinkConfig]) -> dict[str, socket.socket]:
    """Open the sockets of links, all or none. Raises `LinkNotOpened`."""
    opened = dict[str, socket.socket]()
    for link in links:
        try:
            opened[link.terms.acquirer] = listening_at(link.host, link.port)
        except OSError as error:
            _close(opened.values())
            raise LinkNotOpened(f"port {link.port} can't be used: {error.strerror}; choose another") from None
    return opened


def _close(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.close()
