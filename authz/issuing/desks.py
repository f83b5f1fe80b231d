"""The desks that issuing is made of, and what they do beside payments: put together over one engine."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from authz.issuing.access import Gate
from authz.issuing.cards import CardDesk, Remakes
from authz.issuing.clients import Clients
from authz.issuing.holders import HolderDesk
from authz.issuing.issuer import Issuer
from authz.issuing.orders import Orders
from authz.issuing.outbox.outbox import Outbox
from authz.issuing.production import Production
from authz.issuing.releases import Releases
from authz.issuing.renewals import Renewals
from ledger.values import Partition


class Issuing(Struct, frozen=True):
    """Every desk, over one engine. `production` is None where no folder for its files is configured.

    `releases` and `outboxes` are one a partition; of the latter there are none where no mail server is configured.
    """

    issuer: Issuer
    gate: Gate
    clients: Clients
    orders: Orders
    cards: CardDesk
    holders: HolderDesk
    production: Production | None
    releases: Sequence[Releases]
    outboxes: Sequence[Outbox]

    def keep_up(self) -> None:
        """Begin to do what follows of what was written, in every partition that this engine writes."""
        engine = self.issuer.engine
        for number, releases in enumerate(self.releases):
            partition = Partition(number)
            engine.keep_doing(releases.keep_releasing, partition)
            engine.keep_doing(Remakes(self.issuer, partition).remake, partition)
            engine.keep_doing(Renewals(self.issuer, partition).renew, partition)
        for number, outbox in enumerate(self.outboxes):
            engine.keep_doing(outbox.send, Partition(number))


def open_desks(
    issuer: Issuer,
    partitions: Sequence[Partition],
    production: Production | None,
    outboxes: Sequence[Outbox],
    configured: str | None,
    applied: Callable[[int], object] = lambda lines: None,
) -> Issuing:
    """Put issuing together. `configured` is the SHA-256 of the issuer's first token.

    `applied` hears how many lines of orders were carried out.
    """
    releases = [Releases(issuer, partition, applied) for partition in partitions]
    return Issuing(
        issuer=issuer,
        gate=Gate(issuer, configured),
        clients=Clients(issuer),
        orders=Orders(issuer, [one.paid for one in releases]),
        cards=CardDesk(issuer),
        holders=HolderDesk(issuer),
        production=production,
        releases=releases,
        outboxes=outboxes,
    )
