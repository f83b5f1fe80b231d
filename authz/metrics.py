"""What the engine counts, for Prometheus. No label ever carries a card, a holder or what a stranger sent."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """One engine's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.decisions = Counter(
            "authz_decisions", "Decisions appended to the ledger.", ["kind", "reason"], registry=registry
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
        self.answer_seconds = Histogram(
            "authz_answer_seconds",
            "From a request's arrival at its link to its reply.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.append_seconds = Histogram(
            "authz_append_seconds", "One append, durable.", buckets=_SECONDS, registry=registry
        )
        self.batch_records = Histogram(
            "authz_batch_records",
            "Records in an append.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        )
        self.append_failures = Counter(
            "authz_append_failures", "Appends that did not succeed, by how.", ["how"], registry=registry
        )
        self.epoch = Gauge("authz_epoch", "The epoch this engine writes in, 0 while it doesn't.", ["partition"],
                           registry=registry)  # fmt: skip
        self.works = Gauge("authz_requests_in_engine", "Requests between their arrival and their answer.",
                           registry=registry)  # fmt: skip
        self.clock_lag = Gauge("authz_clock_lag_seconds", "How far the clock is behind the newest record.",
                               registry=registry)  # fmt: skip
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
        self.empty_ranges = Gauge("ledger_empty_ranges", "Ranges of the journal that are ready and empty.",
                                  registry=registry)  # fmt: skip
        self.anchor_age = Gauge(
            "ledger_anchor_age_seconds",
            "How long acknowledged records have been waiting for their anchor.",
            registry=registry,
        )
        self.anchor_failures = Counter(
            "ledger_anchor_failures", "Anchors that could not be written.", registry=registry
        )
        self.connections = Gauge("authz_link_connections", "Open connections.", ["link"], registry=registry)
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
