"""What the engine counts, for Prometheus (docs/metrics.md).

No label ever carries a card, a holder or what a stranger sent. Label values are words of the engine's own: reasons,
kinds of records, products, configured links, partitions.
"""

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from authz.metrics.collectors import SECONDS, Caches, Durations, DurationsCollector, Tally

BATCH_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Upper edges of the buckets of an append's size."""

# One series a counter, not two: its beginning is process_start_time_seconds.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Stages:
    """Where the time of a request goes, one stage after the other. What each covers stands in docs/metrics.md."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.read = Durations()
        self.resolve = Durations()
        self.decide = Durations()
        self.append = Durations()
        self.reply = Durations()
        DurationsCollector(
            "authz_stage_seconds",
            "The time of a request that is decided or answered again, by the stage that it passed in.",
            {(name,): durations for name, durations in vars(self).items()},
            registry,
            ["stage"],
        )


class Metrics:
    """One engine's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_requests()
        self._count_appends()
        self._count_beside()
        self._count_links()
        self._count_process()

    def _count_requests(self) -> None:
        registry = self.registry
        self.decisions = Tally(
            "authz_decisions",
            "Records in the ledger, by kind, by the product decided on (none or several: empty) and by reason.",
            ["message", "product", "reason"],
            registry,
        )
        self.refused = Counter(
            "authz_refused", "Requests answered without a record, by reason.", ["reason"], registry=registry
        )
        self.repeats = Counter("authz_repeats", "Requests answered from a stored reply.", registry=registry)
        self.late = Counter(
            "authz_settled_late", "Records settled after their deadline and not sent.", registry=registry
        )
        self.pins_garbled = Counter(
            "authz_pin_blocks_garbled", "PIN blocks that decrypt to no valid format.", registry=registry
        )
        self.answer_seconds = Durations()
        DurationsCollector(
            "authz_answer_seconds",
            "From the arrival of a request's bytes to its reply's departure.",
            {(): self.answer_seconds},
            registry,
        )
        self.stages = Stages(registry)
        self.works = Gauge(
            "authz_requests_in_engine", "Requests between their arrival and their answer.", registry=registry
        )
        self.caches = Caches(registry)

    def _count_appends(self) -> None:
        registry = self.registry
        self.append_seconds = Histogram(
            "authz_append_seconds", "One append, durable.", buckets=SECONDS, registry=registry
        )
        self.batch_records = Histogram(
            "authz_batch_records", "Records in an append.", buckets=BATCH_RECORDS, registry=registry
        )
        self.append_failures = Counter(
            "authz_append_failures", "Appends that did not succeed, by how.", ["how"], registry=registry
        )
        self.unknown_outcomes = Counter(
            "authz_unknown_outcomes",
            "Appends whose outcome was unknown, by what it was found to be.",
            ["settled"],
            registry=registry,
        )
        self.queue_requests = Gauge(
            "authz_queue_requests", "Requests in a writer's queues.", ["partition", "queue"], registry=registry
        )
        self.queue_age = Gauge(
            "authz_queue_age_seconds",
            "How long the oldest request in a writer's queues has been there.",
            ["partition"],
            registry=registry,
        )
        self.epoch = Gauge(
            "authz_epoch", "The epoch this engine writes in, 0 while it doesn't.", ["partition"], registry=registry
        )
        self.takeovers = Counter("authz_takeovers", "Leases taken.", ["partition"], registry=registry)
        self.standing_by = Gauge("authz_standing_by", "1 while another engine writes.", registry=registry)
        self.ready = Gauge("authz_ready", "1 while payments are decided, as /readyz says.", registry=registry)
        self.clock_lag = Gauge(
            "authz_clock_lag_seconds", "How far the clock is behind the newest record.", registry=registry
        )

    def _count_beside(self) -> None:
        registry = self.registry
        self.bulk_records = Counter(
            "authz_bulk_records", "Commands of bulk work that were carried out.", ["chore"], registry=registry
        )
        self.bulk_age = Gauge(
            "authz_bulk_age_seconds",
            "How long the oldest bulk work that is being done has been waiting for its end.",
            ["partition"],
            registry=registry,
        )
        self.order_lines_applied = Counter(
            "authz_order_lines_applied", "Lines of paid orders that were carried out.", registry=registry
        )
        self.letters = Counter(
            "authz_letters", "E-mails about records, by what became of them.", ["outcome"], registry=registry
        )
        self.outbox_age = Gauge(
            "authz_outbox_age_seconds",
            "How long the oldest record about which an e-mail is to be sent has been waiting.",
            ["partition"],
            registry=registry,
        )
        self.empty_ranges = Gauge(
            "ledger_empty_ranges", "Ranges of the journal that are ready and empty.", registry=registry
        )
        self.anchor_age = Gauge(
            "ledger_anchor_age_seconds",
            "How long acknowledged records have been waiting for their anchor.",
            registry=registry,
        )
        self.anchor_failures = Counter(
            "ledger_anchor_failures", "Anchors that could not be written.", registry=registry
        )

    def _count_links(self) -> None:
        registry = self.registry
        self.connections = Gauge("authz_link_connections", "Open connections.", ["link"], registry=registry)
        self.signed_on = Gauge(
            "authz_link_signed_on", "Connections whose acquirer has signed on.", ["link"], registry=registry
        )
        self.in_flight = Gauge(
            "authz_link_in_flight", "Requests of a link that are not answered yet.", ["link"], registry=registry
        )
        self.frames_dropped = Counter(
            "authz_frames_dropped", "Frames that got no reply, by why.", ["link", "why"], registry=registry
        )
        self.malformed = Counter(
            "authz_malformed",
            "Requests answered 30, by the number of the field that is missing or ill-formed (0: the whole).",
            ["link", "field"],
            registry=registry,
        )
        self.links_closed = Counter(
            "authz_links_closed", "Connections that the engine closed, by why.", ["link", "why"], registry=registry
        )
        self.probes = Counter(
            "authz_link_probes", "Echo tests of idle connections, by outcome.", ["link", "outcome"], registry=registry
        )
        self.foreign_acquirer = Counter(
            "authz_foreign_acquirer",
            "Messages over a link that name another acquirer than the link's: an alarm.",
            ["link"],
            registry=registry,
        )
        self.sign_ons_refused = Counter(
            "authz_sign_ons_refused", "Sign-ons beyond what a link may do in a minute.", ["link"], registry=registry
        )

    def _count_process(self) -> None:
        build = Info("authz_build", "Which release this is.", registry=self.registry)
        build.info({"version": version("authz")})
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
