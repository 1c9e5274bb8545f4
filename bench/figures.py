"""Samples -> tables of costs and ratios: pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from results import Sample


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading; the first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Quantity = Callable[[Sample], float | None]
"""One number of a sample, None where the variant has no such part."""


def cpu(part: str) -> Quantity:
    """CPU time per request in one part, microseconds."""
    return lambda sample: sample.cpu_us.get(part)


def all_cpu(sample: Sample) -> float:
    """CPU time per request in all measured processes, microseconds."""
    return sum(sample.cpu_us.values())


def rate(sample: Sample) -> float:
    """Answers a second."""
    return sample.requests / sample.seconds


def p50(sample: Sample) -> float:
    """Median latency, milliseconds."""
    return sample.p50_us / 1000


def p99(sample: Sample) -> float:
    """Latency that 99% stay below, milliseconds."""
    return sample.p99_us / 1000


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity as the tables show it."""

    heading: str
    quantity: Quantity
    form: str
    """Format of a value."""


COLLECTOR = Column("in the collector, us", cpu("collector"), ".0f")
"""In no ratio: what it would be compared with has no collector."""
COLUMNS = (
    Column("CPU in Envoy, us", cpu("envoy"), ".0f"),
    Column("in the sidecar, us", cpu("sidecar"), ".0f"),
    COLLECTOR,
    Column("in all, us", all_cpu, ".0f"),
    Column("requests/s", rate, ",.0f"),
    Column("p50, ms", p50, ".2f"),
    Column("p99, ms", p99, ".2f"),
)


def spread(values: Sequence[float], form: str) -> str:
    """Median, and the lowest and the highest: `412 (398..431)`; empty for no values."""
    if not values:
        return ""
    return f"{median(values):{form}} ({min(values):{form}}..{max(values):{form}})"


def costs(samples: Sequence[Sample], pace: str, variants: Sequence[str]) -> Table:
    """What each variant costs under one pace."""
    rows = []
    for variant in variants:
        mine = [s for s in samples if s.variant == variant and s.pace == pace]
        found = [[v for v in map(column.quantity, mine) if v is not None] for column in COLUMNS]
        cells = (spread(values, column.form) for values, column in zip(found, COLUMNS, strict=True))
        rows.append((variant, *cells))
    return Table(f"Per request, {pace}", ("", *(column.heading for column in COLUMNS)), tuple(rows))


def ratios(samples: Sequence[Sample], pace: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Each first variant divided by its second, round by round: both met the same state of the machine."""
    shared = [column for column in COLUMNS if column is not COLLECTOR]
    rows = []
    for variant, other in pairs:
        found = (_paired(samples, pace, variant, other, column.quantity) for column in shared)
        rows.append((f"{variant} / {other}", *(spread(values, ".2f") for values in found)))
    names = (column.heading.split(",")[0] for column in shared)
    return Table(f"Ratios, {pace}", ("", *names), tuple(rows))


def _paired(
    samples: Sequence[Sample], pace: str, variant: str, other: str, quantity: Quantity
) -> list[float]:
    by_round: dict[int, dict[str, float | None]] = {}
    for sample in samples:
        if sample.pace == pace:
            by_round.setdefault(sample.round, {})[sample.variant] = quantity(sample)
    found = []
    for values in by_round.values():
        above, below = values.get(variant), values.get(other)
        if above is not None and below:
            found.append(above / below)
    return found


def parts(found: Mapping[str, float]) -> Table:
    """Where the time of one request goes in the sidecars' own code."""
    rows = tuple((name, f"{microseconds:.1f}") for name, microseconds in found.items())
    return Table("Within one process, without any transport", ("", "us"), rows)
