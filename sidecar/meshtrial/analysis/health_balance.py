"""Health of randomisation: were the arms alike before anybody was exposed; pure."""

from meshtrial.analysis.cells import summed
from meshtrial.analysis.health_check import ALARM, Check, Patient
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.variables import Variable, variables_of
from meshtrial.plan.inference import MetricKind
from meshtrial.stats.alike import Alike, Pair, alike
from meshtrial.stats.multiplicity import bonferroni


def covariate_balance(patient: Patient) -> Check | None:
    """Means of covariates, which no arm can have changed: unlike ones say that the units differ."""
    covariates = _covariates(patient)
    if not covariates:
        return None
    unit = patient.experiment.unit
    if unit.group_kind is not None or unit.switchback is not None:
        detail = "not judged: units that were randomised together are alike before, too"
        return Check("covariate_balance", None, None, detail)
    balances = {
        f"{_named(variable)} of {arm.id}": found
        for variable, (metric, place) in covariates.items()
        for arm in patient.experiment.treatments()
        if isinstance(found := alike(_pairs(patient, metric, place, arm.id), binary=variable.binary), Alike)
    }
    if not balances:
        return Check("covariate_balance", None, None, "no covariate varies yet")
    p_values = dict(zip(balances, bonferroni([found.p_value for found in balances.values()]), strict=True))
    p_value, worst = min((p, name) for name, p in p_values.items())
    found = balances[worst]
    detail = (
        f"of {len(balances)} means before the exposure the least alike is {worst}: {found.treatment:.4g},"
        f" of control {found.control:.4g}"
    )
    if p_value < ALARM:
        advice = (
            "randomisation did not make the arms alike: look for an arm carried over from an earlier"
            " experiment of"
            " the same salt, exposures lost for some users, or covariates recorded after the exposure"
        )
        return Check("covariate_balance", False, p_value, f"{detail}; {advice}")
    return Check("covariate_balance", True, p_value, detail)


def _covariates(patient: Patient) -> dict[Variable, tuple[str, int]]:
    """Each covariate once, with a metric that has it and its place among the metric's variables."""
    found: dict[Variable, tuple[str, int]] = {}
    for metric in patient.experiment.decision.metrics():
        own = 2 if metric.kind is MetricKind.RATIO else 1
        for place, variable in enumerate(variables_of(metric)):
            if place >= own:
                found.setdefault(variable, (metric.id, place))
    return found


def _named(variable: Variable) -> str:
    events = variable.events
    what = f"`{events.outcome}`" if events.outcome else "requests"
    return f"{what}{f' {events.field}' if events.field else ''} in {-variable.start:,} s before"


def _pairs(patient: Patient, metric: str, place: int, treatment: str) -> list[Pair]:
    """Final units within days, phases and cohorts."""
    control, cells = patient.experiment.control.id, patient.gathered.cells.get(metric, {})
    strata = strata_of(patient.final, control, treatment, patient.clock)
    bound = patient.losses.bounds.final
    of_arm = {
        arm: summed(
            ((key, cell) for key, cell in cells.items() if key.arm == arm and key.period < bound),
            lambda key: strata.of(key, patient.clock),
        )
        for arm in (control, treatment)
    }
    pairs = []
    for number, weight in enumerate(strata.weights):
        one, other = (of_arm[arm][number] for arm in (control, treatment))
        only = [float(i == place) for i in range(one.variables)]
        pairs.append(Pair(weight, one.linear(only), other.linear(only)))
    return pairs
