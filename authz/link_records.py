"""What the journal says of the links: that each is open, and on what terms, or that it isn't any more."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from authz.config.links import LinkConfig
from authz.decision.configuration import TERMS, ConfigureLink, LinkInForce, terms_passbook
from authz.engine.engine import Engine
from authz.engine.passbooks import decode_state
from ledger.store import PASSBOOKS_A_CALL_MAX, Line, Store, Unavailable
from ledger.values import HolderId, Partition


async def record_links(
    engine: Engine, store: Store, partitions: Sequence[Partition], links: Iterable[LinkConfig]
) -> None:
    """Record which links are open, where the journal says otherwise. Raises `LedgerError`: it may be tried again."""
    wanted = {terms_passbook(link.terms.acquirer): in_force(link) for link in links}
    for partition in partitions:
        lines = await _lines(store, partition)
        for name, link in {**_closed(lines), **wanted}.items():
            line = lines.get(name)
            if line is None or decode_state(name, line.position) != link:
                key = f"link {link.acquirer} after {0 if line is None else line.seq} of {partition}"
                reply = await engine.administer(ConfigureLink(link), key)
                if not reply.reason.approves:
                    raise Unavailable(f"link {link.acquirer} could not be recorded: {reply.reason}")


def in_force(link: LinkConfig) -> LinkInForce:
    """Say of a link what the journal is to know."""
    terms = link.terms
    return LinkInForce(
        acquirer=terms.acquirer,
        host=link.host,
        port=link.port,
        dialect=link.dialect.name,
        tls=link.tls is not None,
        sign_on_required=terms.sign_on_required,
        mac_required=terms.mac_required,
        deadline_s=terms.deadline_s,
        idle_probe_s=terms.idle_probe_s,
        in_flight_max=terms.in_flight_max,
        sign_ons_a_minute=terms.sign_ons_a_minute,
    )


def _closed(lines: Mapping[HolderId, Line]) -> dict[HolderId, LinkInForce]:
    """Every link that the journal knows, as it is to be recorded if it isn't configured any more."""
    known = {name: decode_state(name, line.position) for name, line in lines.items()}
    return {name: replace(link, open=False) for name, link in known.items() if isinstance(link, LinkInForce)}


async def _lines(store: Store, partition: Partition) -> dict[HolderId, Line]:
    """Read what a partition's journal says of every link."""
    lines, after = dict[HolderId, Line](), ""
    while page := await store.references(partition, f"{TERMS}:", after, PASSBOOKS_A_CALL_MAX):
        lines |= dict(page)
        after = page[-1][0]
    return lines
