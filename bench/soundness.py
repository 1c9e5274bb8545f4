"""Whether a run's figures are figures of what they say they are: pure."""

from figures import Table
from results import Results, Sample

UNDECIDED = 0.01
"""Share of requests without a decision, which cost less, from which on costs per request are too low."""


def outcomes(results: Results) -> Table:
    """What became of the requests of each variant that decides, and of what it recorded."""
    rows = []
    for variant, mine in _deciding(results).items():
        requests = sum(s.requests for s in mine)
        kept = results.exposures.get(variant)
        rows.append(
            (
                variant,
                f"{requests:,}",
                f"{sum(s.treated for s in mine) / requests:.1%}",
                f"{sum(s.failed_open for s in mine) / requests:.3%}",
                f"{sum(s.late for s in mine) / requests:.3%}" if kept else "",
                *(f"{kept[state]:,}" if kept else "" for state in ("accepted", "delivered", "overflowed")),
                f"{_collecting(mine) / requests:.0f}" if kept else "",
            )
        )
    fates = ("requests", "to v2", "failed open", "too late", "exposures", "delivered", "overflowed")
    header = ("", *fates, "in the collector, mean us")
    return Table("What became of the requests", header, tuple(rows))


def complaints(results: Results) -> list[str]:
    """Why the figures are not to be trusted, a sentence each; empty where they are."""
    found = []
    if errors := sum(s.broken + s.not_2xx for s in results.samples):
        found.append(f"{errors} requests failed")
    for variant, kept in results.exposures.items():
        stored = kept["delivered"] - kept["rejected"]
        if kept["accepted"] != stored:
            found.append(f"{variant}: {kept['accepted']} exposures, and {stored} were taken by the collector")
        recorded, assigned = kept["accepted"] + kept["overflowed"], results.assigned[variant]
        if recorded != assigned:
            found.append(f"{variant}: {assigned} decisions, and {recorded} exposures")
    for variant, mine in _deciding(results).items():
        requests = sum(s.requests for s in mine)
        undecided = sum(s.failed_open + s.late for s in mine) / requests
        treated = sum(s.treated for s in mine) / requests
        if undecided > UNDECIDED:
            found.append(f"{variant}: {undecided:.1%} of the requests were not decided")
        elif not 0.45 < treated < 0.55:
            found.append(f"{variant}: {treated:.1%} of the requests went to v2, and half should")
    return found


def _collecting(samples: list[Sample]) -> float:
    """Microseconds of CPU time in the collector over the whole run: it rolls its store only now and then."""
    return sum(s.cpu_us["collector"] * s.requests for s in samples)


def _deciding(results: Results) -> dict[str, list[Sample]]:
    """The samples of each variant with a sidecar."""
    found: dict[str, list[Sample]] = {}
    for sample in results.samples:
        if "sidecar" in sample.cpu_us:
            found.setdefault(sample.variant, []).append(sample)
    return found
