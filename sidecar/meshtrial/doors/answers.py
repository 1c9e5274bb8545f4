"""Decision -> the bytes of an answer, serialised once for each arm.

What differs between two requests of one arm, pseudonyms (32 hex digits) and buckets (doubles), has a fixed
size. So an answer is serialised with a mark in each such place, when an arm is first met, and
every further request only fills the places in.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue

from meshtrial.assign.decide import Decision
from meshtrial.assign.mutation import arms_text, mutation_of
from meshtrial.doors.ext_proc_pb2 import (
    CommonResponse,
    HeaderMutation,
    HeaderValue,
    HeaderValueOption,
    PhaseResponse,
    ProcessingMode,
    ProcessingResponse,
)
from meshtrial.names import METADATA_NAMESPACE, SET_COOKIE, Metadata, MetadataOf, Reason
from meshtrial.plan.model import Plan

UNCHANGED = ProcessingResponse(request_headers=PhaseResponse()).SerializeToString()
"""Leaves the request as it is: the proxy's default route, control."""

MAX_BYTES = 8_000_000
"""Of the templates kept at once: requests in many experiments have many combinations of arms."""
SEE_RESPONSE = ProcessingResponse(
    mode_override=ProcessingMode(response_header_mode=ProcessingMode.SEND)
).SerializeToString()
"""Asks for the response's headers, appended to an answer; needs `allow_mode_override` at the proxy.

A serialised message appended to another one is merged into it:
https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

_OVERHEAD = 400
"""Bytes that Python takes for a template, and for each assignment of its key."""
_Key = tuple[str, str, Reason, str, bool, bool]
_UNIT_MARK = "\x01" * 32
"""In the place of the request's unit; each experiment's has a mark of its own (`_unit_mark`)."""
_DOUBLE = struct.Struct("<d")  # protobuf's wire form of a double


class Answers:
    """The answers of one Plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._templates: dict[tuple[_Key, ...], _Template] = {}
        self._kept = 0

    def answer(self, decision: Decision, pseudonyms: Sequence[str | None], key_id: str) -> bytes:
        """Serialised ProcessingResponse.

        Args:
            decision: What it says.
            pseudonyms: The unit's of each assignment, None where it has none.
            key_id: Of the key that made them; the same in every call.
        """
        if not decision:
            return UNCHANGED
        units = [p.encode() for p in pseudonyms if p is not None]
        values = [units[0], *units] if units else []
        values += [_DOUBLE.pack(a.bucket) for a in decision if a.bucket is not None]
        return self._template(decision, pseudonyms, key_id).filled(values)

    def _template(self, decision: Decision, pseudonyms: Sequence[str | None], key_id: str) -> "_Template":
        key = tuple(
            [
                (a.experiment.id, a.arm.id, a.reason, a.phase, a.bucket is None, p is None)
                for a, p in zip(decision, pseudonyms, strict=True)
            ]
        )
        template = self._templates.get(key)
        if template is None:
            template = _Template(decision, self._plan, [p is not None for p in pseudonyms], key_id)
            self._kept += template.size
            if self._kept > MAX_BYTES:
                self._templates.clear()
                self._kept = template.size
            self._templates[key] = template
        return template


def with_request_header(name: str, value: bytes) -> bytes:
    """To be appended to an answer to request headers: sets a header, removes it where the value is empty."""
    mutation = HeaderMutation(remove_headers=[name])
    if value:
        mutation = HeaderMutation(set_headers=[_overwrite(name, value)])
    changed = PhaseResponse(response=CommonResponse(header_mutation=mutation))
    return ProcessingResponse(request_headers=changed).SerializeToString()


def response_answer(cookies: Iterable[str], removed: Iterable[str]) -> bytes:
    """The answer to response headers: cookies to set, headers that the client may not see."""
    mutation = HeaderMutation(
        set_headers=[
            HeaderValueOption(
                header=HeaderValue(key=SET_COOKIE, raw_value=cookie.encode()),
                append=BoolValue(value=True),  # beside the model's own cookies
            )
            for cookie in cookies
        ],
        remove_headers=removed,
    )
    changed = PhaseResponse(response=CommonResponse(header_mutation=mutation))
    return ProcessingResponse(response_headers=changed).SerializeToString()


class _Template:
    """One serialised answer, cut at its marks: the request's unit, each assignment's, then each bucket's."""

    def __init__(self, decision: Decision, plan: Plan, named: Sequence[bool], key_id: str) -> None:
        whole = _response(decision, plan, named, key_id).SerializeToString()
        units = [_unit_mark(index) for index, has_unit in enumerate(named) if has_unit]
        marks = [mark.encode() for mark in ([_UNIT_MARK, *units] if units else [])]
        marks += [_DOUBLE.pack(_bucket_mark(i)) for i, a in enumerate(decision) if a.bucket is not None]
        # Of an assignment that takes no part nothing is said, and so its mark stands nowhere.
        found = ((whole.find(mark), len(mark), index) for index, mark in enumerate(marks))
        places = sorted(place for place in found if place[0] >= 0)
        starts = [0, *(start + length for start, length, _ in places)]
        ends = [*(start for start, _, _ in places), len(whole)]
        self._pieces = [whole[start:end] for start, end in zip(starts, ends, strict=True)]
        self._order = [index for _, _, index in places]
        self.size = len(whole) + _OVERHEAD * (1 + len(decision))

    def filled(self, values: Sequence[bytes]) -> bytes:
        """The answer with its marks replaced; each value is as long as its mark."""
        parts = [self._pieces[0]]
        for index, piece in zip(self._order, self._pieces[1:], strict=True):
            parts += (values[index], piece)
        return b"".join(parts)


def _unit_mark(index: int) -> str:
    """As long as a pseudonym and none, another for each index."""
    return f"\x02{index:031d}"


def _bucket_mark(index: int) -> float:
    """A number that no plan holds, another for each index."""
    return -1e300 * (1 + index * 2**-20)


def _response(decision: Decision, plan: Plan, named: Sequence[bool], key_id: str) -> ProcessingResponse:
    mutation = mutation_of(decision, plan)
    return ProcessingResponse(
        request_headers=PhaseResponse(
            response=CommonResponse(
                header_mutation=HeaderMutation(
                    set_headers=[_overwrite(name, value.encode()) for name, value in mutation.set],
                    remove_headers=mutation.remove,
                ),
                clear_route_cache=True,
            )
        ),
        dynamic_metadata=_metadata(decision, plan, named, key_id),
    )


def _overwrite(name: str, value: bytes) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, raw_value=value),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _metadata(decision: Decision, plan: Plan, named: Sequence[bool], key_id: str) -> Struct:
    experiments: dict[str, Any] = {}
    for index, assignment in enumerate(decision):
        if not assignment.takes_part:
            continue
        fields: dict[str, Any] = {
            MetadataOf.ARM: assignment.arm.id,
            MetadataOf.PHASE: assignment.phase,
            MetadataOf.EXPOSED: assignment.exposed,
            MetadataOf.REASON: assignment.reason.value,
            MetadataOf.UNIT_KIND: assignment.experiment.unit.kind,
        }
        if named[index]:
            fields[MetadataOf.UNIT] = _unit_mark(index)
        if assignment.bucket is not None:
            fields[MetadataOf.BUCKET] = _bucket_mark(index)
        experiments[assignment.experiment.id] = fields
    ours: dict[str, Any] = {Metadata.PLAN: plan.digest}
    if experiments:
        ours |= {Metadata.ARMS: arms_text(decision), Metadata.EXPERIMENTS: experiments}
    if any(named):
        ours |= {Metadata.UNIT: _UNIT_MARK, Metadata.KEY_ID: key_id}
    metadata = Struct()
    metadata.update({METADATA_NAMESPACE: ours})
    return metadata
