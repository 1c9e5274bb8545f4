"""What the collector counts, in Prometheus' text format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from meshtrial.record.delivery import Counts
from meshtrial.record.delivery_counts import DeliveryCounts
from meshtrial.store.writer import StoreStatus


class Metrics:
    """The collector's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.spans = Counter(
            "meshtrial_collect_spans",
            "Spans on disk, by the door they came through (outcomes are spans too)",
            ["door"],
            registry=self.registry,
        )
        self.spans_dropped = Counter(
            "meshtrial_collect_spans_dropped",
            "Spans and events not stored: no valid id, or an outcome from a client without token or key",
            ["door", "reason"],
            registry=self.registry,
        )
        self.logs_dropped = Counter(
            "meshtrial_collect_log_records_dropped",
            "Log records not stored: no event of ours, no time, unreadable, or a request in no experiment",
            ["door", "reason"],
            registry=self.registry,
        )
        self.units_hidden = Counter(
            "meshtrial_collect_units_hidden",
            "Clear units and request ids replaced by their pseudonym, or removed, before storing",
            registry=self.registry,
        )
        self.exposures_implausible = Counter(
            "meshtrial_collect_exposures_implausible",
            "Exposures stored and not analysed: more than 30 days before their receipt, or 1 day after it",
            registry=self.registry,
        )
        self.outcomes_refused = Counter(
            "meshtrial_collect_outcomes_refused",
            "Malformed outcomes, refused one by one",
            registry=self.registry,
        )
        self.exposures_refused = Counter(
            "meshtrial_collect_exposures_refused",
            "Malformed imported exposures, refused one by one",
            registry=self.registry,
        )
        self.refused = Counter(
            "meshtrial_collect_requests_refused",
            "Whole requests refused, by HTTP status (the gRPC door's are mapped)",
            ["door", "status"],
            registry=self.registry,
        )
        self.append_seconds = Histogram(
            "meshtrial_collect_append_seconds",
            "Time from a checked request to its fsync",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )

    def watch_store(self, status: Callable[[], StoreStatus]) -> None:
        """Show how the store is doing, read when the metrics are."""
        journal = Gauge(
            "meshtrial_store_journal_bytes", "In the journal being written", registry=self.registry
        )
        journal.set_function(lambda: status().journal_bytes)
        pending = Gauge("meshtrial_store_pending_bytes", "Waiting for the disk", registry=self.registry)
        pending.set_function(lambda: status().pending_bytes)

    def watch_forward(self, counts: Callable[[], Counts]) -> None:
        """Show what became of the requests passed on."""
        self.registry.register(
            DeliveryCounts("meshtrial_forward_requests", "Stored requests passed on", counts)
        )

    def text(self) -> bytes:
        """All of it: https://prometheus.io/docs/instrumenting/exposition_formats/."""
        return generate_latest(self.registry)
