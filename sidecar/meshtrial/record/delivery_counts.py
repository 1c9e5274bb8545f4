"""A delivery's counts in Prometheus' terms."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meshtrial.record.delivery import Counts


class DeliveryCounts(Collector):
    """Reads the counts when it is asked for them: nothing to keep in step."""

    def __init__(self, name: str, what: str, counts: Callable[[], Counts]) -> None:
        """`name` begins both metrics, `what` their help sentences."""
        self._name, self._what, self._counts = name, what, counts

    def collect(self) -> Iterator[Metric]:
        """`<name>_total{state}` and `<name>_waiting_bytes`."""
        counts = self._counts()
        total = CounterMetricFamily(self._name, f"{self._what}, by what became of them.", labels=["state"])
        for state in ("accepted", "delivered", "overflowed", "failed", "rejected"):
            total.add_metric([state], getattr(counts, state))
        yield total
        waiting = f"Bytes of {self._what.lower()} in the spool."
        yield GaugeMetricFamily(f"{self._name}_waiting_bytes", waiting, value=counts.waiting_bytes)
