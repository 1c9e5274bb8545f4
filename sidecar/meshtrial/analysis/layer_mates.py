"""Which other experiments share out a layer's units, now or formerly."""

import msgspec

from meshtrial.names import Attribute, SpanName
from meshtrial.plan.model import Experiment, Plan
from meshtrial.store.engine import Engine, quoted


def layer_mates(engine: Engine, plan: Plan, experiment: Experiment) -> tuple[str, ...]:
    """Ids of the other experiments of its layer: of the present plan, and of those recorded; in order.

    None without a layer. One that was imported is known by the present plan only.
    """
    layer = experiment.layer
    if layer is None:
        return ()
    mates = {e.id for e in plan.experiments if e.layer is not None and e.layer.id == layer.id}
    document = f"SpanAttributes[{quoted(Attribute.DOCUMENT)}]"
    # The canonical text narrows the search; what it says is read below.
    recorded = engine.rows(f"""
SELECT Experiment, max({document}) FROM spans
WHERE SpanName = {quoted(SpanName.EXPERIMENT)} AND Experiment IS NOT NULL
  AND {document} LIKE {quoted(f'%"layer":"{layer.id}"%')}
GROUP BY Experiment
""")
    mates |= {mate for mate, text in recorded if _layer_of(text, mate) == layer.id}
    return tuple(sorted(mates - {experiment.id}))


def _layer_of(document: str, experiment: str) -> object:
    """As a recorded plan has it, of whatever version; None where that cannot be told."""
    try:
        return msgspec.json.decode(document)["experiments"][experiment].get("layer")
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
        return None
