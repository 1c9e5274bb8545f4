"""A plan document and a request -> the decision, written out again: shares no code with the package."""

import hashlib
import hmac
from fractions import Fraction

from vectors.hashes import bucket_of
from vectors.reading import Json, holds, matches, share, text_of, unit_at, value_at

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
TO_CONTROL = ("default", "disabled", "holdout", "outside")


def decision(plan: Json, request: Json, context: Json) -> list[Json]:
    """One entry for each experiment that takes part, in order of their ids."""
    found = [
        assignment(plan, name, plan["experiments"][name], request, context)
        for name in sorted(plan["experiments"])
        if matches(request, plan["experiments"][name].get("match", {}))
    ]
    return [entry for entry in found if entry is not None]


def assignment(plan: Json, name: str, experiment: Json, request: Json, context: Json) -> Json | None:
    subject = subject_of(plan, experiment, request, context)
    cohorts = plan.get("cohorts", {})
    if not holds(request, experiment.get("audience", []), name, subject["who"], cohorts):
        return None
    weighed = {key for arm in experiment["arms"].values() for key in weights_of(arm)}
    holding = [key for key in cohorts if key in weighed]
    cohort = next(
        (c for c in holding if holds(request, cohorts[c], f"cohort:{c}", subject["who"], cohorts)), "default"
    )
    return {
        "experiment": name,
        **choice(plan, name, subject, cohort, context),
        "unit": None if subject["unit"][0] is None else subject["unit"][0].decode(),
        "no_unit": subject["unit"][1],
        "minted": subject["minted"],
        "group": (subject["group"] and text_of(subject["group"][0] or b"")) or None,
        "no_group": subject["group"] and subject["group"][1],
        "window": subject["window"],
        "cohort": cohort if holding else "",
        "strata": strata(experiment, request),
    }


def strata(experiment: Json, request: Json) -> dict[str, str]:
    found = {name.lower(): value_at(request, {"header": name})[0] for name in experiment.get("strata", [])}
    return {n: v.decode("utf-8", "replace") for n, v in found.items() if v is not None and len(v) <= 64}


def subject_of(plan: Json, experiment: Json, request: Json, context: Json) -> Json:
    """The unit, what is hashed, and whom percentages are of."""
    unit = unit_document(plan, experiment)
    made: Json = {"minted": False, "group": None, "window": None}
    if "switchback" in unit:
        read = unit_at(request, unit["switchback"]["key"])
        made |= {"unit": read, "who": read[0], "hashed": None}
        if read[0] is not None:
            made["window"] = window_place(unit["switchback"], context)[0]
            made["hashed"] = read[0] + f"@{made['window']}".encode()
        return made
    if "group" in unit:
        group = unit_at(request, unit["group"])
        member = unit_at(request, unit["members"])
        return {**made, "unit": member, "who": group[0], "hashed": group[0], "group": group}
    read = unit_at(request, unit)
    if "mint" in unit and read[1] in {"missing", "empty"}:
        chance = bytes.fromhex(context.get("chance", "00" * 16))
        cookie = hashlib.sha256(unit["cookie"].encode() + bytes(1) + chance).hexdigest()[:32].encode()
        read, made["minted"] = (cookie, None), True
    return {**made, "unit": read, "who": read[0], "hashed": read[0]}


def unit_document(plan: Json, experiment: Json) -> Json:
    found: Json = plan["layers"][experiment["layer"]]["unit"] if "layer" in experiment else experiment["unit"]
    return found


def window_place(switchback: Json, context: Json) -> tuple[int, int]:
    """The window's number, and the seconds since it began."""
    passed: int = context.get("now_ms", 0) // 1000 - seconds(switchback.get("offset", 0))
    window = seconds(switchback["window"])
    return passed // window, passed % window


def seconds(text: str | int) -> int:
    return int(str(text)[:-1]) * SECONDS[str(text)[-1]] if str(text) != "0" else 0


def choice(plan: Json, name: str, subject: Json, cohort: str, context: Json) -> Json:
    experiment = plan["experiments"][name]
    control = experiment["control"]
    if experiment.get("killed") or experiment.get("paused"):
        return chosen(control, "disabled")
    if "layer" in experiment and holder(plan, experiment["layer"], subject, context) not in {name, None}:
        return chosen(control, "outside")
    signed = signed_arm(plan, name, subject, context)
    if signed is not None:
        return signed
    if subject["hashed"] is None or subject["unit"][0] is None:
        return chosen(control, "default")
    return choice_of_hashed(plan, name, subject["hashed"], cohort, context)


def choice_of_hashed(plan: Json, name: str, hashed: bytes, cohort: str, context: Json) -> Json:
    experiment = plan["experiments"][name]
    if "layer" in experiment:
        why = outside(plan, name, hashed)
        if why is not None:
            return chosen(experiment["control"], why)
    bucket = bucket_in(experiment, name, hashed)
    for kept in context.get("kept", []):
        mine = kept["experiment"] == name and kept["unit"].encode() == hashed
        if experiment.get("sticky") and mine and kept["arm"] in experiment["arms"]:
            return chosen(kept["arm"], "cached", bucket, kept["phase"])
    switchback = unit_document(plan, experiment).get("switchback")
    washed = switchback and window_place(switchback, context)[1] < seconds(switchback.get("washout", 0))
    return chosen(lane_of(experiment, cohort, bucket), "washout" if washed else "split", bucket)


def chosen(arm: str, reason: str, bucket: int | None = None, phase: str | None = None) -> Json:
    return {
        "arm": arm, "reason": reason, "exposed": reason in {"split", "cached"},
        "recorded": reason != "outside", "bucket": bucket, "phase": phase,
    }  # fmt: skip


def signed_arm(plan: Json, name: str, subject: Json, context: Json) -> Json | None:
    """The forced arm, else the carried one."""
    experiment = plan["experiments"][name]
    forced = context.get("forced", {}).get(name)
    if forced in experiment["arms"]:
        return chosen(forced, "targeting_match")
    carried = context.get("carried", {}).get(name)
    if not experiment.get("carry") or carried is None or carried["arm"] not in experiment["arms"]:
        return None
    kind = kind_of(unit_document(plan, experiment))
    if carried["kind"] != kind:
        return None
    own = subject["unit"][0]
    if own is not None and not subject["minted"] and pseudonym(kind, own, context) != carried["unit"]:
        return None
    return chosen(carried["arm"], "carried", phase=carried["phase"])


def kind_of(unit: Json) -> str:
    unit = unit.get("members") or unit.get("switchback", {}).get("key") or unit
    if "request" in unit:
        return "request"
    if "metadata" in unit:
        return f"metadata:{unit['metadata']['namespace']}:{'.'.join(unit['metadata']['path'])}"
    carrier = next(key for key in ("header", "cookie", "query") if key in unit)
    return f"{carrier}:{unit[carrier].lower() if carrier == 'header' else unit[carrier]}"


def pseudonym(kind: str, unit: bytes, context: Json) -> str:
    return hmac.new(context["key"].encode(), kind.encode() + bytes(1) + unit, "sha256").hexdigest()[:32]


def holder(plan: Json, layer: str, subject: Json, context: Json) -> str | None:
    """The experiment of a layer that has the unit by a forced arm, else by a carried one."""
    signed: dict[str, list[str]] = {"targeting_match": [], "carried": []}
    for name, body in sorted(plan["experiments"].items()):
        if body.get("layer") == layer and not body.get("killed") and not body.get("paused"):
            arm = signed_arm(plan, name, subject, context)
            if arm is not None:
                signed[arm["reason"]].append(name)
    return next(iter(signed["targeting_match"] + signed["carried"]), None)


def outside(plan: Json, name: str, hashed: bytes) -> str | None:
    """Why a unit has no part in an experiment of a layer."""
    experiment = plan["experiments"][name]
    layer = plan["layers"][experiment["layer"]]
    buckets = layer.get("buckets", 10_000)
    bucket = bucket_in(layer, experiment["layer"], hashed)
    holdout = share(layer.get("holdout", "0%"))
    start, end = map(share, experiment.get("slice", (f"{float(holdout * 100)}%", "100%")))
    if bucket < holdout * buckets:
        return "holdout"
    return None if start * buckets <= bucket < end * buckets else "outside"


def bucket_in(owner: Json, name: str, hashed: bytes) -> int:
    return bucket_of(owner.get("hash", "md5"), owner.get("salt", name), hashed, owner.get("buckets", 10_000))


def weights_of(arm: Json) -> Json:
    weight = arm["weight"]
    return weight if isinstance(weight, dict) else {"default": weight}


def lane_of(experiment: Json, cohort: str, bucket: int) -> str:
    """The arm whose live buckets the bucket is among, else control."""
    start = Fraction(0)
    for arm, body in experiment["arms"].items():
        if arm == experiment["control"]:
            continue
        weights = weights_of(body)
        weight = Fraction(str(weights.get(cohort, weights["default"])))
        width = weight * experiment.get("buckets", 10_000) / 100
        if start <= bucket < start + (width * share(experiment.get("ramp", "100%"))).__floor__():
            return str(arm)
        start += width
    return str(experiment["control"])


def to_model(plan: Json, entries: list[Json]) -> Json:
    """The headers that reach the model with a value of ours, and those that may not reach it."""
    if not entries:
        return {"set": {}, "remove": []}
    set_: dict[str, str] = {}
    for entry in sorted(entries, key=rank):
        arm = plan["experiments"][entry["experiment"]]["arms"][entry["arm"]]
        set_ |= {name.lower(): value for name, value in arm.get("headers", {}).items()}
        set_ |= {"x-meshtrial-cluster": arm["cluster"]} if "cluster" in arm else {}
    listed = [f"{entry['experiment']}={entry['arm']}" for entry in entries if entry["recorded"]]
    set_ |= {"x-meshtrial-arms": ", ".join(listed)} if listed else {}
    owned = {
        name.lower()
        for body in plan["experiments"].values()
        for arm in body["arms"].values()
        for name in arm.get("headers", {})
    }
    return {"set": dict(sorted(set_.items())), "remove": sorted({*owned, "meshtrial-force"} - set_.keys())}


def rank(entry: Json) -> int:
    return {"targeting_match": 2}.get(entry["reason"], 0 if entry["reason"] in TO_CONTROL else 1)
